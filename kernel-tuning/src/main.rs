//! `holdfast-tuning`: shows, sets and sets back what a host's kernel must allow for a gateway.

use clap::{Args, CommandFactory, Parser, Subcommand};
use holdfast_packaging::Drawn;
use holdfast_tuning::change::{self, Failed, Plan};
use holdfast_tuning::goal::{self, PORTS};
use holdfast_tuning::plan::{self, Finding, State};
use holdfast_tuning::room::Room;
use holdfast_tuning::{Facts, Goal, Host};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

mod show;

/// Shows, sets and sets back what a host's kernel must allow for a Holdfast gateway.
#[derive(Debug, Parser)]
#[command(name = "holdfast-tuning", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The host's files, where they are not those of this one: an image that is being built
    #[arg(long, global = true, default_value = "/", value_name = "FOLDER")]
    root: PathBuf,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  the host is as the goal needs it, or was made so; or --dry-run showed what would be done
  1  something must be changed (check), or the change was not confirmed (apply)
  2  the command is wrong
  3  the host cannot meet the goal, however it is tuned (check)
  4  the host could not be changed, or only in part: what was refused is said (apply, undo)";

const JSON: &str = "\
With --json, one object:
  verdict   good, change or cannot: exit code 0, 1 or 3
  goal      what was asked for: connections, pushes, memory in bytes, cores, ports
  room      memory: lines of [what, bytes]; memory_needed, memory_there, millicores_needed,
            millicores_there; lacking: what the host cannot do, in words
  settings  of each: knob (what `explain` knows it by), setting (its file where a knob has
            several), have, want (in words), write (what `apply` writes, null where nothing),
            state, limits_connections
  state     good; change: must be changed; later: set, for processes that start from now on;
            absent: not on this kernel or in this namespace; managed: an interrupt of the
            kernel's own; hidden: it cannot be read";

#[derive(Debug, Subcommand)]
enum Command {
    /// Hold the host against a goal; changes nothing
    #[command(after_help = JSON)]
    Check {
        #[command(flatten)]
        goal: GoalArgs,
        /// One JSON object for programs
        #[arg(long)]
        json: bool,
        /// Also what is good already, and what is not here
        #[arg(long)]
        all: bool,
    },
    /// Change what must be changed, and write down what was there
    Apply {
        #[command(flatten)]
        goal: GoalArgs,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Keep it after the next start of the host: sysctl.d, a unit that sets the rest before the
        /// gateway starts, and a profile for tuned
        #[arg(long)]
        persist: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Put back everything as it was before the first `apply`
    Undo,
    /// Say why a knob is turned, what that costs, and who says so
    Explain {
        /// The knob; all of them if none is named
        knob: Option<String>,
        #[command(flatten)]
        goal: GoalArgs,
    },
    #[command(flatten)]
    Drawn(Drawn),
}

/// What the host shall carry.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Goal")]
struct GoalArgs {
    /// Connections of clients at the same time
    #[arg(long, default_value_t = 1_000_000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    connections: u64,
    /// Messages a second that are pushed to single users
    #[arg(long, default_value_t = 20_000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
    pushes: u64,
    /// Memory, such as 64G; all that the host has if it is not said
    #[arg(long, value_name = "BYTES", value_parser = goal::bytes)]
    memory: Option<u64>,
    /// Cores for shards; all that the host has if it is not said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    cores: Option<u64>,
    /// Ports that the gateway listens on
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_values_t = PORTS)]
    ports: Vec<u16>,
}

impl GoalArgs {
    fn goal(&self, facts: &Facts) -> Goal {
        let mut ports = self.ports.clone();
        ports.sort_unstable();
        ports.dedup();
        let memory = self.memory.unwrap_or(facts.memory);
        let cores = self.cores.unwrap_or(facts.cores);
        Goal { connections: self.connections, pushes: self.pushes, memory, cores, ports }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Exit {
    Done = 0,
    MustChange = 1,
    Usage = 2,
    CannotMeet = 3,
    Refused = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let host = Host::below(&cli.root);
    let exit = match cli.command {
        Command::Check { goal, json, all } => check(&host, &goal, json, all),
        Command::Apply { goal, dry_run, persist, yes } => {
            apply(&host, &goal, Manner { dry_run, persist, yes })
        }
        Command::Undo => undo(&host),
        Command::Explain { knob, goal } => explain(&host, knob.as_deref(), &goal),
        Command::Drawn(drawn) => return drawn.run(Cli::command(), &[]),
    };
    exit.into()
}

fn look(host: &Host, args: &GoalArgs) -> (Facts, Goal, Vec<Finding>) {
    let facts = Facts::of(host);
    let goal = args.goal(&facts);
    let findings = plan::look(host, &goal, &facts);
    (facts, goal, findings)
}

fn check(host: &Host, args: &GoalArgs, json: bool, all: bool) -> Exit {
    let (facts, goal, findings) = look(host, args);
    let room = Room::new(&goal, &facts);
    let (exit, verdict) = if !room.lacking.is_empty() {
        (Exit::CannotMeet, "cannot")
    } else if findings.iter().any(|one| one.state == State::Change) {
        (Exit::MustChange, "change")
    } else {
        (Exit::Done, "good")
    };
    let text = if json {
        show::json(verdict, &goal, &room, &findings)
    } else {
        show::check(host, (&goal, &facts), &room, &findings, all)
    };
    say(&text);
    exit
}

/// How `apply` goes about it.
#[derive(Debug, Clone, Copy)]
struct Manner {
    dry_run: bool,
    persist: bool,
    yes: bool,
}

fn apply(host: &Host, args: &GoalArgs, manner: Manner) -> Exit {
    let (facts, goal, findings) = look(host, args);
    for lack in Room::new(&goal, &facts).lacking {
        complain(&format!("this goal cannot be met: {lack}"));
    }
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(|path| path.to_str()).unwrap_or("holdfast-tuning");
    let plan = Plan::new(host, &goal, &findings, manner.persist.then_some(program));
    if plan.is_empty() {
        say("nothing to do: the host is as the goal needs it");
        return Exit::Done;
    }
    say(plan.diff(host).trim_end());
    if manner.dry_run {
        return Exit::Done;
    }
    if !manner.yes && !confirmed() {
        complain("nothing was changed");
        return Exit::MustChange;
    }
    match change::apply(host, &plan) {
        Ok(done) => {
            say(show::applied(&plan, &done, manner.persist).trim_end());
            Exit::Done
        }
        Err(failed) => refused(&failed),
    }
}

fn undo(host: &Host) -> Exit {
    match change::undo(host) {
        Ok(done) => say(show::undone(&done).trim_end()),
        Err(failed) => return refused(&failed),
    }
    Exit::Done
}

fn explain(host: &Host, name: Option<&str>, args: &GoalArgs) -> Exit {
    let (_, _, findings) = look(host, args);
    let Some(name) = name else {
        say(show::knobs(&findings).trim_end());
        return Exit::Done;
    };
    match holdfast_tuning::knobs::named(name) {
        Ok(knob) => say(show::knob(knob, &findings).trim_end()),
        Err(near) => {
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            complain(&format!("there is no knob {name}{near} (`holdfast-tuning explain` has all)"));
            return Exit::Usage;
        }
    }
    Exit::Done
}

fn refused(failed: &Failed) -> Exit {
    complain(&failed.to_string());
    if !rustix::process::geteuid().is_root() {
        complain("only root may change the kernel's settings: try it with sudo");
    }
    Exit::Refused
}

/// Asks on a terminal; elsewhere nobody can answer, and nothing is changed.
fn confirmed() -> bool {
    if !io::stdin().is_terminal() {
        complain("there is no terminal to ask on: say --yes to change this");
        return false;
    }
    eprint!("change this? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// A reader that has gone away (`| head`) is no error.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "holdfast-tuning: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_goal_s_arguments_give_the_same_goal() {
        let facts = Facts { cores: 24, memory: 64 << 30, ..Facts::default() };
        let goal = Goal { ports: vec![80, 7500], ..Goal::new(3_000_000, 50_000, &facts) };
        let line = format!("holdfast-tuning check {}", goal.arguments());
        let Command::Check { goal: args, .. } =
            Cli::try_parse_from(line.split(' ')).unwrap().command
        else {
            panic!("not a check")
        };
        assert_eq!(args.goal(&Facts::default()), goal);
    }
}
