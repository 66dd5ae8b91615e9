//! `compare`: is one version better or worse than another, by the reports of their runs.
//!
//! Several runs a side are ranked against each other ([`rank`]); of one run a side the seconds of
//! its timeline are drawn again and again ([`resample`]), which knows nothing of how runs differ
//! from each other, and says so. [`measure`] says what is compared, [`decide`] what is concluded.
//! Where there is too little to conclude anything, that is the answer.

mod decide;
mod measure;
mod rank;
mod resample;
mod show;

use crate::report::Report;
use crate::run::print;
use decide::{Finding, Rules, Verdict};
use measure::{FAULTS, MEASURES, Measure};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Something is worse.
const WORSE: u8 = 1;
/// Nothing could be compared.
const NOT_COMPARED: u8 = 2;
/// Nothing is worse, but of something it could not be told.
const UNDECIDED: u8 = 5;

/// What `compare --help` says at its end.
pub(crate) const NOTES: &str = "\
How it is decided:
  worse, better  it differs by more than --tolerance, with --confidence
  same           it differs by less than --tolerance, with --confidence
  cannot tell    the runs do not say: take more of them, or longer ones
Several runs a side are put in order, and the chance of that order is counted exactly (rank test of
Mann and Whitney). Three runs a side are the fewest that can decide at 95 %, four at 98 %. Of one
run a side, blocks of its seconds are drawn at random 4000 times (bootstrap): this says whether the
two runs differ, not whether two more would.
Faults (lost, duplicated and so on) where there were none are worse without any statistics.
A run that lost an agent is left out: from then on it offered less. So is a run in which the
generator was the bottleneck: its figures are of the generator. Where a side has no other, nothing
can be told.
Take the runs of base and new in turn (base, new, base, new and so on): what changes on the host
meanwhile then meets both sides alike.
Exit codes: 0 same, better or cannot tell; 1 something is worse; 2 nothing could be compared; with
--strict, 5 where nothing is worse and something cannot be told";

/// The command line of `compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Reports that `run --json` wrote: the first is the base, and each other is compared to it
    #[arg(value_name = "FILE", required_unless_present = "base", conflicts_with = "base")]
    files: Vec<PathBuf>,
    /// Several runs of the base
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "new")]
    base: Vec<PathBuf>,
    /// Several runs of what is compared to it
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "base")]
    new: Vec<PathBuf>,
    /// What counts as a difference, in percent
    #[arg(long, default_value_t = 5.0, value_name = "PERCENT")]
    tolerance: f64,
    /// How sure a verdict must be, in percent, each by itself
    #[arg(long, default_value_t = 95.0, value_name = "PERCENT")]
    confidence: f64,
    /// Share the risk of a wrong verdict among all metrics, so that the confidence is that of all
    /// verdicts together; this takes more runs
    #[arg(long)]
    together: bool,
    /// Compare these alone, such as `p99,cpu_per_delivery`
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    metrics: Vec<String>,
    /// Compare runs of different plans too
    #[arg(long)]
    anyway: bool,
    /// Let it be an error (5) if something cannot be told
    #[arg(long)]
    strict: bool,
    /// Write the comparison as JSON; - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Several runs of one version.
#[derive(Clone)]
pub(crate) struct Side {
    files: Vec<String>,
    runs: Vec<Report>,
}

/// One version compared to another.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Comparison {
    base: Vec<String>,
    new: Vec<String>,
    /// The gateways' versions and commits; empty where no run knows.
    base_gateway: String,
    new_gateway: String,
    /// The generators' commits.
    base_commit: String,
    new_commit: String,
    tolerance_percent: f64,
    confidence_percent: f64,
    /// Runs that lost an agent, and when; nothing is concluded from them.
    lost_agents: Vec<String>,
    /// Runs in which the generator was the bottleneck, and why; nothing is concluded from them.
    generator_bound: Vec<String>,
    /// Why nothing is told, where a side has none but runs of which nothing is concluded.
    #[serde(skip)]
    nothing_told: Option<&'static str>,
    /// Whether a side has none but such runs.
    blind: bool,
    /// What makes the comparison doubtful.
    doubts: Vec<String>,
    metrics: Vec<Finding>,
    verdict: Verdict,
}

/// Compares what the options name.
pub(crate) fn main(args: &Args) -> ExitCode {
    match compare(args) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("holdfast-loadgen: {why}");
            ExitCode::from(NOT_COMPARED)
        }
    }
}

fn compare(args: &Args) -> Result<u8, String> {
    let chosen = chosen(&args.metrics)?;
    let rules = rules(args, chosen.len())?;
    let mut comparisons = Vec::new();
    for (base, new) in sides(args)? {
        comparisons.push(one(&base, &new, (&chosen, rules), args.anyway)?);
    }
    let to_stdout = args.json.as_deref() == Some(Path::new("-"));
    if !to_stdout {
        for comparison in &comparisons {
            print(&show::table(comparison))?;
        }
    }
    if let Some(path) = &args.json {
        let mut json = serde_json::to_string_pretty(&comparisons).map_err(|e| e.to_string())?;
        json.push('\n');
        if to_stdout {
            print(&json)?;
        } else {
            std::fs::write(path, json)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    let found = |verdict| comparisons.iter().any(|comparison| comparison.verdict == verdict);
    Ok(match (found(Verdict::Worse), args.strict && found(Verdict::CannotTell)) {
        (true, _) => WORSE,
        (false, true) => UNDECIDED,
        (false, false) => 0,
    })
}

/// The metrics to compare, by name; all where none is named.
fn chosen(names: &[String]) -> Result<Vec<&'static Measure>, String> {
    let all = || MEASURES.iter().chain(FAULTS);
    if names.is_empty() {
        return Ok(all().collect());
    }
    let known = || all().map(|measure| measure.name).collect::<Vec<_>>().join(" ");
    let find = |name: &String| {
        let found = all().find(|measure| measure.name == name.trim());
        found.ok_or_else(|| format!("--metrics: there is no {name:?}; there are {}", known()))
    };
    names.iter().map(find).collect()
}

fn rules(args: &Args, metrics: usize) -> Result<Rules, String> {
    let tolerance = args.tolerance / 100.0;
    let risk = 1.0 - args.confidence / 100.0;
    if !(0.0..1.0).contains(&tolerance) {
        return Err("--tolerance is from 0 to less than 100 percent".to_owned());
    }
    if !(1e-6..=0.5).contains(&risk) {
        return Err("--confidence is from 50 to less than 100 percent".to_owned());
    }
    let among = u32::try_from(metrics).ok().filter(|_| args.together).unwrap_or(1);
    Ok(Rules { tolerance, risk: risk / f64::from(among.max(1)) })
}

/// What is compared to what.
fn sides(args: &Args) -> Result<Vec<(Side, Side)>, String> {
    if !args.base.is_empty() {
        return Ok(vec![(Side::read(&args.base)?, Side::read(&args.new)?)]);
    }
    let [base, others @ ..] = args.files.as_slice() else {
        return Err("name two reports, or several with --base and --new".to_owned());
    };
    if others.is_empty() {
        return Err(format!("{} is compared to nothing: name a second file", base.display()));
    }
    let pair = |other: &PathBuf| {
        let base = Side::read(std::slice::from_ref(base))?;
        Ok((base, Side::read(std::slice::from_ref(other))?))
    };
    others.iter().map(pair).collect()
}

impl Side {
    fn read(files: &[PathBuf]) -> Result<Self, String> {
        let runs: Vec<Report> =
            files.iter().map(|file| Report::read(file)).collect::<Result<_, _>>()?;
        if let Some((one, other)) = same_run(&runs) {
            let (one, other) = (files[one].display(), files[other].display());
            return Err(format!("{one} and {other} are one run: each counts once"));
        }
        Ok(Self { files: files.iter().map(|file| file.display().to_string()).collect(), runs })
    }

    /// Which runs lost an agent, and when.
    fn lost_agents(&self) -> impl Iterator<Item = String> {
        self.files.iter().zip(&self.runs).filter_map(|(file, run)| {
            let mut dead = run.agents.iter().filter_map(|agent| {
                let at = agent.died.as_ref()?.at;
                Some(format!("{} at {at:.1} s", agent.name))
            });
            let first = dead.next()?;
            let all = dead.fold(first, |all, next| format!("{all}, {next}"));
            Some(format!("{file} lost an agent ({all}): from then on less was offered"))
        })
    }

    /// In which runs the generator was the bottleneck, and why.
    fn generator_bound(&self) -> impl Iterator<Item = String> {
        let runs = self.files.iter().zip(&self.runs);
        let bound = runs.filter(|(_, run)| !run.generator.kept_up());
        bound.map(|(file, run)| format!("{file}: {}", run.generator.verdict()))
    }

    /// The runs that say something of the gateway; all of them where none does.
    fn telling(&self) -> Cow<'_, Self> {
        if self.runs.iter().all(tells) || !self.runs.iter().any(tells) {
            return Cow::Borrowed(self);
        }
        let telling = self.files.iter().zip(&self.runs).filter(|(_, run)| tells(run));
        let (files, runs) = telling.map(|(file, run)| (file.clone(), run.clone())).unzip();
        Cow::Owned(Self { files, runs })
    }

    /// Why no run of it says anything of the gateway; `None` where one does.
    fn tells_nothing(&self) -> Option<&'static str> {
        let all = |fails: fn(&Report) -> bool| self.runs.iter().all(fails);
        if self.runs.iter().any(tells) {
            None
        } else if all(|run| !run.is_whole()) {
            Some("an agent died in every run of a side")
        } else if all(|run| !run.generator.kept_up()) {
            Some("the generator was the bottleneck in every run of a side")
        } else {
            Some("every run of a side lost an agent or was bound by its generator")
        }
    }

    /// What is the same in all runs; all of it where they differ.
    fn common(&self, of: impl Fn(&Report) -> String) -> String {
        let mut all: Vec<String> = self.runs.iter().map(of).collect();
        all.sort();
        all.dedup();
        all.join(" | ")
    }
}

/// Whether a run says something of the gateway.
fn tells(run: &Report) -> bool {
    run.is_whole() && run.generator.kept_up()
}

/// The places of two runs that are one and the same, which would seem surer than it is.
fn same_run(runs: &[Report]) -> Option<(usize, usize)> {
    let mut all: Vec<(String, usize)> = Vec::with_capacity(runs.len());
    for (place, run) in runs.iter().enumerate() {
        let text = serde_json::to_string(run).unwrap_or_default();
        if let Some((_, before)) = all.iter().find(|(known, _)| *known == text) {
            return Some((*before, place));
        }
        all.push((text, place));
    }
    None
}

fn one(
    base: &Side,
    new: &Side,
    (chosen, rules): (&[&'static Measure], Rules),
    anyway: bool,
) -> Result<Comparison, String> {
    let plan = |side: &Side| side.common(|run| format!("{} clients, {}", run.clients, run.plan));
    if plan(base) != plan(new) && !anyway {
        return Err(format!(
            "these are not runs of one plan (--anyway compares them all the same):\n  {}\n  {}",
            plan(base),
            plan(new)
        ));
    }
    let lost_agents: Vec<String> = base.lost_agents().chain(new.lost_agents()).collect();
    let generator_bound: Vec<String> =
        base.generator_bound().chain(new.generator_bound()).collect();
    let telling = (&*base.telling(), &*new.telling());
    let nothing_told = base.tells_nothing().or_else(|| new.tells_nothing());
    let metrics: Vec<Finding> = chosen
        .iter()
        .filter_map(|measure| decide::find(measure, telling, rules))
        .map(|finding| match nothing_told {
            Some(why) => finding.untold(why),
            None => finding,
        })
        .collect();
    if metrics.is_empty() {
        let nothing = "the reports have nothing in common that could be compared".to_owned();
        return Err([vec![nothing], lost_agents, generator_bound].concat().join("; "));
    }
    Ok(Comparison {
        base: base.files.clone(),
        new: new.files.clone(),
        base_gateway: base.common(gateway),
        new_gateway: new.common(gateway),
        base_commit: base.common(|run| run.commit.clone()),
        new_commit: new.common(|run| run.commit.clone()),
        tolerance_percent: rules.tolerance * 100.0,
        confidence_percent: (1.0 - rules.risk) * 100.0,
        doubts: doubts(telling.0, telling.1, anyway),
        lost_agents,
        generator_bound,
        blind: nothing_told.is_some(),
        nothing_told,
        verdict: Verdict::of_all(metrics.iter().map(|finding| finding.verdict)),
        metrics,
    })
}

fn gateway(run: &Report) -> String {
    run.gateway.clone().unwrap_or_default()
}

fn doubts(base: &Side, new: &Side, anyway: bool) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut differ = |what: &str, of: fn(&Report) -> String| {
        if base.common(of) != new.common(of) {
            doubts.push(format!("{what} differs: {} and {}", base.common(of), new.common(of)));
        }
    };
    differ("the processor", |run| run.processor.clone());
    differ("the kernel", |run| run.kernel.clone());
    if anyway {
        differ("the plan", |run| run.plan.clone());
    }
    let cut = base.runs.iter().chain(&new.runs).filter(|run| run.interrupted).count();
    if cut > 0 {
        doubts.push(format!("{cut} of the runs were interrupted"));
    }
    if base.runs.len() == 1 && new.runs.len() == 1 {
        doubts.push("one run a side: what differs may be the run and not the version".to_owned());
    }
    doubts
}

#[cfg(test)]
mod tests;
