//! A mailbox of a store that several hosts share: each of them may store messages for the user at
//! the same time, send them, and have them acknowledged.
//!
//! All messages have one order. A message is stored behind the greatest sequence of which this
//! mailbox is sure that it has everything before it, or it is refused; then what the others did is
//! taken in ([`Mailbox::merge`]), and the message goes behind that. So what is stored here is
//! behind everything that anybody stored before, and nothing is stored before it any more: an
//! acknowledgement of it speaks for no message that its client was not sent.
//!
//! Invariants: what the store has up to `known` is here, or has left; what is behind that, and what
//! the store may still refuse, is sent to nobody and does not leave, nor is what is behind it sent.
//!
//! The store's answer may be older than what was done here since: what left this mailbox does not
//! come back, and what the answer cannot know of stays.

use super::{ALONE, Entry, Mailbox, Subscriber};
use holdfast_store::Kept;

/// What a shared store says of a mailbox.
#[derive(Debug)]
pub struct Answer {
    /// Its messages, by sequence, ascending.
    pub kept: Vec<Kept>,
    /// The greatest sequence that the user was given.
    pub last: u64,
    /// What was known here when the store was asked, see [`Mailbox::known`].
    pub asked: u64,
}

/// What an answer brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The smallest new sequence that sessions may be sent now.
    pub first: Option<u64>,
    /// What the store had and has lost.
    pub lost: Vec<u64>,
}

impl Mailbox {
    /// Hosts share the store, which knows no greater sequence of the user than `last`: everything
    /// up to it is here.
    #[must_use]
    pub fn shared(mut self, last: u64) -> Self {
        self.known = last;
        self
    }

    /// Up to which sequence everything that a shared store has is here; 0 where nobody shares it.
    pub fn known(&self) -> u64 {
        if self.known == ALONE { 0 } else { self.known }
    }

    /// What the next message goes behind, where hosts share the store: the greatest sequence that
    /// the store will know if all goes as this mailbox believes; and whether that is of a message
    /// that is on its way.
    pub fn behind(&self) -> (u64, bool) {
        let mut new = self.entries.iter().rev().take_while(|entry| entry.sequence > self.known);
        let new = new.find(|entry| entry.place().is_none());
        new.map_or((self.known(), false), |entry| (entry.sequence, true))
    }

    /// Whether a shared store may refuse this, or may have something before it that is not here.
    pub(super) fn must_stay(&self, entry: &Entry) -> bool {
        self.known != ALONE && (entry.place().is_none() || entry.sequence > self.known)
    }

    /// Whether there is something here before which a shared store may have something that is not.
    pub fn has_a_gap(&self) -> bool {
        let stored = |entry: &Entry| entry.place().is_some() && entry.sequence > self.known;
        self.entries.back().is_some_and(stored)
    }

    /// The tickets of what is on its way to the store.
    pub fn on_their_way(&self) -> Vec<u32> {
        self.entries.iter().filter_map(Entry::ticket).collect()
    }

    /// A message did not come to be stored, as far as is known: the store may have it, or another
    /// one under its sequence.
    pub fn unsettled(&mut self, sequence: u64) {
        if self.known != ALONE {
            self.known = self.known.min(sequence.saturating_sub(1));
        }
    }

    /// The oldest message that had to wait for the one of this sequence, which is stored now, and
    /// may be sent.
    pub fn waited_for(&self, sequence: u64) -> Option<u64> {
        let next = self.entries.partition_point(|entry| entry.sequence <= sequence);
        let next = self.entries.get(next).filter(|entry| entry.place().is_some())?;
        self.is_open_to(next).then_some(next.sequence)
    }

    /// Whether this and everything before it may be sent.
    fn is_open_to(&self, entry: &Entry) -> bool {
        let mut upto = self.entries.iter().take_while(|it| it.sequence <= entry.sequence);
        upto.all(|it| !self.must_stay(it))
    }

    /// Takes in what this mailbox lacks, and lets go of what is there no more. Nothing is taken
    /// that is out of date at the second `unix`.
    pub fn merge(&mut self, answer: Answer, unix: u32) -> Merged {
        let Answer { kept, last, asked } = answer;
        let is_kept = |entry: &Entry| kept.binary_search_by_key(&entry.sequence, |it| it.sequence);
        let stored = self.entries.iter().filter(|entry| entry.place().is_some());
        let gone = stored.filter(|entry| is_kept(entry).is_err()).map(|entry| entry.sequence);
        let (left, later): (Vec<_>, Vec<_>) = gone.partition(|sequence| *sequence <= last);
        // A server that knows less than it did has lost something. What else came after the answer
        // it cannot have.
        let lost = if last < asked { later } else { Vec::new() };
        // Who waits for these was told where they left.
        for sequence in left {
            self.take(sequence);
        }
        let known = if last < asked { 0 } else { self.known };
        self.take_in(kept, known, unix);
        self.known = if last < asked { last } else { known.max(last) };
        let first = self.entries.partition_point(|entry| entry.sequence <= known);
        let first = self.entries.get(first).filter(|entry| self.is_open_to(entry));
        Merged { first: first.map(|entry| entry.sequence), lost }
    }

    /// Takes in messages behind `known`: before it, what is not here has left.
    fn take_in(&mut self, kept: Vec<Kept>, known: u64, unix: u32) {
        for Kept { sequence, place, length, expires, receipt } in kept {
            let at = self.entries.partition_point(|entry| entry.sequence < sequence);
            let is_here = self.entries.get(at).is_some_and(|entry| entry.sequence == sequence);
            if is_here || sequence <= known || expires < unix {
                continue;
            }
            self.entries.insert(at, Entry { sequence, place, length, expires });
            self.bytes += u64::from(length);
            if !self.quarantined {
                self.sent = self.sent.max(sequence);
            }
            if let Some(name) = receipt {
                self.subscribe(sequence, Subscriber { connection: None, name });
            }
        }
    }
}
