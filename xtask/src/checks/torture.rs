//! Gateways killed under load, as often as you like: see `engine/tests/torture.rs`.

use super::redis;
use crate::shell::{self, Result, cargo};

/// How often, and of what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many gateways live and end, on each back end
    #[arg(long, default_value_t = 300, value_name = "N")]
    kills: u64,
    /// What chooses when and how they end; another one each time where it is not given
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Where messages are kept
    #[arg(long, value_enum, default_value_t = Store::Embedded)]
    store: Store,
    /// One back end alone
    #[arg(long, value_enum)]
    io: Option<Io>,
    /// The gateway as it is shipped, optimised and without its own assertions
    #[arg(long)]
    release: bool,
}

/// Where messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Store {
    /// In files of one directory.
    Embedded,
    /// In a `redis-server` that is killed and stopped too.
    Redis,
}

/// How the gateway talks to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Io {
    Uring,
    Epoll,
}

/// Runs them.
pub(crate) fn run(args: &Args) -> Result {
    if args.store == Store::Redis {
        redis::ensure()?;
    }
    let mut command = cargo(&["test", "--package", "holdfast", "--test", "torture"]);
    if args.release {
        command.arg("--release");
    }
    command.args(["kills", "--", "--nocapture", "--test-threads=1"]);
    command.env("HOLDFAST_KILLS", args.kills.to_string());
    command.env(
        "HOLDFAST_STORE",
        match args.store {
            Store::Embedded => "embedded",
            Store::Redis => "redis",
        },
    );
    if let Some(seed) = args.seed {
        command.env("HOLDFAST_SEED", seed.to_string());
    }
    if let Some(io) = args.io {
        command.env("HOLDFAST_IO", if io == Io::Uring { "uring" } else { "epoll" });
    }
    shell::run(&mut command)
}
