//! `holdfast-tuning`: shows, sets and sets back what a host's kernel must allow for a gateway.

use clap::{CommandFactory, Parser};
use command_line::{Cli, Command, GoalArgs};
use holdfast_tuning::change::{self, Applied, Failed, Plan};
use holdfast_tuning::elsewhere::Elsewhere;
use holdfast_tuning::knobs;
use holdfast_tuning::overruled::overruled;
use holdfast_tuning::plan::{self, Finding, State};
use holdfast_tuning::room::Room;
use holdfast_tuning::{Facts, Goal, Host, undo};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

mod command_line;
mod show;

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
    let Cli { root, command } = Cli::parse();
    let exit = match command {
        Command::Check { goal, json, all } => on(&root, |host| check(host, &goal, json, all)),
        Command::Apply { goal, dry_run, persist, yes } => {
            on(&root, |host| apply(host, &goal, Manner { dry_run, persist, yes }))
        }
        Command::Undo { force } => on(&root, |host| set_back(host, force)),
        Command::Explain { knob, goal } => on(&root, |host| explain(host, knob.as_deref(), &goal)),
        Command::Plan { load, memory, cores, json } => elsewhere(&load.goal(memory, cores), json),
        Command::Drawn(drawn) => return drawn.run(Cli::command(), &[]),
    };
    exit.into()
}

/// A command that looks at a host.
fn on(root: &Path, command: impl FnOnce(&Host) -> Exit) -> Exit {
    Host::found(root).map_or_else(
        |why| {
            complain(&why);
            Exit::Usage
        },
        |host| command(&host),
    )
}

fn elsewhere(goal: &Goal, json: bool) -> Exit {
    let there = Elsewhere::new(goal);
    let can = there.room.lacking.is_empty();
    say(&if json {
        show::planned_json(if can { "good" } else { "cannot" }, goal, &there)
    } else {
        show::planned(goal, &there)
    });
    if can { Exit::Done } else { Exit::CannotMeet }
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
    let overruled = overruled(host, &findings);
    let (exit, verdict) = if !room.lacking.is_empty() {
        (Exit::CannotMeet, "cannot")
    } else if findings.iter().any(|one| one.state == State::Change) {
        (Exit::MustChange, "change")
    } else if hidden(&findings) > 0 {
        (Exit::Refused, "unknown")
    } else {
        (Exit::Done, "good")
    };
    say(&if json {
        show::json(verdict, &goal, &room, &findings, &overruled)
    } else {
        show::check(host, (&goal, &facts), &room, &findings, all)
    });
    if !json {
        for one in &overruled {
            complain(&one.to_string());
        }
    }
    exit
}

/// How many settings are there and cannot be read: of those nobody can say that they are good.
fn hidden(findings: &[Finding]) -> usize {
    findings.iter().filter(|one| one.state == State::Hidden).count()
}

/// How `apply` goes about it.
#[derive(Debug, Clone, Copy)]
struct Manner {
    dry_run: bool,
    persist: bool,
    yes: bool,
}

/// What can be set is set also where that is not enough: a host that falls short carries more of
/// the goal so. The exit code says that it does.
fn apply(host: &Host, args: &GoalArgs, manner: Manner) -> Exit {
    let mut done = match set_queues(host, args, manner) {
        Ok(done) => done,
        Err(exit) => return exit,
    };
    let (facts, goal, findings) = look(host, args);
    let lacking = Room::new(&goal, &facts).lacking;
    for lack in &lacking {
        complain(&format!("this goal cannot be met: {lack}"));
    }
    for one in overruled(host, &findings) {
        complain(&one.to_string());
    }
    let program = manner.persist.then(|| program(host));
    let plan = Plan::new(host, &goal, &findings, program.as_deref());
    if plan.is_empty() && done == Applied::default() {
        say(if lacking.is_empty() && hidden(&findings) == 0 {
            "nothing to do: the host is as the goal needs it"
        } else {
            "nothing to do: what can be set is set"
        });
    } else if let Err(exit) = make(host, &plan, &mut done, manner) {
        if done.settings > 0 {
            complain(
                "but the queues of cards were changed before that; `holdfast-tuning undo` puts \
                 them back",
            );
        }
        return exit;
    }
    match lacking.first() {
        None if hidden(&findings) > 0 => {
            complain(&format!(
                "{} settings cannot be read, and were left (`holdfast-tuning check` has them)",
                hidden(&findings)
            ));
            Exit::Refused
        }
        None => Exit::Done,
        // Said again, behind all that: it is what the exit code says.
        Some(lack) if !plan.is_empty() => {
            complain(&format!("that does not make this goal possible: {lack}"));
            Exit::CannotMeet
        }
        Some(_) => Exit::CannotMeet,
    }
}

/// Has the cards have their queues, which what else is to be set depends on.
fn set_queues(host: &Host, args: &GoalArgs, manner: Manner) -> Result<Applied, Exit> {
    let (facts, _, findings) = look(host, args);
    let plan = Plan::of_queues(&facts, &findings);
    if plan.is_empty() {
        return Ok(Applied::default());
    }
    if manner.dry_run {
        say("the queues of cards are set first; what follows of them is then for those queues:");
        return Ok(Applied::default());
    }
    say(plan.diff(host).trim_end());
    confirm(manner)?;
    match change::apply(host, &plan) {
        Ok(done) => Ok(done),
        // What a card refuses is tried again with the rest, and told of there.
        Err(Failed::Some(refused)) => {
            let settings = plan.settings.len().saturating_sub(refused.len());
            Ok(Applied { settings, ..Applied::default() })
        }
        Err(failed) => Err(refused(&failed)),
    }
}

/// The path that this program has when the host starts: in an image that is built here, not the
/// one that it has here.
fn program(host: &Host) -> String {
    let here = if host.is_this_one() { std::env::current_exe().ok() } else { None };
    let here = here.as_deref().and_then(Path::to_str);
    here.unwrap_or("/usr/bin/holdfast-tuning").to_owned()
}

/// Shows a change and makes it, unless it shall only be shown; `done` is what was before it.
fn make(host: &Host, plan: &Plan, done: &mut Applied, manner: Manner) -> Result<(), Exit> {
    if !plan.is_empty() {
        say(plan.diff(host).trim_end());
        if manner.dry_run {
            return Ok(());
        }
        confirm(manner)?;
        let rest = change::apply(host, plan).map_err(|failed| refused(&failed))?;
        done.settings += rest.settings;
        done.files += rest.files;
        done.managed.extend(rest.managed);
    }
    say(show::applied(plan, done, manner.persist).trim_end());
    Ok(())
}

fn set_back(host: &Host, force: bool) -> Exit {
    let done = match undo::undo(host, force) {
        Ok(done) => done,
        Err(failed) => return refused(&failed),
    };
    say(show::undone(&done).trim_end());
    if done.left.is_empty() {
        return Exit::Done;
    }
    complain(show::left(&done).trim_end());
    Exit::MustChange
}

fn explain(host: &Host, name: Option<&str>, args: &GoalArgs) -> Exit {
    let (_, _, findings) = look(host, args);
    let Some(name) = name else {
        say(show::knobs(&findings).trim_end());
        return Exit::Done;
    };
    // A knob of several files is known by each of them too, which is what `check` calls it.
    let shown = findings.iter().find(|one| one.knob.label(&one.place) == name);
    match shown.map_or_else(|| knobs::named(name), |one| Ok(one.knob)) {
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

/// Asks, unless it was said beforehand.
fn confirm(manner: Manner) -> Result<(), Exit> {
    if manner.yes || confirmed() {
        return Ok(());
    }
    complain("this was not changed");
    Err(Exit::MustChange)
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
