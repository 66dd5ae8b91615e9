//! `holdfast-loadgen`: measures a Holdfast gateway from outside, and what the kernel costs without
//! it.
//!
//! It knows the wire (`holdfast-protocol`) and the backend client (`holdfast-client`), never the
//! gateway's own code, so it cannot share the gateway's mistakes.
//!
//! Exit codes of every command: 0 all went well, 1 something was lost, doubled, out of order or
//! corrupt, 2 the run could not be set up, 3 it was interrupted and nothing was wrong so far.

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

mod clock;
mod fleet;
mod floor;
mod histogram;
mod host;
mod interrupt;
mod options;
mod run;
mod scenario;
mod schedule;
mod secret;
mod sources;
mod token;
mod verify;

/// Measures a Holdfast gateway, and what the kernel costs without it.
#[derive(Debug, Parser)]
#[command(name = "holdfast-loadgen", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect clients, push to them, and account for every message.
    #[command(args_override_self = true, after_help = run::EXIT_CODES)]
    Run(Box<options::Options>),
    /// Say what is wrong with scenario files, without running them.
    Check(scenario::command::Check),
    /// List the scenarios that come with the program, or print one.
    Scenarios(scenario::command::Scenarios),
    /// The control experiment: the same socket work without a gateway.
    Floor(floor::Args),
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let typed = matches.subcommand().map(|(_, matches)| options::Typed::of(matches));
    match cli.command {
        Command::Run(options) => run::main(*options, &typed.unwrap_or_default()),
        Command::Check(args) => scenario::command::check(&args),
        Command::Scenarios(args) => scenario::command::list(&args),
        Command::Floor(args) => floor::main(args),
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
