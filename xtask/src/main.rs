//! `cargo xtask`: what is done with this repository besides building it.
//!
//! Every chore is a command that prints what it runs, so that a person can run a part of it by
//! hand. Exit code 0 is success; 1 a failed check or a missed figure; 2 a chore that could not be
//! done.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod checks;
mod package;
mod process;
mod shell;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Holdfast's own chores", version)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Run everything that a change must pass, in order, and end with the tests' own summary.
    Test,
    /// Measure figures against their bounds.
    Bench(bench::Args),
    /// Run the simulator on many seeds, or on one.
    Seeds(checks::seeds::Args),
    /// Run each fuzz target in turn.
    Fuzz(checks::fuzz::Args),
    /// Run the tests of engine and stores under a sanitizer.
    Sanitize(checks::sanitize::Args),
    /// Check the model of the rings between shards under every interleaving.
    Loom,
    /// Run the kernel's contract and the claims on an older kernel, in an emulated guest.
    Guest(checks::guest::Args),
    /// Kill gateways under load and account for every durable message.
    Torture(checks::torture::Args),
    /// Make the Debian packages, with man pages and completions.
    Package(package::Args),
    /// Load a gateway for some seconds and account for every message.
    Load,
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Test => checks::all(),
        Chore::Bench(args) => return bench::main(&args),
        Chore::Seeds(args) => checks::seeds::run(&args),
        Chore::Fuzz(args) => checks::fuzz::run(&args),
        Chore::Sanitize(args) => checks::sanitize::run(&args),
        Chore::Loom => checks::loom(),
        Chore::Guest(args) => checks::guest::run(&args),
        Chore::Torture(args) => checks::torture::run(&args),
        Chore::Package(args) => package::run(&args),
        Chore::Load => checks::load::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
