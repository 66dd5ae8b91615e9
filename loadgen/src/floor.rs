//! The control experiment: what the kernel itself costs here, without a protocol and without a
//! gateway.
//!
//! A bare server ([`server`]) in a process of its own does nothing but accept, watch, echo and
//! send; a driver ([`driver`]) gives it work and reads its CPU time and memory. A gateway that is
//! driven in the same way in the same minutes can then be stated as a ratio to the machine it runs
//! on.
//!
//! Alone, `floor` prints its own table; with `--gateway` it starts a gateway beside the bare
//! server, gives both the same work, and prints each figure as a ratio too. `floor serve` and
//! `floor drive` are its two halves, for those who put something else in the place of either.

mod control;
mod driver;
mod experiment;
mod language;
pub(crate) mod machine;
mod null;
mod report;
mod ring;
mod server;
pub(crate) mod started;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

pub(crate) use self::driver::connect_from;
pub(crate) use self::experiment::bare_sockets;
pub(crate) use self::language::{PRODUCT, user};

/// The kernel interface of a bare server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    /// `io_uring`: multishot accept and poll, sends in batches.
    Uring,
    /// epoll, edge-triggered, and plain calls.
    Epoll,
}

impl Backend {
    const fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        }
    }
}

/// Which kernel interfaces to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backends {
    /// `io_uring` alone.
    Uring,
    /// epoll alone.
    Epoll,
    /// One after the other in each run.
    Both,
}

impl Backends {
    const fn each(self) -> &'static [Backend] {
        match self {
            Self::Uring => &[Backend::Uring],
            Self::Epoll => &[Backend::Epoll],
            Self::Both => &[Backend::Uring, Backend::Epoll],
        }
    }
}

/// Measures what the kernel costs without a gateway: bare sockets, no protocol.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    half: Option<Half>,
    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// What the table is made of.
#[derive(Debug, clap::Args)]
struct ExperimentArgs {
    /// The kernel interface of the bare server
    #[arg(long, value_enum, default_value_t = Backends::Both)]
    io: Backends,
    /// Connections; one descriptor table must hold them
    #[arg(short = 'n', long, default_value_t = 19_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(100..))]
    connections: u32,
    /// Runs, each with a fresh server; the table shows the medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Also measure how a send grows dearer with so many connections, in as many tables as they
    /// need
    #[arg(long, value_name = "N")]
    grow: Option<u32>,
    /// The server's core; the driver takes the next one
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// A gateway's program, such as target/release/holdfast: it is started on the same core, does
    /// the same work, and each figure is printed as a ratio to the bare server's as well
    #[arg(long, value_name = "PROGRAM")]
    gateway: Option<PathBuf>,
    /// Write every run to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Half {
    /// Run the bare server alone until standard input ends.
    Serve(server::ServeArgs),
    /// Serve the gateway's protocol at next to no cost, for `doctor`.
    #[command(hide = true)]
    Null(null::NullArgs),
    /// Drive a server of your choice, phase by phase, from standard input.
    Drive(driver::script::DriveArgs),
}

/// Runs `floor`.
pub(crate) fn main(args: Args) -> ExitCode {
    match args.half {
        None => experiment::main(&args.experiment),
        Some(Half::Serve(args)) => server::main(&args),
        Some(Half::Null(args)) => null::main(&args),
        Some(Half::Drive(args)) => driver::script::main(args),
    }
}
