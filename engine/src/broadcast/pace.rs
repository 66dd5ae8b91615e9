//! A token bucket in users: how many may be served by now.

/// How much may be saved up while nothing is taken, in microseconds of the rate.
const BURST_MICROS: u64 = 50_000;
/// One user, in the bucket's unit: thousandths of a user a second, times microseconds.
const USER: u64 = 1_000_000_000;

/// Lets so many users through a second.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// Thousandths of a user a second.
    rate: u64,
    level: u64,
    /// When the level was right, in microseconds.
    at: u64,
}

impl Bucket {
    /// An empty bucket at `now` microseconds for `rate` thousandths of a user a second.
    pub fn new(rate: u64, now: u64) -> Self {
        Self { rate, level: 0, at: now }
    }

    /// Takes up to `wanted` users at `now` microseconds; gives how many.
    pub fn take(&mut self, wanted: u32, now: u64) -> u32 {
        let gained = self.rate.saturating_mul(now.saturating_sub(self.at));
        let most = self.rate.saturating_mul(BURST_MICROS).max(USER);
        self.level = self.level.saturating_add(gained).min(most);
        self.at = now;
        let taken = u32::try_from(self.level / USER).unwrap_or(u32::MAX).min(wanted);
        self.level -= u64::from(taken) * USER;
        taken
    }

    /// The microsecond at which one user may be taken; `None` for never.
    pub fn ready_at(&self) -> Option<u64> {
        let missing = USER.saturating_sub(self.level);
        (self.rate > 0).then(|| self.at.saturating_add(missing.div_ceil(self.rate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_however_often_it_is_asked() {
        for step in [100, 1_000, 33_333] {
            let mut bucket = Bucket::new(1_000_000, 0);
            let taken: u32 = (1..=10_000_000 / step).map(|n| bucket.take(u32::MAX, n * step)).sum();
            assert!((9_990..=10_000).contains(&taken), "{taken} in 10 s at 1000/s, step {step}");
        }
    }

    #[test]
    fn less_than_one_user_a_second_still_gets_there() {
        let mut bucket = Bucket::new(100, 0);
        assert_eq!(bucket.take(1, 9_999_999), 0);
        assert_eq!(bucket.ready_at(), Some(10_000_000));
        assert_eq!(bucket.take(1, 10_000_000), 1);
    }
}
