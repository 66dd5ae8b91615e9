//! Figures for people, a line each, and every run as JSON.

use std::fs;

use serde_json::{Value, json};

use super::noise::Noise;
use super::{Figure, Io, Run};
use crate::shell::{Result, output, target};

/// Runs of one figure on one back end.
pub(super) struct Verdict {
    figure: &'static str,
    unit: &'static str,
    at_most: f64,
    pub(super) io: Io,
    runs: Vec<Run>,
    failures: Vec<String>,
}

/// A spread over which a figure is called noisy, as a share of its median.
const NOISY: f64 = 0.15;

impl Verdict {
    pub(super) const fn new(figure: &Figure, io: Io) -> Self {
        let (at_most, unit) = (figure.at_most, figure.unit);
        Self { figure: figure.name, unit, at_most, io, runs: Vec::new(), failures: Vec::new() }
    }

    pub(super) fn take(&mut self, outcome: Result<Run>) {
        match outcome {
            Ok(run) => self.runs.push(run),
            Err(failure) => {
                eprintln!("  {} {} failed: {failure}", self.figure, self.io.name());
                self.failures.push(failure);
            }
        }
    }

    fn spread(&self) -> Option<[f64; 3]> {
        spread(self.runs.iter().map(|run| run.value).collect())
    }

    /// Whether every run ended and the median is within the bound.
    pub(super) fn met(&self) -> bool {
        let within = self.spread().is_some_and(|[_, median, _]| median <= self.at_most);
        self.failures.is_empty() && within
    }

    pub(super) fn print(&self) {
        let (name, io, unit) = (self.figure, self.io.name(), self.unit);
        let bound = format!("{}{unit}", self.at_most);
        let verdict = if self.met() { "met" } else { "MISSED" };
        let Some([min, median, max]) = self.spread() else {
            println!("{name:18} {io:6} {:>10} {:>10} {:>10} {bound:>10}  {verdict}", "-", "-", "-");
            return;
        };
        let noisy = if max - min > NOISY * median { ", noisy" } else { "" };
        let shown = |value: f64| format!("{value:.3}{unit}");
        println!(
            "{name:18} {io:6} {:>10} {:>10} {:>10} {bound:>10}  {verdict}{noisy}",
            shown(min),
            shown(median),
            shown(max)
        );
    }
}

/// Smallest, middle and greatest value; `None` without a value.
pub(super) fn spread(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some([values[0], f64::midpoint(values[last / 2], values[last.div_ceil(2)]), values[last]])
}

/// The smallest of the sorted values that this part of them does not go over.
pub(super) fn share(sorted: &[f64], part: f64) -> Option<f64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into what is in memory"
    )]
    let index = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(index.max(1) - 1).copied()
}

/// Names the columns.
pub(super) fn header() {
    let (figure, io, bound) = ("figure", "io", "at most");
    println!("{figure:18} {io:6} {:>10} {:>10} {:>10} {bound:>10}", "min", "median", "max");
}

/// Leaves every run in `target/bench/NAME.json`.
pub(super) fn write(figure: &Figure, verdicts: &[Verdict], noise: &Noise) -> Result {
    let of = |verdict: &Verdict| {
        let runs: Vec<_> =
            verdict.runs.iter().map(|run| json!({ "value": run.value, "raw": run.raw })).collect();
        json!({
            "io": verdict.io.name(),
            "median": verdict.spread().map(|[_, median, _]| median),
            "met": verdict.met(),
            "runs": runs,
            "failures": verdict.failures,
        })
    };
    let report = json!({
        "figure": figure.name,
        "what": figure.what,
        "unit": figure.unit,
        "at_most": figure.at_most,
        "commit": output("git", &["describe", "--always", "--dirty"]),
        "kernel": output("uname", &["-r"]),
        "machine_load": noise.load,
        "stolen_share": noise.stolen,
        "back_ends": verdicts.iter().map(of).collect::<Vec<_>>(),
    });
    let folder = target().join("bench");
    let path = folder.join(format!("{}.json", figure.name));
    let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Prints the last measurement of each figure as a table in Markdown.
pub(super) fn table(figures: &[&Figure]) {
    println!("| figure | io | min | median | max | at most | |");
    println!("|---|---|---|---|---|---|---|");
    for figure in figures {
        let path = target().join("bench").join(format!("{}.json", figure.name));
        let text = fs::read_to_string(path).unwrap_or_default();
        let report: Value = serde_json::from_str(&text).unwrap_or_default();
        for back_end in report["back_ends"].as_array().into_iter().flatten() {
            println!("{}", row(figure, back_end));
        }
    }
}

fn row(figure: &Figure, back_end: &Value) -> String {
    let runs = back_end["runs"].as_array().into_iter().flatten();
    let mut values: Vec<f64> = runs.filter_map(|run| run["value"].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    let shown = |value: Option<f64>| {
        value.map_or_else(|| "-".into(), |value| format!("{value:.3}{}", figure.unit))
    };
    let (min, max) = (shown(values.first().copied()), shown(values.last().copied()));
    let median = shown(back_end["median"].as_f64());
    let io = back_end["io"].as_str().unwrap_or("-");
    let verdict = if back_end["met"] == true { "met" } else { "missed" };
    let (what, bound, unit) = (figure.what, figure.at_most, figure.unit);
    format!("| {what} | {io} | {min} | {median} | {max} | {bound}{unit} | {verdict} |")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(values: &[f64]) -> Verdict {
        let runs = values.iter().map(|value| Run { value: *value, raw: json!(null) });
        Verdict {
            figure: "test",
            unit: "",
            at_most: 1.1,
            io: Io::Uring,
            runs: runs.collect(),
            failures: Vec::new(),
        }
    }

    #[test]
    fn the_median_is_held_against_the_bound() {
        assert!(verdict(&[1.0, 9.0, 1.1]).met());
        assert!(!verdict(&[1.2, 1.0, 1.2]).met());
    }

    #[test]
    fn a_share_is_a_value_that_was_seen() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|part| share(&values, part)), {
            [1.0, 100.0, 198.0, 200.0].map(Some)
        });
        assert_eq!(share(&[], 0.5), None);
    }

    #[test]
    fn a_row_shows_the_spread_and_the_verdict() {
        let runs = [json!({ "value": 2.0 }), json!({ "value": 1.0 })];
        let back_end = json!({ "io": "uring", "median": 1.5, "met": true, "runs": runs });
        let shown = row(&super::super::broadcast::FIGURE, &back_end);
        assert!(shown.ends_with("| uring | 1.000 | 1.500 | 2.000 | 1.1 | met |"), "{shown}");
    }

    #[test]
    fn no_run_and_a_failed_run_are_misses() {
        assert!(!verdict(&[]).met());
        let mut failed = verdict(&[1.0]);
        failed.take(Err("the server hung up".into()));
        assert!(!failed.met());
    }
}
