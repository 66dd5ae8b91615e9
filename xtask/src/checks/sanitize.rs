//! The engine's tests under a sanitizer, in a target folder of its own.
//!
//! The kernel's own writes are invisible to a sanitizer: what `io_uring` writes into our memory is
//! not judged, what we read and write ourselves is.

use std::fs;

use crate::shell::{Result, cargo, root, run as run_command, target};

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

/// Runs the tests under it.
pub(crate) fn run(args: &Args) -> Result {
    let (name, flags) = match args.sanitizer {
        Sanitizer::Address => ("address", "-Zsanitizer=address"),
        // The standard library comes without the sanitizer; the compiler wants to be told that this
        // is known.
        Sanitizer::Thread => ("thread", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"),
    };
    let host = host()?;
    let mut tests = cargo(&["test", "--package", "holdfast", "--target", &host, "--no-fail-fast"]);
    tests.arg("--lib").args(tests_of_the_engine()?);
    tests
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", flags)
        .env("CARGO_TARGET_DIR", target().join(format!("sanitize-{name}")))
        .env("TSAN_OPTIONS", "halt_on_error=1")
        .env("HOLDFAST_SEEDS", "5")
        .arg("--")
        .args(&args.rest);
    run_command(&mut tests)
}

/// `--test NAME` for each test of the engine but those that a sanitizer has no business in: one
/// reads text, the other switches stacks to try every interleaving by itself.
fn tests_of_the_engine() -> Result<Vec<String>> {
    let folder = root().join("engine/tests");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".rs").map(str::to_owned)
    });
    let names = names.filter(|name| !["tidy", "mesh_model"].contains(&name.as_str()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names.into_iter().flat_map(|name| ["--test".to_owned(), name]).collect())
}

/// Sanitizer flags must not reach build scripts: a named target keeps them apart.
fn host() -> Result<String> {
    let version = crate::shell::output("rustc", &["-vV"]).ok_or("no rustc")?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "rustc does not say its host".into())
}
