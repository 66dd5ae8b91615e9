//! Idempotency keys: the same key of the same user within the window is the same message.
//!
//! Keys are kept in a few generations by age, so that old ones go a generation at a time and an
//! entry needs no time of its own.

use crate::directory::place::FixedState;
use holdfast_store::KeyMark;
use std::collections::{HashMap, VecDeque};

/// Into how many generations the window is cut.
const GENERATIONS: u32 = 8;

/// What became of the message of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The store does not have it yet.
    OnItsWay(u64),
    /// It was answered as stored.
    Stored(u64),
    /// It was answered as acknowledged.
    Acked(u64),
}

#[derive(Debug)]
struct Generation {
    /// The second since 1970 UTC of its first key.
    begun: u32,
    /// The oldest segment in which the store has any of them.
    segment: u32,
    known: HashMap<(u64, u64), Known, FixedState>,
}

/// The keys of one shard's users.
#[derive(Debug)]
pub struct Keys {
    generations: VecDeque<Generation>,
    /// In seconds.
    window: u32,
    most: usize,
    count: usize,
}

/// A user and a key, hashed.
pub type Id = (u64, u64);

impl Keys {
    /// Remembers keys for `window` seconds, `most` at once.
    pub fn new(window: u32, most: usize) -> Self {
        Self { generations: VecDeque::new(), window, most, count: 0 }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether no more can be remembered.
    pub fn is_full(&self) -> bool {
        self.count >= self.most
    }

    /// What is known of a key.
    pub fn find(&self, id: Id) -> Option<Known> {
        self.generations.iter().rev().find_map(|keys| keys.known.get(&id)).copied()
    }

    /// Forgets what is older than the window at the second `unix`.
    pub fn forget_old(&mut self, unix: u32) {
        let step = self.window.div_ceil(GENERATIONS);
        while let Some(oldest) = self.generations.front()
            && unix.saturating_sub(oldest.begun) > self.window.saturating_add(step)
        {
            self.count -= oldest.known.len();
            self.generations.pop_front();
        }
    }

    /// Remembers a key that was used at the second `unix`, with which the store writes into
    /// `segment` or a later one.
    pub fn insert(&mut self, id: Id, known: Known, unix: u32, segment: u32) {
        let step = self.window.div_ceil(GENERATIONS).max(1);
        let fresh = self.generations.back().is_some_and(|last| {
            let age = unix.saturating_sub(last.begun);
            age < step
        });
        if !fresh {
            let known = HashMap::default();
            self.generations.push_back(Generation { begun: unix, segment, known });
        }
        if let Some(last) = self.generations.back_mut()
            && last.known.insert(id, known).is_none()
        {
            self.count += 1;
        }
    }

    /// The message of a key came to something.
    pub fn settle(&mut self, id: Id, known: Known) {
        let found = self.generations.iter_mut().rev().find_map(|keys| keys.known.get_mut(&id));
        if let Some(found) = found {
            *found = known;
        }
    }

    /// The message of a key was not accepted.
    pub fn forget(&mut self, id: Id) {
        let gone = self.generations.iter_mut().rev().any(|keys| keys.known.remove(&id).is_some());
        self.count -= usize::from(gone);
    }

    /// The keys that the store has only in segments up to `upto`, to be written again; from now on
    /// they are in `segment` or a later one.
    pub fn rewrite(&mut self, upto: u32, segment: u32) -> Vec<KeyMark> {
        let mut marks = Vec::new();
        for keys in self.generations.iter_mut().filter(|keys| keys.segment <= upto) {
            keys.segment = segment;
            let at = keys.begun;
            marks.extend(keys.known.iter().filter_map(|(&(user, key), known)| match *known {
                // Its record is not written yet, and will have the key.
                Known::OnItsWay(_) => None,
                Known::Stored(sequence) | Known::Acked(sequence) => {
                    Some(KeyMark { user, key, sequence, at })
                }
            }));
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_for_its_window_and_not_for_ever() {
        let mut keys = Keys::new(600, 100);
        keys.insert((1, 1), Known::OnItsWay(5), 1000, 0);
        keys.settle((1, 1), Known::Stored(5));
        keys.forget_old(1600);
        assert_eq!(keys.find((1, 1)), Some(Known::Stored(5)));
        keys.insert((1, 2), Known::OnItsWay(6), 1600, 0);
        keys.forget_old(1600 + 200);
        assert_eq!((keys.find((1, 1)), keys.len()), (None, 1));
        keys.forget((1, 2));
        assert!(keys.is_empty());
    }

    #[test]
    fn what_lies_in_old_segments_is_written_again_once() {
        let mut keys = Keys::new(600, 100);
        keys.insert((1, 1), Known::Acked(5), 1000, 3);
        keys.insert((1, 2), Known::OnItsWay(6), 1001, 3);
        assert_eq!(keys.rewrite(2, 9), []);
        let again = keys.rewrite(3, 9);
        assert_eq!(again, [KeyMark { user: 1, key: 1, sequence: 5, at: 1000 }]);
        assert_eq!(keys.rewrite(3, 9), []);
    }
}
