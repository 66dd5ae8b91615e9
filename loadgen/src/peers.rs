//! `peers`: the same work for Holdfast and for what somebody would take instead, on the same cores,
//! in turn.
//!
//! Each server is a child process on one core, with settings that are files of this repository; the
//! generator is on the next core, with one loop ([`crowd`]) for every protocol ([`peer`]). What is
//! compared: memory of an idle client, logins, the server's CPU time for each delivery of a
//! broadcast and of a single message, and latency at a fixed rate. What got lost is a column.

mod crowd;
mod holdfast;
mod ledger;
mod mqtt;
mod nats;
mod packages;
mod peer;
mod report;
mod run;
mod server;
mod subject;
mod websocket;
mod work;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::floor::machine;
use crate::host;
use crate::interrupt::Interrupt;
use crate::run::print;

use self::packages::Packages;
use self::report::Terms;
use self::run::Run;
use self::server::Stage;
use self::subject::Subject;

/// What is said below the options.
pub(crate) const NOTES: &str = "Servers: Debian's packages mosquitto, nats-server, nginx and \
    libnginx-mod-nchan. They are started as children on free ports of loopback, and ended with \
    the run; no service of the system is touched. Settings: loadgen/peers/ of the repository.\n\n\
    The table is Markdown, to be pasted; mosquitto has a row for each quality of service.\n\n\
    Exit codes: 0 every message came, 1 a server lost, doubled or refused one, 2 a server or the \
    run failed, 3 interrupted.";

/// What `peers` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compare these alone; repeat it
    #[arg(long, value_enum, value_name = "SERVER")]
    only: Vec<Subject>,
    /// Leave out servers whose packages are not installed
    #[arg(long)]
    skip_missing: bool,
    /// Look for the other servers' programs, modules and libraries below this folder first, where
    /// packages were unpacked, then in the system
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Holdfast's program; by default `holdfast` beside this one
    #[arg(long, value_name = "PROGRAM")]
    holdfast: Option<PathBuf>,
    /// Clients of each server; one descriptor table must hold them
    #[arg(short = 'n', long, default_value_t = 19_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    clients: u32,
    /// How long each phase offers work, in seconds
    #[arg(long, default_value_t = 8, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Messages offered a second where latency is measured
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// How long clients are idle before memory is read, in seconds
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=3600))]
    settle: u32,
    /// Rounds over all servers; the table has the middle one of each figure
    #[arg(long, default_value_t = 3, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// The servers' core; the generator takes the next one
    #[arg(long, default_value_t = 0, value_name = "N")]
    core: usize,
    /// Where servers keep their files while they run; by default the system's folder for those
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Write every round to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs `peers`.
pub(crate) fn main(args: &Args) -> ExitCode {
    let outcome = Interrupt::listen().map_err(|error| error.to_string()).and_then(|interrupt| {
        let report = prepare(args, interrupt.clone())?.measure()?;
        Ok((report, interrupt))
    });
    let (report, interrupt) = match outcome {
        Ok(done) => done,
        Err(error) => {
            eprintln!("peers: {error}");
            return ExitCode::from(2);
        }
    };
    let printed = print(&format!("{}\n", report.table()));
    let written = args.json.as_ref().map_or(Ok(()), |path| report.write(path));
    if let Err(error) = written.map_err(|error| error.to_string()).and(printed) {
        eprintln!("peers: cannot write the report: {error}");
        return ExitCode::from(2);
    }
    if !report.all_accounted() {
        ExitCode::from(1)
    } else if interrupt.came() {
        ExitCode::from(3)
    } else if !report.complete() {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    }
}

/// The servers that were asked for, of those that are there.
fn subjects(args: &Args, packages: &Packages) -> Result<Vec<Subject>, String> {
    let asked = if args.only.is_empty() { Subject::all().to_vec() } else { args.only.clone() };
    let mut subjects = Vec::new();
    let mut missing = Vec::new();
    for subject in asked {
        let lacks = subject.missing(packages);
        if lacks.is_empty() {
            subjects.push(subject);
        } else if args.skip_missing {
            eprintln!("peers: {} is left out: no {}", subject.name(), lacks.join(", "));
        } else {
            missing.extend(lacks);
        }
    }
    missing.dedup();
    if !missing.is_empty() {
        return Err(format!(
            "not installed: {}; {}",
            missing.join(", "),
            packages::advice(&missing)
        ));
    }
    Ok(subjects)
}

fn prepare(args: &Args, interrupt: Interrupt) -> Result<Run, String> {
    let packages = Packages::new(args.root.clone());
    let subjects = subjects(args, &packages)?;
    let holdfast = holdfast(args)?;
    if !holdfast.is_file() && subjects.iter().any(|subject| subject.is_ours()) {
        return Err(format!(
            "there is no {}: build it with `cargo build --release --package holdfast`, or name \
             it with --holdfast",
            holdfast.display()
        ));
    }
    let limit = machine::raise_descriptor_limit();
    let needed = args.clients as usize + 200;
    if limit < needed {
        return Err(format!(
            "{} clients need {needed} descriptors and there are {limit}: ask for fewer with \
             --clients, or raise the limit with `ulimit -n`",
            args.clients
        ));
    }
    let terms = terms(args);
    machine::pin_to(args.core + 1).map_err(|error| {
        format!("the generator needs core {}, beside the servers': {error}", args.core + 1)
    })?;
    let folder = args.folder.clone().unwrap_or_else(env::temp_dir);
    let stage = Stage { holdfast, packages, core: args.core, clients: args.clients, folder };
    Ok(Run { stage, subjects, terms, interrupt })
}

fn holdfast(args: &Args) -> Result<PathBuf, String> {
    if let Some(path) = &args.holdfast {
        return Ok(path.clone());
    }
    let own = env::current_exe().map_err(|error| error.to_string())?;
    Ok(own.with_file_name("holdfast"))
}

/// To be said while all cores are this process's.
fn terms(args: &Args) -> Terms {
    Terms {
        clients: args.clients,
        seconds: args.seconds,
        rate: args.rate,
        settle: args.settle,
        rounds: args.rounds,
        kernel: host::kernel(),
        processor: host::processor(),
        commit: host::COMMIT.to_owned(),
    }
}
