//! Whether the store can write, and finding out when it can again.

use super::{Events, Keeper};
use crate::letter::{Event, Trouble};
use std::io;

/// What is tried at least (less where segments are small), and at most, when the store may be well
/// again, in bytes.
const LEAST: usize = 64 << 10;
const MOST: usize = 4 << 20;

/// How the store is.
#[derive(Debug, Default)]
pub(super) struct Health {
    trouble: Option<Trouble>,
    /// The second of the last try.
    tried: u32,
    /// The second in which not even the reserve had room, or 0.
    dry: u32,
    /// The bytes of the last group.
    pub(super) wrote: usize,
    /// The bytes of groups that cleaned nothing, since the disk is full or gave anything back.
    pub(super) spent: u64,
    /// The bytes of the last group that was written while all was well.
    pub(super) size: usize,
}

/// Whether there is no room: on the disk, for this user, or in files of this process, whose size
/// has a limit (`ulimit -f`).
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// What is full, in the words of a log line.
fn full(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::FileTooLarge => "a file may not grow (`ulimit -f`), as on a full disk",
        _ => "the disk is full",
    }
}

impl Health {
    pub(super) const fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Whether nothing at all can be written now, as far as is known.
    pub(super) fn is_stuck(&self, now: u32) -> bool {
        match self.trouble {
            None => false,
            Some(Trouble::Full) => self.dry == now,
            Some(Trouble::Down) => true,
        }
    }
}

impl Keeper {
    /// Takes note that writing failed; says so once in the log, and to all shards. Where the disk
    /// is full, the reserve is given up.
    pub(super) fn fail(&mut self, error: &io::Error, now: u32, out: &mut Events) -> Trouble {
        let trouble = if is_full(error) { Trouble::Full } else { Trouble::Down };
        self.health.tried = now;
        if trouble == Trouble::Full {
            if !self.reserve.is_held() {
                self.health.dry = now;
            }
            self.reserve.give_up();
            // Should that fail, more of the disk is taken than has to be.
            let _ = self.log.slim();
        }
        if self.health.trouble != Some(trouble) {
            self.health.trouble = Some(trouble);
            self.health.spent = 0;
            let directory = self.log.disk().describe();
            match trouble {
                Trouble::Full => {
                    let reserve = self.reserve.bytes();
                    tracing::error!(
                        %error,
                        directory,
                        reserve,
                        "{}: nothing new is accepted, and the room that was kept back, in bytes, \
                         is for what gives room back",
                        full(error)
                    );
                }
                Trouble::Down => {
                    let what = "the store cannot write: nothing is accepted";
                    tracing::error!(%error, directory, "{what}");
                }
            }
            self.tell_all(trouble.into(), out);
        }
        trouble
    }

    /// Whether it is of use to write. After trouble that is tried once a second, with as much as
    /// failed, so that a little room does not look like enough; and the reserve has to be there.
    pub(super) fn recheck(&mut self, now: u32, out: &mut Events) -> Result<(), Trouble> {
        let Some(trouble) = self.health.trouble else { return Ok(()) };
        if now == self.health.tried {
            return Err(trouble);
        }
        match self.get_well() {
            // Nothing new: what keeps the house may be written all the same.
            Err(error) if trouble == Trouble::Full && is_full(&error) => {
                self.health.tried = now;
                self.reserve.give_up();
                return Err(trouble);
            }
            Err(error) => return Err(self.fail(&error, now, out)),
            Ok(()) => {}
        }
        self.health.trouble = None;
        tracing::info!("the store can write again");
        self.tell_all(None, out);
        Ok(())
    }

    fn get_well(&mut self) -> io::Result<()> {
        let least = LEAST.min(self.log.segment_bytes() as usize / 16);
        let bytes = self.health.size.clamp(least, MOST);
        self.reserve.take(bytes as u64)?;
        self.log.probe(bytes)?;
        // Before anything is accepted its header says which sequences may be given out.
        self.log.begin()
    }

    fn tell_all(&self, state: Option<Trouble>, out: &mut Events) {
        out.extend((0..self.shards).map(|shard| (shard, Event::State(state))));
    }
}
