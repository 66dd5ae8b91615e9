//! What `capacity` found, as a page: the curve with the SLO's line and the knee, and all tries.

use super::chart::{Axis, Chart, Series};
use super::charts::{FEW, share, short_count, short_duration};
use super::scale::Scale;
use super::{page, tile};
use crate::capacity::Verdict;
use crate::capacity::found::{Capacity, Point};
use crate::report::float;
use crate::units::{count, duration, full, moment, percent};
use maud::{Markup, html};

/// The page.
///
/// # Errors
/// What was found cannot be written as JSON.
pub(crate) fn render(capacity: &Capacity) -> Result<String, String> {
    let json = serde_json::to_string(capacity).map_err(|error| error.to_string())?;
    let (word, class) = outcome(capacity);
    let body = html! {
        header {
            p.kind { "Holdfast capacity report" }
            h1 {
                span class=(class) { (word) }
                @if let Some(found) = capacity.found {
                    (least(capacity)) (full(found)) " " (capacity.unit)
                }
            }
            p.plan { (capacity.question()) }
            p.when { (moment(capacity.began)) ", commit " (capacity.commit) }
            p.caution[!capacity.is_gateways()] { (bound(capacity)) }
        }
        main {
            section aria-label="Curves" { div.charts {
                @for chart in charts(capacity) { (chart.render()) }
            } }
            section { h2 { "Tries" } (tries(capacity)) }
            section { h2 { "Environment" } (environment(capacity)) }
        }
    };
    Ok(page(&format!("Holdfast capacity report: {word}"), &capacity.version, &body, &json))
}

fn outcome(capacity: &Capacity) -> (&'static str, &'static str) {
    let limited = capacity.bound.as_ref().is_some_and(|bound| bound.verdict == Verdict::Limited);
    let starved = capacity.bound.as_ref().is_some_and(|bound| bound.starved.is_some());
    match capacity.found {
        _ if capacity.interrupted => ("interrupted", "badge fair"),
        None => ("nothing passed", "badge bad"),
        Some(_) if !capacity.confirmed => ("unconfirmed", "badge fair"),
        Some(_) if limited => ("generator's bound", "badge fair"),
        Some(_) if starved => ("host's bound", "badge fair"),
        Some(_) => ("capacity", "badge good"),
    }
}

/// What stands before the load that was found where the gateway's own bound was not.
fn least(capacity: &Capacity) -> &'static str {
    if capacity.confirmed && !capacity.is_gateways() { "at least " } else { "" }
}

/// What the load that was found is, for its mark on the curves.
fn mark(capacity: &Capacity, found: u64) -> (f64, String) {
    let load = short_count(float(found));
    let is = match least(capacity) {
        "" if capacity.confirmed => format!("knee: {load}"),
        "" => format!("passed: {load}"),
        least => format!("{least}{load}"),
    };
    (float(found), is)
}

fn bound(capacity: &Capacity) -> String {
    match &capacity.bound {
        None => "Nothing that was tried failed: the gateway may take more.".to_owned(),
        Some(bound) => {
            let whose = match bound.verdict {
                Verdict::Limited => "the generator's, and the gateway may take more",
                _ if bound.starved.is_some() => {
                    "the host's, where the gateway waited for a core, and the gateway may take more"
                }
                Verdict::Met | Verdict::Missed => "the gateway's",
            };
            let (load, why) = (full(bound.load), bound.why.join("; "));
            format!("At {load} {} it failed ({why}): the bound is {whose}.", capacity.unit)
        }
    }
}

fn charts(capacity: &Capacity) -> Vec<Chart> {
    let curve = capacity.curve();
    let loads: Vec<f64> = curve.iter().map(|(load, ..)| float(*load)).collect();
    let latency: Vec<_> = curve.iter().map(|(load, us, _)| (float(*load), *us)).collect();
    let limit = capacity.limit_us;
    let known = || latency.iter().filter_map(|(_, us)| *us).chain(limit);
    let (least, most) =
        known().fold((f64::INFINITY, 1.0_f64), |(least, most), us| (least.min(us), most.max(us)));
    let lines = [line(&capacity.curve, 0, latency.clone())];
    let busy = |of: fn(&Point) -> Option<f64>| {
        let median = |load: &f64| (*load, median(capacity, *load, of));
        loads.iter().map(median).collect::<Vec<_>>()
    };
    let cpu = [
        line("gateway's busiest thread", 0, busy(|point| point.cpu_percent)),
        line("generator's, waiting included", 1, busy(|point| point.generator_percent)),
    ];
    let known = |line: &Series| line.points.iter().any(|(_, value)| value.is_some());
    let y = (Scale::log_around(least.min(most), most), short_duration as fn(f64) -> String);
    let share = (Scale::from_zero(100.0, 1.0), share as fn(f64) -> String);
    [
        chart(capacity, ("knee", "Latency over load"), y, lines.into_iter().filter(known), limit),
        chart(capacity, ("busy", "CPU over load"), share, cpu.into_iter().filter(known), None),
    ]
    .into_iter()
    .filter(|chart| !chart.series.is_empty())
    .collect()
}

fn line(name: &str, way: usize, points: Vec<(f64, Option<f64>)>) -> Series {
    Series { name: name.to_owned(), way, points }
}

fn chart(
    capacity: &Capacity,
    (id, title): (&'static str, &'static str),
    (scale, label): (Scale, fn(f64) -> String),
    series: impl Iterator<Item = Series>,
    limit: Option<f64>,
) -> Chart {
    let most = capacity.points.iter().map(|point| point.load).max().unwrap_or(1);
    Chart {
        id,
        title,
        about: format!("{title}, as it was tried; {}", bound(capacity)),
        x: Axis {
            name: capacity.unit.clone(),
            scale: Scale::from_zero(float(most).max(FEW), 1.0),
            label: short_count,
        },
        y: Axis { name: if id == "knee" { "latency" } else { "CPU" }.into(), scale, label },
        series: series.collect(),
        marks: capacity.found.map(|found| mark(capacity, found)).into_iter().collect(),
        levels: limit.map(|limit| (limit, "the SLO".to_owned())).into_iter().collect(),
        wide: true,
    }
}

/// The middle of what was measured at a load.
fn median(capacity: &Capacity, load: f64, of: fn(&Point) -> Option<f64>) -> Option<f64> {
    let tries = capacity.points.iter().filter(|point| (float(point.load) - load).abs() < 0.5);
    let mut values: Vec<f64> = tries.filter_map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn tries(capacity: &Capacity) -> Markup {
    let time = |us: Option<u64>| us.map_or_else(dash, |us| duration(float(us)));
    let share = |value: Option<f64>| value.map_or_else(dash, percent);
    html! {
        dl.tiles {
            (tile("Tries", &capacity.points.len().to_string(), "each a whole run"))
            (tile("Resolution", &format!("{} %", capacity.resolution_percent),
                "between what passed and what failed"))
            (tile("Confirmations", &capacity.confirmations.to_string(), "in a row"))
        }
        div.scroll tabindex="0" role="region" aria-label="Tries" { table {
            thead { tr { th scope="col" { (capacity.unit) } @for name in ["delivered/s", "p50",
                "p99", "p99.9", "lost", "gateway", "generator", "verdict"] {
                th scope="col" { (name) } } } }
            tbody { @for point in &capacity.points { tr {
                th scope="row" { (full(point.load)) }
                td { (point.delivered.map_or_else(dash, count)) }
                td { (time(point.p50_us)) }
                td { (time(point.p99_us)) }
                td { (time(point.p999_us)) }
                td { (full(point.lost)) }
                td { (share(point.cpu_percent)) }
                td { (share(point.generator_percent)) }
                td { (verdict(point)) }
            } } }
        } }
    }
}

fn verdict(point: &Point) -> Markup {
    let (class, word) = match point.verdict {
        Verdict::Met => ("good", "\u{2713} met"),
        Verdict::Missed => ("bad", "\u{2717} missed"),
        Verdict::Limited => ("bad", "\u{2717} generator"),
    };
    html! { span class=(class) { (word) } @for why in &point.why { br; small { (why) } } }
}

fn dash() -> String {
    "\u{2013}".to_owned()
}

fn environment(capacity: &Capacity) -> Markup {
    let command = capacity.command.join(" ");
    let rows = [
        ("kernel", &capacity.kernel),
        ("processor", &capacity.processor),
        ("generator", &capacity.version),
        ("command", &command),
    ];
    html! { dl.environment { @for (name, value) in rows {
        div { dt { (name) } dd { (value) } }
    } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The page of a search that found 10, with these members changed.
    fn drawn(changed: &serde_json::Value) -> String {
        let mut found = json!({
            "command": [], "version": "", "commit": "", "began": 0, "kernel": "", "processor": "",
            "scenario": null, "unit": "pushes/s", "slo": ["p99 < 50ms"], "curve": "p99",
            "limit_us": 50_000.0, "resolution_percent": 5, "confirmations": 3, "found": 10,
            "confirmed": true, "interrupted": false, "bound": null,
            "points": [{ "load": 10, "verdict": "met", "why": [], "lost": 0, "refused": 0,
                "curve_us": 900 }],
        });
        for (name, value) in changed.as_object().unwrap() {
            found[name] = value.clone();
        }
        render(&serde_json::from_value(found).unwrap()).unwrap()
    }

    #[test]
    fn what_the_gateway_may_exceed_is_called_the_least_that_it_takes_and_no_knee() {
        let bound = json!({ "load": 20, "verdict": "missed", "why": ["p99 < 50ms: 80 ms"] });
        let own = drawn(&json!({ "bound": bound }));
        assert!(own.contains("knee: 10<") && !own.contains("at least"), "{own}");
        let most = drawn(&json!({}));
        assert!(most.contains("</span>at least 10 pushes/s</h1>"), "{most}");
        assert!(most.contains("at least 10</text>") && !most.contains("knee: "), "{most}");
        let unsure = drawn(&json!({ "confirmed": false, "bound": bound }));
        assert!(unsure.contains("passed: 10<") && !unsure.contains("knee: "), "{unsure}");
    }
}
