//! Mailboxes: what was accepted for a user and not acknowledged yet, in the user's order.
//!
//! A mailbox exists while it holds something; of its messages it keeps where they lie and how long
//! they are of use, never the bodies. It is kept small: a host may hold millions of messages for
//! users who are away. What only a user who is there needs, is behind one pointer.
//!
//! Pure: time comes in, nothing goes out but values. [`journal`] is the way to the store and back,
//! [`keys`] remembers idempotency keys, [`load`] what the store was asked for, [`unopened`] what it
//! could not say; [`merge`] takes in what other hosts did; [`room`] has all of one shard.

pub mod journal;
pub mod keys;
pub mod load;
pub mod merge;
pub mod room;
pub mod unopened;

use crate::connection::id::ConnectionId;
use crate::directory::homes::HomeId;
use compact_str::CompactString;
use holdfast_protocol::backend::answer::DropReason;
use holdfast_store::{Freed, Kept, Mark, Place};
use std::collections::VecDeque;

/// One message, as its mailbox knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its sequence.
    pub sequence: u64,
    /// Where it lies; see [`Entry::ticket`].
    place: Place,
    /// The bytes of its body.
    pub length: u32,
    /// The second since 1970 UTC after which it is of no use.
    pub expires: u32,
}

/// In place of a segment: not stored yet, and the offset is a ticket of the journal.
const ON_ITS_WAY: u32 = u32::MAX;

impl Entry {
    /// Where it lies; `None` before the store has it.
    pub fn place(&self) -> Option<Place> {
        (self.place.segment != ON_ITS_WAY).then_some(self.place)
    }

    /// The journal's ticket, before the store has it.
    pub fn ticket(&self) -> Option<u32> {
        (self.place.segment == ON_ITS_WAY).then_some(self.place.offset)
    }
}

/// A session that is not sent each message as it comes, because it is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    /// The session's connection.
    pub connection: ConnectionId,
    /// The greatest sequence that was handed to it.
    pub cursor: u64,
    /// What it waits for.
    pub waits: Waits,
}

/// What a feed waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// For its turn to ask the store.
    Turn,
    /// For the store, which was asked under this number.
    Store(u32),
    /// For the session to say that it has room.
    Room,
}

/// Whom to tell what became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// The connection that pushed it; none after a restart.
    pub connection: Option<ConnectionId>,
    /// The backend's name.
    pub name: CompactString,
}

/// What only some mailboxes need.
#[derive(Debug, Default)]
struct Attention {
    feeds: Vec<Feed>,
    subscribers: VecDeque<(u64, Subscriber)>,
    /// What a shared store remembers of the deliveries.
    marked: Option<Mark>,
}

/// A user's mailbox.
#[derive(Debug)]
pub struct Mailbox {
    /// Whose.
    pub home: HomeId,
    entries: VecDeque<Entry>,
    bytes: u64,
    /// The greatest sequence that a session was ever handed, also in an earlier life.
    sent: u64,
    /// Where hosts share the store: everything that it has up to this sequence is here. [`ALONE`]
    /// where nobody else has it. See [`merge`].
    known: u64,
    attention: Option<Box<Attention>>,
    /// The second of the process's clock in which what was sent is sent again.
    due: u32,
    /// How often the oldest was sent again.
    rounds: u16,
    /// Whether anything that is here was handed to a session in this life.
    handed: bool,
    quarantined: bool,
}

/// Nobody else stores anything for the user.
const ALONE: u64 = u64::MAX;

const _: () = assert!(size_of::<Mailbox>() <= 80, "a host may hold millions");
const _: () = assert!(size_of::<Entry>() == 24, "and many more of these");

/// A message that left its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// What it was.
    pub entry: Entry,
    /// Who is to be told.
    pub subscriber: Option<Subscriber>,
}

/// Why a mailbox takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// How much one mailbox may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Messages; at least 1.
    pub messages: usize,
    /// Bytes of bodies.
    pub bytes: u64,
}

/// When what was sent is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redelivery {
    /// Seconds without an acknowledgement before the first time; doubled each time.
    pub after: u32,
    /// The longest such time, in seconds.
    pub at_most: u32,
    /// Rounds without progress, after which the mailbox is quarantined.
    pub rounds: u16,
}

impl Mailbox {
    /// An empty mailbox, which is to get something at once.
    pub fn new(home: HomeId) -> Self {
        Self {
            home,
            entries: VecDeque::new(),
            bytes: 0,
            sent: 0,
            known: ALONE,
            attention: None,
            due: u32::MAX,
            rounds: 0,
            handed: false,
            quarantined: false,
        }
    }

    /// What a store had kept of a user. All of it may have been sent in an earlier life.
    pub fn recovered(home: HomeId, kept: Vec<Kept>) -> Self {
        let mut mailbox = Self::new(home);
        mailbox.entries.reserve_exact(kept.len());
        for Kept { sequence, place, length, expires, receipt } in kept {
            mailbox.entries.push_back(Entry { sequence, place, length, expires });
            mailbox.bytes += u64::from(length);
            mailbox.sent = sequence;
            if let Some(name) = receipt {
                mailbox.subscribe(sequence, Subscriber { connection: None, name });
            }
        }
        mailbox
    }

    /// Takes over how the deliveries stand, as a shared store remembers it, where the oldest
    /// message is still one that was sent; whether it is in quarantine.
    pub fn resume_deliveries(&mut self, mark: Mark) -> bool {
        self.attention.get_or_insert_default().marked = Some(mark);
        if self.is_empty() || self.first() > mark.sent {
            return false;
        }
        self.handed = true;
        self.rounds = mark.rounds;
        self.quarantined = mark.quarantined;
        if mark.quarantined {
            // What came since was sent to nobody.
            self.sent = mark.sent;
        }
        mark.quarantined
    }

    /// What a shared store is to remember of the deliveries, where that is not what it remembers:
    /// `Some(None)` is nothing. From now on it is said.
    pub fn deliveries_to_remember(&mut self) -> Option<Option<Mark>> {
        let vain = (self.handed || self.quarantined) && !self.is_empty();
        let mark = (vain && self.first() <= self.sent).then_some(Mark {
            sent: self.sent,
            rounds: self.rounds,
            quarantined: self.quarantined,
        });
        let marked = self.attention.as_ref().and_then(|attention| attention.marked);
        if mark == marked {
            return None;
        }
        self.attention.get_or_insert_default().marked = mark;
        Some(mark)
    }

    /// The store is told to forget everything up to `upto`, and a shared one with it how the
    /// deliveries stand. Gives up to what it may be told that: what this mailbox does not know of
    /// is for others.
    pub fn forgets(&mut self, upto: u64) -> u64 {
        if let Some(attention) = &mut self.attention {
            attention.marked = None;
        }
        upto.min(self.known)
    }

    /// Its messages, the oldest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of its bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The sequence of its oldest message; 0 where there is none.
    pub fn first(&self) -> u64 {
        self.entries.front().map_or(0, |entry| entry.sequence)
    }

    /// The sequence of its youngest message; 0 where there is none.
    pub fn last(&self) -> u64 {
        self.entries.back().map_or(0, |entry| entry.sequence)
    }

    /// Whether one more message of `length` bytes fits.
    pub fn has_room(&self, length: u32, bounds: Bounds) -> bool {
        self.entries.len() < bounds.messages && self.bytes + u64::from(length) <= bounds.bytes
    }

    /// Takes a message that is on its way to the store; its sequence is greater than all before.
    pub fn push(&mut self, sequence: u64, length: u32, expires: u32, ticket: u32) {
        debug_assert!(sequence > self.last(), "{sequence} comes behind {}", self.last());
        if self.entries.len() == self.entries.capacity() {
            // A little at a time: most mailboxes stay small, and there may be millions.
            self.entries.reserve_exact(1 + self.entries.len() / 8);
        }
        let place = Place { segment: ON_ITS_WAY, offset: ticket };
        self.entries.push_back(Entry { sequence, place, length, expires });
        self.bytes += u64::from(length);
    }

    /// Has `subscriber` told what becomes of a message.
    pub fn subscribe(&mut self, sequence: u64, subscriber: Subscriber) {
        self.attention.get_or_insert_default().subscribers.push_back((sequence, subscriber));
    }

    fn position(&self, sequence: u64) -> Option<usize> {
        let place = self.entries.partition_point(|entry| entry.sequence < sequence);
        self.entries.get(place).is_some_and(|entry| entry.sequence == sequence).then_some(place)
    }

    /// The message of this sequence.
    pub fn entry(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(self.position(sequence)?)
    }

    /// The store has the message, or moved it; whether it is still wanted.
    pub fn stored(&mut self, sequence: u64, place: Place) -> bool {
        self.known = self.known.max(sequence);
        let entry = self.position(sequence).and_then(|at| self.entries.get_mut(at));
        entry.map(|entry| entry.place = place).is_some()
    }

    fn gone(&mut self, entry: Entry) -> Gone {
        self.bytes -= u64::from(entry.length);
        let subscribers = self.attention.as_mut().map(|attention| &mut attention.subscribers);
        let subscriber = subscribers.and_then(|all| {
            let at = all.iter().position(|(sequence, _)| *sequence == entry.sequence)?;
            all.remove(at).map(|(_, subscriber)| subscriber)
        });
        Gone { entry, subscriber }
    }

    /// Takes the oldest message away, if it may leave.
    pub fn pop(&mut self) -> Option<Gone> {
        if self.entries.front().is_some_and(|entry| self.must_stay(entry)) {
            return None;
        }
        let entry = self.entries.pop_front()?;
        let gone = self.gone(entry);
        if self.entries.len() * 4 < self.entries.capacity() {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        Some(gone)
    }

    /// Takes one message away, wherever it stands.
    pub fn take(&mut self, sequence: u64) -> Option<Gone> {
        let at = self.position(sequence)?;
        let entry = self.entries.remove(at)?;
        Some(self.gone(entry))
    }

    /// The sequence up to which an acknowledgement of `sequence` counts: no client has dealt with
    /// what it was never sent. `None` where it covers nothing that is here.
    pub fn covered(&self, sequence: u64) -> Option<u64> {
        let upto = sequence.min(self.sent);
        (upto >= self.first() && !self.is_empty()).then_some(upto)
    }

    /// The client has made progress: its redelivery begins anew at `now`, and it is let out of
    /// quarantine. Gives whether it was in it.
    pub fn progressed(&mut self, now: u32, redelivery: Redelivery) -> bool {
        self.rounds = 0;
        self.due = now.saturating_add(redelivery.after);
        std::mem::take(&mut self.quarantined)
    }

    /// The sequences whose time to live ended before the second `unix`.
    pub fn expired(&self, unix: u32) -> Vec<u64> {
        let old = self.entries.iter().filter(|entry| entry.expires < unix);
        old.filter(|entry| !self.must_stay(entry)).map(|entry| entry.sequence).collect()
    }

    /// Whether nothing is sent to its user, because a client took it too often in vain.
    pub fn is_quarantined(&self) -> bool {
        self.quarantined
    }

    /// How often the oldest was sent again.
    pub fn rounds(&self) -> u16 {
        self.rounds
    }

    /// The greatest sequence that a session was handed.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// A session is handed everything up to `sequence` at `now`; whether that one may have been
    /// handed out before.
    pub fn hand_over(&mut self, sequence: u64, now: u32, redelivery: Redelivery) -> bool {
        let again = sequence <= self.sent;
        let stands_still = self.due == u32::MAX && !self.quarantined;
        if self.first() > self.sent || stands_still {
            // Nothing that is here was sent before, or not in this life.
            self.due = now.saturating_add(redelivery.after);
        }
        self.sent = self.sent.max(sequence);
        self.handed = true;
        again
    }

    /// Another round of what was sent in vain begins; `false` where that was too often, and the
    /// mailbox is in quarantine from now on.
    pub fn again(&mut self, now: u32, redelivery: Redelivery) -> bool {
        if self.quarantined || !self.handed || self.is_empty() || self.first() > self.sent {
            return !self.quarantined;
        }
        if self.rounds >= redelivery.rounds {
            self.quarantined = true;
            self.due = u32::MAX;
            return false;
        }
        let wait = redelivery.after.saturating_mul(1 << self.rounds.min(20));
        self.rounds += 1;
        self.due = now.saturating_add(wait.saturating_mul(2).min(redelivery.at_most));
        true
    }

    /// Whether what was sent is to be sent again.
    pub fn is_due(&self, now: u32) -> bool {
        !self.quarantined && self.due <= now && !self.is_empty() && self.first() <= self.sent
    }

    /// The feed of a session; `None` where it is not behind.
    pub fn feed(&mut self, connection: ConnectionId) -> Option<&mut Feed> {
        let feeds = &mut self.attention.as_mut()?.feeds;
        feeds.iter_mut().find(|feed| feed.connection == connection)
    }

    /// Whether a session is behind.
    pub fn is_behind(&self, connection: ConnectionId) -> bool {
        let feeds = self.attention.as_ref().map_or(&[][..], |attention| &attention.feeds);
        feeds.iter().any(|feed| feed.connection == connection)
    }

    /// How many sessions are.
    pub fn feeds(&self) -> usize {
        self.attention.as_ref().map_or(0, |attention| attention.feeds.len())
    }

    /// A session has everything up to `cursor` and waits for the rest.
    pub fn set_feed(&mut self, connection: ConnectionId, cursor: u64, waits: Waits) {
        let wanted = Feed { connection, cursor, waits };
        if let Some(feed) = self.feed(connection) {
            *feed = wanted;
        } else {
            self.attention.get_or_insert_default().feeds.push(wanted);
        }
    }

    /// A session could not take this message, and gets it again with what is behind it. Whether
    /// that is news: where it is behind already, this one comes with what it waits for.
    pub fn stuck(&mut self, connection: ConnectionId, sequence: u64) -> bool {
        let news = self.feed(connection).is_none_or(|feed| feed.cursor >= sequence);
        if news {
            self.set_feed(connection, sequence.saturating_sub(1), Waits::Room);
        }
        news
    }

    /// A session is behind no more, or gone.
    pub fn end_feed(&mut self, connection: ConnectionId) {
        if let Some(attention) = &mut self.attention {
            attention.feeds.retain(|feed| feed.connection != connection);
            let marked = attention.marked.is_some();
            if attention.feeds.is_empty() && attention.subscribers.is_empty() && !marked {
                self.attention = None;
            }
        }
    }

    /// What a session gets next: messages behind `cursor` of which the first is stored, or one that
    /// is not, within these bounds; nothing whose time to live ended before the second `unix`, and
    /// of a shared store nothing from the first on that it does not have.
    pub fn next_slice(&self, cursor: u64, unix: u32, most: Bounds) -> Vec<Entry> {
        let start = self.entries.partition_point(|entry| entry.sequence <= cursor);
        let mut bytes = 0;
        let mut slice: Vec<Entry> = Vec::new();
        let ready = self.entries.range(start..).take_while(|entry| !self.must_stay(entry));
        for entry in ready.filter(|entry| entry.expires >= unix) {
            let same_kind =
                slice.first().is_none_or(|it| it.place().is_some() == entry.place().is_some());
            bytes += u64::from(entry.length);
            if !slice.is_empty()
                && (!same_kind || slice.len() >= most.messages || bytes > most.bytes)
            {
                break;
            }
            slice.push(*entry);
        }
        slice
    }
}

/// Why a message left its mailbox before a client acknowledged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A client acknowledged it.
    Acked,
    /// Its time to live ended.
    Expired,
    /// It was given up.
    Dropped(DropReason),
}

/// Adds what is needed no more to a list by segment.
pub fn free(freed: &mut Vec<Freed>, place: Place, length: u32) {
    let bytes = u64::from(length);
    match freed.iter_mut().rev().find(|freed| freed.segment == place.segment) {
        Some(freed) => {
            freed.records += 1;
            freed.bytes += bytes;
        }
        None => freed.push(Freed { segment: place.segment, records: 1, bytes }),
    }
}

#[cfg(test)]
mod tests;
