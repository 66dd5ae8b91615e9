//! The one clock of a run: nanoseconds since it began, the same on every thread.

use std::time::{Duration, Instant};

/// Nanoseconds of one millisecond.
pub(crate) const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds of one second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// When the run began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self { epoch: Instant::now() }
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
