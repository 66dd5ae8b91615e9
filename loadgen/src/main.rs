//! `holdfast-loadgen`: measures a Holdfast gateway from outside, and what the kernel costs without
//! it.
//!
//! It knows the wire (`holdfast-protocol`) and the backend client (`holdfast-client`), never the
//! gateway's own code, so it cannot share the gateway's mistakes.
//!
//! Exit codes of every command: 0 all went well, 1 something was lost, doubled, out of order or
//! corrupt (of `compare`: worse), 2 the run could not be set up, 3 it was interrupted and nothing
//! was wrong so far, 4 an SLO was missed, 5 it cannot be told and was to be, 6 the generator cannot
//! offer what is asked for.

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use holdfast_packaging::Drawn;
use std::process::ExitCode;

mod agents;
mod bottleneck;
mod capacity;
mod clock;
mod compare;
mod doctor;
mod fleet;
mod floor;
mod gateway;
mod histogram;
mod host;
mod interrupt;
mod notices;
mod options;
mod page;
mod peers;
mod profile;
mod report;
mod room;
mod run;
mod scenario;
mod schedule;
mod secret;
mod slo;
mod sources;
mod token;
mod units;
mod verify;
mod weak;

/// Measures a Holdfast gateway, and what the kernel costs without it.
#[derive(Debug, Parser)]
#[command(name = "holdfast-loadgen", version)]
#[command(long_version = concat!(env!("CARGO_PKG_VERSION"), ", commit ", env!("HOLDFAST_COMMIT")))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect clients, push to them, and account for every message.
    #[command(args_override_self = true, after_help = run::notes())]
    Run(Box<options::Options>),
    /// Say whether a run can be offered from here, and what would spoil it.
    #[command(args_override_self = true, after_help = doctor::NOTES)]
    Doctor(Box<doctor::Args>),
    /// Find the highest load that still meets an SLO.
    #[command(args_override_self = true, after_help = capacity::notes())]
    Capacity(Box<capacity::Args>),
    /// Wait for `run --agents` and run a share of its load.
    #[command(after_help = agents::agent::NOTES)]
    Agent(agents::agent::Args),
    /// Say what is wrong with scenario files, without running them.
    Check(scenario::command::Check),
    /// List the scenarios that come with the program, or print one.
    Scenarios(scenario::command::Scenarios),
    /// Say whether one version is better or worse than another, by the reports of their runs.
    #[command(after_help = compare::NOTES)]
    Compare(compare::Args),
    /// Draw the HTML page of a report that `run --json` wrote.
    Report(report::command::Args),
    /// Take the rhythm of a gateway's pushes from its metrics, for `run --replay`.
    Record(profile::record::Args),
    /// The control experiment: the same socket work without a gateway.
    Floor(floor::Args),
    /// Compare with what somebody would take instead: mosquitto, nats-server, nginx with nchan.
    #[command(after_help = peers::NOTES)]
    Peers(peers::Args),
    #[command(flatten)]
    Drawn(Drawn),
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let typed = matches.subcommand().map(|(_, matches)| options::Typed::of(matches));
    match cli.command {
        Command::Run(options) => run::main(*options, &typed.unwrap_or_default()),
        Command::Doctor(args) => doctor::main(*args, &typed.unwrap_or_default()),
        Command::Capacity(args) => capacity::main(&args, &typed.unwrap_or_default()),
        Command::Agent(args) => agents::agent::main(&args),
        Command::Check(args) => scenario::command::check(&args),
        Command::Scenarios(args) => scenario::command::list(&args),
        Command::Compare(args) => compare::main(&args),
        Command::Report(args) => report::command::main(&args),
        Command::Record(args) => profile::record::main(&args),
        Command::Floor(args) => floor::main(args),
        Command::Peers(args) => peers::main(&args),
        Command::Drawn(drawn) => drawn.run(Cli::command(), &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
