//! Everything that a change must pass, in order: what is quick to fail comes first, the tests come
//! last.

use crate::bench::peers;
use crate::shell::{Result, cargo, run, target};

mod browser;
pub(crate) mod debian;
pub(crate) mod fuzz;
pub(crate) mod guest;
pub(crate) mod load;
mod redis;
pub(crate) mod sanitize;
pub(crate) mod seeds;
pub(crate) mod torture;
mod unit;

/// Seeds of the simulator that each change is run on.
const SEEDS: u64 = 300;
/// Seeds of the last step, where the simulator runs once more beside all other tests.
const FEW_SEEDS: &str = "20";
/// Tests of one program at a time. They wait for gateways, clocks and the network far more than
/// they work: as many as there are cores leave the machine idle.
const TEST_THREADS: &str = "8";
/// Seconds for each fuzz target: enough to see that it runs and meets its corpus.
const FUZZ_SECONDS: u32 = 10;

/// All checks.
pub(crate) fn all() -> Result {
    redis::ensure()?;
    let browser = browser::ensure()?;
    let peers = peers::unpacked()?;
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&["test", "--package", "holdfast", "--test", "tidy"]))?;
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    unit::check()?;
    let mut docs = cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
    run(docs.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))?;
    fuzz::run(&fuzz::Args::seconds(FUZZ_SECONDS))?;
    seeds::run(&seeds::Args::count(SEEDS))?;
    load::run()?;
    guest::short()?;
    // The claims among them run on both back ends, the mesh under every interleaving.
    let mut tests = cargo(&["test", "--workspace"]);
    tests.env("HOLDFAST_SEEDS", FEW_SEEDS).env("HOLDFAST_PEERS", peers);
    tests.env("RUST_TEST_THREADS", TEST_THREADS);
    tests.env(browser::DEMANDED, browser);
    // The load built it; the generator's tests would build one of their own.
    run(tests.env("HOLDFAST_PROGRAM", target().join("debug/holdfast")))
}

/// The rings between shards and their wake-up, under every interleaving.
pub(crate) fn loom() -> Result {
    run(&mut cargo(&["test", "--package", "holdfast", "--test", "mesh_model"]))
}
