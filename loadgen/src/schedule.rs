//! When each message is due, to whom and how long: fixed before the first is sent (open loop).
//!
//! Everything is a pure function of the message's number and the seed, so nothing is stored, any
//! thread can ask, and the receiver can check that a message came to the user it was for. A gateway
//! that stalls does not move the schedule: what waits is late, and its latency says so.

pub(crate) mod chance;
pub(crate) mod class;
pub(crate) mod size;

use crate::clock::SECOND;
use clap::ValueEnum;
use size::Sizes;

/// Which users get messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// Any, each as likely.
    Random,
    /// One after the other, from the first.
    Sequential,
}

/// The plan of the push phase.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// Messages in all.
    pub(crate) count: u64,
    /// Messages a second; not 0 unless `count` is.
    pub(crate) rate: u32,
    /// Messages that fall due at one moment; not 0.
    pub(crate) burst: u32,
    /// Whether each message of a burst has its own user.
    pub(crate) scatter: bool,
    /// Which users.
    pub(crate) order: Order,
    /// How many users; not 0.
    pub(crate) users: u32,
    /// How long bodies are.
    pub(crate) sizes: Sizes,
    /// What chance begins with.
    pub(crate) seed: u64,
}

impl Schedule {
    /// Nanoseconds from the start of the phase until message `number` is due.
    pub(crate) fn due(&self, number: u64) -> u64 {
        let burst = u64::from(self.burst);
        let first = u128::from(number / burst * burst);
        let ns = first * u128::from(SECOND) / u128::from(self.rate.max(1));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// The user of message `number`.
    pub(crate) fn target(&self, number: u64) -> u32 {
        let draw = if self.scatter { number } else { number / u64::from(self.burst) };
        match self.order {
            Order::Random => chance::below(self.users, chance::hash(self.seed, draw)),
            Order::Sequential => u32::try_from(draw % u64::from(self.users)).unwrap_or_default(),
        }
    }

    /// The length of message `number`'s body in bytes.
    pub(crate) fn size(&self, number: u64) -> usize {
        self.sizes.pick(chance::hash(!self.seed, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule {
            count: 100_000,
            rate: 1_000,
            burst: 1,
            scatter: false,
            order: Order::Random,
            users: 500,
            sizes: Sizes::Uniform(256, 1024),
            seed: 7,
        }
    }

    #[test]
    fn due_times_are_even_and_do_not_drift() {
        let schedule = Schedule { rate: 3, ..schedule() };
        assert_eq!(schedule.due(0), 0);
        assert_eq!(schedule.due(1), SECOND / 3);
        assert_eq!(schedule.due(3_000_000), 1_000_000 * SECOND);
    }

    #[test]
    fn a_burst_is_due_at_one_moment_and_goes_to_one_user() {
        let schedule = Schedule { burst: 8, ..schedule() };
        let users: Vec<u32> = (16..24).map(|number| schedule.target(number)).collect();
        assert!((16..24).all(|number| schedule.due(number) == schedule.due(16)));
        assert!(users.iter().all(|user| *user == users[0]), "{users:?}");
        assert_ne!(schedule.due(15), schedule.due(16));
    }

    #[test]
    fn a_scattered_burst_is_due_at_one_moment_and_goes_to_many() {
        let schedule = Schedule { burst: 8, scatter: true, order: Order::Sequential, ..schedule() };
        assert!((16..24).all(|number| schedule.due(number) == schedule.due(16)));
        let users: Vec<u32> = (16..24).map(|number| schedule.target(number)).collect();
        assert_eq!(users, [16, 17, 18, 19, 20, 21, 22, 23]);
    }

    #[test]
    fn random_targets_cover_every_user_and_repeat_from_the_seed() {
        let one = schedule();
        let mut hits = vec![0_u32; 500];
        for number in 0..one.count {
            hits[one.target(number) as usize] += 1;
        }
        // 200 on average; an even choice stays far from these bounds.
        assert!(hits.iter().all(|hits| (100..400).contains(hits)));
        assert_eq!(one.target(99), schedule().target(99));
        let other = Schedule { seed: 8, ..schedule() };
        assert!((0..100).any(|number| one.target(number) != other.target(number)));
    }
}
