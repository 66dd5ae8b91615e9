//! What people and programs are told.

use holdfast_tuning::change::{Applied, Plan};
use holdfast_tuning::elsewhere::Elsewhere;
use holdfast_tuning::facts::balances;
use holdfast_tuning::knobs::{self, Knob};
use holdfast_tuning::overruled::Overruled;
use holdfast_tuning::persist::LIMITS;
use holdfast_tuning::plan::{Finding, State};
use holdfast_tuning::record;
use holdfast_tuning::room::{Room, has_less_memory, in_units};
use holdfast_tuning::undo::{LEFT, Undone};
use holdfast_tuning::want::in_few_words;
use holdfast_tuning::{Facts, Goal, Host};
use serde_json::json;
use std::fmt::Write;

/// How a state is called in JSON.
fn token(state: State) -> &'static str {
    match state {
        State::Good => "good",
        State::Change => "change",
        State::Later => "later",
        State::Absent => "absent",
        State::Managed => "managed",
        State::Hidden => "hidden",
    }
}

/// How a state is called in a table.
fn word(state: State) -> &'static str {
    match state {
        State::Good => "good",
        State::Change => "change",
        State::Later => "set, for processes that start from now on",
        State::Absent => "not here",
        State::Managed => "managed by the kernel, left alone",
        State::Hidden => "cannot be read: try as root",
    }
}

/// What is said in a container.
const APART: &str = "\
what is not here is set for the whole host, and this is a network namespace of its own, as a
container has: run it on the host too\n\n";

/// The findings and the account of memory, for a person.
pub(crate) fn check(
    host: &Host,
    (goal, facts): (&Goal, &Facts),
    room: &Room,
    findings: &[Finding],
    all: bool,
) -> String {
    let mut text = smaller(goal, facts);
    let shown =
        |one: &&Finding| all || !matches!(one.state, State::Good | State::Absent | State::Managed);
    let rows: Vec<[String; 4]> = findings.iter().filter(shown).map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let [first, second, third] = [0, 1, 2].map(|column| width(column).unwrap_or_default());
    for [label, have, want, state] in &rows {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{label:first$}  {have:>second$}  {want:third$}  {state}");
    }
    let count = |state| findings.iter().filter(|one| one.state == state).count();
    let _ = writeln!(
        text,
        "{} of {} settings are good, {} must be changed, {} are not here, {} cannot be read\n",
        count(State::Good) + count(State::Later) + count(State::Managed),
        findings.len(),
        count(State::Change),
        count(State::Absent),
        count(State::Hidden)
    );
    if facts.apart && count(State::Absent) > 0 {
        text.push_str(APART);
    }
    text.push_str(&account(goal, room));
    if findings.iter().any(|one| one.knob.name == "interrupts") && balances(host) {
        text.push_str(
            "\nirqbalance runs and moves interrupts back: stop it, or exclude these with its \
             --banirq\n",
        );
    }
    text.push_str(&verdict(goal, room, count(State::Change)));
    text.trim_end().to_owned()
}

/// That the goal is of another host than this one, where it is.
fn smaller(goal: &Goal, facts: &Facts) -> String {
    if !has_less_memory(goal, facts) && goal.cores <= facts.cores {
        return String::new();
    }
    format!(
        "this host has less than the goal says: {} of {} of memory, {} of {} cores\nwhat a host \
         that has it needs: holdfast-tuning plan {}\n\n",
        in_units(facts.memory),
        in_units(goal.memory),
        facts.cores,
        goal.cores,
        goal.arguments()
    )
}

fn row(finding: &Finding) -> [String; 4] {
    let have = in_few_words(&finding.have);
    [finding.label(), have, finding.want.to_string(), word(finding.state).to_owned()]
}

fn account(goal: &Goal, room: &Room) -> String {
    let mut text = format!("memory for {} connections\n", goal.connections);
    for (what, bytes) in room.memory.iter().filter(|(_, bytes)| *bytes > 0) {
        let _ = writeln!(text, "  {what:44} {:>10}", in_units(*bytes));
    }
    let together = format!("together, of {}", in_units(room.memory_there));
    let _ = writeln!(text, "  {together:44} {:>10}", in_units(room.memory_needed));
    let cores = |milli: u64| format!("{}.{:02}", milli / 1000, milli % 1000 / 10);
    let _ = writeln!(
        text,
        "cores for {} pushes a second and a heartbeat each 300 s: {} of {}",
        goal.pushes,
        cores(room.millicores_needed),
        cores(room.millicores_there)
    );
    text
}

fn cannot(room: &Room) -> String {
    let line = |lack| format!("\nthis goal cannot be met: {lack}\n");
    room.lacking.iter().map(line).collect()
}

fn verdict(goal: &Goal, room: &Room, changes: usize) -> String {
    let mut text = cannot(room);
    if changes > 0 {
        let arguments = goal.arguments();
        let _ = writeln!(text, "\nto change it: holdfast-tuning apply {arguments}");
    }
    text
}

/// The same for programs.
pub(crate) fn json(
    verdict: &str,
    goal: &Goal,
    room: &Room,
    findings: &[Finding],
    overruled: &[Overruled],
) -> String {
    let finding = |one: &Finding| {
        let write = (one.state == State::Change).then(|| one.value());
        json!({
            "knob": one.knob.name,
            "setting": one.label(),
            "have": one.have,
            "want": one.want.to_string(),
            "write": write,
            "state": token(one.state),
            "limits_connections": one.knob.limits_connections,
        })
    };
    let settings: Vec<_> = findings.iter().map(finding).collect();
    json!({
        "verdict": verdict,
        "goal": goal,
        "room": room,
        "settings": settings,
        "overruled": overruled,
    })
    .to_string()
}

/// What a host that is not here needs, for a person.
pub(crate) fn planned(goal: &Goal, there: &Elsewhere) -> String {
    let mut text = String::new();
    for (knob, setting) in &there.settings {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}  {}", knob.label(&setting.place), setting.want);
        let _ = writeln!(text, "  {}", knob.reason);
    }
    if !there.by_host.is_empty() {
        text.push_str("\nby that host's own cards and cores, which `check` there looks at:\n");
    }
    for knob in &there.by_host {
        let _ = writeln!(text, "{}\n  {}", knob.name, knob.reason);
    }
    text.push('\n');
    text.push_str(&account(goal, &there.room));
    text.push_str(&cannot(&there.room));
    let _ = writeln!(text, "\non that host: holdfast-tuning apply {}", goal.arguments());
    text.trim_end().to_owned()
}

/// The same for programs.
pub(crate) fn planned_json(verdict: &str, goal: &Goal, there: &Elsewhere) -> String {
    let setting = |(knob, setting): &(&'static Knob, knobs::Setting)| {
        json!({
            "knob": knob.name,
            "setting": knob.label(&setting.place),
            "want": setting.want.to_string(),
            "write": setting.want.outright(),
            "reason": knob.reason,
            "cost": knob.cost,
            "source": knob.source,
            "limits_connections": knob.limits_connections,
        })
    };
    let settings: Vec<_> = there.settings.iter().map(setting).collect();
    let by_host: Vec<_> = there.by_host.iter().map(|knob| knob.name).collect();
    json!({
        "verdict": verdict,
        "goal": goal,
        "room": there.room,
        "settings": settings,
        "by_host": by_host,
    })
    .to_string()
}

/// What was done, and what else is to be done.
pub(crate) fn applied(plan: &Plan, done: &Applied, persist: bool) -> String {
    let mut text = format!(
        "{} settings and {} files are changed; `holdfast-tuning undo` puts them back\n",
        done.settings, done.files
    );
    if !done.managed.is_empty() {
        let _ = writeln!(text, "managed by the kernel, left alone: {}", done.managed.join(", "));
    }
    if plan.files.iter().any(|file| file.path.contains("/systemd/")) {
        text.push_str("limits hold for what starts from now on: `systemctl daemon-reload`, then ");
        text.push_str("restart the gateway\n");
    }
    if plan.files.iter().any(|file| file.path == LIMITS) {
        text.push_str("for a gateway that is started by hand, log in again; root says ");
        text.push_str("`ulimit -n` for itself\n");
    }
    if !persist {
        text.push_str("the kernel's settings are gone with the next start of the host; --persist ");
        text.push_str("keeps them\n");
    }
    text
}

/// What was put back, and what else is to be done.
pub(crate) fn undone(done: &Undone) -> String {
    if *done == Undone::default() {
        return "nothing to undo: nothing was changed".to_owned();
    }
    let count = done.settings + done.files.len();
    if count == 0 {
        return "nothing was put back".to_owned();
    }
    let mut text = format!("{count} settings and files are as they were\n");
    if done.files.iter().any(|path| path.contains("/systemd/")) {
        text.push_str(
            "systemd still has what it read: `systemctl daemon-reload`; a gateway has its ",
        );
        text.push_str("limits until it is restarted\n");
    }
    text
}

/// What was not put back, and what to do of it.
pub(crate) fn left(done: &Undone) -> String {
    format!(
        "{LEFT}\n{}\n`holdfast-tuning undo --force` puts back what was there; to have it stay for \
         good, remove {}\n",
        done.left.join("\n"),
        record::PATH
    )
}

/// All that is known of every knob.
pub(crate) fn knobs(findings: &[Finding]) -> String {
    knobs::all().map(|one| knob(one, findings)).collect::<Vec<_>>().join("\n")
}

/// All that is known of a knob.
pub(crate) fn knob(knob: &Knob, findings: &[Finding]) -> String {
    let mut text = format!("{}\n", knob.name);
    let mine: Vec<&Finding> = findings.iter().filter(|one| one.knob.name == knob.name).collect();
    if mine.is_empty() {
        text.push_str("  it does not matter for this goal on this host\n");
    }
    for finding in mine {
        let [label, have, want, state] = row(finding);
        let label = if label == knob.name { String::new() } else { format!("{label}: ") };
        let have = if have.is_empty() { "?".to_owned() } else { have };
        let _ = writeln!(text, "  {label}is {have}, must be {want}: {state}");
    }
    let lines = [("why", knob.reason), ("cost", knob.cost), ("source", knob.source)];
    for (title, said) in lines {
        let _ = writeln!(text, "  {title:6} {said}");
    }
    if knob.limits_connections {
        text.push_str("  a host with less carries fewer connections\n");
    }
    text
}
