//! A report as one HTML page that needs nothing else: no network, no script, no font.
//!
//! It can be read on a phone, in a browser, on paper, in light and in dark, and by who cannot see
//! it: each drawing has its words and its table. The JSON that it was drawn from is in it, in the
//! element `report`, with the timeline thinned where the run was long.

mod chart;
mod charts;
pub(crate) mod knee;
mod scale;
mod tables;

use super::{Report, float};
use crate::units::{bytes, count, duration, full, moment};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("html/style.css");
/// The page loads nothing and runs nothing, whatever is in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page.
///
/// # Errors
/// The report cannot be written as JSON.
pub(crate) fn render(report: &Report) -> Result<String, String> {
    let report = &Report { timeline: report.timeline.for_page(), ..report.clone() };
    let json = serde_json::to_string(report).map_err(|error| error.to_string())?;
    let outcome = Outcome::of(report);
    let body = html! {
        (head(report, outcome))
        main {
            (summary(report))
            (tables::slo(report))
            (drawings(report))
            (tables::all(report))
        }
    };
    let title = format!("Holdfast load report: {}", outcome.word());
    Ok(page(&title, &report.version, &body, &json))
}

/// A whole page around `body`, with what it was drawn from.
fn page(title: &str, version: &str, body: &Markup, json: &str) -> String {
    // A text in it could end the element; inside of JSON strings this means the same.
    let json = json.replace('<', "\\u003c");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content={ "holdfast-loadgen " (version) };
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                script type="application/json" id="report" { (PreEscaped(json)) }
            }
        }
    };
    page.into_string()
}

/// How a run went, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Interrupted,
    Missed,
    /// The generator was the bottleneck: whatever else was measured is of it.
    Limited,
    Failed,
}

impl Outcome {
    fn of(report: &Report) -> Self {
        match (report.verdict.is_empty(), report.meets_slo(), report.interrupted) {
            (false, ..) => Self::Failed,
            _ if !report.generator.kept_up() => Self::Limited,
            (true, false, _) => Self::Missed,
            (true, true, true) => Self::Interrupted,
            (true, true, false) => Self::Passed,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Interrupted => "interrupted",
            Self::Missed => "SLO missed",
            Self::Limited => "generator was the bottleneck",
            Self::Failed => "failed",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Passed => "badge good",
            Self::Interrupted | Self::Missed | Self::Limited => "badge fair",
            Self::Failed => "badge bad",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Passed => "\u{2713}",
            Self::Interrupted => "\u{2016}",
            Self::Missed | Self::Limited | Self::Failed => "\u{2717}",
        }
    }
}

fn head(report: &Report, outcome: Outcome) -> Markup {
    html! {
        header {
            p.kind { "Holdfast load report" }
            h1 {
                span class=(outcome.class()) { span aria-hidden="true" { (outcome.sign()) } " "
                    (outcome.word()) }
                (full(u64::from(report.clients))) " clients"
            }
            p.plan { (report.plan) }
            p.when {
                @if report.began > 0 { (moment(report.began)) ", " }
                "commit " (report.commit)
            }
            @if report.verdict.is_empty() {
                p { "All is accounted for: nothing lost, doubled, out of order or corrupt." }
            } @else {
                ul.findings { @for finding in &report.verdict { li { (finding) } } }
            }
            @if !report.generator.kept_up() { p.caution { (report.generator.verdict()) "." } }
            @if let Some(starved) = &report.starved { p.caution { (starved.verdict()) "." } }
            @if report.interrupted {
                p { "The run was ended early; this is of what was offered until then." }
            }
        }
    }
}

/// The figures that are asked for first.
fn summary(report: &Report) -> Markup {
    let push = report.latency("push");
    let us = |us: u64| duration(float(us));
    let pushes = &report.pushes;
    let lost = pushes.lost_total() + report.broadcasts.lost;
    let per_delivery = report.stage("push").and_then(|cpu| cpu.server_us_per_operation);
    let memory = report.memory.server_anonymous_per_connection;
    let slowest = report.latency("connect_and_login");
    html! {
        section aria-label="Summary" {
            dl.tiles {
                (tile("Pushes delivered", &full(pushes.delivered),
                    &format!("of {} offered", full(pushes.offered))))
                @if report.is_whole() {
                    (tile("Lost", &full(lost), "pushes and copies of broadcasts"))
                } @else {
                    (tile("Lost", "unknown", &format!("an agent died; at least {}", full(lost))))
                }
                @if let Some(push) = push {
                    (tile("p50 latency", &us(push.p50_us), "pushes, from due to received"))
                    (tile("p99 latency", &us(push.p99_us),
                        &format!("99.9 %: {}", us(push.p999_us))))
                    (tile("Longest", &us(push.max_us), &format!("of {}", full(push.count))))
                }
                @if let Some(rate) = report.delivered_per_second() {
                    (tile("Deliveries a second", &count(rate), "broadcasts included"))
                }
                @if let Some(us) = per_delivery {
                    (tile("Gateway CPU", &format!("{us:.1} us"), "for each delivery"))
                }
                @if let Some(memory) = memory {
                    (tile("Gateway memory", &bytes(memory), "for each connection"))
                }
                @if let Some(login) = slowest {
                    (tile("Login p99", &us(login.p99_us), "from connect to welcome"))
                }
            }
        }
    }
}

fn tile(name: &str, value: &str, note: &str) -> Markup {
    html! { div.tile { dt { (name) } dd { strong { (value) } span { (note) } } } }
}

fn drawings(report: &Report) -> Markup {
    let timelines = charts::timelines(report);
    html! {
        @if let Some(chart) = charts::percentiles(report) {
            section { h2 { "Latency" } (tables::covers(report)) div.charts { (chart.render()) } }
        }
        @if timelines.is_empty() {
            section { p { "It was too short for a timeline: there is one from two seconds on." } }
        } @else {
            section {
                h2 { "Second by second" }
                @if let Some(rule) = &report.timeline.thinned { p.note { "Thinned: " (rule) "." } }
                div.charts { @for chart in &timelines { (chart.render()) } }
            }
        }
    }
}

#[cfg(test)]
mod tests;
