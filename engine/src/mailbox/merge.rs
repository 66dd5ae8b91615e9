//! A mailbox that is here is compared with what a shared store has: another host was the user's
//! home too, and may have kept messages for the user, sent them, and had them acknowledged.
//!
//! The store's answer may be older than what was done here since: what left this mailbox does not
//! come back, and what the answer cannot know of stays.

use super::{Entry, Mailbox, Subscriber};
use holdfast_store::Kept;

impl Mailbox {
    /// Takes in what this mailbox lacks, and lets go of what is there no more. `kept` is ascending;
    /// `last` is the greatest sequence that the user was given when the store answered. Nothing is
    /// taken that is out of date at the second `unix`. Gives the smallest new sequence.
    pub fn merge(&mut self, kept: Vec<Kept>, last: u64, unix: u32) -> Option<u64> {
        let is_kept = |entry: &Entry| kept.binary_search_by_key(&entry.sequence, |it| it.sequence);
        // What is on its way, or came after the answer, the answer does not have.
        let known = self.entries.iter().filter(|it| it.place().is_some() && it.sequence <= last);
        let left = known.filter(|entry| is_kept(entry).is_err()).map(|entry| entry.sequence);
        for sequence in left.collect::<Vec<_>>() {
            // Who waits for it was told where it left.
            self.take(sequence);
        }
        let mut first = None;
        for Kept { sequence, place, length, expires, receipt } in kept {
            let at = self.entries.partition_point(|entry| entry.sequence < sequence);
            let is_here = self.entries.get(at).is_some_and(|entry| entry.sequence == sequence);
            if is_here || sequence <= self.forgotten || expires < unix {
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
            first = first.or(Some(sequence));
        }
        first
    }
}
