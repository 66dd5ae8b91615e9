//! A weak network of the generator's own: a part of the clients reaches the gateway through a
//! small proxy that delays, stalls and cuts, where no kernel need have netem.
//!
//! It works on TCP connections, so bytes are delayed in their order and never changed; what a lost
//! packet is to a connection is the wait for its second sending. What becomes of which byte when
//! ([`pipe`], [`fate`]) is a function of the seed and the time, without a socket; [`proxy`] moves
//! the bytes on threads of its own, and [`board`] tells the clients how far they may trust it.

pub(crate) mod board;
mod fate;
mod link;
mod pipe;
pub(crate) mod proxy;

use crate::clock::{MILLISECOND, duration};
use crate::schedule::chance;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::ops::RangeInclusive;

/// Keeps the draws of the network apart from all others.
const OWN: u64 = 0x7765_616b_2121_2121;
/// The shortest wait for the second sending of what was lost, as most kernels have it.
const RETRY: u64 = 200 * MILLISECOND;
/// Bytes on their way, each way, at most.
pub(crate) const BUFFER: RangeInclusive<u64> = 1_448..=16 << 20;
/// The longest delay, and the longest time between two stalls: a week.
const LONGEST: u64 = 7 * 24 * 3_600 * crate::clock::SECOND;
/// A draw is one of so many.
const PARTS: u32 = 1 << 24;

/// What the way to the gateway is like for some clients. Times are in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Weak {
    /// Which share of the clients, above 0.
    pub(crate) share: f64,
    /// How long bytes take each way, on average.
    pub(crate) delay: u64,
    /// So much less or more, each as likely; at most the delay.
    pub(crate) jitter: u64,
    /// Which share of the segments is lost, and sent again after a wait that doubles.
    pub(crate) loss: f64,
    /// When nothing moves.
    pub(crate) stall: Option<Stall>,
    /// Which share of the connections is reset each second.
    pub(crate) cut: f64,
    /// Which share falls silent for ever each second.
    pub(crate) silent: f64,
    /// Bytes that are on their way at most, each way; beyond that the proxy does not read.
    pub(crate) buffer: usize,
}

/// For `length` in every `every`, nothing of a connection moves; each has its own moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stall {
    pub(crate) every: u64,
    /// Shorter than `every`.
    pub(crate) length: u64,
}

impl Weak {
    /// Whether client `index` of a run with this seed is behind it.
    pub(crate) fn has(&self, seed: u64, index: u32) -> bool {
        happens(self.share, chance::hash(seed ^ OWN, u64::from(index)))
    }

    /// Whether a file could ask for it: it may come from another host.
    pub(crate) fn is_sane(&self) -> bool {
        let part = |share: f64| (0.0..=1.0).contains(&share);
        let stall = |stall: Stall| stall.length < stall.every && stall.every <= LONGEST;
        let shares = [self.share, self.loss, self.cut, self.silent].into_iter().all(part);
        let buffer = u64::try_from(self.buffer).is_ok_and(|bytes| BUFFER.contains(&bytes));
        let delay = self.jitter <= self.delay && self.delay <= LONGEST;
        shares && delay && self.stall.is_none_or(stall) && buffer
    }

    /// What its clients wait longer for than others do when nothing is wrong: a stall, and a
    /// segment that is lost some times in a row.
    pub(crate) fn patience(&self) -> u64 {
        let stall = self.stall.map_or(0, |stall| stall.length);
        let lost = if self.loss > 0.0 { 7 * self.retry() } else { 0 };
        stall + lost + 4 * (self.delay + self.jitter)
    }

    /// The wait for the second sending of what was lost.
    const fn retry(&self) -> u64 {
        RETRY + 2 * self.delay
    }

    /// What it is like, for people.
    pub(crate) fn in_words(&self) -> String {
        let mut text = format!(
            "{} of the clients over a weak network: {:?}",
            percent(self.share),
            duration(self.delay)
        );
        // Writing into a string cannot fail.
        if self.jitter > 0 {
            let _ = write!(text, " +- {:?}", duration(self.jitter));
        }
        text.push_str(" each way");
        if let Some(stall) = self.stall {
            let (every, length) = (duration(stall.every), duration(stall.length));
            let _ = write!(text, ", a stall of {length:?} every {every:?}");
        }
        let shares = [
            (self.loss, "of the segments lost"),
            (self.cut, "of the connections cut each second"),
            (self.silent, "silent for ever each second"),
        ];
        for (share, what) in shares.iter().filter(|(share, _)| *share > 0.0) {
            let _ = write!(text, ", {} {what}", percent(*share));
        }
        text
    }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1e6).round() / 1e4)
}

/// Whether what has this share of all comes about, for a draw.
fn happens(share: f64, draw: u64) -> bool {
    f64::from(chance::below(PARTS, draw)) < share * f64::from(PARTS)
}

#[cfg(test)]
pub(crate) fn sample() -> Weak {
    Weak {
        share: 0.2,
        delay: 80 * MILLISECOND,
        jitter: 40 * MILLISECOND,
        loss: 0.01,
        stall: Some(Stall { every: 20_000 * MILLISECOND, length: 2_000 * MILLISECOND }),
        cut: 0.001,
        silent: 0.0005,
        buffer: 64 << 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_clients_are_behind_it_as_its_share_says_and_always_the_same() {
        let weak = sample();
        let behind = (0..10_000).filter(|index| weak.has(7, *index)).count();
        assert!((1_800..2_200).contains(&behind), "{behind}");
        assert!((0..1_000).any(|index| weak.has(7, index) != weak.has(8, index)));
        let all = Weak { share: 1.0, ..weak };
        assert!((0..10_000).all(|index| all.has(7, index)));
    }

    #[test]
    fn its_words_name_all_that_it_does_and_nothing_else() {
        let all = "20 % of the clients over a weak network: 80ms +- 40ms each way, a stall of 2s \
                   every 20s, 1 % of the segments lost, 0.1 % of the connections cut each second, \
                   0.05 % silent for ever each second";
        assert_eq!(sample().in_words(), all);
        let plain = Weak { jitter: 0, loss: 0.0, stall: None, cut: 0.0, silent: 0.0, ..sample() };
        let few = "20 % of the clients over a weak network: 80ms each way";
        assert_eq!(plain.in_words(), few);
    }
}
