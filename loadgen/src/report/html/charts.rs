//! Which charts a report has.

use super::chart::{Axis, Chart, Series, WAYS};
use super::scale::{Scale, nines};
use crate::report::timeline::Shard;
use crate::report::{Report, float};
use crate::slo::{Judged, Level};
use crate::units::{bytes, count, duration, percent};

/// Latencies of which the shape is drawn, with their names.
const SHAPES: [(&str, &str); 5] = [
    ("push", "push"),
    ("push_during_broadcast", "push beside a broadcast"),
    ("broadcast_spread", "broadcast"),
    ("connect_and_login", "connect and login"),
    ("reconnect_and_login", "reconnect and login"),
];
/// With more shards than this, the most, the median and the least of them are drawn.
const SHARDS: usize = 6;
/// In which charts the level of a clause is drawn, by the name of its metric.
const LEVELS: [(&str, &[&str]); 6] = [
    (
        "percentiles",
        &[
            "p50",
            "p90",
            "p99",
            "p999",
            "max",
            "broadcast_p50",
            "broadcast_p99",
            "broadcast_max",
            "login_p50",
            "login_p99",
            "login_max",
            "relogin_p99",
        ],
    ),
    ("latency", &["p50", "p90", "p99", "p999", "max"]),
    ("rate", &["delivered"]),
    ("errors", &["disconnects", "failures"]),
    ("cpu", &["cpu", "cpu_total", "generator_cpu"]),
    ("memory", &["memory"]),
];
/// A level so many times above all that was measured is left out: nothing else would be seen.
const FAR: f64 = 4.0;
/// An axis of counts goes up to here at least, so that its steps are whole.
pub(super) const FEW: f64 = 4.0;
const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;
/// A time axis up to here is in seconds, then in minutes, then in hours.
const SECONDS: f64 = 180.0;
const MINUTES: f64 = 3_600.0;

/// How latencies are distributed; `None` where nothing was measured.
pub(super) fn percentiles(report: &Report) -> Option<Chart> {
    let mut series = Vec::new();
    let (mut most_nines, mut least, mut most) = (1.0_f64, f64::INFINITY, 0.0_f64);
    for (way, (key, name)) in SHAPES.into_iter().enumerate() {
        let Some(shape) = report.distributions.get(key) else { continue };
        let Some(all) = shape.count.last().filter(|all| **all > 0) else { continue };
        // The longest of so many stands for one in so many: more nines were not measured.
        let known = 1.0 - 1.0 / float(*all);
        most_nines = most_nines.max(nines(known));
        let place = |share: &f64| share.min(known);
        let point = |(share, us): (&f64, &u64)| (place(share), Some(float((*us).max(1))));
        let points: Vec<_> = shape.share.iter().zip(&shape.us).map(point).collect();
        for (_, us) in &points {
            least = least.min(us.unwrap_or(least));
            most = most.max(us.unwrap_or(most));
        }
        series.push(Series { name: name.to_owned(), way: way % WAYS, points });
    }
    let levels = levels(report, "percentiles", most);
    most = levels.iter().map(|(level, _)| *level).fold(most, f64::max);
    least = levels.iter().map(|(level, _)| *level).fold(least, f64::min);
    let far = most / least > 30.0;
    let y = if far { Scale::log_around(least, most) } else { time_from_zero(most) };
    (!series.is_empty()).then(|| Chart {
        id: "percentiles",
        title: "Latency by percentile",
        about: about_percentiles(report),
        x: Axis { name: "percentile".into(), scale: Scale::Nines(most_nines), label: percentile },
        y: Axis { name: "latency".into(), scale: y, label: short_duration },
        series,
        marks: Vec::new(),
        levels,
        wide: true,
    })
}

/// What the SLO holds the values of a chart to, of which the highest is `most`.
fn levels(report: &Report, chart: &str, most: f64) -> Vec<(f64, String)> {
    let here = LEVELS.iter().find(|(id, _)| *id == chart);
    let drawn = |level: &Level| {
        let concerned = here.is_some_and(|(_, metrics)| metrics.contains(&level.metric));
        concerned && level.limit > 0.0 && level.limit <= most * FAR
    };
    let levels = report.slo.iter().filter_map(Judged::level).filter(drawn);
    levels.map(|level| (level.limit, level.clause)).collect()
}

fn about_percentiles(report: &Report) -> String {
    let Some(push) = report.latency("push") else {
        return "How latencies are distributed.".to_owned();
    };
    let [p50, p99, p999, max] =
        [push.p50_us, push.p99_us, push.p999_us, push.max_us].map(|us| duration(float(us)));
    format!("Half of all pushes took at most {p50}, 99 % {p99}, 99.9 % {p999}, the longest {max}.")
}

/// How the run went, second by second.
pub(super) fn timelines(report: &Report) -> Vec<Chart> {
    let line = &report.timeline;
    if line.at.len() < 2 {
        return Vec::new();
    }
    let plain = |values: &[f64]| values.iter().map(|value| Some(*value)).collect();
    let whole = |values: &[u64]| values.iter().map(|value| Some(float(*value))).collect();
    let known = |values: &[Option<u64>]| values.iter().map(|value| value.map(float)).collect();
    let cores = |values: &[Option<f64>]| {
        values.iter().map(|value| value.map(|cores| cores * 100.0)).collect()
    };
    let rates = Drawn::new("rate", "Messages a second", "a second", Kind::Count)
        .with("offered", 0, plain(&line.offered))
        .with("accepted", 2, plain(&line.accepted))
        .with("delivered", 1, plain(&line.delivered))
        .with_if_any("broadcasts delivered", 3, plain(&line.broadcasts));
    let latency = Drawn::new("latency", "Push latency", "latency", Kind::Time)
        .with("p50", 2, known(&line.p50_us))
        .with("p99", 0, known(&line.p99_us))
        .with("max", 1, known(&line.max_us));
    let clients = Drawn::new("clients", "Clients", "clients", Kind::Count)
        .with("connected", 5, whole(&line.connected))
        .with("logged in", 0, whole(&line.online))
        .with_if_any("logins a second", 2, plain(&line.logins));
    let errors = Drawn::new("errors", "Errors and refusals a second", "a second", Kind::Count)
        .with("connections failed or ended unasked", 4, plain(&line.errors))
        .with("pushes refused", 1, plain(&line.refused));
    let cpu = Drawn::new("cpu", "CPU, 100 % is one core", "CPU", Kind::Share)
        .with("gateway", 0, cores(&line.server_cpu))
        .with("its busiest thread", 3, cores(&line.server_busiest))
        .with("generator", 1, cores(&line.client_cpu))
        .with_if_any("ksoftirqd", 5, cores(&line.ksoftirqd_cpu));
    let memory = Drawn::new("memory", "Memory", "memory", Kind::Size)
        .with("gateway, resident", 0, known(&line.server_rss))
        .with("generator, resident", 1, known(&line.client_rss))
        .with("kernel slab since the start, whole machine", 5, grown(&line.slab));
    let all = [rates, latency, clients, errors, cpu, memory];
    let drawn = all.into_iter().filter_map(|drawn| drawn.chart(report));
    drawn.chain(shards(report)).collect()
}

/// By how much values are above the first of them.
fn grown(values: &[u64]) -> Vec<Option<f64>> {
    let first = values.first().copied().unwrap_or_default();
    values.iter().map(|value| Some(float(value.saturating_sub(first)))).collect()
}

/// The load of each shard, or of the extremes where there are many.
fn shards(report: &Report) -> Vec<Chart> {
    let line = &report.timeline;
    let mut messages =
        Drawn::new("shard-rate", "Messages a second by shard", "a second", Kind::Count);
    let mut busy =
        Drawn::new("shard-busy", "Time at work by shard, 100 % never waits", "busy", Kind::Share);
    let scaled = |values: &[Option<f64>]| -> Vec<Option<f64>> {
        values.iter().map(|value| value.map(|cores| cores * 100.0)).collect()
    };
    if line.shards.len() <= SHARDS {
        for (way, shard) in line.shards.iter().enumerate() {
            let name = format!("shard {}", shard.name);
            messages = messages.with(&name, way, shard.messages.clone());
            busy = busy.with(&name, way, scaled(&shard.busy));
        }
    } else {
        for (way, (name, part)) in
            [("most", 1.0), ("median", 0.5), ("least", 0.0)].into_iter().enumerate()
        {
            let pick = |of: fn(&Shard) -> &[Option<f64>]| -> Vec<Option<f64>> {
                let at =
                    |place| ranked(line.shards.iter().filter_map(|one| *of(one).get(place)?), part);
                (0..line.at.len()).map(at).collect()
            };
            messages = messages.with(name, way, pick(|shard| &shard.messages));
            busy = busy.with(name, way, scaled(&pick(|shard| &shard.busy)));
        }
    }
    [messages, busy].into_iter().filter_map(|drawn| drawn.chart(report)).collect()
}

/// The value with this share of the others below it.
fn ranked(values: impl Iterator<Item = f64>, part: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let last = u32::try_from(values.len().checked_sub(1)?).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (f64::from(last) * part).round() as usize;
    values.get(place).copied()
}

/// What a chart's values are.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Count,
    Time,
    Share,
    Size,
}

/// A chart over time while its lines are gathered.
struct Drawn {
    id: &'static str,
    title: &'static str,
    name: &'static str,
    kind: Kind,
    lines: Vec<(String, usize, Vec<Option<f64>>)>,
}

impl Drawn {
    const fn new(id: &'static str, title: &'static str, name: &'static str, kind: Kind) -> Self {
        Self { id, title, name, kind, lines: Vec::new() }
    }

    /// With one line more, unless nothing is known of it.
    fn with(mut self, name: &str, way: usize, values: Vec<Option<f64>>) -> Self {
        if values.iter().any(Option::is_some) {
            self.lines.push((name.to_owned(), way, values));
        }
        self
    }

    /// The same, unless it is always zero.
    fn with_if_any(self, name: &str, way: usize, values: Vec<Option<f64>>) -> Self {
        if values.iter().flatten().any(|value| *value > 0.0) {
            self.with(name, way, values)
        } else {
            self
        }
    }

    fn chart(self, report: &Report) -> Option<Chart> {
        let line = &report.timeline;
        let known =
            || self.lines.iter().flat_map(|(_, _, values)| values.iter().flatten().copied());
        let levels = levels(report, self.id, known().fold(0.0, f64::max));
        let known = || known().chain(levels.iter().map(|(level, _)| *level));
        let most = known().fold(0.0, f64::max);
        let least = known().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let (scale, label): (Scale, fn(f64) -> String) = match self.kind {
            Kind::Time if most / least > 30.0 => (Scale::log_around(least, most), short_duration),
            Kind::Time => (time_from_zero(most), short_duration),
            Kind::Count => (Scale::from_zero(most.max(FEW), 1.0), short_count),
            Kind::Share => (Scale::from_zero(most.max(10.0), 1.0), share),
            Kind::Size if most >= GIB => (Scale::from_zero(most, GIB), size),
            Kind::Size => (Scale::from_zero(most, MIB), size),
        };
        let from = line.stages.first().map_or(0.0, |mark| mark.at);
        let to = line.at.last().copied().unwrap_or(from + 1.0);
        let about = self.about(label);
        let series: Vec<Series> = self
            .lines
            .into_iter()
            .map(|(name, way, values)| Series {
                name,
                way: way % WAYS,
                points: line.at.iter().copied().zip(values).collect(),
            })
            .collect();
        (!series.is_empty()).then(|| Chart {
            id: self.id,
            title: self.title,
            about,
            x: time_axis(from, to),
            y: Axis { name: self.name.into(), scale, label },
            series,
            marks: marks(report),
            levels,
            wide: false,
        })
    }

    /// The highest value of each line, in words.
    fn about(&self, label: fn(f64) -> String) -> String {
        let highest = |(name, _, values): &(String, usize, Vec<Option<f64>>)| {
            let most = values.iter().flatten().copied().fold(0.0, f64::max);
            format!("{name} at most {}", label(most))
        };
        let lines: Vec<String> = self.lines.iter().map(highest).collect();
        format!("Over the run: {}.", lines.join(", "))
    }
}

/// When what began, by the names of the scenario's phases where there are some.
fn marks(report: &Report) -> Vec<(f64, String)> {
    let stages = report.timeline.stages.iter();
    let last = report.phases.last().map_or(f64::NEG_INFINITY, |phase| phase.from);
    let phases = report.phases.iter().map(|phase| (phase.from, phase.name.clone()));
    let after = stages.map(|mark| (mark.at, mark.stage.clone()));
    // What comes with the last phase is that phase; a stage begins some moments after its phase.
    phases.chain(after.filter(|(at, _)| *at > last + 0.1)).collect()
}

/// From zero in steps of whole milliseconds, or microseconds where it is short.
fn time_from_zero(most: f64) -> Scale {
    Scale::from_zero(most, 1.0)
}

pub(super) fn share(value: f64) -> String {
    if value >= 10.0 { format!("{value:.0} %") } else { short(percent(value)) }
}

pub(super) fn short_duration(us: f64) -> String {
    short(duration(us))
}

pub(super) fn short_count(value: f64) -> String {
    short(count(value))
}

fn size(value: f64) -> String {
    short(bytes(value))
}

/// A figure without places that are zero.
fn short(text: String) -> String {
    match text.split_once(' ') {
        Some((figure, unit)) if figure.contains('.') => {
            let figure = figure.trim_end_matches('0').trim_end_matches('.');
            format!("{figure} {unit}")
        }
        _ => text,
    }
}

fn percentile(share: f64) -> String {
    let places = (nines(share) - 0.01).ceil().clamp(2.0, 9.0) - 2.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 7")]
    let text = format!("{:.*}", places as usize, share * 100.0);
    format!("{text} %")
}

fn time_axis(from: f64, to: f64) -> Axis {
    let (name, label): (_, fn(f64) -> String) = match to {
        to if to <= SECONDS => ("time", seconds),
        to if to < MINUTES => ("time, min:s", minutes),
        _ => ("time, h:min:s", hours),
    };
    Axis { name: name.into(), scale: Scale::Seconds(from, to), label }
}

fn seconds(at: f64) -> String {
    let text = format!("{at:.1}");
    format!("{} s", text.trim_end_matches(".0"))
}

fn minutes(at: f64) -> String {
    let at = at.round();
    format!("{:.0}:{:02.0}", (at / 60.0).floor(), at % 60.0)
}

fn hours(at: f64) -> String {
    let at = at.round();
    let minutes = (at / 60.0).floor();
    format!("{:.0}:{:02.0}:{:02.0}", (minutes / 60.0).floor(), minutes % 60.0, at % 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Passed;

    #[test]
    fn labels_are_as_short_as_they_can_be() {
        assert_eq!(
            [0.0, 0.5, 0.9, 0.99, 0.999].map(percentile).join(" "),
            "0 % 50 % 90 % 99 % 99.9 %"
        );
        assert_eq!(
            [500.0, 1_000.0, 2_500.0, 2e6].map(short_duration).join(" "),
            "500 us 1 ms 2.5 ms 2 s"
        );
        assert_eq!([60_000.0, 1_250.0, 7.0].map(short_count).join(" "), "60 k 1250 7");
        let times = |to: f64| [3.5, 150.0].map(time_axis(0.0, to).label).join(" ");
        assert_eq!(
            [180.0, 181.0, 3_600.0].map(times).join(", "),
            "3.5 s 150 s, 0:04 2:30, 0:00:04 0:02:30"
        );
    }

    #[test]
    fn a_clause_is_a_line_in_the_charts_that_it_concerns_where_it_can_be_seen() {
        let mut report = crate::report::sample::report();
        let slo = "p99 < 12ms, cpu < 80%, lost = 0, max < 1000s";
        report.slo = slo.parse::<crate::slo::Slo>().unwrap().judge(&report);
        let charts = timelines(&report);
        let held = |id| &charts.iter().find(|chart| chart.id == id).unwrap().levels;
        assert_eq!(held("latency")[..], [(12_000.0, "p99 < 12ms".to_owned())]);
        assert_eq!(held("cpu")[..], [(80.0, "cpu < 80%".to_owned())]);
        assert!(held("rate").is_empty() && held("memory").is_empty());
        let chart = percentiles(&report).unwrap();
        assert_eq!(chart.levels.len(), 1, "a level far above everything is left out");
        let place = chart.y.scale.place(12_000.0);
        assert!(place > 0.0 && place < 1.0, "{place}");
    }

    #[test]
    fn the_median_and_the_ends_are_found() {
        let values = || [3.0, 1.0, 2.0].into_iter();
        let shown = |part| ranked(values(), part).map(|value| value.to_string());
        assert_eq!([1.0, 0.5, 0.0].map(|part| shown(part).unwrap()), ["3", "2", "1"]);
        assert_eq!(ranked(std::iter::empty(), 0.5), None);
    }

    #[test]
    fn what_began_has_the_name_of_its_phase() {
        let mut report = crate::report::sample::report();
        let names = |report: &Report| {
            marks(report).into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&report), "connect settle push drain leave");
        let phase = |name: &str, from| Passed {
            name: name.to_owned(),
            kind: "push".to_owned(),
            from,
            to: from + 1.0,
            step: None,
            push: None,
        };
        report.phases = vec![phase("ramp", 0.0), phase("calm", 5.99), phase("rush", 20.0)];
        assert_eq!(names(&report), "ramp calm rush drain leave");
    }

    #[test]
    fn many_shards_are_drawn_as_their_extremes() {
        let mut report = crate::report::sample::report();
        let drawn = |report: &Report, id| {
            let charts = timelines(report);
            charts.into_iter().find(|chart| chart.id == id).unwrap().series.len()
        };
        assert_eq!(drawn(&report, "shard-busy"), 2);
        let one = report.timeline.shards[0].clone();
        report.timeline.shards = vec![one; 24];
        assert_eq!((drawn(&report, "shard-busy"), drawn(&report, "shard-rate")), (3, 3));
    }
}
