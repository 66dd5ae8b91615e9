//! `run`, from the options to the verdict: set up, ramp, settle, push, drain, leave, judge.

mod broadcaster;
mod progress;
mod pusher;
mod report;
mod stages;

use crate::options::Options;
use std::process::ExitCode;

/// Something was lost, doubled, out of order or corrupt.
const FAILED: u8 = 1;
/// The run could not be set up.
const NOT_SET_UP: u8 = 2;

/// Runs the scenario that the options describe.
pub(crate) fn main(options: &Options) -> ExitCode {
    let report = match stages::execute(options) {
        Ok(report) => report,
        Err(why) => {
            eprintln!("holdfast-loadgen: {why}");
            return ExitCode::from(NOT_SET_UP);
        }
    };
    if let Err(error) = report::publish(&report, &options.output) {
        eprintln!("holdfast-loadgen: {error}");
        return ExitCode::from(NOT_SET_UP);
    }
    if report.verdict.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}
