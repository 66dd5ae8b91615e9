//! The simulator on seeds of your choice.

use crate::shell::{self, Result, cargo};

/// Which seeds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run this seed alone and show what happens
    #[arg(long, conflicts_with_all = ["from", "count"])]
    seed: Option<u64>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many
    #[arg(long, default_value_t = 200)]
    count: u64,
}

impl Args {
    pub(super) const fn count(count: u64) -> Self {
        Self { seed: None, from: 1, count }
    }
}

/// Runs them.
pub(crate) fn run(args: &Args) -> Result {
    // With the faults that only the simulator's own tests plant.
    let features = ["--features", "planted-bugs"];
    let words = ["test", "--package", "holdfast", "--test", "simulate"];
    let mut command = cargo(&[&words[..], &features].concat());
    if let Some(seed) = args.seed {
        command.args(["--", "--nocapture"]).env("HOLDFAST_SEED", seed.to_string());
    } else {
        command.env("HOLDFAST_FIRST_SEED", args.from.to_string());
        command.env("HOLDFAST_SEEDS", args.count.to_string());
    }
    shell::run(&mut command)
}
