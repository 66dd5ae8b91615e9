//! The phases of a run as they were, for the JSON.

use crate::clock::SECOND;
use crate::histogram::{Latency, Tally};
use crate::report::Passed;

impl Passed {
    /// A phase that lasted from the first to the second time, nanoseconds of the run's clock.
    pub(crate) fn new(name: &str, kind: &'static str, (from, to): (u64, u64)) -> Self {
        let (from, to) = (seconds(from), seconds(to));
        Self { name: name.to_owned(), kind: kind.to_owned(), from, to, step: None, push: None }
    }

    /// The same, which was step `number` of the plan.
    pub(crate) fn of_step(self, number: usize) -> Self {
        Self { step: Some(number), ..self }
    }

    /// The same with its latencies, if messages that were due in it arrived.
    pub(super) fn timed(&self, tally: &Tally) -> Self {
        let latency = self.step.and_then(|step| tally.steps.get(step));
        let push = latency.filter(|latency| !latency.is_empty()).map(Latency::summary);
        Self { push, ..self.clone() }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a microsecond more or less")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / SECOND as f64
}
