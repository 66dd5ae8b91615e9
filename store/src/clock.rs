//! The one place where the embedded store reads clocks. Everything below its threads takes the
//! time as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Seconds since 1970 UTC.
pub(crate) fn seconds() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

/// A point on a clock that does not go back, for lengths of time.
pub(crate) fn instant() -> Instant {
    Instant::now()
}
