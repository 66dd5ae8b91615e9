//! Random numbers from a seed.
//!
//! Owns the one generator of the simulation (`SplitMix64`). It is written out here and not taken
//! from a library, since a seed that is quoted in a report must give the same run in every later
//! version. It is of no use for secrets.

/// A stream of random numbers. Each use of chance (network, schedule, workload) has its own, so
/// that one more draw in one of them does not shift the others.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// The stream of `name` under `seed`.
    pub fn new(seed: u64, name: &str) -> Self {
        let mut chance = Self { state: seed };
        for byte in name.bytes() {
            chance.state = chance.next() ^ u64::from(byte);
        }
        chance
    }

    /// 64 random bits.
    #[expect(clippy::should_implement_trait, reason = "an iterator of chance would never end")]
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`; 0 where `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        // The upper half of the product is below `end`, which has 64 bits.
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// An index into something of this length; 0 where it is empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Whether a thing happens that happens so many times in a thousand.
    pub fn happens(&mut self, permille: u32) -> bool {
        self.below(1000) < u64::from(permille)
    }

    /// One of these.
    ///
    /// # Panics
    /// There is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// Any order of these, each as likely as the others.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.index(index + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_stream_again_and_names_differ() {
        let draw = |seed, name| {
            let mut chance = Chance::new(seed, name);
            [chance.next(), chance.next()]
        };
        assert_eq!(draw(7, "network"), draw(7, "network"));
        assert_ne!(draw(7, "network"), draw(7, "schedule"));
        assert_ne!(draw(7, "network"), draw(8, "network"));
    }

    #[test]
    fn every_number_stays_in_its_bounds_and_reaches_them() {
        let mut chance = Chance::new(1, "bounds");
        let mut seen = [false; 5];
        for _ in 0..1000 {
            seen[chance.index(5)] = true;
            assert!((3..=4).contains(&chance.between(3, 4)));
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(chance.below(0), 0);
        assert_eq!(chance.between(9, 9), 9);
    }
}
