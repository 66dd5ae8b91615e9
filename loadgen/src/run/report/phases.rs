//! The phases of a run as they were, for the JSON.

use crate::clock::SECOND;

/// One phase that is over.
#[derive(Debug, Clone, serde::Serialize)]
pub(in crate::run) struct Passed {
    name: String,
    kind: &'static str,
    /// Seconds of the run's clock.
    from: f64,
    /// The same; earlier than planned in an interrupted run.
    to: f64,
}

impl Passed {
    /// A phase that lasted from the first to the second time, nanoseconds of the run's clock.
    pub(in crate::run) fn new(name: &str, kind: &'static str, (from, to): (u64, u64)) -> Self {
        Self { name: name.to_owned(), kind, from: seconds(from), to: seconds(to) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a microsecond more or less")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / SECOND as f64
}
