//! When each message is due, to whom and how long: fixed before the first is sent (open loop).
//!
//! Everything is a pure function of the message's number and the seed, so nothing is stored, any
//! thread can ask, and the receiver can check that a message came to the user it was for. A gateway
//! that stalls does not move the schedule: what waits is late, and its latency says so.
//!
//! Messages are numbered through all phases that push, which follow each other in [`Piece`]s.

pub(crate) mod chance;
pub(crate) mod class;
pub(crate) mod rhythm;
pub(crate) mod size;

use clap::ValueEnum;
use class::Mix;
use rhythm::{Rhythm, Row};
use size::Sizes;

/// Which users get messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
pub(crate) enum Order {
    /// Any, each as likely.
    Random,
    /// One after the other, from the first.
    Sequential,
}

/// What one phase pushes.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Which step of the plan it is.
    pub(crate) step: usize,
    /// Nanoseconds from the beginning of the schedule to that of the phase.
    pub(crate) from: u64,
    /// Messages in all.
    pub(crate) count: u64,
    /// Messages a second; not 0 unless `count` is.
    pub(crate) rate: u32,
    /// How the moments at which they fall due follow each other.
    pub(crate) rhythm: Rhythm,
    /// Messages that fall due at one moment; not 0.
    pub(crate) burst: u32,
    /// Whether each message of a burst has its own user.
    pub(crate) scatter: bool,
    /// Which users.
    pub(crate) order: Order,
    /// How long bodies are.
    pub(crate) sizes: Sizes,
    /// The share that is durable, from 0 to 1.
    pub(crate) durable: f64,
}

/// The plan of all that is pushed.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// Messages in all.
    pub(crate) count: u64,
    /// What chance begins with.
    pub(crate) seed: u64,
    users: u32,
    durable: bool,
    /// Each with the number of its first message; without those that push nothing.
    pieces: Vec<(u64, Piece)>,
}

impl Schedule {
    /// These pieces in order, each later than the one before, to `users` (not 0).
    pub(crate) fn new(pieces: Vec<Piece>, users: u32, seed: u64) -> Self {
        let durable = pieces.iter().any(|piece| piece.durable > 0.0);
        let mut count = 0;
        let mut numbered = Vec::new();
        for piece in pieces.into_iter().filter(|piece| piece.count > 0) {
            let first = count;
            count += piece.count;
            numbered.push((first, piece));
        }
        Self { count, seed, users, durable, pieces: numbered }
    }

    /// Nanoseconds from the beginning until message `number` is due.
    pub(crate) fn due(&self, number: u64) -> u64 {
        self.piece(number).map_or(0, |(first, piece)| {
            let burst = u64::from(piece.burst);
            let row = Row {
                moments: piece.count.div_ceil(burst),
                burst: piece.burst,
                rate: piece.rate,
                rhythm: piece.rhythm,
                seed: chance::hash(self.seed, first),
            };
            piece.from + row.at((number - first) / burst)
        })
    }

    /// The user of message `number`; nobody where nothing is pushed.
    pub(crate) fn target(&self, number: u64) -> u32 {
        self.piece(number).map_or(u32::MAX, |(first, piece)| {
            let group = if piece.scatter { 1 } else { u64::from(piece.burst) };
            let draw = first + (number - first) / group;
            match piece.order {
                Order::Random => chance::below(self.users, chance::hash(self.seed, draw)),
                Order::Sequential => {
                    u32::try_from(draw % u64::from(self.users)).unwrap_or_default()
                }
            }
        })
    }

    /// The length of message `number`'s body in bytes.
    pub(crate) fn size(&self, number: u64) -> usize {
        let hash = chance::hash(!self.seed, number);
        self.piece(number).map_or(0, |(_, piece)| piece.sizes.pick(hash))
    }

    /// In which step of the plan message `number` is due.
    pub(crate) fn step(&self, number: u64) -> usize {
        self.piece(number).map_or(0, |(_, piece)| piece.step)
    }

    /// Whether message `number` is durable.
    pub(crate) fn is_durable(&self, number: u64) -> bool {
        let mix = |(_, piece): (u64, &Piece)| Mix { share: piece.durable, seed: self.seed };
        self.piece(number).is_some_and(|piece| mix(piece).is_durable(number))
    }

    /// Whether any message can be.
    pub(crate) const fn has_durable(&self) -> bool {
        self.durable
    }

    /// The longest body, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.pieces.iter().map(|(_, piece)| piece.sizes.max()).max().unwrap_or_default()
    }

    /// The piece of message `number`, with the number of its first; the last for what is beyond.
    fn piece(&self, number: u64) -> Option<(u64, &Piece)> {
        let after = self.pieces.partition_point(|(first, _)| *first <= number);
        let (first, piece) = self.pieces.get(after.checked_sub(1)?)?;
        Some((*first, piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    fn piece() -> Piece {
        Piece {
            step: 0,
            from: 0,
            count: 100_000,
            rate: 1_000,
            rhythm: Rhythm::Even,
            burst: 1,
            scatter: false,
            order: Order::Random,
            sizes: Sizes::uniform(256, 1024),
            durable: 0.0,
        }
    }

    fn schedule(piece: Piece) -> Schedule {
        Schedule::new(vec![piece], 500, 7)
    }

    #[test]
    fn due_times_are_even_and_do_not_drift() {
        let schedule = schedule(Piece { rate: 3, count: 4_000_000, ..piece() });
        assert_eq!(schedule.due(0), 0);
        assert_eq!(schedule.due(1), SECOND / 3);
        assert_eq!(schedule.due(3_000_000), 1_000_000 * SECOND);
    }

    #[test]
    fn a_burst_is_due_at_one_moment_and_goes_to_one_user() {
        let schedule = schedule(Piece { burst: 8, ..piece() });
        let users: Vec<u32> = (16..24).map(|number| schedule.target(number)).collect();
        assert!((16..24).all(|number| schedule.due(number) == schedule.due(16)));
        assert!(users.iter().all(|user| *user == users[0]), "{users:?}");
        assert_ne!(schedule.due(15), schedule.due(16));
    }

    #[test]
    fn a_scattered_burst_is_due_at_one_moment_and_goes_to_many() {
        let order = Order::Sequential;
        let schedule = schedule(Piece { burst: 8, scatter: true, order, ..piece() });
        assert!((16..24).all(|number| schedule.due(number) == schedule.due(16)));
        let users: Vec<u32> = (16..24).map(|number| schedule.target(number)).collect();
        assert_eq!(users, [16, 17, 18, 19, 20, 21, 22, 23]);
    }

    #[test]
    fn random_targets_cover_every_user_and_repeat_from_the_seed() {
        let one = schedule(piece());
        let mut hits = vec![0_u32; 500];
        for number in 0..one.count {
            hits[one.target(number) as usize] += 1;
        }
        // 200 on average; an even choice stays far from these bounds.
        assert!(hits.iter().all(|hits| (100..400).contains(hits)));
        assert_eq!(one.target(99), schedule(piece()).target(99));
        let other = Schedule::new(vec![piece()], 500, 8);
        assert!((0..100).any(|number| one.target(number) != other.target(number)));
    }

    #[test]
    fn messages_are_numbered_through_all_phases_and_each_has_its_own_rate() {
        let slow = Piece { count: 20, rate: 10, durable: 1.0, ..piece() };
        let nothing = Piece { step: 1, from: 2 * SECOND, count: 0, ..piece() };
        let sizes = Sizes::uniform(64, 64);
        let fast = Piece { step: 2, from: 3 * SECOND, count: 500, sizes, ..piece() };
        let schedule = Schedule::new(vec![slow, nothing, fast], 500, 7);
        assert_eq!((schedule.count, schedule.step(19), schedule.step(20)), (520, 0, 2));
        assert_eq!(schedule.due(19), 19 * SECOND / 10);
        assert_eq!((schedule.due(20), schedule.due(21)), (3 * SECOND, 3 * SECOND + SECOND / 1_000));
        assert!(schedule.is_durable(19) && !schedule.is_durable(20) && schedule.has_durable());
        assert!(schedule.size(19) >= 256 && schedule.size(20) == 64);
        assert_eq!(schedule.longest(), 1024);
        let targets = |from: u64| (from..from + 20).map(|number| schedule.target(number));
        assert!(!targets(0).eq(targets(20)), "a phase begins with draws of its own");
    }

    #[test]
    fn where_nothing_is_pushed_nobody_is_a_target() {
        let schedule = Schedule::new(vec![Piece { count: 0, ..piece() }], 500, 7);
        assert_eq!((schedule.count, schedule.target(0)), (0, u32::MAX));
    }
}
