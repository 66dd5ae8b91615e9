//! The phases of a run as they were, for the JSON.

use crate::clock::SECOND;
use crate::report::Passed;

impl Passed {
    /// A phase that lasted from the first to the second time, nanoseconds of the run's clock.
    pub(in crate::run) fn new(name: &str, kind: &'static str, (from, to): (u64, u64)) -> Self {
        let (from, to) = (seconds(from), seconds(to));
        Self { name: name.to_owned(), kind: kind.to_owned(), from, to, step: None, push: None }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a microsecond more or less")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / SECOND as f64
}
