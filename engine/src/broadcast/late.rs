//! Sessions that are behind with durable broadcasts: what each is still to get, and whose turn it
//! is.
//!
//! A session is here from its login until it has had everything, or leaves. What is paused waits
//! here until it is resumed; what found no room in an outbox waits until the peer has read. An
//! entry is as long as the list of broadcasts that are kept, at most.
//!
//! Pure: the shard sends. That a session here may get nothing now is for the shard to find out when
//! its turn comes; nobody has a turn before something has changed.

use crate::io::Key;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// A broadcast that a session is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owed {
    /// Its number.
    pub number: u64,
    /// Whether it may have come before.
    pub again: bool,
}

/// What one session is to get.
#[derive(Debug, Default)]
struct Late {
    /// By number.
    owed: Vec<Owed>,
    /// Whether it stands in the queue.
    queued: bool,
    /// Whether one found no room, so that those behind it must not overtake it.
    refused: bool,
}

/// All sessions of one shard that are behind.
#[derive(Debug, Default)]
pub struct Lates {
    sessions: BTreeMap<(u32, u32), Late>,
    /// Whose turn comes, in order. Some may have gone.
    queue: VecDeque<Key>,
    /// Everybody gets a turn, this one next.
    round: Option<(u32, u32)>,
}

fn place(key: Key) -> (u32, u32) {
    (key.slot, key.generation)
}

impl Lates {
    /// This session is to get these too; its turn comes.
    pub fn owe(&mut self, key: Key, owed: impl IntoIterator<Item = Owed>) {
        self.note(key, owed);
        self.ready(key);
    }

    /// It is to get one that found no room; its turn comes, and nothing overtakes it until then.
    pub fn refuse(&mut self, key: Key, owed: Owed) {
        self.owe(key, [owed]);
        if let Some(late) = self.sessions.get_mut(&place(key)) {
            late.refused = true;
        }
    }

    /// Whether one found no room since the session's last turn.
    pub fn is_refused(&self, key: Key) -> bool {
        self.sessions.get(&place(key)).is_some_and(|late| late.refused)
    }

    /// It is to get these too, once something gives it a turn.
    pub fn note(&mut self, key: Key, owed: impl IntoIterator<Item = Owed>) {
        let mut owed = owed.into_iter().peekable();
        if owed.peek().is_none() {
            return;
        }
        let late = self.sessions.entry(place(key)).or_default();
        late.owed.extend(owed);
        late.owed.sort_unstable();
        late.owed.dedup_by_key(|owed| owed.number);
    }

    /// Something has changed for this session: its turn comes, if it is behind.
    pub fn ready(&mut self, key: Key) {
        if let Some(late) = self.sessions.get_mut(&place(key))
            && !std::mem::replace(&mut late.queued, true)
        {
            self.queue.push_back(key);
        }
    }

    /// Something has changed for everybody.
    pub fn all_ready(&mut self) {
        self.round = self.sessions.first_key_value().map(|(&first, _)| first);
    }

    /// Takes the session whose turn it is, and what it is to get. What it does not get now is to be
    /// said again.
    pub fn take(&mut self) -> Option<(Key, Vec<Owed>)> {
        while let Some(key) = self.queue.pop_front() {
            if let Some(late) = self.sessions.remove(&place(key)) {
                return Some((key, late.owed));
            }
        }
        let from = self.round.take()?;
        let (&at, _) = self.sessions.range(from..).next()?;
        let behind = (Bound::Excluded(at), Bound::Unbounded);
        self.round = self.sessions.range(behind).next().map(|(&next, _)| next);
        let late = self.sessions.remove(&at)?;
        Some((Key { slot: at.0, generation: at.1 }, late.owed))
    }

    /// A session has gone.
    pub fn forget(&mut self, key: Key) {
        self.sessions.remove(&place(key));
    }

    /// Whether it is anybody's turn.
    pub fn has_work(&self) -> bool {
        !self.queue.is_empty() || self.round.is_some()
    }

    /// How many sessions are behind.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// About how much memory they take: to look at each would take too long.
    pub fn memory(&self) -> usize {
        self.sessions.len() * ENTRY_BYTES + self.queue.capacity() * size_of::<Key>()
    }
}

/// A session with a few to get, and its share of the map.
const ENTRY_BYTES: usize = 2 * size_of::<((u32, u32), Late)>() + 4 * size_of::<Owed>();

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> Key {
        Key { slot, generation: 7 }
    }

    fn fresh(number: u64) -> Owed {
        Owed { number, again: false }
    }

    #[test]
    fn everybody_gets_a_turn_in_order_and_nobody_two() {
        let mut lates = Lates::default();
        lates.owe(key(2), [fresh(6), fresh(5)]);
        lates.owe(key(1), [fresh(5)]);
        lates.owe(key(2), [fresh(6)]);
        assert_eq!(lates.take(), Some((key(2), vec![fresh(5), fresh(6)])));
        assert_eq!(lates.take(), Some((key(1), vec![fresh(5)])));
        assert!(lates.take().is_none() && !lates.has_work() && lates.is_empty());
    }

    #[test]
    fn who_waits_has_no_turn_before_something_changed() {
        let mut lates = Lates::default();
        (1..4).for_each(|slot| lates.note(key(slot), [Owed { number: 5, again: true }]));
        assert!(!lates.has_work() && lates.take().is_none());
        lates.all_ready();
        for slot in 1..4 {
            let (who, owed) = lates.take().unwrap();
            assert_eq!((who, owed[0].again), (key(slot), true), "how it is to come is kept");
            lates.note(who, owed);
        }
        assert!(!lates.has_work(), "one round, and no other");
        lates.ready(key(9));
        assert!(!lates.has_work(), "who is not behind has no turn");
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let mut lates = Lates::default();
        lates.owe(key(1), [fresh(5)]);
        lates.note(key(2), [fresh(5)]);
        lates.forget(key(1));
        lates.forget(key(2));
        assert!(lates.is_empty() && lates.take().is_none());
    }

    #[test]
    fn nothing_overtakes_what_found_no_room() {
        let mut lates = Lates::default();
        lates.refuse(key(1), fresh(6));
        assert!(lates.is_refused(key(1)) && !lates.is_refused(key(2)));
        let (who, owed) = lates.take().unwrap();
        lates.note(who, owed);
        assert!(!lates.is_refused(key(1)), "its turn came");
    }
}
