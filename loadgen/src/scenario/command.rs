//! `check` and `scenarios`: scenarios looked at without running them.

use super::file::File;
use super::library::{self, NAMED};
use super::phase::{Behaviour, Kind, Phase};
use super::plan::{in_time, share_of};
use crate::clock::duration;
use crate::options::DRAIN;
use crate::run::print;
use crate::units;
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
        let done = match right(name) {
            Ok(summary) => told(&format!("{name}: right: {summary}\n")),
            Err(wrong) => {
                eprintln!("{wrong}");
                ExitCode::from(WRONG)
            }
        };
        if done != ExitCode::SUCCESS {
            code = done;
        }
    }
    code
}

/// What a scenario comes to, where a run with the options' own values would take it.
fn right(name: &str) -> Result<String, String> {
    let file = library::open(name)?;
    let back = in_time(&file.phases, file.drain.unwrap_or(DRAIN));
    back.map_err(|why| format!("{name}: {why}"))?;
    Ok(summary(&file))
}

/// Prints; who does not read on has seen enough.
fn told(text: &str) -> ExitCode {
    match print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("holdfast-loadgen: {why}");
            ExitCode::from(WRONG)
        }
    }
}

/// Runs `scenarios`.
pub(crate) fn list(args: &Scenarios) -> ExitCode {
    if args.keys {
        return told(KEYS);
    }
    let text = args
        .show
        .as_deref()
        .map_or_else(|| Ok(table()), |name| library::named(name).map(str::to_owned));
    match text {
        Ok(text) => told(&text),
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
    let seconds = duration(file.phases.iter().map(|phase| phase.length).sum()).as_secs_f64();
    let time = (seconds * 1e3).round() / 1e3;
    let pushes: u64 = file.phases.iter().map(Phase::pushed).sum();
    let broadcasts: u32 = file.phases.iter().map(Phase::broadcast).sum();
    let clients = file.clients.count.map_or("any number of".to_owned(), |count| count.to_string());
    let kinds: Vec<String> = file.phases.iter().map(|phase| words(phase, file)).collect();
    format!(
        "{clients} clients, {}; {time} s after the first ramp, {pushes} pushes, {broadcasts} \
         broadcasts",
        kinds.join(", ")
    )
}

/// A phase's kind, and of a ramp whom it brings where there are several.
fn words(phase: &Phase, file: &File) -> String {
    let joins = |phase: &Phase| match phase.clients {
        Behaviour::Join { from, to } => Some((from, to)),
        _ => None,
    };
    let first = || file.phases.iter().find_map(joins).map(|(from, _)| (0.0, from));
    let part = joins(phase).or_else(|| (phase.kind == Kind::Ramp).then(first)?);
    let name = phase.kind.name();
    let Some((from, to)) = part else { return name.to_owned() };
    let share = units::percent((to - from) * 100.0);
    match file.clients.count {
        Some(count) => {
            let brought = share_of(count, to) - share_of(count, from);
            format!("{name} of {brought} ({share})")
        }
        None => format!("{name} of {share}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_how_many_clients_each_ramp_brings() {
        let later = "[[phase]]\nkind = \"ramp\"\nduration = 10\nshare = 0.25\n";
        let first = "about = \"x\"\n[clients]\ncount = 500\n[[phase]]\nkind = \"ramp\"\n";
        let words = |text: &str| summary(&File::read("a.toml", text).unwrap());
        let several = words(&format!("{first}{}", later.repeat(2)));
        let begins = "500 clients, ramp of 250 (50.0 %), ramp of 125 (25.0 %), ramp of 125 ";
        assert!(several.starts_with(begins), "{several}");
        assert!(several.contains("; 20 s after the first ramp, "), "{several}");
        let open = words(&format!("{first}{later}").replace("[clients]\ncount = 500\n", ""));
        let begins = "any number of clients, ramp of 75.0 %, ramp of 25.0 %; 10 s";
        assert!(open.starts_with(begins), "{open}");
        assert!(words(first).starts_with("500 clients, ramp; 0 s"), "{}", words(first));
    }
}
