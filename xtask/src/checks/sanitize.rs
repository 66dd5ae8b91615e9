//! The engine's tests under a sanitizer, in a target folder of its own.
//!
//! The kernel's own writes are invisible to a sanitizer: what `io_uring` writes into our memory is
//! not judged, what we read and write ourselves is.

use crate::shell::{Result, cargo, run as run_command, target};

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
    let mut tests =
        cargo(&["test", "--package", "holdfast", "--lib", "--tests", "--target", &host]);
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

/// Sanitizer flags must not reach build scripts: a named target keeps them apart.
fn host() -> Result<String> {
    let version = crate::shell::output("rustc", &["-vV"]).ok_or("no rustc")?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "rustc does not say its host".into())
}
