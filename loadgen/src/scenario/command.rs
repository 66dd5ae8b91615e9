//! `check` and `scenarios`: scenarios looked at without running them.

use super::file::File;
use super::library::{self, NAMED};
use crate::clock::SECOND;
use std::process::ExitCode;

/// A scenario is wrong, or there is none of that name.
const WRONG: u8 = 2;

/// What a file may say.
const KEYS: &str = include_str!("../../scenarios/README.md");

/// What `check` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Scenario files, or names of the scenarios that come with the program; what a file may say:
    /// `scenarios --keys`
    #[arg(required = true, value_name = "FILE|NAME")]
    scenarios: Vec<String>,
}

/// What `scenarios` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Scenarios {
    /// Print the file of this one, to begin another with
    #[arg(long, value_name = "NAME")]
    show: Option<String>,
    /// Print what a file may say: phases, keys, units, and what is taken where it says nothing
    #[arg(long, conflicts_with = "show")]
    keys: bool,
}

/// Runs `check`.
pub(crate) fn check(args: &Check) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for name in &args.scenarios {
        match library::open(name) {
            Ok(file) => println!("{name}: right: {}", summary(&file)),
            Err(wrong) => {
                eprintln!("{wrong}");
                code = ExitCode::from(WRONG);
            }
        }
    }
    code
}

/// Runs `scenarios`.
pub(crate) fn list(args: &Scenarios) -> ExitCode {
    if args.keys {
        print!("{KEYS}");
        return ExitCode::SUCCESS;
    }
    let text = args
        .show
        .as_deref()
        .map_or_else(|| Ok(table()), |name| library::named(name).map(str::to_owned));
    match text {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("holdfast-loadgen: {wrong}");
            ExitCode::from(WRONG)
        }
    }
}

fn table() -> String {
    let line = |(name, text): &(&str, &str)| {
        let about = File::read(name, text).map_or_else(|wrong| wrong, |file| file.about);
        format!("{name:<12} {about}\n")
    };
    NAMED.iter().map(line).collect()
}

/// What a scenario comes to, in a line.
fn summary(file: &File) -> String {
    let seconds = file.phases.iter().map(|phase| phase.length).sum::<u64>().div_ceil(SECOND);
    let pushes: u64 = file.phases.iter().map(super::phase::Phase::pushed).sum();
    let broadcasts: u32 = file.phases.iter().map(super::phase::Phase::broadcast).sum();
    let clients = file.clients.count.map_or("any number of".to_owned(), |count| count.to_string());
    let kinds: Vec<&str> = file.phases.iter().map(|phase| phase.kind.name()).collect();
    format!(
        "{clients} clients, {}; {seconds} s after the ramp, {pushes} pushes, {broadcasts} \
         broadcasts",
        kinds.join(", ")
    )
}
