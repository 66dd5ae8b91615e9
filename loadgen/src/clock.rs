//! The one clock of a run: nanoseconds since it began, the same on every thread.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds of one millisecond.
pub(crate) const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds of one second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// When the run began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    epoch: Instant,
    /// The same moment, nanoseconds since 1970 UTC.
    epoch_utc: u64,
}

impl Clock {
    /// Begins now.
    pub(crate) fn start() -> Self {
        // The thread may lose its core between the two readings: the closest of a few pairs counts.
        let pairs = (0..8).map(|_| {
            let utc = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let epoch = Instant::now();
            let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            (after.saturating_sub(utc), utc, epoch)
        });
        let closest = pairs.min_by_key(|(apart, ..)| *apart);
        let (_, utc, epoch) = closest.unwrap_or((Duration::ZERO, Duration::ZERO, Instant::now()));
        Self { epoch, epoch_utc: u64::try_from(utc.as_nanos()).unwrap_or_default() }
    }

    /// When the run began, whole seconds since 1970 UTC.
    pub(crate) const fn began_utc(self) -> u64 {
        self.epoch_utc / SECOND
    }

    /// A moment that the kernel stamped, in nanoseconds since 1970 UTC. Good as long as nobody sets
    /// the system's time during the run.
    pub(crate) const fn stamped(self, utc: u64) -> u64 {
        utc.saturating_sub(self.epoch_utc)
    }

    /// Nanoseconds since the beginning.
    pub(crate) fn now(self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Whole milliseconds of `ns`; a run of more than 49 days stops counting.
pub(crate) fn milliseconds(ns: u64) -> u32 {
    u32::try_from(ns / MILLISECOND).unwrap_or(u32::MAX)
}

/// Whole seconds of `ns`.
pub(crate) fn seconds(ns: u64) -> u32 {
    u32::try_from(ns / SECOND).unwrap_or(u32::MAX)
}

/// A duration of `ns`.
pub(crate) const fn duration(ns: u64) -> Duration {
    Duration::from_nanos(ns)
}
