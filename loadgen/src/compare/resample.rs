//! How sure a difference between two runs is, from their seconds alone.
//!
//! A second resembles the one before it, so blocks of neighbouring seconds are drawn together
//! (moving-block bootstrap). What is drawn depends on nothing but the values: the same files give
//! the same answer.

use crate::schedule::chance;

/// How often is drawn.
const DRAWS: u32 = 4_000;
/// Fewer seconds than this say too little.
pub(super) const SECONDS: usize = 20;

/// The medians of the second run divided by those of the first, over all draws; in order.
pub(super) fn ratios(first: &[f64], second: &[f64]) -> Vec<f64> {
    let mut ratios: Vec<f64> = (0..DRAWS)
        .map(|number| {
            let (one, other) = (draw(first, 2 * number), draw(second, 2 * number + 1));
            median(&other) / median(&one)
        })
        .filter(|ratio| ratio.is_finite())
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

/// The chance that the ratio is not above `factor`, by its draws.
pub(super) fn not_above(ratios: &[f64], factor: f64) -> f64 {
    share(ratios.partition_point(|ratio| *ratio <= factor), ratios.len())
}

/// The chance that it is not below.
pub(super) fn not_below(ratios: &[f64], factor: f64) -> f64 {
    share(ratios.len() - ratios.partition_point(|ratio| *ratio < factor), ratios.len())
}

/// A share that is never zero: what was drawn may be part of what did not come up.
fn share(part: usize, of: usize) -> f64 {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    (count(part) + 1.0) / (count(of) + 1.0)
}

/// The middle value; not a number where there is none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (0, Some(upper)) => f64::midpoint(*upper, values[middle - 1]),
        (_, Some(only)) => *only,
        (_, None) => f64::NAN,
    }
}

/// As many values as there are, in blocks from places drawn at random.
fn draw(values: &[f64], number: u32) -> Vec<f64> {
    let length = block(values.len());
    let places = u32::try_from(values.len() - length + 1).unwrap_or(u32::MAX);
    let mut drawn = Vec::with_capacity(values.len() + length);
    let mut turn = 0;
    while drawn.len() < values.len() {
        let at = chance::below(places, chance::hash(u64::from(number), turn)) as usize;
        drawn.extend_from_slice(&values[at..at + length]);
        turn += 1;
    }
    drawn.truncate(values.len());
    drawn
}

/// The length of a block: it grows with the cube root of the number of values.
fn block(values: usize) -> usize {
    let fits = |length: &usize| length.pow(3) <= values * 4;
    (2..100).take_while(fits).last().unwrap_or(1).min(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values around `middle`, the same every time.
    fn around(middle: f64, spread: f64, count: u64, seed: u64) -> Vec<f64> {
        let value = |n| {
            let part = chance::below(1_000, chance::hash(seed, n));
            middle + spread * (f64::from(part) / 500.0 - 1.0)
        };
        (0..count).map(value).collect()
    }

    #[test]
    fn a_difference_is_seen_and_noise_is_not() {
        let (one, other) = (around(100.0, 10.0, 60, 1), around(130.0, 10.0, 60, 2));
        let ratios = ratios(&one, &other);
        assert!(not_above(&ratios, 1.05) < 0.01 && not_below(&ratios, 1.5) < 0.01);
        let alike = super::ratios(&one, &around(100.0, 10.0, 60, 3));
        assert!(not_above(&alike, 1.05) > 0.5 && not_below(&alike, 0.95) > 0.5);
    }

    #[test]
    fn runs_alike_are_called_different_no_more_often_than_the_risk() {
        let wrong = (0..40).filter(|run| {
            let (one, other) =
                (around(100.0, 40.0, 30, run * 2), around(100.0, 40.0, 30, run * 2 + 1));
            not_above(&ratios(&one, &other), 1.05) <= 0.05
        });
        assert!(wrong.count() <= 6);
    }

    #[test]
    fn blocks_grow_slowly_and_fit() {
        assert_eq!([1, 2, 20, 60, 3_600].map(block), [1, 2, 4, 6, 24]);
    }

    #[test]
    fn a_median_is_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }
}
