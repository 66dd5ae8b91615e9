//! How the moments at which messages fall due follow each other.
//!
//! A moment is a pure function of the seed and a number, without anything stored: Poisson arrivals
//! are found by halving time. What is known of a Poisson process once its count in some time is
//! known is that each arrival is anywhere in it, independently; so as many as fall into the first
//! half as heads fall in so many throws, and the same holds within each half.

use super::chance;
use crate::clock::SECOND;

/// So many moments are drawn together: at random within the time that they would take evenly.
/// Over longer times than that the rate is exact.
const BLOCK: u64 = 1024;
/// Keeps these draws apart from those of targets, sizes and classes.
const OWN: u64 = 0x7268_7974_686d_2121;

/// The way from one moment to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Rhythm {
    /// As far as from any to its next.
    Even,
    /// At random, as from many senders that know nothing of each other.
    Poisson,
}

/// So many moments in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// How many moments.
    pub(crate) moments: u64,
    /// Messages at each; not 0.
    pub(crate) burst: u32,
    /// Messages a second; not 0.
    pub(crate) rate: u32,
    /// How they follow each other.
    pub(crate) rhythm: Rhythm,
    /// What chance begins with.
    pub(crate) seed: u64,
}

impl Row {
    /// Nanoseconds from the beginning to moment `number`; never less than to the one before.
    pub(crate) fn at(&self, number: u64) -> u64 {
        match self.rhythm {
            Rhythm::Even => self.even(number),
            Rhythm::Poisson => self.poisson(number),
        }
    }

    fn even(&self, number: u64) -> u64 {
        let first = u128::from(number) * u128::from(self.burst);
        let ns = first * u128::from(SECOND) / u128::from(self.rate.max(1));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    fn poisson(&self, number: u64) -> u64 {
        let first = number / BLOCK * BLOCK;
        let count = self.moments.saturating_sub(first).clamp(1, BLOCK);
        let within = (self.even(first), self.even(first + count));
        let seed = chance::hash(self.seed ^ OWN, first / BLOCK);
        smallest((number - first).min(count - 1), count, within, seed)
    }
}

/// Of `count` moments at random from `low` to `high`, the one before which there are `before`.
fn smallest(
    mut before: u64,
    mut count: u64,
    (mut low, mut high): (u64, u64),
    mut seed: u64,
) -> u64 {
    while count > 1 && high - low > 1 {
        let left = heads(count, seed);
        let middle = low.midpoint(high);
        let goes_left = before < left;
        if goes_left {
            (count, high) = (left, middle);
        } else {
            (before, count, low) = (before - left, count - left, middle);
        }
        seed = chance::hash(seed, u64::from(goes_left) + BLOCK);
    }
    let offset = (u128::from(chance::hash(seed, 0)) * u128::from(high - low)) >> 64;
    if count > 1 { low } else { low + u64::try_from(offset).unwrap_or_default() }
}

/// How many of `throws` coins show heads.
fn heads(throws: u64, seed: u64) -> u64 {
    let coins = |chunk: u64| {
        let left = throws - chunk * 64;
        let mask = if left >= 64 { u64::MAX } else { (1 << left) - 1 };
        u64::from((chance::hash(seed, chunk) & mask).count_ones())
    };
    (0..throws.div_ceil(64)).map(coins).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rhythm: Rhythm) -> Row {
        Row { moments: 100_000, burst: 1, rate: 1_000, rhythm, seed: 7 }
    }

    fn gaps(row: &Row) -> Vec<f64> {
        let at: Vec<u64> = (0..row.moments).map(|number| row.at(number)).collect();
        assert!(at.is_sorted(), "a moment before the one before it");
        #[expect(clippy::cast_precision_loss, reason = "gaps of some milliseconds")]
        at.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect()
    }

    /// The mean, and the standard deviation as a share of it.
    fn spread(values: &[f64]) -> (f64, f64) {
        let count = f64::from(u32::try_from(values.len()).unwrap());
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt() / mean)
    }

    #[test]
    fn even_moments_are_all_as_far_apart() {
        let (mean, apart) = spread(&gaps(&row(Rhythm::Even)));
        assert!((mean - 1e6).abs() < 1.0 && apart < 1e-6, "{mean} {apart}");
    }

    #[test]
    fn poisson_moments_have_the_rate_and_gaps_that_vary_as_much_as_they_are_long() {
        let (mean, apart) = spread(&gaps(&row(Rhythm::Poisson)));
        assert!((mean - 1e6).abs() < 2e3, "{mean}");
        assert!((0.97..1.03).contains(&apart), "{apart}");
    }

    #[test]
    fn poisson_counts_in_short_windows_vary_as_much_as_they_are_great() {
        let row = row(Rhythm::Poisson);
        let mut counts = vec![0.0; 10_000];
        for number in 0..row.moments {
            let window = usize::try_from(row.at(number) / (10 * crate::clock::MILLISECOND));
            counts[window.unwrap()] += 1.0;
        }
        let (mean, apart) = spread(&counts);
        // The variance is the mean.
        assert!((0.9..1.1).contains(&(apart * apart * mean)), "{mean} {apart}");
    }

    #[test]
    fn poisson_moments_repeat_from_the_seed_and_stay_within_their_time() {
        let one = row(Rhythm::Poisson);
        let other = Row { seed: 8, ..one };
        assert!((0..2_000).all(|number| one.at(number) == row(Rhythm::Poisson).at(number)));
        assert!((0..20).any(|number| one.at(number) != other.at(number)));
        assert!((0..one.moments).all(|number| one.at(number) <= 100 * SECOND));
        let short = Row { moments: 3, ..one };
        assert!((0..3).all(|number| short.at(number) < 3 * SECOND / 1_000));
    }

    #[test]
    fn a_burst_takes_the_time_of_its_messages() {
        let bursts = Row { moments: 10, burst: 8, ..row(Rhythm::Even) };
        assert_eq!((bursts.at(0), bursts.at(1)), (0, 8 * SECOND / 1_000));
    }
}
