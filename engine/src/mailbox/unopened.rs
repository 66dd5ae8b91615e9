//! Homes whose mailbox could not be fetched although its user is here, or has left word: asked for
//! again in turn.
//!
//! Pure: whether a user is still here, the shard knows.

use crate::directory::homes::HomeId;
use std::collections::BTreeMap;
use std::ops::Bound;

/// All of one shard.
#[derive(Debug, Default)]
pub struct Unopened {
    /// With the greatest sequence that a client said it has dealt with.
    homes: BTreeMap<HomeId, u64>,
    /// Whose turn was last.
    last: Option<HomeId>,
}

impl Unopened {
    /// The mailbox of this home could not be fetched; a client says that it has dealt with `said`.
    pub fn note(&mut self, home: HomeId, said: u64) {
        let greatest = self.homes.entry(home).or_default();
        *greatest = said.max(*greatest);
    }

    /// The greatest sequence that a client of this home said it has dealt with; 0 for none.
    pub fn said(&self, home: HomeId) -> u64 {
        self.homes.get(&home).copied().unwrap_or_default()
    }

    /// Whether it is one of them.
    pub fn contains(&self, home: HomeId) -> bool {
        self.homes.contains_key(&home)
    }

    /// It was fetched, or is needed no more; gives what clients said, where it was one of them.
    pub fn remove(&mut self, home: HomeId) -> Option<u64> {
        self.homes.remove(&home)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.homes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.homes.is_empty()
    }

    /// Whose turn it is. Each has one before any has another.
    pub fn turn(&mut self) -> Option<HomeId> {
        let last = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.homes.range((last, Bound::Unbounded)).next();
        let next = next.or_else(|| self.homes.first_key_value());
        self.last = next.map(|(&home, _)| home);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(slot: u32) -> HomeId {
        HomeId { slot, generation: 7 }
    }

    #[test]
    fn each_has_a_turn_before_any_has_another() {
        let mut unopened = Unopened::default();
        assert_eq!(unopened.turn(), None);
        for slot in [3, 1, 2] {
            unopened.note(home(slot), 0);
        }
        assert_eq!([(); 4].map(|()| unopened.turn()), [1, 2, 3, 1].map(|slot| Some(home(slot))));
        // Who goes, or comes meanwhile, changes nobody's place.
        unopened.remove(home(1));
        unopened.note(home(4), 0);
        assert_eq!([(); 4].map(|()| unopened.turn()), [2, 3, 4, 2].map(|slot| Some(home(slot))));
    }

    #[test]
    fn the_greatest_that_was_said_counts() {
        let mut unopened = Unopened::default();
        for said in [5, 9, 0] {
            unopened.note(home(1), said);
        }
        assert_eq!((unopened.remove(home(1)), unopened.remove(home(1))), (Some(9), None));
        assert!(unopened.is_empty());
    }
}
