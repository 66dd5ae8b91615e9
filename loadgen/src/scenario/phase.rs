//! What one phase of a run asks for, from a scenario file or from options; not yet on the run's
//! timeline, which is [`super::plan`]'s business.

use crate::options::class_by_name;
use crate::profile::{Profile, Slice};
use crate::schedule::Order;
use crate::schedule::rhythm::Rhythm;
use crate::schedule::size::Sizes;
use holdfast_protocol::client::Class;
use serde::{Deserialize, Serialize};

/// What a phase is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Clients connect and log in for the first time.
    Ramp,
    /// Clients receive, acknowledge and heartbeat, and nothing is offered.
    Hold,
    /// Messages to single users.
    Push,
    /// Messages to all users of a product.
    Broadcast,
    /// Clients drop and return all the time.
    Churn,
    /// A share of the clients, or all, drops once and returns.
    Storm,
    /// A share of the clients reads slowly.
    Slow,
    /// A share of the clients is away.
    Offline,
    /// Messages to single users in a rhythm that was recorded.
    Replay,
}

impl Kind {
    /// All, with the names that they have in files.
    pub(crate) const NAMES: [(&'static str, Self); 9] = [
        ("ramp", Self::Ramp),
        ("hold", Self::Hold),
        ("push", Self::Push),
        ("broadcast", Self::Broadcast),
        ("churn", Self::Churn),
        ("storm", Self::Storm),
        ("slow", Self::Slow),
        ("offline", Self::Offline),
        ("replay", Self::Replay),
    ];

    /// The name.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phase {
    /// What it is about.
    pub(crate) kind: Kind,
    /// What people call it.
    pub(crate) name: String,
    /// How long it lasts, nanoseconds; 0 for the first ramp, which lasts as long as it takes.
    pub(crate) length: u64,
    /// What is pushed meanwhile.
    pub(crate) pushes: Option<Pushes>,
    /// What is broadcast meanwhile.
    pub(crate) broadcasts: Option<Broadcasts>,
    /// What clients do meanwhile.
    pub(crate) clients: Behaviour,
}

/// Messages to single users while a phase lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pushes {
    /// Messages a second; of a replay, on average.
    pub(crate) rate: u32,
    /// What a replay offers, one interval after another; empty for all else, and then counts
    /// instead of rate and sizes.
    pub(crate) slices: Vec<Slice>,
    /// Their bodies.
    pub(crate) sizes: Sizes,
    /// How the moments at which they fall due follow each other.
    pub(crate) rhythm: Rhythm,
    /// Messages at each such moment; not 0.
    pub(crate) burst: u32,
    /// Whether each message of a burst has its own user.
    pub(crate) scatter: bool,
    /// Which users.
    pub(crate) order: Order,
    /// The share that is durable, from 0 to 1.
    pub(crate) durable: f64,
}

impl Pushes {
    /// What is offered where it is most: messages a second, and how long they are.
    pub(crate) fn peak(&self) -> (u32, &Sizes) {
        let rate = |slice: &Slice| {
            let each = u128::from(slice.count) * u128::from(crate::clock::SECOND);
            u32::try_from(each.div_ceil(u128::from(slice.length.max(1)))).unwrap_or(u32::MAX)
        };
        let slices = self.slices.iter().map(|slice| (rate(slice), &slice.sizes));
        slices.max_by_key(|(rate, _)| *rate).unwrap_or((self.rate, &self.sizes))
    }
}

/// Messages to all users while a phase lasts, spread evenly over it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Broadcasts {
    /// How many.
    pub(crate) count: u32,
    /// Body size in bytes.
    pub(crate) size: usize,
    /// Pace in users a second; 0 for as fast as it goes.
    pub(crate) users: u32,
    /// Pace in bits of body a second; 0 for as fast as it goes.
    pub(crate) bits: u64,
    /// The delivery class.
    #[serde(with = "class_by_name")]
    pub(crate) class: Class,
    /// To whose users; `None` for those of each product in turn.
    pub(crate) product: Option<String>,
}

/// What clients do besides receiving. Times are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Behaviour {
    /// Nothing.
    #[default]
    Stay,
    /// So many come that were never there, evenly over the phase.
    Join {
        /// The share of all that was there before.
        from: f64,
        /// The share of all that is there afterwards.
        to: f64,
    },
    /// They drop all the time and return.
    Churn {
        /// The share of all that drops each second.
        share: f64,
        /// How long each stays away.
        pause: u64,
    },
    /// So many drop once and return.
    Wave {
        /// The share of all.
        share: f64,
        /// From the first drop to the last.
        over: u64,
        /// How long each stays away; `None` until the phase ends.
        pause: Option<u64>,
        /// From the first return to the last, for those that dropped at one moment.
        spread: u64,
    },
    /// So many read slowly.
    Slow {
        /// The share of all.
        share: f64,
        /// How much each reads in a second, bytes; 0 for nothing.
        bytes: u32,
    },
}

/// How long after the end of all phases the last client returns that one of them drops, and which
/// phase that is; nothing where all are back by then. Nanoseconds.
pub(crate) fn latest_return(phases: &[Phase]) -> Option<(u64, &Phase)> {
    let all: u64 = phases.iter().map(|phase| phase.length).sum();
    let mut from = 0;
    let returns = phases.iter().map(|phase| {
        let began = from;
        from += phase.length;
        let after = match phase.clients {
            Behaviour::Churn { pause, .. } => phase.length.saturating_add(pause),
            Behaviour::Wave { over, pause: Some(pause), spread, .. } => {
                over.saturating_add(pause).saturating_add(spread)
            }
            Behaviour::Wave { pause: None, spread, .. } => phase.length.saturating_add(spread),
            Behaviour::Stay | Behaviour::Join { .. } | Behaviour::Slow { .. } => 0,
        };
        (began.saturating_add(after).saturating_sub(all), phase)
    });
    returns.max_by_key(|(late, _)| *late).filter(|(late, _)| *late > 0)
}

impl Phase {
    /// Clients hold still for so many seconds.
    pub(crate) fn settle(seconds: u32) -> Self {
        Self {
            kind: Kind::Hold,
            name: "settle".to_owned(),
            length: u64::from(seconds) * crate::clock::SECOND,
            pushes: None,
            broadcasts: None,
            clients: Behaviour::Stay,
        }
    }

    /// Offers what was recorded again, to such users, this share of it durable.
    pub(crate) fn replay(name: String, profile: &Profile, order: Order, durable: f64) -> Self {
        let seconds = (profile.length() / crate::clock::SECOND).max(1);
        let pushes = Pushes {
            rate: u32::try_from(profile.count().div_ceil(seconds)).unwrap_or(u32::MAX),
            slices: profile.slices(),
            sizes: Sizes::of(std::iter::empty()),
            rhythm: Rhythm::Even,
            burst: 1,
            scatter: false,
            order,
            durable,
        };
        let (kind, length) = (Kind::Replay, profile.length());
        let clients = Behaviour::Stay;
        Self { kind, name, length, pushes: Some(pushes), broadcasts: None, clients }
    }

    /// The same with `rate` times the rates and `time` times the times; what was something stays
    /// something.
    pub(crate) fn scaled(mut self, rate: f64, time: f64) -> Self {
        self.length = stretched(self.length, time);
        if let Some(pushes) = &mut self.pushes {
            pushes.rate = multiplied(pushes.rate, rate);
            rescale(&mut pushes.slices, rate, time);
        }
        if let Some(broadcasts) = &mut self.broadcasts {
            broadcasts.users = multiplied(broadcasts.users, rate);
        }
        self.clients = match self.clients {
            Behaviour::Churn { share, pause } => {
                Behaviour::Churn { share, pause: stretched(pause, time) }
            }
            Behaviour::Wave { share, over, pause, spread } => Behaviour::Wave {
                share,
                over: stretched(over, time),
                pause: pause.map(|pause| stretched(pause, time)),
                spread: stretched(spread, time),
            },
            other => other,
        };
        self
    }

    /// What it offers and for how long, for people.
    pub(crate) fn in_words(&self) -> String {
        let pushes = self.pushes.as_ref();
        let pushes = pushes.map(|one| {
            if one.slices.is_empty() {
                format!(", {} pushes/s of {} B", one.rate, one.sizes)
            } else {
                format!(", {} pushes as they were recorded", self.pushed())
            }
        });
        let broadcasts = self.broadcasts.as_ref();
        let broadcasts =
            broadcasts.map(|one| format!(", {} broadcasts of {} B", one.count, one.size));
        format!(
            "{} for {:?}{}{}",
            self.name,
            crate::clock::duration(self.length),
            pushes.unwrap_or_default(),
            broadcasts.unwrap_or_default()
        )
    }

    /// How many messages are pushed.
    pub(crate) fn pushed(&self) -> u64 {
        let slices = self.pushes.as_ref().map_or(&[][..], |pushes| &pushes.slices);
        if !slices.is_empty() {
            return slices.iter().map(|slice| slice.count).sum();
        }
        let per_second = self.pushes.as_ref().map_or(0, |pushes| pushes.rate);
        let count = u128::from(per_second) * u128::from(self.length);
        u64::try_from(count / u128::from(crate::clock::SECOND)).unwrap_or(u64::MAX)
    }

    /// How many broadcasts are started.
    pub(crate) fn broadcast(&self) -> u32 {
        self.broadcasts.as_ref().map_or(0, |broadcasts| broadcasts.count)
    }
}

/// Intervals of `time` times the length with `rate` times the messages a second. What is left over
/// of one goes to the next, so that their sum is right.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a conversion saturates, neither is negative, and counts are far below 2^52"
)]
fn rescale(slices: &mut [Slice], rate: f64, time: f64) {
    let (mut exact, mut whole) = (0.0, 0);
    for slice in slices {
        exact += slice.count as f64 * rate * time;
        // A sum of factors that are no binary fractions falls short of a whole number by a hair.
        let until = (exact + 1e-6) as u64;
        slice.count = until - whole;
        whole = until;
        slice.length = stretched(slice.length, time);
    }
}

/// A rate times `factor`; never 0 unless it was.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion saturates, and neither is negative"
)]
pub(crate) fn multiplied(rate: u32, factor: f64) -> u32 {
    let scaled = (f64::from(rate) * factor).round() as u32;
    if rate == 0 { 0 } else { scaled.max(1) }
}

/// A time times `factor`; never 0 unless it was.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a conversion saturates, neither is negative, and a microsecond more does no harm"
)]
fn stretched(time: u64, factor: f64) -> u64 {
    let scaled = (time as f64 * factor).round() as u64;
    if time == 0 { 0 } else { scaled.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    #[test]
    fn the_latest_return_is_of_the_phase_whose_clients_are_away_longest() {
        let phase = |seconds: u32, clients| Phase { clients, ..Phase::settle(seconds) };
        let wave = |over, pause: Option<u64>, spread| Behaviour::Wave {
            share: 1.0,
            over: over * SECOND,
            pause: pause.map(|pause| pause * SECOND),
            spread: spread * SECOND,
        };
        let churn = Behaviour::Churn { share: 0.1, pause: 4 * SECOND };
        let late = |phases: &[Phase]| latest_return(phases).map(|(late, _)| late / SECOND);
        assert_eq!(late(&[]), None);
        assert_eq!(late(&[phase(10, wave(2, Some(5), 3))]), None);
        assert_eq!(late(&[phase(10, wave(2, Some(5), 4))]), Some(1));
        assert_eq!(late(&[phase(10, wave(0, None, 4))]), Some(4));
        assert_eq!(late(&[phase(10, wave(0, None, 4)), phase(3, churn)]), Some(4));
        assert_eq!(late(&[phase(1, wave(0, Some(30), 0)), phase(3, churn)]), Some(26));
    }

    #[test]
    fn rates_and_times_scale_and_what_was_something_stays_something() {
        let pushes = Pushes {
            rate: 1_000,
            slices: Vec::new(),
            sizes: Sizes::uniform(64, 64),
            rhythm: Rhythm::Even,
            burst: 1,
            scatter: false,
            order: Order::Random,
            durable: 0.0,
        };
        let wave = Behaviour::Wave { share: 0.5, over: 0, pause: Some(SECOND), spread: 10 };
        let phase = Phase {
            kind: Kind::Storm,
            name: String::new(),
            length: 10 * SECOND,
            pushes: Some(pushes),
            broadcasts: None,
            clients: wave,
        };
        assert_eq!(phase.pushed(), 10_000);
        let scaled = phase.clone().scaled(0.1, 0.5);
        assert_eq!((scaled.length, scaled.pushed()), (5 * SECOND, 500));
        let halved = Behaviour::Wave { share: 0.5, over: 0, pause: Some(SECOND / 2), spread: 5 };
        assert_eq!(scaled.clients, halved);
        let tiny = phase.clone().scaled(0.000_001, 0.000_01);
        assert_eq!(tiny.pushes.as_ref().map(|pushes| pushes.rate), Some(1));
        assert_eq!(phase.clone().scaled(1.0, 1.0), phase);
    }

    #[test]
    fn a_replay_scales_with_nothing_lost_between_its_intervals() {
        let slice = |count| Slice { length: SECOND, count, sizes: Sizes::uniform(64, 64) };
        let mut slices = vec![slice(3), slice(0), slice(4), slice(5)];
        rescale(&mut slices, 1.0, 1.0);
        let counts = |slices: &[Slice]| slices.iter().map(|one| one.count).collect::<Vec<_>>();
        assert_eq!(counts(&slices), [3, 0, 4, 5]);
        rescale(&mut slices, 1.0, 0.5);
        assert_eq!((counts(&slices), slices[0].length), (vec![1, 0, 2, 3], SECOND / 2));
        rescale(&mut slices, 20.0, 0.5);
        assert_eq!(counts(&slices), [10, 0, 20, 30]);
    }

    #[test]
    fn a_replay_is_at_its_peak_in_one_of_its_intervals() {
        let pushes = Pushes {
            rate: 7,
            slices: Vec::new(),
            sizes: Sizes::uniform(1, 1),
            rhythm: Rhythm::Even,
            burst: 1,
            scatter: false,
            order: Order::Random,
            durable: 0.0,
        };
        assert_eq!(pushes.peak(), (7, &Sizes::uniform(1, 1)));
        let slice =
            |count, size| Slice { length: SECOND / 2, count, sizes: Sizes::uniform(size, size) };
        let replay = Pushes { slices: vec![slice(3, 64), slice(50, 256), slice(0, 9)], ..pushes };
        assert_eq!(replay.peak(), (100, &Sizes::uniform(256, 256)));
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let mut names: Vec<&str> = Kind::NAMES.iter().map(|(_, kind)| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::NAMES.len());
        assert!(!names.contains(&""));
    }
}
