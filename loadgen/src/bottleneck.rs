//! Whether the generator itself was what a run ran into, instead of the gateway.
//!
//! A load generator that cannot keep up measures itself: what it sends late it finds late, and what
//! waits in a socket because its client's thread is busy counts as the gateway's latency. So each
//! run looks at three things of its own while something is offered, and says when one of them is so
//! large that the figures may be of the generator:
//!
//! - *busy*: a thread that ran, or was ready and waited for a core, in [`BUSY`] of the time is one
//!   that work queues up at, wherever the gateway could still go.
//! - *late*: pushes that were handed over after they were due although the gateway's window had
//!   room. The time in which the window was full is the gateway's.
//! - *lag*: what a message that came at any moment had to wait until its client's thread came
//!   round, by how late the thread is for its own clock.
//!
//! The last two count only where they matter: from [`LEAST_US`] on, and where they are a good part
//! ([`PART`]) of the latency that was measured. A gateway that answers after 500 ms is slow,
//! whether the generator adds 6 ms to it or not.
//!
//! The gateway has no core where other processes have them all: then neither it nor the generator
//! is what the run ran into, but the host ([`Starved`]).
//!
//! Everything here is read from the finished report; nothing is measured.

use crate::report::Report;
use crate::units::{duration, percent};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Of the time, for a thread to be called busy.
const BUSY: f64 = 0.9;
/// Less than so much, microseconds, is not held against it: sleeping and waking take up to 2 ms.
const LEAST_US: u64 = 5_000;
/// The 99th percentile of what was measured, divided by this, is what the generator must reach to
/// be held for the cause.
const PART: u64 = 2;
/// Of the time, for the gateway to be called short of a core: less is ordinary scheduling.
const WAITED: f64 = 0.1;
/// Of what the gateway's busiest thread ran, what one must have waited besides: a thread that has
/// nearly a core waits a little for others now and then, and is its own bound.
const BESIDE: f64 = 1.0 / 3.0;

/// What `run --help` says of it.
pub(crate) const HELP: &str = "\
The generator was the bottleneck, and the run says so, if while something was offered
  busy   its busiest thread ran or waited for a core in 90 % of the time or more,
  late   or 1 % of the pushes were handed over 5 ms or more after they were due although the
         gateway's window had room,
  lag    or client threads came round to what had arrived so late, in 1 % of the time;
late and lag only where they are half of the p99 of the measured latency or more: then the figures
are of the generator, not of the gateway. Give it more cores, spread it over hosts, or offer less.
The host's CPU was the bound, and the run says so, if one of the gateway's threads waited for a core
in 10 % of that time or more, and for more than a third of what its busiest thread ran: other
processes had the cores. Seen where the gateway runs on this host and may be read.";

/// How the generator fared while something was offered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Generator {
    /// Why it was the bottleneck, a clause each; empty if it was not.
    pub(crate) bottleneck: Vec<String>,
    /// The share of the time in which its busiest thread ran or waited for a core; absent in runs
    /// of less than some seconds.
    pub(crate) busy: Option<f64>,
    /// How late pushes were handed over for its own reasons, 99th percentile in microseconds.
    pub(crate) late_p99_us: Option<u64>,
    /// How late client threads came round, 99th percentile in microseconds.
    pub(crate) lag_p99_us: Option<u64>,
}

impl Generator {
    /// Judges the generator of a run.
    pub(crate) fn of(report: &Report) -> Self {
        let p99 = |name| report.latency(name).map(|values| values.p99_us);
        let line = &report.timeline;
        let fared = Self {
            bottleneck: Vec::new(),
            busy: line.mean(&line.client_wanted),
            late_p99_us: p99("generator_own_lateness"),
            lag_p99_us: p99("generator_turn_lag"),
        };
        fared.judged(p99("push").or_else(|| p99("broadcast_spread")))
    }

    /// Judges the generator of one host, by what [`Generator`] has and where the 99th percentile of
    /// what was measured on it is `measured`.
    pub(crate) fn fared(
        busy: Option<f64>,
        (late_p99_us, lag_p99_us): (Option<u64>, Option<u64>),
        measured: Option<u64>,
    ) -> Self {
        Self { bottleneck: Vec::new(), busy, late_p99_us, lag_p99_us }.judged(measured)
    }

    /// Holds what `host` was the bottleneck by against all.
    pub(crate) fn add(&mut self, host: &str, other: &Self) {
        let named = other.bottleneck.iter().map(|why| format!("at {host}, {why}"));
        self.bottleneck.extend(named);
    }

    /// With the verdict, where the 99th percentile of what was measured is `measured`.
    fn judged(mut self, measured: Option<u64>) -> Self {
        let counts = |us: &u64| measured.is_some_and(|p99| *us >= LEAST_US.max(p99 / PART));
        if let Some(busy) = self.busy.filter(|busy| *busy >= BUSY) {
            let share = percent(busy * 100.0);
            self.bottleneck
                .push(format!("a thread of it ran or waited for a core {share} of the time"));
        }
        if let Some(us) = self.late_p99_us.filter(counts) {
            let late = duration(float(us));
            self.bottleneck.push(format!("1 % of its pushes left {late} late or more"));
        }
        if let Some(us) = self.lag_p99_us.filter(counts) {
            let late = duration(float(us));
            self.bottleneck
                .push(format!("in 1 % of the time its clients read {late} late or more"));
        }
        self
    }

    /// Whether it was not the bottleneck, as far as is known.
    pub(crate) fn kept_up(&self) -> bool {
        self.bottleneck.is_empty()
    }

    /// That it was the bottleneck, and why, as one line.
    pub(crate) fn verdict(&self) -> String {
        format!(
            "the GENERATOR was the bottleneck ({}): the figures are of it, not of the gateway",
            self.bottleneck.join("; ")
        )
    }
}

impl fmt::Display for Generator {
    /// What was measured of it, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.busy {
            Some(busy) => write!(
                f,
                "busiest thread {} of a core or of waiting for one",
                percent(busy * 100.0)
            )?,
            None => write!(f, "load unknown (push for 3 seconds or more)")?,
        }
        let shown = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), |us| duration(float(us)));
        write!(f, ", pushes late p99 {}", shown(self.late_p99_us))?;
        write!(f, ", client threads late p99 {}", shown(self.lag_p99_us))?;
        let kept = if self.kept_up() { "not the bottleneck" } else { "the BOTTLENECK" };
        write!(f, ": {kept}")
    }
}

/// A gateway that was short of a core while something was offered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Starved {
    /// The share of the time in which the thread that waited most was ready, and had no core.
    pub(crate) waited: f64,
    /// The share in which the busiest thread ran.
    pub(crate) ran: f64,
}

impl Starved {
    /// Judges the gateway of a run; `None` if it had its cores, as far as is known.
    pub(crate) fn of(report: &Report) -> Option<Self> {
        let line = &report.timeline;
        Self::judged(line.mean(&line.server_waited)?, line.mean(&line.server_busiest)?)
    }

    fn judged(waited: f64, ran: f64) -> Option<Self> {
        (waited >= WAITED && waited > ran * BESIDE).then_some(Self { waited, ran })
    }

    /// That the host was the bound, and why, as one line.
    pub(crate) fn verdict(&self) -> String {
        let share = percent(self.waited * 100.0);
        format!("the host's CPU was the bound: the gateway waited for a core {share} of the time")
    }
}

/// A count as a figure to show.
fn float(us: u64) -> f64 {
    crate::report::float(us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn fared(busy: f64, late: u64, lag: u64) -> Generator {
        let (late_p99_us, lag_p99_us) = (Some(late), Some(lag));
        Generator { bottleneck: Vec::new(), busy: Some(busy), late_p99_us, lag_p99_us }
    }

    #[test]
    fn each_of_the_three_is_enough_and_none_is_nothing() {
        let reasons = |one: Generator| one.judged(Some(12_000)).bottleneck.len();
        assert_eq!(reasons(fared(0.5, 900, 1_100)), 0);
        assert_eq!(reasons(fared(0.9, 900, 1_100)), 1);
        assert_eq!(reasons(fared(0.5, 6_000, 1_100)), 1);
        assert_eq!(reasons(fared(0.5, 900, 6_000)), 1);
        assert_eq!(reasons(fared(1.0, 70_000, 90_000)), 3);
    }

    #[test]
    fn being_late_counts_only_where_it_is_a_good_part_of_what_was_measured() {
        let kept_up = |late, measured| fared(0.1, late, late).judged(measured).kept_up();
        assert!(kept_up(4_999, Some(5_000)), "a few milliseconds are the kernel's");
        assert!(kept_up(40_000, Some(500_000)), "the gateway was slow anyway");
        assert!(!kept_up(250_000, Some(500_000)));
        assert!(kept_up(250_000, None), "nothing was measured that it could have spoilt");
    }

    #[test]
    fn what_is_not_known_is_not_held_against_it() {
        assert!(Generator::default().judged(Some(1_000)).kept_up());
        let shown = Generator::default().to_string();
        assert!(shown.contains("unknown") && shown.contains("p99 -"), "{shown}");
    }

    #[test]
    fn a_report_is_judged_by_the_seconds_in_which_something_was_offered() {
        let mut report = sample::report();
        assert!(Generator::of(&report).kept_up());
        // The first six seconds are the logins'.
        report.timeline.client_wanted[..6].fill(Some(1.0));
        assert!(Generator::of(&report).kept_up());
        report.timeline.client_wanted[6..].fill(Some(0.97));
        let fared = Generator::of(&report);
        assert!(!fared.kept_up() && fared.verdict().contains("97.0 %"), "{}", fared.verdict());
    }

    #[test]
    fn a_gateway_is_short_of_a_core_where_it_waits_long_and_not_little_beside_what_it_ran() {
        assert_eq!(Starved::judged(0.099, 0.01), None, "the scheduler's ordinary doing");
        assert!(Starved::judged(0.1, 0.29).is_some());
        assert_eq!(Starved::judged(0.1, 0.31), None, "it had most of what it wanted");
        assert_eq!(Starved::judged(0.3, 0.9), None, "its own bound");
        assert!(Starved::judged(0.87, 0.1).is_some());
    }

    #[test]
    fn a_report_says_that_its_gateway_waited_where_that_is_known() {
        let mut report = sample::report();
        assert_eq!(Starved::of(&report), None);
        report.timeline.server_waited = vec![Some(0.9); report.timeline.at.len()];
        let says = Starved::of(&report).unwrap().verdict();
        let wanted = "the host's CPU was the bound: the gateway waited for a core 90.0 % of the";
        assert!(says.starts_with(wanted), "{says}");
        report.timeline.server_waited.clear();
        assert_eq!(Starved::of(&report), None, "an older report");
    }

    #[test]
    fn a_gate_that_the_generator_spoilt_does_not_open() {
        let mut report = sample::report();
        report.generator = fared(1.0, 0, 0).judged(None);
        assert!(report.meets_slo(), "nothing was asked for");
        let says = String::new();
        let clause = "lost = 0".to_owned();
        report.slo = vec![crate::slo::Judged { clause, met: true, measured: Some(0.0), says }];
        assert!(!report.meets_slo());
        report.generator = Generator::default();
        assert!(report.meets_slo());
    }
}
