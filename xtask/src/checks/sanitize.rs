//! The tests of the engine and of its stores under a sanitizer, in a target folder of its own.
//!
//! The kernel's own writes are invisible to a sanitizer: what `io_uring` writes into our memory is
//! not judged, what we read and write ourselves is.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::redis;
use crate::shell::{Result, cargo, output, run as run_command, target};

/// Which one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_enum)]
    sanitizer: Sanitizer,
    /// Passed on to the test runner, such as the name of one test
    #[arg(last = true)]
    rest: Vec<String>,
}

/// A sanitizer of the compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Sanitizer {
    /// Memory that is not ours, or no longer.
    Address,
    /// Memory that two threads use without order.
    Thread,
}

/// A shard's thread has its own descriptor table, so one number is two files at the same time. The
/// sanitizer knows one table and would take a close in one for a race with a use in the other: what
/// system calls touch is left out of its accesses. And a process need not linger at its end.
const THREAD_OPTIONS: &str = "ignore_interceptors_accesses=1 atexit_sleep_ms=0";

/// A test of the C library's allocator, in whose place a sanitizer puts its own.
const OF_THE_ALLOCATOR: &str = "io::memory::tests::freed_pages_go_back";

/// What has threads of its own, or memory that the kernel writes to.
const PACKAGES: [&str; 2] = ["holdfast", "holdfast-store"];

/// Runs the tests under it.
pub(crate) fn run(args: &Args) -> Result {
    redis::ensure()?;
    let (name, flags) = match args.sanitizer {
        Sanitizer::Address => ("address", "-Zsanitizer=address"),
        // Build scripts' own libraries come without it, and the compiler wants to be told.
        Sanitizer::Thread => ("thread", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"),
    };
    let host = host()?;
    let mut tests = cargo(&["test", "--target", &host, "--no-fail-fast", "--lib"]);
    tests.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    tests.args(integration_tests()?);
    if args.sanitizer == Sanitizer::Thread {
        // Locks and channels order memory: their library must be watched too, or every use of one
        // looks like a race.
        library_source()?;
        tests.arg("-Zbuild-std");
    }
    tests
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", flags)
        .env("CARGO_TARGET_DIR", target().join(format!("sanitize-{name}")))
        .env("TSAN_OPTIONS", THREAD_OPTIONS)
        .env("HOLDFAST_SEEDS", "5")
        .args(["--", "--skip", OF_THE_ALLOCATOR])
        .args(&args.rest);
    run_command(&mut tests)
}

/// Installs the source of the standard library where it is missing.
fn library_source() -> Result {
    let sysroot = output("rustc", &["--print", "sysroot"]).ok_or("no rustc")?;
    let source = Path::new(&sysroot).join("lib/rustlib/src/rust/library/std");
    if source.is_dir() {
        return Ok(());
    }
    run_command(Command::new("rustup").args(["component", "add", "rust-src"]))
}

/// `--test NAME` for each test of these packages but those that a sanitizer has no business in: one
/// reads text, the other switches stacks to try every interleaving by itself.
fn integration_tests() -> Result<Vec<String>> {
    let words = ["metadata", "--no-deps", "--format-version", "1"];
    let text = output("cargo", &words).ok_or("cargo gives no metadata")?;
    let metadata: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let wanted = |name: &Value| name.as_str().is_some_and(|name| PACKAGES.contains(&name));
    let ours = packages.filter(|package| wanted(&package["name"]));
    let targets = ours.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let tests = targets.filter(|target| target["kind"][0] == "test");
    let names = tests.filter_map(|target| target["name"].as_str());
    let names = names.filter(|name| !["tidy", "mesh_model"].contains(name));
    Ok(names.flat_map(|name| ["--test".to_owned(), name.to_owned()]).collect())
}

/// Sanitizer flags must not reach build scripts: a named target keeps them apart.
fn host() -> Result<String> {
    let version = output("rustc", &["-vV"]).ok_or("no rustc")?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "rustc does not say its host".into())
}
