//! Which part of a run is this process's: all of it, or one of several equal parts.
//!
//! Users go round: of three parts, the first has users 0, 3, 6 and so on. So no user is in two
//! parts, and every part has its share of every population. Rates are divided, what is left over
//! going to the first parts; times are the same in every part. One part broadcasts for all of them.

use crate::schedule::chance;
use serde::{Deserialize, Serialize};

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    /// Which, from 0.
    pub(crate) number: u32,
    /// Of how many; more than `number`.
    pub(crate) of: u32,
    /// What the numbers of its run begin with, so that no part takes another's message for its own.
    pub(crate) run: u32,
}

impl Default for Share {
    /// All of it.
    fn default() -> Self {
        Self { number: 0, of: 1, run: 0 }
    }
}

impl Share {
    /// Whether it is all of a run.
    pub(crate) const fn is_whole(self) -> bool {
        self.of == 1
    }

    /// How many of `count` are in it.
    pub(crate) const fn part(self, count: u32) -> u32 {
        count / self.of + if self.number < count % self.of { 1 } else { 0 }
    }

    /// Which of all users is user `index` of it.
    pub(crate) const fn user(self, index: u32) -> u32 {
        index.saturating_mul(self.of).saturating_add(self.number)
    }

    /// What chance begins with in it, where it begins with `seed` in all.
    pub(crate) fn seed(self, seed: u64) -> u64 {
        if self.number == 0 { seed } else { chance::hash(seed, u64::from(self.number)) }
    }

    /// The numbers of the run; `own` is one that no other run has.
    pub(crate) const fn runs(self, own: u32) -> Runs {
        if self.is_whole() {
            return Runs { pushes: own, broadcasts: own, others: (0, 0) };
        }
        let first = self.run;
        let pushes = first.wrapping_add(1).wrapping_add(self.number);
        Runs { pushes, broadcasts: first, others: (first.wrapping_add(1), self.of) }
    }
}

/// Which run a message is of, in every body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Runs {
    /// The pushes of this part.
    pub(crate) pushes: u32,
    /// The broadcasts of all parts.
    pub(crate) broadcasts: u32,
    /// The first number of pushes of all parts, and how many numbers.
    others: (u32, u32),
}

impl Runs {
    /// Whether it is the number of another part's pushes.
    pub(crate) const fn is_others(self, run: u32) -> bool {
        let (first, count) = self.others;
        run != self.pushes && run.wrapping_sub(first) < count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(of: u32) -> impl Iterator<Item = Share> {
        (0..of).map(move |number| Share { number, of, run: u32::MAX })
    }

    #[test]
    fn every_user_and_all_of_a_rate_is_in_exactly_one_part() {
        for (of, count) in [(1, 7), (3, 7), (3, 9), (5, 3)] {
            let users = |share: Share| (0..share.part(count)).map(move |index| share.user(index));
            let mut all: Vec<u32> = shares(of).flat_map(users).collect();
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>(), "{count} in {of} parts");
        }
    }

    #[test]
    fn parts_know_their_messages_from_those_of_each_other() {
        let runs: Vec<Runs> = shares(3).map(|share| share.runs(9)).collect();
        for one in &runs {
            let others = runs.iter().filter(|other| one.is_others(other.pushes)).count();
            assert_eq!((others, one.is_others(one.pushes)), (2, false));
            assert!(!one.is_others(one.broadcasts) && one.broadcasts == runs[0].broadcasts);
        }
        let whole = Share::default().runs(9);
        assert_eq!((whole.pushes, whole.broadcasts, whole.is_others(9)), (9, 9, false));
        assert!(!whole.is_others(0));
    }

    #[test]
    fn the_first_part_draws_as_the_whole_does_and_the_others_do_not() {
        let seeds: Vec<u64> = shares(3).map(|share| share.seed(7)).collect();
        assert_eq!((seeds[0], Share::default().seed(7)), (7, 7));
        assert!(seeds[1] != 7 && seeds[2] != 7 && seeds[1] != seeds[2]);
    }
}
