//! Which messages of the schedule are durable.

use super::chance;

/// The share of messages that are durable, drawn by their numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mix {
    /// From 0 to 1.
    pub(crate) share: f64,
    /// What it is drawn with.
    pub(crate) seed: u64,
}

/// Keeps this draw apart from those of targets and sizes.
const OWN: u64 = 0x6475_7261_626c_6521;
/// A draw is one of so many.
const PARTS: u32 = 1 << 20;

impl Mix {
    /// Whether message `number` is durable.
    pub(crate) fn is_durable(self, number: u64) -> bool {
        let drawn = chance::below(PARTS, chance::hash(self.seed ^ OWN, number));
        f64::from(drawn) < self.share * f64::from(PARTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_it_says() {
        let durable = |share| {
            let mix = Mix { share, seed: 7 };
            (0..10_000).filter(|&number| mix.is_durable(number)).count()
        };
        assert_eq!((durable(0.0), durable(1.0)), (0, 10_000));
        assert!((2_800..3_200).contains(&durable(0.3)), "{}", durable(0.3));
    }
}
