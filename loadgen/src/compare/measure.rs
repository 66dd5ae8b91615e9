//! What is compared: where it stands in a report, and over its seconds.

use crate::report::timeline::Timeline;
use crate::report::{Report, float};
use crate::slo::metric::METRICS;
use crate::units::{bytes, count, duration};

/// Something to compare.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    /// Whether more of it is better.
    pub(crate) more_is_better: bool,
    /// Whether there should be none of it at all.
    pub(crate) fault: bool,
    /// A value of it, for people.
    pub(crate) show: fn(f64) -> String,
    /// What a run measured.
    pub(crate) of: fn(&Report) -> Option<f64>,
    /// The same for each second in which something was offered; empty where it is not known.
    pub(crate) seconds: fn(&Timeline) -> Vec<Option<f64>>,
}

/// What costs time, CPU or memory.
pub(crate) const MEASURES: &[Measure] = &[
    latency("p50", |run| asked("p50", run), |line| known(&line.p50_us)),
    latency("p99", |run| asked("p99", run), |line| known(&line.p99_us)),
    latency("p999", |run| asked("p999", run), nothing),
    latency("broadcast_p99", |run| asked("broadcast_p99", run), nothing),
    latency("answer_p99", |run| asked("answer_p99", run), nothing),
    latency("login_p99", |run| asked("login_p99", run), nothing),
    Measure {
        more_is_better: true,
        ..measure("delivered", per_second, Report::delivered_per_second, |line| {
            let all = line.delivered.iter().zip(&line.broadcasts);
            all.map(|(pushes, broadcasts)| Some(pushes + broadcasts)).collect()
        })
    },
    measure(
        "cpu_per_delivery",
        micros,
        |run| spent(run, "push"),
        |line| {
            let all = line.server_cpu.iter().zip(line.delivered.iter().zip(&line.broadcasts));
            let each = |cpu: f64, delivered: f64| (delivered > 0.0).then(|| cpu * 1e6 / delivered);
            all.map(|(cpu, (pushes, broadcasts))| each((*cpu)?, pushes + broadcasts)).collect()
        },
    ),
    measure("cpu_per_login", micros, |run| spent(run, "ramp"), nothing),
    measure("memory_per_connection", bytes, |run| asked("memory_per_connection", run), nothing),
];

/// What should not be there at all.
pub(crate) const FAULTS: &[Measure] = &[
    fault("lost", |run| asked("lost", run)),
    fault("unanswered", |run| asked("unanswered", run)),
    fault("duplicated", |run| asked("duplicated", run)),
    fault("disorder", |run| asked("disorder", run)),
    fault("corrupt", |run| asked("corrupt", run)),
    fault("refused", |run| asked("refused", run)),
    fault("disconnects", |run| asked("disconnects", run)),
    fault("failures", |run| asked("failures", run)),
];

type Of = fn(&Report) -> Option<f64>;
type Seconds = fn(&Timeline) -> Vec<Option<f64>>;

const fn measure(name: &'static str, show: fn(f64) -> String, of: Of, seconds: Seconds) -> Measure {
    Measure { name, more_is_better: false, fault: false, show, of, seconds }
}

const fn latency(name: &'static str, of: Of, seconds: Seconds) -> Measure {
    measure(name, duration, of, seconds)
}

const fn fault(name: &'static str, of: Of) -> Measure {
    Measure { fault: true, ..measure(name, count, of, nothing) }
}

/// What an SLO would be judged by.
fn asked(name: &str, run: &Report) -> Option<f64> {
    METRICS.iter().find(|metric| metric.name == name)?.measure(run)
}

fn spent(run: &Report, stage: &str) -> Option<f64> {
    run.stage(stage)?.server_us_per_operation
}

fn known(values: &[Option<u64>]) -> Vec<Option<f64>> {
    values.iter().map(|value| value.map(float)).collect()
}

const fn nothing(_: &Timeline) -> Vec<Option<f64>> {
    Vec::new()
}

fn micros(us: f64) -> String {
    format!("{us:.2} us")
}

fn per_second(rate: f64) -> String {
    format!("{}/s", count(rate))
}
