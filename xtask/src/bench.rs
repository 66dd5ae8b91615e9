//! `cargo xtask bench`: the figures that the gateway is held to, each beside what the kernel alone
//! costs.
//!
//! A figure is a file under `bench/`. One run of it starts what it compares on core 0, drives each
//! in turn with the same driver on core 1, and gives one number; the median of the
//! runs is held against the bound. The raw runs are left under `target/bench/`.

use std::process::ExitCode;
use std::time::Instant;

use clap::ValueEnum;

mod broadcast;
mod burst;
mod counts;
mod disk;
mod disk_after;
mod driver;
mod durable;
mod durable_p99;
mod generator;
mod growth;
mod idle_cpu;
mod kernel_memory;
mod login;
mod login_load;
mod mailbox;
mod million;
mod noise;
pub(crate) mod peers;
mod pending_start;
mod push;
mod report;
mod runtimes;
mod store;
mod subject;
mod turns;
mod unicast;
mod user_memory;

use self::report::Verdict;
use crate::shell::{self, Result, cargo};

/// What is measured and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Figures by name; all where none is named, but `peers`, which fetches other servers
    names: Vec<String>,
    /// Only name the figures
    #[arg(long)]
    list: bool,
    /// Only print what was measured last, as a table for a document
    #[arg(long)]
    table: bool,
    /// Runs of each figure; the median is held against the bound
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// The gateway's back end, and the floor's
    #[arg(long, value_enum, default_value_t = Backends::Both)]
    io: Backends,
}

/// A back end of the gateway, and the bare server that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Io {
    /// `io_uring`.
    Uring,
    /// epoll.
    Epoll,
}

impl Io {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backends {
    Uring,
    Epoll,
    Both,
}

impl Backends {
    const fn each(self) -> &'static [Io] {
        match self {
            Self::Uring => &[Io::Uring],
            Self::Epoll => &[Io::Epoll],
            Self::Both => &[Io::Uring, Io::Epoll],
        }
    }
}

/// One run of a figure.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The number that is held against the bound.
    pub(crate) value: f64,
    /// What it was computed from.
    pub(crate) raw: serde_json::Value,
}

/// A figure to reach.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What the number says.
    pub(crate) what: &'static str,
    /// Its unit; empty for a ratio.
    pub(crate) unit: &'static str,
    /// The median may be at most this.
    pub(crate) at_most: f64,
    /// Most runs: some take minutes each.
    pub(crate) runs_max: u32,
    /// Makes one run.
    pub(crate) run: fn(Io) -> Result<Run>,
}

/// Every figure, in the order in which they are run.
const FIGURES: [&Figure; 25] = [
    &broadcast::FIGURE,
    &push::FIGURE,
    &burst::FIGURE,
    &login::FIGURE,
    &unicast::FIGURE,
    &kernel_memory::FIGURE,
    &runtimes::ECHO,
    &runtimes::BROADCAST,
    &runtimes::MEMORY,
    &user_memory::FIGURE,
    &idle_cpu::FIGURE,
    &million::FIGURE,
    &growth::FIGURE,
    &durable::RATIO,
    &durable::RATE,
    &durable_p99::FIGURE,
    &durable_p99::TO_DISK,
    &store::FIGURE,
    &mailbox::FIGURE,
    &pending_start::FIGURE,
    &login_load::FIGURE,
    &disk_after::FIGURE,
    &generator::PUSH,
    &generator::ECHO,
    &generator::MEMORY,
];

/// Runs `bench`.
pub(crate) fn main(args: &Args) -> ExitCode {
    if args.list {
        for figure in FIGURES {
            println!(
                "{:18} {} (at most {}{})",
                figure.name, figure.what, figure.at_most, figure.unit
            );
        }
        println!("{:18} {}", peers::NAME, peers::WHAT);
        return ExitCode::SUCCESS;
    }
    if args.table {
        report::table(&FIGURES);
        peers::table();
        return ExitCode::SUCCESS;
    }
    match measure_named(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn measure_named(args: &Args) -> Result<bool> {
    let (beside, names): (Vec<_>, Vec<_>) =
        args.names.iter().cloned().partition(|name| name == peers::NAME);
    let figures = chosen(&names)?;
    let only_beside = names.is_empty() && !beside.is_empty();
    let met = only_beside || measure_all(&figures, args)?;
    Ok(if beside.is_empty() { met } else { peers::run(args.runs)? && met })
}

fn chosen(names: &[String]) -> Result<Vec<&'static Figure>> {
    let unknown = |name: &&String| !FIGURES.iter().any(|figure| figure.name == **name);
    if let Some(name) = names.iter().find(unknown) {
        return Err(format!("no figure is called {name}; see cargo xtask bench --list"));
    }
    let wanted =
        |figure: &&&Figure| names.is_empty() || names.iter().any(|name| name == figure.name);
    Ok(FIGURES.iter().filter(wanted).copied().collect())
}

fn measure_all(figures: &[&'static Figure], args: &Args) -> Result<bool> {
    let mut packages = vec!["--package", "holdfast", "--package", "holdfast-loadgen"];
    if figures.iter().any(|figure| figure.name.starts_with("runtime")) {
        packages.extend(["--package", "holdfast-baselines"]);
    }
    shell::run(&mut cargo(&[&["build", "--release"], &packages[..]].concat()))?;
    if figures.iter().any(|figure| figure.name == store::FIGURE.name) {
        let example = ["--package", "holdfast-store", "--example", store::PROGRAM];
        shell::run(&mut cargo(&[&["build", "--release"], &example[..]].concat()))?;
    }
    noise::warn_before();
    let mut all_met = true;
    report::header();
    for figure in figures {
        all_met &= measure(figure, args)?;
    }
    Ok(all_met)
}

/// Runs one figure on each back end, interleaved; gives whether every bound is met. A run that
/// fails is a missed figure and not the end of the others.
fn measure(figure: &Figure, args: &Args) -> Result<bool> {
    let mut verdicts: Vec<Verdict> =
        args.io.each().iter().map(|io| Verdict::new(figure, *io)).collect();
    let before = noise::Reading::now();
    for number in 1..=args.runs.min(figure.runs_max) {
        for verdict in &mut verdicts {
            let start = Instant::now();
            let outcome = (figure.run)(verdict.io);
            let seconds = start.elapsed().as_secs();
            eprintln!("  {} {} run {number}: {seconds} s", figure.name, verdict.io.name());
            verdict.take(outcome);
        }
    }
    let noise = before.until_now();
    for verdict in &verdicts {
        verdict.print();
    }
    report::write(figure, &verdicts, &noise)?;
    Ok(verdicts.iter().all(Verdict::met))
}
