//! Whether the store can write, and finding out when it can again.

use super::{Events, Keeper};
use crate::letter::{Event, Trouble};
use std::io;

/// What is tried at least, and at most, when the store may be well again, in bytes.
const LEAST: usize = 64 << 10;
const MOST: usize = 4 << 20;

/// How the store is.
#[derive(Debug, Default)]
pub(super) struct Health {
    trouble: Option<Trouble>,
    /// The second of the last try.
    tried: u32,
    /// The bytes of the last group.
    pub(super) size: usize,
}

impl Health {
    pub(super) const fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }
}

impl Keeper {
    /// Takes note that writing failed; says so once in the log, and to all shards.
    pub(super) fn fail(&mut self, error: &io::Error, now: u32, out: &mut Events) -> Trouble {
        let full =
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let trouble = if full { Trouble::Full } else { Trouble::Down };
        self.health.tried = now;
        if self.health.trouble != Some(trouble) {
            self.health.trouble = Some(trouble);
            let directory = self.log.disk().describe();
            tracing::error!(%error, directory, "the store cannot write: nothing is accepted");
            self.tell_all(trouble.into(), out);
        }
        trouble
    }

    /// Whether it is of use to write. After trouble that is tried once a second, with as much as
    /// failed, so that a little room does not look like enough.
    pub(super) fn recheck(&mut self, now: u32, out: &mut Events) -> Result<(), Trouble> {
        let Some(trouble) = self.health.trouble else { return Ok(()) };
        if now == self.health.tried {
            return Err(trouble);
        }
        let bytes = self.health.size.clamp(LEAST, MOST);
        self.log.probe(bytes).map_err(|error| self.fail(&error, now, out))?;
        self.health.trouble = None;
        tracing::info!("the store can write again");
        self.tell_all(None, out);
        Ok(())
    }

    fn tell_all(&self, state: Option<Trouble>, out: &mut Events) {
        out.extend((0..self.shards).map(|shard| (shard, Event::State(state))));
    }
}
