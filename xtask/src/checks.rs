//! Everything that a change must pass, in order: what is quick to fail comes first, the tests come
//! last.

use crate::shell::{Result, cargo, run};

pub(crate) mod fuzz;
pub(crate) mod load;
pub(crate) mod sanitize;
pub(crate) mod seeds;

/// Seeds of the simulator that each change is run on.
const SEEDS: u64 = 300;
/// Seconds for each fuzz target: enough to see that it runs and meets its corpus.
const FUZZ_SECONDS: u32 = 10;

/// All checks.
pub(crate) fn all() -> Result {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&["test", "--package", "holdfast", "--test", "tidy"]))?;
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let mut docs = cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
    run(docs.env("RUSTDOCFLAGS", "-D warnings"))?;
    fuzz::run(&fuzz::Args::seconds(FUZZ_SECONDS))?;
    seeds::run(&seeds::Args::count(SEEDS))?;
    load::run()?;
    claims("epoll")?;
    let mut rest = cargo(&["test", "--workspace"]);
    run(rest.env("HOLDFAST_IO", "uring").env("HOLDFAST_SEEDS", "20"))
}

/// The engine's claims on one back end.
fn claims(io: &str) -> Result {
    let mut tests = cargo(&["test", "--package", "holdfast", "--tests"]);
    run(tests.env("HOLDFAST_IO", io).env("HOLDFAST_SEEDS", "1"))
}

/// The rings between shards and their wake-up, under every interleaving.
pub(crate) fn loom() -> Result {
    run(&mut cargo(&["test", "--package", "holdfast", "--test", "mesh_model"]))
}
