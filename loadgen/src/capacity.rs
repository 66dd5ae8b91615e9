//! `capacity`: the highest load that a gateway takes while an SLO still holds.
//!
//! [`search`] says which load to try next, [`probe`] tries it with a whole run of its own,
//! [`found`] keeps what came of it, [`show`] draws it. A load passes when nothing is wrong with its
//! run, every clause of the SLO held, and the generator was not the bottleneck; what it was the
//! bottleneck of is said to be the generator's bound, never the gateway's. Where the gateway was
//! short of a core, the bound is the host's.

pub(crate) mod found;
mod plot;
mod probe;
mod search;
mod show;

pub(crate) use search::Verdict;

use crate::interrupt::Interrupt;
use crate::options::{Options, Typed};
use crate::report::html::knee;
use crate::run::{Publisher, print};
use crate::slo::metric;
use crate::units::typed_some;
use clap::ValueEnum;
use found::{Capacity, Point};
use probe::Probe;
use search::{End, Next, Plan, Search};
use std::process::ExitCode;

/// The search could not be set up, or what it found could not be written.
const NOT_SET_UP: u8 = 2;
/// It was interrupted.
const INTERRUPTED: u8 = 3;
/// Not even the least load meets the SLO.
const NOTHING_HOLDS: u8 = 4;
/// It had to end before it knew where the bound is, or had confirmed it.
const UNCONFIRMED: u8 = 5;
/// The generator, or the host's CPU, was what it ran into.
const ANOTHERS: u8 = 6;

const NOTES: &str = "\
How it searches: it tries --rate (or --connections), doubles while a load passes, then halves the
distance between what passed and what failed until that is --resolution, then tries what it found
until it has passed --confirm times in a row; if it fails, it goes on below. Each try is a whole run
of its own. With --scenario it is the scenario's rates that are scaled (as by --rate-scale), and the
rate that is named is that of its busiest phase.
A try passes when every clause of --slo held, nothing was lost, doubled, out of order or corrupt,
and the generator was not the bottleneck (see `run --help` for when it is). A bound that is the
generator's is said to be its own, and where the gateway waited for a core, the host's (see
`run --help` for when).
Exit codes:
  0  found, and what is above it is the gateway's bound, or --most was reached
  2  the search could not be set up, or not gone on with (no gateway any more, an agent that
     died), or its report could not be written
  3  it was interrupted
  4  not even the least load that was tried meets the SLO
  5  --tries were too few to find where it ends, or to confirm it
  6  the bound is the generator's, or the host's CPU: the gateway may take more";

/// What `capacity --help` says at its end.
pub(crate) fn notes() -> String {
    format!("{}\n\n{NOTES}", metric::HELP)
}

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Find {
    /// Pushes a second.
    Rate,
    /// Clients.
    Clients,
}

/// The command line of `capacity`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    run: Options,
}

/// How it is searched.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Search")]
pub(crate) struct SearchArgs {
    /// What to find the highest of
    #[arg(long, value_enum, default_value_t = Find::Rate)]
    find: Find,
    /// Never try more than this
    #[arg(long, default_value_t = 10_000_000, value_name = "N")]
    #[arg(value_parser = typed_some)]
    most: u32,
    /// How far apart what is found and what fails may be, in percent
    #[arg(long, default_value_t = 5, value_name = "PERCENT")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    resolution: u32,
    /// How often in a row what is found must pass
    #[arg(long, default_value_t = 3, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    confirm: u32,
    /// End after so many tries
    #[arg(long, default_value_t = 60, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
}

/// Runs `capacity`; `typed` says which options were typed.
pub(crate) fn main(args: &Args, typed: &Typed) -> ExitCode {
    match run(args, typed) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("holdfast-loadgen: {why}");
            ExitCode::from(NOT_SET_UP)
        }
    }
}

fn run(args: &Args, typed: &Typed) -> Result<u8, String> {
    let slo =
        args.run.output.slo.as_ref().ok_or(
            "--slo says what must hold, such as --slo \"p99 < 20ms, lost = 0, cpu < 80%\"",
        )?;
    let publisher = Publisher::open(&args.run.output)?;
    let interrupt =
        Interrupt::listen().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let probe = Probe::new(&args.run, typed, args.search.find, interrupt)?;
    let plan = Plan {
        start: probe.start().min(u64::from(args.search.most)),
        most: u64::from(args.search.most),
        resolution: f64::from(args.search.resolution) / 100.0,
        confirmations: args.search.confirm,
        tries: args.search.tries,
    };
    let mut capacity = Capacity::new(args, slo);
    let mut search = Search::new(plan);
    let gone_through = go_through(&mut search, &probe, |point| {
        if !args.run.output.quiet {
            eprintln!("{}", show::line(&capacity, &point));
        }
        capacity.points.push(point);
    });
    // What was tried before nothing more could be is kept.
    let (end, broke_off) = match gone_through {
        Err(why) if capacity.points.is_empty() => return Err(why),
        Err(why) => (None, Some(why)),
        Ok(end) => (end, None),
    };
    capacity.conclude(end, search.bound());
    let printed = if publisher.shows() {
        print(&show::text(&capacity, args.run.output.quiet))
    } else {
        eprintln!("holdfast-loadgen: {}", show::verdict(&capacity));
        Ok(())
    };
    // The files are written also where nobody can read the text.
    publisher.write(&capacity, || knee::render(&capacity)).and(printed)?;
    broke_off.map_or(Ok(()), Err)?;
    Ok(code(end, capacity.bound.is_some() && !capacity.is_gateways()))
}

/// Tries one load after the other; gives how it ended, which is `None` where it was interrupted.
fn go_through(
    search: &mut Search,
    probe: &Probe<'_>,
    mut note: impl FnMut(Point),
) -> Result<Option<End>, String> {
    loop {
        match search.next() {
            Next::Over(end) => return Ok(Some(end)),
            Next::Try(load) => {
                let Some(point) = probe.attempt(load, search.tries() == 0)? else {
                    return Ok(None);
                };
                search.tell(load, point.verdict);
                note(point);
            }
        }
    }
}

/// The exit code; `anothers` says that what is above is not the gateway's bound.
fn code(end: Option<End>, anothers: bool) -> u8 {
    match end {
        None => INTERRUPTED,
        Some(End::Unconfirmed(_)) => UNCONFIRMED,
        Some(_) if anothers => ANOTHERS,
        Some(End::Nothing) => NOTHING_HOLDS,
        Some(End::Found(_)) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_exit_code() {
        assert_eq!(code(Some(End::Found(10)), false), 0);
        assert_eq!(code(Some(End::Found(10)), true), ANOTHERS);
        assert_eq!(code(Some(End::Nothing), false), NOTHING_HOLDS);
        assert_eq!(code(Some(End::Nothing), true), ANOTHERS);
        assert_eq!(code(Some(End::Unconfirmed(10)), true), UNCONFIRMED);
        assert_eq!(code(None, false), INTERRUPTED);
    }
}
