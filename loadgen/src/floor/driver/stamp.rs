//! A message that carries the moment at which it was due, so that its receiver can tell how late it
//! came.
//!
//! Sender and receiver are threads of one process and share one clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hdrhistogram::{CreationError, Histogram};

use crate::floor::control::MESSAGE;

const MARK: [u8; 8] = *b"due-at-:";

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Latenesses in nanoseconds, of up to two minutes, to three digits.
pub(super) fn histogram() -> Result<Histogram<u64>, CreationError> {
    Histogram::new_with_bounds(1, nanoseconds(Duration::from_mins(2)), 3)
}

/// A message that is due at `due`.
pub(super) fn message(due: Instant) -> [u8; MESSAGE] {
    let mut message = [0x5a; MESSAGE];
    let since = nanoseconds(due.saturating_duration_since(start()));
    message[..8].copy_from_slice(&MARK);
    message[8..16].copy_from_slice(&since.to_le_bytes());
    message
}

/// How many nanoseconds after it was due a message came; `None` for one without a stamp.
pub(super) fn lateness(message: &[u8]) -> Option<u64> {
    let rest = message.strip_prefix(&MARK)?;
    let due = u64::from_le_bytes(*rest.first_chunk()?);
    Some(nanoseconds(start().elapsed()).saturating_sub(due))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lateness_is_kept_to_three_digits() {
        let mut histogram = histogram().unwrap();
        histogram.saturating_record(1_234_567);
        assert!((1_234_000..1_236_000).contains(&histogram.value_at_quantile(0.5)));
    }

    #[test]
    fn lateness_is_measured_from_when_a_message_was_due() {
        start();
        let due = Instant::now() + Duration::from_hours(1);
        assert_eq!(lateness(&message(due)), Some(0));
        assert!(lateness(&message(start())).unwrap() > 0);
        assert_eq!(lateness(&[0x5a; MESSAGE]), None);
    }
}
