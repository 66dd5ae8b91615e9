//! What a search found, as it is kept: the JSON file holds this and nothing else.

use super::search::{End, Verdict};
use super::{Args, Find};
use crate::bottleneck::Starved;
use crate::host;
use crate::report::{Report, float};
use crate::slo::Slo;
use crate::slo::metric::Metric;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a search found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Capacity {
    /// The whole command line, without secrets.
    pub(crate) command: Vec<String>,
    pub(crate) version: String,
    pub(crate) commit: String,
    /// When it began, seconds since 1970 UTC.
    pub(crate) began: u64,
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) scenario: Option<String>,
    /// What loads are counted in.
    pub(crate) unit: Cow<'static, str>,
    /// The clauses that had to hold.
    pub(crate) slo: Vec<String>,
    /// The metric that the curve is of, in microseconds.
    pub(crate) curve: Cow<'static, str>,
    /// What the SLO says of that metric, microseconds; absent if it says nothing.
    pub(crate) limit_us: Option<f64>,
    /// How far above what was found the first load that fails may lie, percent.
    pub(crate) resolution_percent: u32,
    /// In how many tries in a row it had to pass.
    pub(crate) confirmations: u32,
    /// The highest load that passed and lies below all that failed; absent if none did.
    pub(crate) found: Option<u64>,
    /// Whether it passed so often.
    pub(crate) confirmed: bool,
    /// Whether the search was interrupted.
    pub(crate) interrupted: bool,
    /// The least load that failed, and whose bound it is; absent if none failed.
    pub(crate) bound: Option<Bound>,
    /// All tries, in order.
    pub(crate) points: Vec<Point>,
}

/// Where it ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bound {
    pub(crate) load: u64,
    pub(crate) verdict: Verdict,
    pub(crate) why: Vec<String>,
    /// How the gateway was short of a core then; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) starved: Option<Starved>,
}

/// One try.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) load: u64,
    pub(crate) verdict: Verdict,
    /// What did not hold, or why the generator was the bottleneck; empty if it passed.
    pub(crate) why: Vec<String>,
    /// Arrivals a second while pushing, broadcasts included.
    pub(crate) delivered: Option<f64>,
    /// Latencies of pushes, microseconds.
    pub(crate) p50_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
    pub(crate) p999_us: Option<u64>,
    /// The value on the curve, microseconds.
    pub(crate) curve_us: Option<f64>,
    pub(crate) lost: u64,
    pub(crate) refused: u64,
    /// CPU of the gateway's busiest thread while pushing, percent of a core.
    pub(crate) cpu_percent: Option<f64>,
    /// The share of the time in which the generator's busiest thread ran or waited for a core,
    /// percent.
    pub(crate) generator_percent: Option<f64>,
    /// How the gateway was short of a core; absent where it was not, or that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) starved: Option<Starved>,
}

impl Point {
    /// A try of which nothing else is known.
    pub(super) fn none(load: u64, verdict: Verdict, why: String) -> Self {
        Self {
            load,
            verdict,
            why: vec![why],
            delivered: None,
            p50_us: None,
            p99_us: None,
            p999_us: None,
            curve_us: None,
            lost: 0,
            refused: 0,
            cpu_percent: None,
            generator_percent: None,
            starved: None,
        }
    }

    /// The figures of a run.
    pub(super) fn of(load: u64, verdict: Verdict, curve: Metric, report: &Report) -> Self {
        let push = report.latency("push");
        let line = &report.timeline;
        Self {
            why: Vec::new(),
            delivered: report.delivered_per_second(),
            p50_us: push.map(|push| push.p50_us),
            p99_us: push.map(|push| push.p99_us),
            p999_us: push.map(|push| push.p999_us),
            curve_us: curve.measure(report),
            lost: report.pushes.lost_total() + report.broadcasts.lost,
            refused: report.pushes.refused.values().sum(),
            cpu_percent: line.mean(&line.server_busiest).map(|cores| cores * 100.0),
            generator_percent: report.generator.busy.map(|share| share * 100.0),
            starved: report.starved,
            ..Self::none(load, verdict, String::new())
        }
    }
}

/// What the curve is of: the first clause that bounds a time, with its bound in microseconds, else
/// the p99 of pushes.
pub(super) fn drawn(slo: Option<&Slo>) -> (Metric, Option<f64>) {
    let clause = slo.and_then(Slo::first_time);
    clause.map_or((Metric::P99, None), |(metric, limit)| (metric, Some(limit)))
}

impl Capacity {
    /// Before the first try.
    pub(super) fn new(args: &Args, slo: &Slo) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (metric, limit_us) = drawn(Some(slo));
        Self {
            command: crate::run::command(std::env::args()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: host::COMMIT.to_owned(),
            began: now.as_secs(),
            kernel: host::kernel(),
            processor: host::processor(),
            scenario: args.run.choice.scenario.clone(),
            unit: if args.search.find == Find::Rate { "pushes/s" } else { "clients" }.into(),
            slo: slo.clauses().map(str::to_owned).collect(),
            curve: metric.name.into(),
            limit_us,
            resolution_percent: args.search.resolution,
            confirmations: args.search.confirm,
            found: None,
            confirmed: false,
            interrupted: false,
            bound: None,
            points: Vec::new(),
        }
    }

    /// It is over; `end` is `None` where it was interrupted.
    pub(super) fn conclude(&mut self, end: Option<End>, bound: Option<(u64, Verdict)>) {
        self.interrupted = end.is_none();
        self.confirmed = matches!(end, Some(End::Found(_)));
        self.found = match end {
            Some(End::Found(load) | End::Unconfirmed(load)) => Some(load),
            Some(End::Nothing) => None,
            None => {
                let passed = self.points.iter().filter(|point| point.verdict == Verdict::Met);
                let passed = passed.map(|point| point.load);
                passed.filter(|load| bound.is_none_or(|(failed, _)| *load < failed)).max()
            }
        };
        let failed = |load, verdict| {
            let tried = self.points.iter().rev();
            let mut same = tried.filter(|point| point.load == load && point.verdict == verdict);
            same.next().map_or_else(Default::default, |point| (point.why.clone(), point.starved))
        };
        self.bound = bound.map(|(load, verdict)| {
            let (why, starved) = failed(load, verdict);
            Bound { load, verdict, why, starved }
        });
    }

    /// One entry for each load, ascending, with the median of its values on the curve and the worst
    /// of its verdicts.
    pub(crate) fn curve(&self) -> Vec<(u64, Option<f64>, Verdict)> {
        let mut loads: Vec<u64> = self.points.iter().map(|point| point.load).collect();
        loads.sort_unstable();
        loads.dedup();
        let of = |load| {
            let tries = || self.points.iter().filter(move |point| point.load == load);
            let mut values: Vec<f64> = tries().filter_map(|point| point.curve_us).collect();
            values.sort_by(f64::total_cmp);
            let worst = tries().map(|point| point.verdict).max_by_key(|verdict| *verdict as u8);
            (load, values.get(values.len() / 2).copied(), worst.unwrap_or(Verdict::Missed))
        };
        loads.into_iter().map(of).collect()
    }

    /// Whether what failed above it is the gateway's doing.
    pub(crate) fn is_gateways(&self) -> bool {
        self.bound
            .as_ref()
            .is_some_and(|bound| bound.verdict == Verdict::Missed && bound.starved.is_none())
    }

    /// The first line of all that is shown: what was searched for.
    pub(crate) fn question(&self) -> String {
        let of = self.scenario.as_ref().map(|name| format!(" of scenario {name}"));
        format!("highest {}{} with {}", self.unit, of.unwrap_or_default(), self.slo.join(", "))
    }

    /// A load, for people.
    pub(crate) fn load(&self, load: u64) -> String {
        format!("{} {}", crate::units::count(float(load)), self.unit)
    }
}
