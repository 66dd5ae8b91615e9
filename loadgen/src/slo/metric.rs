//! What an SLO can ask for, and where it stands in a report.

use crate::histogram::Percentiles;
use crate::report::{Report, float};
use crate::units::{bytes, duration, percent};

/// What a limit is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Microseconds.
    Time,
    /// Bytes.
    Size,
    /// Percent of one core.
    Share,
    /// A number of things; may be asked for as percent of what was offered.
    Count,
    /// A number of things a second.
    Rate,
}

/// Something that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Metric {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is counted in.
    pub(crate) kind: Kind,
    source: Source,
}

/// Where a metric stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Latency(&'static str, Point),
    Counts(&'static [&'static str]),
    Lost,
    Unanswered,
    Refused,
    Cpu,
    CpuTotal,
    GeneratorCpu,
    Memory,
    MemoryPerConnection,
    Delivered,
}

/// A point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Point {
    P50,
    P90,
    P99,
    P999,
    Max,
}

const fn time(name: &'static str, of: &'static str, point: Point) -> Metric {
    Metric { name, kind: Kind::Time, source: Source::Latency(of, point) }
}

const fn count(name: &'static str, of: &'static [&'static str]) -> Metric {
    Metric { name, kind: Kind::Count, source: Source::Counts(of) }
}

const fn other(name: &'static str, kind: Kind, source: Source) -> Metric {
    Metric { name, kind, source }
}

/// Everything that can be asked for, in the order in which it is listed.
pub(crate) const METRICS: &[Metric] = &[
    time("p50", "push", Point::P50),
    time("p90", "push", Point::P90),
    time("p99", "push", Point::P99),
    time("p999", "push", Point::P999),
    time("max", "push", Point::Max),
    time("broadcast_p50", "broadcast_spread", Point::P50),
    time("broadcast_p99", "broadcast_spread", Point::P99),
    time("broadcast_max", "broadcast_spread", Point::Max),
    time("login_p50", "connect_and_login", Point::P50),
    time("login_p99", "connect_and_login", Point::P99),
    time("login_max", "connect_and_login", Point::Max),
    time("relogin_p99", "reconnect_and_login", Point::P99),
    time("ping_p50", "ping", Point::P50),
    time("ping_p99", "ping", Point::P99),
    time("answer_p99", "api_answer", Point::P99),
    time("lateness_p99", "generator_lateness", Point::P99),
    other("lost", Kind::Count, Source::Lost),
    other("unanswered", Kind::Count, Source::Unanswered),
    count("duplicated", &["duplicates"]),
    count("disorder", &["out_of_order"]),
    count("corrupt", &["corrupt"]),
    other("refused", Kind::Count, Source::Refused),
    count("logins", &["logins"]),
    count("disconnects", &["unasked_ends"]),
    count("failures", &["failures"]),
    other("delivered", Kind::Rate, Source::Delivered),
    other("cpu", Kind::Share, Source::Cpu),
    other("cpu_total", Kind::Share, Source::CpuTotal),
    other("generator_cpu", Kind::Share, Source::GeneratorCpu),
    other("memory", Kind::Size, Source::Memory),
    other("memory_per_connection", Kind::Size, Source::MemoryPerConnection),
];

/// What the names mean, for the help.
pub(crate) const HELP: &str = "\
What --slo can ask for, as NAME < LIMIT, with < <= = >= > and a comma between clauses:
  p50 p90 p99 p999 max       latency of pushes, from due to received (us ms s)
  broadcast_p50 _p99 _max    the same of broadcasts
  login_p50 _p99 _max        from the connect to the welcome; relogin_p99 after a drop
  ping_p50 ping_p99          from when a ping of --pings was due to its pong
  answer_p99                 from due to the API's answer; lateness_p99: to its sending
  lost                       pushes and copies of broadcasts that should have arrived
  unanswered                 those that did not arrive and that nobody knows to be taken
  refused                    pushes that the gateway did not take
  duplicated disorder corrupt disconnects failures logins
                             counts (10k 1.5M); all but logins also as % of what was offered
  delivered                  arrivals a second while pushing (20000 20k 20k/s)
  cpu                        the gateway's busiest thread while pushing, % of a core
  cpu_total                  all of the gateway; generator_cpu: the generator's busiest thread
  memory                     the gateway's resident memory at its highest (B KiB MiB GiB)
  memory_per_connection      its anonymous memory for each client, settled; not
                             known where it had other connections before
A clause about what could not be measured is missed.";

impl Metric {
    /// The one that is asked for most.
    pub(crate) const P99: Self = time("p99", "push", Point::P99);

    /// What was measured, in the metric's own unit; `None` if it was not.
    pub(crate) fn measure(self, report: &Report) -> Option<f64> {
        let line = &report.timeline;
        // What an agent that died did not tell is not zero.
        let counts = matches!(
            self.source,
            Source::Counts(_) | Source::Lost | Source::Unanswered | Source::Refused
        );
        if counts && !report.is_whole() {
            return None;
        }
        Some(match self.source {
            Source::Latency(of, point) => float(point.of(report.latency(of)?)),
            Source::Counts(names) => float(names.iter().map(|name| report.count(name)).sum()),
            Source::Lost => float(report.pushes.lost_total() + report.broadcasts.lost),
            Source::Unanswered => {
                float(report.pushes.unanswered_total() + report.broadcasts.unanswered_total())
            }
            Source::Refused => float(report.pushes.refused.values().sum()),
            Source::Cpu => line.mean(&line.server_busiest)? * 100.0,
            Source::GeneratorCpu => line.mean(&line.client_busiest)? * 100.0,
            Source::CpuTotal => total_cpu(report)? * 100.0,
            Source::Memory => highest_memory(report)?,
            Source::MemoryPerConnection => report.memory.server_anonymous_per_connection?,
            Source::Delivered => report.delivered_per_second()?,
        })
    }

    /// What was offered, of which a count may be a share; `None` if nothing was.
    pub(crate) fn offered(self, report: &Report) -> Option<f64> {
        let pushes = report.pushes.offered;
        let all = match self.source {
            Source::Refused => pushes,
            Source::Counts(["unasked_ends" | "failures"]) => u64::from(report.clients),
            _ => pushes + report.broadcasts.offered,
        };
        (all > 0).then(|| float(all))
    }

    /// Whether a limit may be given as a share of what was offered.
    pub(crate) fn has_share(self) -> bool {
        self.kind == Kind::Count && self.name != "logins"
    }

    /// Why it can be that nothing was measured.
    pub(crate) const fn why_unknown(self) -> &'static str {
        match self.source {
            Source::Latency(..) => "not measured: there was nothing of the kind",
            Source::Cpu | Source::GeneratorCpu => {
                "not measured: give --server-pid, and push for 3 seconds or more"
            }
            Source::CpuTotal | Source::Memory => {
                "not measured: the gateway's process is not known (--server-pid)"
            }
            Source::MemoryPerConnection => {
                "not measured: the gateway had connections before (restart it), or its process is \
                 not known (--server-pid)"
            }
            Source::Counts(_)
            | Source::Lost
            | Source::Unanswered
            | Source::Refused
            | Source::Delivered => "not known: an agent died, or nothing was offered",
        }
    }

    /// A value of it, for people.
    pub(crate) fn show(self, value: f64) -> String {
        match self.kind {
            Kind::Time => duration(value),
            Kind::Size => bytes(value),
            Kind::Share => percent(value),
            Kind::Count => format!("{value:.0}"),
            Kind::Rate => format!("{value:.0}/s"),
        }
    }
}

impl Point {
    const fn of(self, values: &Percentiles) -> u64 {
        match self {
            Self::P50 => values.p50_us,
            Self::P90 => values.p90_us,
            Self::P99 => values.p99_us,
            Self::P999 => values.p999_us,
            Self::Max => values.max_us,
        }
    }
}

/// The gateway's CPU time while pushing, in cores.
fn total_cpu(report: &Report) -> Option<f64> {
    let sample = |name: &str| report.samples.get(name);
    let (from, to) = (sample("settled")?, sample("pushed")?);
    let used = to.server?.run_ns.saturating_sub(from.server?.run_ns);
    let passed = to.at_ns.saturating_sub(from.at_ns);
    (passed > 0).then(|| float(used) / float(passed))
}

fn highest_memory(report: &Report) -> Option<f64> {
    let sampled = report.samples.values().filter_map(|sample| Some(sample.server?.rss));
    let recorded = report.timeline.server_rss.iter().filter_map(|rss| *rss);
    sampled.chain(recorded).max().map(float)
}
