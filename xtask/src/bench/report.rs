//! Figures for people, a line each, and every run as JSON.

use std::fs;

use serde_json::json;

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

    /// Smallest, middle and greatest value; `None` without a run.
    fn spread(&self) -> Option<[f64; 3]> {
        let mut values: Vec<f64> = self.runs.iter().map(|run| run.value).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        Some([values[0], f64::midpoint(values[last / 2], values[last.div_ceil(2)]), values[last]])
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
    fn no_run_and_a_failed_run_are_misses() {
        assert!(!verdict(&[]).met());
        let mut failed = verdict(&[1.0]);
        failed.take(Err("the server hung up".into()));
        assert!(!failed.met());
    }
}
