//! What can be typed, and what its help says.

use clap::{Args, Parser, Subcommand};
use holdfast_packaging::Drawn;
use holdfast_tuning::goal::{self, PORTS};
use holdfast_tuning::{Facts, Goal};
use std::path::PathBuf;

/// Shows, sets and sets back what a host's kernel must allow for a Holdfast gateway.
#[derive(Debug, Parser)]
#[command(name = "holdfast-tuning", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The host's files, where they are not those of this one: an image that is being built, with
    /// /proc and /sys mounted
    #[arg(long, global = true, default_value = "/", value_name = "FOLDER")]
    pub(crate) root: PathBuf,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  the host is as the goal needs it, or was made so; or --dry-run showed what would be done
  1  something must be changed (check), the change was not confirmed (apply), or something was left
     as somebody has made it since (undo)
  2  the command is wrong, or --root is no host's
  3  the goal cannot be met, however the host is tuned (check, plan, apply; apply has then set what
     can be set, and --dry-run has shown it)
  4  the host could not be changed, or only in part: what was refused is said (apply, undo); or
     something of it cannot be read, and the rest is good (check)";

const CHECK: &str = "\
Exit codes:
  0  the host is as the goal needs it
  1  something must be changed: `holdfast-tuning apply` does
  2  the command is wrong, or --root is no host's
  3  this host cannot meet the goal, however it is tuned
  4  something cannot be read, and the rest is good

With --json, one object:
  verdict   good, change, cannot or unknown: exit code 0, 1, 3 or 4
  goal      what was asked for: connections, pushes, memory in bytes, cores, ports
  room      memory: lines of [what, bytes]; memory_needed, memory_there, millicores_needed,
            millicores_there; lacking: what the host cannot do, in words, what decides first
  settings  of each: knob (what `explain` knows it by), setting (its file where a knob has
            several), have, want (in words), write (what `apply` writes, null where nothing),
            state, limits_connections
  state     good; change: must be changed; later: set, for processes that start from now on;
            absent: not on this kernel or in this namespace; managed: an interrupt of the
            kernel's own, or what a card's driver cannot set; hidden: it cannot be read
  overruled files that are read after ours at the next start of the host and set less than the goal
            needs, of each: file, knob, value";

const PLAN: &str = "\
Exit codes:
  0  such a host can meet the goal
  2  the command is wrong
  3  such a host cannot meet the goal, however it is tuned

With --json, one object: verdict (good or cannot: exit code 0 or 3), goal and room as with `check`;
settings, of each: knob, setting, want (in words), write (what to write where nothing that is there
can stay), reason, cost, source, limits_connections; by_host: knobs that follow the host's own cards
and cores.";

const APPLY: &str = "\
Exit codes:
  0  the host is as the goal needs it, or was made so; or --dry-run showed what would make it so
  1  the change was not confirmed, and not made
  2  the command is wrong, or --root is no host's
  3  this host cannot meet the goal, and why is said; what can be set all the same was set, or shown
     with --dry-run
  4  the host could not be changed, or only in part: what was refused, or cannot be read, is said";

const UNDO: &str = "\
Exit codes:
  0  everything is as it was before the first `apply`, or nothing was changed
  1  something is left as somebody has made it since, and is said; the rest is as it was
  2  the command is wrong, or --root is no host's
  4  something could not be put back, and is said; undo can be tried again";

const EXPLAIN: &str = "\
Exit codes:
  0  it was said
  2  there is no such knob, the command is wrong, or --root is no host's";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Hold the host against a goal; changes nothing
    #[command(after_help = CHECK)]
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
    /// Say what a host of some size would need for a goal, with every reason; looks at no host
    #[command(after_help = PLAN)]
    Plan {
        #[command(flatten)]
        load: LoadArgs,
        /// Memory of that host as it is sold, such as 64G; what its kernel counts is some per cent
        /// less
        #[arg(long, value_name = "BYTES", value_parser = goal::bytes, help_heading = "Goal")]
        memory: u64,
        /// Its cores
        #[arg(long, value_name = "N", help_heading = "Goal",
              value_parser = clap::value_parser!(u64).range(1..=4096))]
        cores: u64,
        /// One JSON object for programs
        #[arg(long)]
        json: bool,
    },
    /// Change what must be changed, and write down what was there
    #[command(after_help = APPLY)]
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
    ///
    /// What somebody has changed since `apply` is neither as it was set nor as it was: it is said
    /// and left.
    #[command(after_help = UNDO)]
    Undo {
        /// Put back also what somebody has changed since
        #[arg(long)]
        force: bool,
    },
    /// Say why a knob is turned, what that costs, and who says so
    #[command(after_help = EXPLAIN)]
    Explain {
        /// The knob, or its file, as `check` shows it; all of them if none is named
        knob: Option<String>,
        #[command(flatten)]
        goal: GoalArgs,
    },
    #[command(flatten)]
    Drawn(Drawn),
}

/// What a host shall carry.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Goal")]
pub(crate) struct LoadArgs {
    /// Connections of clients at the same time
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = goal::some)]
    connections: u64,
    /// Messages a second that are pushed to single users, durable or online; the cores that they
    /// take are estimated as if all were durable
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = goal::count)]
    pushes: u64,
    /// Ports that the gateway listens on
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_values_t = PORTS)]
    ports: Vec<u16>,
}

/// What this host shall carry.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Goal")]
pub(crate) struct GoalArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// Memory that the host shall have, such as 64G or 23.5G; up to a tenth less counts as the same
    /// size. All that the host has if it is not said
    #[arg(long, value_name = "BYTES", value_parser = goal::bytes)]
    memory: Option<u64>,
    /// Cores for shards; all that the host has if it is not said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    cores: Option<u64>,
}

impl LoadArgs {
    /// The goal on a host of this size.
    pub(crate) fn goal(&self, memory: u64, cores: u64) -> Goal {
        let mut ports = self.ports.clone();
        ports.sort_unstable();
        ports.dedup();
        Goal { connections: self.connections, pushes: self.pushes, memory, cores, ports }
    }
}

impl GoalArgs {
    /// The goal on this host.
    pub(crate) fn goal(&self, facts: &Facts) -> Goal {
        let memory = self.memory.unwrap_or(facts.memory);
        self.load.goal(memory, self.cores.unwrap_or(facts.cores))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_goal_s_arguments_give_the_same_goal() {
        let facts = Facts { cores: 24, memory: 64 << 30, ..Facts::default() };
        let goal = Goal { ports: vec![80, 7500], ..Goal::new(3_000_000, 50_000, &facts) };
        for memory in [64 << 30, (64 << 30) - 1] {
            let goal = Goal { memory, ..goal.clone() };
            let line = format!("holdfast-tuning check {}", goal.arguments());
            let Command::Check { goal: args, .. } =
                Cli::try_parse_from(line.split(' ')).unwrap().command
            else {
                panic!("not a check")
            };
            assert_eq!(args.goal(&Facts::default()), goal);
        }
    }
}
