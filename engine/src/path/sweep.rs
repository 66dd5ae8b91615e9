//! What happens to mailboxes and sessions when nobody does anything: messages go out of date, are
//! sent again, old segments are cleared, and sessions that dropped are given up.
//!
//! All of it goes through the mailboxes a bounded slice in each turn.

use crate::connection::id::ConnectionId;
use crate::directory::homes::HomeId;
use crate::io::Io;
use crate::mailbox::journal::{Moved, Waiting};
use crate::mailbox::room::{Clearing, Mailroom};
use crate::mailbox::{Entry, Mailbox, Why};
use crate::shard::Shard;
use holdfast_store::{Command, Trouble};

/// Most mailboxes looked at in one turn.
const SLICE: usize = 512;
/// Each mailbox is looked at once in so many seconds.
const ROUND_SECONDS: usize = 4;
/// Most sessions given up in one turn.
const LINGERING: usize = 1024;
/// Copies for the clearing of a segment wait until fewer bytes than this wait for the store.
const MOVING_BYTES: usize = 1 << 20;

impl<I: Io> Shard<I> {
    /// A session's connection dropped: its client may come back to it for a while.
    pub(crate) fn let_linger(&mut self, home: HomeId, connection: ConnectionId) {
        let due = self.now.seconds().saturating_add(self.settings.linger).saturating_add(1);
        self.lingering.push_back((due, home, connection));
        // A host must not keep more of those who left than it has room for.
        if self.lingering.len() > self.settings.clients_max
            && let Some((_, home, connection)) = self.lingering.pop_front()
        {
            self.give_session_up(home, connection);
        }
    }

    fn give_session_up(&mut self, home: HomeId, connection: ConnectionId) {
        self.homes.linger_over(home, connection);
        self.let_go_if_idle(home);
    }

    /// Does a slice of what is due.
    pub(crate) fn sweep(&mut self, new_second: bool) {
        let now = self.now.seconds();
        for _ in 0..LINGERING {
            match self.lingering.front() {
                Some(&(due, home, connection)) if due <= now => {
                    self.lingering.pop_front();
                    self.give_session_up(home, connection);
                }
                _ => break,
            }
        }
        if new_second {
            let unix = self.unix_seconds();
            if let Some(room) = self.mailroom.as_mut() {
                room.sweep_left = room.high.div_ceil(ROUND_SECONDS);
                room.keys.forget_old(unix);
            }
            if self.notices.expire(unix) {
                self.reconsider_late();
            }
            self.feed_stalled();
            self.open_again();
        }
        self.sweep_mailboxes();
        self.clear_segments();
    }

    /// Whether a slice is left to do.
    pub(crate) fn has_to_sweep(&self) -> bool {
        self.mailroom.as_ref().is_some_and(|room| {
            let clears = room.clearing.is_some_and(|clearing| clearing.next < room.high);
            room.sweep_left > 0 || (clears && room.journal.waiting_bytes() < MOVING_BYTES)
        })
    }

    fn sweep_mailboxes(&mut self) {
        let now = self.now.seconds();
        for _ in 0..SLICE {
            // What it finds goes to sessions and backends.
            if self.ends.session_out.blocked() || self.ends.origin_out.blocked() {
                return;
            }
            let Some(room) = self.mailroom.as_mut().filter(|room| room.sweep_left > 0) else {
                return;
            };
            room.sweep_left -= 1;
            room.sweep = if room.sweep + 1 >= room.high { 0 } else { room.sweep + 1 };
            let Some(mailbox) = room.boxes.get(room.sweep) else { continue };
            let home = mailbox.home;
            let due = mailbox.is_due(now);
            self.expire(home);
            if due {
                self.redeliver(home);
            }
            self.give_up_if_empty(home);
        }
    }

    /// Gives up what is out of date in a mailbox.
    pub(crate) fn expire(&mut self, home: HomeId) {
        let unix = self.unix_seconds();
        let expired = self.mailbox(home).map(|mailbox| mailbox.expired(unix)).unwrap_or_default();
        let Some(&last) = expired.last() else { return };
        let mut told = None;
        for sequence in expired {
            if let Some(gone) = self.mailbox(home).and_then(|mailbox| mailbox.take(sequence)) {
                told = told.or(gone.subscriber.is_some().then_some(sequence));
                self.depart(home, &gone, Why::Expired);
            }
        }
        let upto = self.needed_behind(home, last);
        // A record knows by itself when it is out of date, but not that somebody was told: without
        // a word the next life would tell again. A shared store keeps a mailbox as one, and does
        // not know the first either.
        let shared = self.mailroom.as_ref().is_some_and(|room| room.shared);
        if shared || told.is_some_and(|told| told <= upto) {
            self.trim(home, Some(upto));
        }
        self.relieve(home);
    }

    /// Copies what is still needed out of segments that are to go.
    fn clear_segments(&mut self) {
        let Some(room) = self.mailroom.as_mut() else { return };
        let Some(Clearing { upto, next, .. }) = room.clearing else { return };
        let end = next.saturating_add(SLICE).min(room.high);
        let mut at = next;
        while at < end && room.journal.waiting_bytes() < MOVING_BYTES {
            let moved = copy_out(room, at, upto);
            at += 1;
            if let Some(clearing) = &mut room.clearing {
                clearing.next = at;
                clearing.moving += moved;
            }
        }
        self.finish_clearing();
    }

    fn finish_clearing(&mut self) {
        let Some(room) = self.mailroom.as_mut() else { return };
        let Some(Clearing { upto, next, moving }) = room.clearing else { return };
        if next < room.high || moving > 0 || room.journal.trouble() == Some(Trouble::Down) {
            return;
        }
        if room.journal.needs(upto) {
            // Something was written there while the others were looked at.
            room.clearing = Some(Clearing { upto, next: 0, moving: 0 });
            return;
        }
        for seen in self.notices.rewrite(upto, upto.saturating_add(1)) {
            room.journal.order(Command::Seen(seen));
        }
        let marks = room.keys.rewrite(upto, upto.saturating_add(1));
        if !marks.is_empty() {
            room.journal.order(Command::Keys(marks));
        }
        room.journal.order(Command::Cleaned(upto));
        room.clearing = None;
    }
}

/// Has copies made of what one mailbox has in the segments up to `upto`; gives how many.
fn copy_out(room: &mut Mailroom, place: usize, upto: u32) -> usize {
    let Some(mailbox) = room.boxes.get(place) else { return 0 };
    let home = mailbox.home;
    let old = |entry: &&Entry| entry.place().is_some_and(|place| place.segment <= upto);
    let entries: Vec<Entry> = Mailbox::entries(mailbox).filter(old).copied().collect();
    for entry in &entries {
        if let Some(from) = entry.place() {
            let Entry { sequence, length, .. } = *entry;
            let waiting = Waiting::Moved(Moved { home, sequence, from, length });
            room.journal.write(Command::Move(from), waiting, length as usize);
        }
    }
    entries.len()
}
