//! The protocol's fuzz targets, one after the other.

use std::fs;

use crate::shell::{self, Result, cargo, output, root};

/// How long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only this target
    target: Option<String>,
}

impl Args {
    pub(super) const fn seconds(seconds: u32) -> Self {
        Self { seconds, target: None }
    }
}

/// Runs them, on a corpus that begins with the golden vectors.
pub(crate) fn run(args: &Args) -> Result {
    if output("cargo", &["fuzz", "--version"]).is_none() {
        shell::run(&mut cargo(&["install", "cargo-fuzz", "--locked"]))?;
    }
    let fuzz = root().join("protocol/fuzz");
    let mut seeds = std::process::Command::new("python3");
    shell::run(seeds.arg(fuzz.join("seed.py")))?;
    for target in targets()? {
        if args.target.as_ref().is_some_and(|wanted| *wanted != target) {
            continue;
        }
        // On the stable compiler: cargo-fuzz needs the sanitizer flags that only nightly admits to.
        let mut command = cargo(&["fuzz", "run", &target, "--"]);
        command.arg(format!("-max_total_time={}", args.seconds)).arg("-print_final_stats=1");
        command.current_dir(&fuzz).env("RUSTC_BOOTSTRAP", "1");
        shell::run(&mut command)?;
    }
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let folder = root().join("protocol/fuzz/fuzz_targets");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".rs").map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}
