//! `run`, from the options to the verdict: set up, ramp, settle, push, drain, leave, judge.

mod broadcaster;
pub(crate) mod company;
pub(crate) mod failure;
mod progress;
mod pusher;
mod recorder;
mod remedy;
mod report;
mod stages;
mod view;

pub(crate) use progress::Progress;
pub(crate) use report::command;
pub(crate) use report::findings::Findings;
pub(crate) use report::publish::{Publisher, show as print};
pub(crate) use report::{Course, Passed, build};
pub(crate) use stages::{api_key, execute};

use crate::agents::controller;
use crate::bottleneck;
use crate::interrupt::Interrupt;
use crate::options::{Options, Typed};
use crate::report::Report;
use crate::scenario::overlay;
use crate::slo::metric;
use crate::verify;
use company::{Alone, Company};
use failure::Failure;
use std::process::ExitCode;
use std::sync::Arc;

/// Something was lost, doubled, out of order, corrupt or left without an answer.
const FAILED: u8 = 1;
/// The run could not be set up.
const NOT_SET_UP: u8 = 2;
/// Somebody ended the run early, and nothing was wrong so far.
const INTERRUPTED: u8 = 3;
/// Nothing was wrong, but not what `--slo` asks for.
const SLO_MISSED: u8 = 4;

/// What `run --help` says of them.
const EXIT_CODES: &str = "\
Exit codes:
  0  everything is accounted for
  1  something was lost, doubled, out of order or corrupt, or left without an answer, connections
     ended unasked, or an agent died
  2  the run could not be set up, or its report could not be written
  3  Ctrl-C or SIGTERM ended the run early, and nothing was wrong so far; the report is of what was
     offered until then. A second signal ends it at once, without a report (130)
  4  everything is accounted for, but a clause of --slo was missed, or could not be measured, or the
     generator was the bottleneck, so that the clauses say nothing of the gateway";

/// What `run --help` says at its end.
pub(crate) fn notes() -> String {
    let (metrics, accounts, bottleneck) = (metric::HELP, verify::HELP, bottleneck::HELP);
    format!("{metrics}\n\n{accounts}\n\n{bottleneck}\n\n{EXIT_CODES}")
}

/// Runs the scenario that the options name or describe; `typed` says which of them were typed.
pub(crate) fn main(options: Options, typed: &Typed) -> ExitCode {
    match overlay::complete(options, typed).and_then(|options| run(&options)) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("holdfast-loadgen: {why}");
            ExitCode::from(NOT_SET_UP)
        }
    }
}

/// One run as the options describe it, here or on agents, whatever they say of its output.
///
/// # Errors
/// Why it could not be set up, for a person.
pub(crate) fn once(options: &Options, interrupt: Interrupt) -> Result<Report, Failure> {
    if !options.agents.agents.is_empty() {
        return controller::run(options, interrupt);
    }
    let alone: Arc<dyn Company> = Arc::new(Alone);
    Ok(execute(options, interrupt, &alone)?.report(options))
}

fn run(options: &Options) -> Result<u8, String> {
    let publisher = Publisher::open(&options.output)?;
    let interrupt =
        Interrupt::listen().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let report = once(options, interrupt)?;
    let code = match (report.verdict.is_empty(), report.meets_slo(), report.interrupted) {
        (false, ..) => FAILED,
        (true, false, _) => SLO_MISSED,
        (true, true, true) => INTERRUPTED,
        (true, true, false) => 0,
    };
    publisher.publish(&report)?;
    Ok(code)
}
