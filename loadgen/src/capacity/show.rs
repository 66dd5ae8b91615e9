//! What a search found, for people: a line while it goes on, a table, a plot and the verdict.

use super::found::{Capacity, Point};
use super::plot::{Labels, Plot};
use super::search::Verdict;
use crate::report::float;
use crate::units::{count, duration, percent};
use std::fmt::Write;

/// One try, as soon as it is over.
pub(super) fn line(capacity: &Capacity, point: &Point) -> String {
    let number = capacity.points.len() + 1;
    let load = capacity.load(point.load);
    let p99 = time(point.p99_us);
    let why = reasons(point);
    format!("try {number:>2}  {load:>18}  {}  p99 {p99}{why}", word(point.verdict))
}

/// All of it, or the verdict alone.
pub(super) fn text(capacity: &Capacity, quiet: bool) -> String {
    let verdict = verdict(capacity);
    if quiet {
        return verdict + "\n";
    }
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = table(capacity, &mut text);
    let _ = write!(text, "\n{}\n{verdict}\n", plot(capacity));
    text
}

/// What was found, and what is above it.
pub(super) fn verdict(capacity: &Capacity) -> String {
    let question = capacity.question();
    let times = capacity.confirmations;
    let found = match capacity.found {
        None if capacity.interrupted => "INTERRUPTED before anything passed".to_owned(),
        None => "NOTHING passed".to_owned(),
        Some(load) if capacity.confirmed => {
            let least = if capacity.is_gateways() { "" } else { "at least " };
            format!("CAPACITY {least}{} (passed {times} times in a row)", capacity.load(load))
        }
        Some(load) if capacity.interrupted => {
            format!("INTERRUPTED; {} passed, unconfirmed", capacity.load(load))
        }
        Some(load) => format!(
            "UNCONFIRMED: {} passed, but --tries were too few to pass {times} times as near to the \
             bound as --resolution says",
            capacity.load(load)
        ),
    };
    format!("{question}\n{found}\n{}", bound(capacity))
}

/// What is above what was found, and whose bound it is.
fn bound(capacity: &Capacity) -> String {
    let Some(bound) = &capacity.bound else {
        return "nothing that was tried failed: the gateway may take more (--most)".to_owned();
    };
    let (load, why) = (capacity.load(bound.load), bound.why.join("; "));
    match (bound.verdict, &bound.starved) {
        (Verdict::Limited, _) => format!(
            "the bound is the GENERATOR's: at {load} it was the bottleneck ({why}). The gateway \
             may take more: give the generator more cores or hosts"
        ),
        (_, Some(starved)) => format!(
            "{}: at {load} it failed ({why}). The gateway may take more where other processes \
             leave it the cores",
            starved.verdict()
        ),
        (_, None) => format!("the bound is the gateway's: at {load} it failed ({why})"),
    }
}

fn table(capacity: &Capacity, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "\n{:>12} {:>12} {:>10} {:>10} {:>10} {:>7} {:>7} {:>9} {:>9}  verdict",
        capacity.unit,
        "delivered/s",
        "p50",
        "p99",
        "p99.9",
        "lost",
        "refused",
        "gateway",
        "generator"
    )?;
    let mut points: Vec<&Point> = capacity.points.iter().collect();
    points.sort_by_key(|point| point.load);
    for point in points {
        let share = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), percent);
        writeln!(
            out,
            "{:>12} {:>12} {:>10} {:>10} {:>10} {:>7} {:>7} {:>9} {:>9}  {}",
            point.load,
            point.delivered.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")),
            time(point.p50_us),
            time(point.p99_us),
            time(point.p999_us),
            point.lost,
            point.refused,
            share(point.cpu_percent),
            share(point.generator_percent),
            word(point.verdict)
        )?;
    }
    writeln!(
        out,
        "gateway: CPU of its busiest thread; generator: its busiest thread, waiting for a core \
         included"
    )
}

fn plot(capacity: &Capacity) -> String {
    let point =
        |(load, us, verdict): (u64, Option<f64>, Verdict)| Some((float(load), us?, sign(verdict)));
    let points: Vec<_> = capacity.curve().into_iter().filter_map(point).collect();
    let labels = Labels { across: &count, upwards: &duration };
    let knee = capacity.found.map(float);
    let plot = Plot { points: &points, limit: capacity.limit_us, knee, labels }.draw();
    let limit = if capacity.limit_us.is_some() { ", --- the SLO" } else { "" };
    format!(
        "{} over {} (o met, x missed, g the generator's, | found{limit})\n{plot}",
        capacity.curve, capacity.unit
    )
}

fn time(us: Option<u64>) -> String {
    us.map_or_else(|| "-".to_owned(), |us| duration(float(us)))
}

fn reasons(point: &Point) -> String {
    if point.why.is_empty() { String::new() } else { format!("  ({})", point.why.join("; ")) }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met      ",
        Verdict::Missed => "missed   ",
        Verdict::Limited => "generator",
    }
}

const fn sign(verdict: Verdict) -> char {
    match verdict {
        Verdict::Met => 'o',
        Verdict::Missed => 'x',
        Verdict::Limited => 'g',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What is said of a search whose load of 20 did not hold, with this of the gateway's cores.
    fn said(starved: Option<serde_json::Value>) -> String {
        let mut bound = json!({ "load": 20, "verdict": "missed", "why": ["p99 < 50ms: 80 ms"] });
        if let Some(starved) = starved {
            bound["starved"] = starved;
        }
        let found = json!({
            "command": [], "version": "", "commit": "", "began": 0, "kernel": "", "processor": "",
            "scenario": null, "unit": "pushes/s", "slo": ["p99 < 50ms"], "curve": "p99",
            "limit_us": 50_000.0, "resolution_percent": 5, "confirmations": 3, "found": 10,
            "confirmed": true, "interrupted": false, "bound": bound, "points": [],
        });
        verdict(&serde_json::from_value(found).unwrap())
    }

    #[test]
    fn a_bound_is_the_gateways_unless_it_waited_for_a_core() {
        let own = said(None);
        assert!(own.contains("CAPACITY 10") && own.contains("the bound is the gateway's"), "{own}");
        let hosts = said(Some(json!({ "waited": 0.87, "ran": 0.1 })));
        let wanted = "the host's CPU was the bound: the gateway waited for a core 87.0 % of the \
                      time: at 20 pushes/s it failed (p99 < 50ms: 80 ms)";
        assert!(hosts.contains("CAPACITY at least 10") && hosts.contains(wanted), "{hosts}");
        assert!(!hosts.contains("gateway's"), "{hosts}");
    }
}
