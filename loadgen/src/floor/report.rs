//! The floor's figures, for people and for machines.

use std::fs::File;
use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::ExperimentArgs;

/// Whose figure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Whose {
    /// The bare server's.
    Floor,
    /// The gateway's, for the same work.
    Gateway,
}

/// One figure of one run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) backend: &'static str,
    pub(super) of: Whose,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    /// What the value was computed from.
    pub(super) raw: Value,
}

/// Smallest, middle and greatest of the runs.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let last = values.len().saturating_sub(1);
    let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
    [at(0), median, at(last)]
}

/// Prints a line for each figure and back end; the gateway's as a ratio where there is one.
pub(super) fn print(lines: &[Line], args: &ExperimentArgs) {
    println!(
        "bare server on one core, {} connections, {} runs; server CPU time, driver one core on",
        args.connections, args.runs
    );
    let beside = if args.gateway.is_some() { "   gateway   ratio" } else { "" };
    println!("{:34}{:7}{:>10}{:>10}{:>10}  unit{beside}", "", "io", "min", "median", "max");
    let mut shown = Vec::new();
    for line in lines {
        let key = (line.name, line.backend);
        if shown.contains(&key) {
            continue;
        }
        shown.push(key);
        let (name, backend, unit) = (line.name, line.backend, line.unit);
        let [min, median, max] = spread(values(lines, key, Whose::Floor));
        let gateway = values(lines, key, Whose::Gateway);
        let beside = if gateway.is_empty() {
            String::new()
        } else {
            let ratio = spread(ratios(&gateway, &values(lines, key, Whose::Floor)))[1];
            format!(
                "{:width$}{:10.2}{ratio:8.2}",
                "",
                spread(gateway)[1],
                width = 4 - unit.chars().count()
            )
        };
        println!("{name:34}{backend:7}{min:10.2}{median:10.2}{max:10.2}  {unit}{beside}");
    }
}

fn values(lines: &[Line], key: (&str, &str), of: Whose) -> Vec<f64> {
    let same = lines.iter().filter(|line| (line.name, line.backend) == key && line.of == of);
    same.map(|line| line.value).collect()
}

/// Run by run, so that what the machine did besides meets both.
fn ratios(gateway: &[f64], floor: &[f64]) -> Vec<f64> {
    gateway.iter().zip(floor).map(|(gateway, floor)| gateway / floor).collect()
}

/// Writes every run as JSON.
pub(super) fn write(path: &Path, lines: &[Line]) -> io::Result<()> {
    serde_json::to_writer_pretty(File::create(path)?, lines).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_smallest_middle_greatest() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]).map(|value| value.to_string()), ["1", "2", "3"]);
        assert_eq!(spread(vec![4.0, 1.0]).map(|value| value.to_string()), ["1", "2.5", "4"]);
    }
}
