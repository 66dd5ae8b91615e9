//! The one place where the process reads a clock.
//!
//! A shard reads it once a turn and hands [`Now`] on, so that everything below is a function of its
//! arguments and the simulator can be the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment, in the two counts that are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Microseconds since the process started; never goes back.
    pub micros: u64,
    /// Milliseconds since 1970 UTC, for tokens and clients; may jump.
    pub unix_millis: u64,
}

impl Now {
    /// Whole seconds since the process started: the tick of heartbeats and deadlines.
    pub fn seconds(self) -> u32 {
        u32::try_from(self.micros / 1_000_000).unwrap_or(u32::MAX)
    }
}

/// Reads the clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose microseconds count from now.
    #[expect(clippy::new_without_default, reason = "reading a clock is not a default value")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// The present moment.
    pub fn now(&self) -> Now {
        let micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_millis = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        Now { micros, unix_millis }
    }
}
