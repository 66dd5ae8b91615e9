//! What is there, held against what must be.

use crate::facts::Facts;
use crate::goal::Goal;
use crate::host::Host;
use crate::knobs::{self, Knob, Limit, Place};
use crate::persist;
use crate::record::{Record, is_interrupt};
use crate::want::Want;
use std::io;

/// How a setting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it must be.
    Good,
    /// It must be changed.
    Change,
    /// It is set in the files for processes that come; this one began before.
    Later,
    /// This kernel, or this network namespace, has no such setting: nothing to do here.
    Absent,
    /// An interrupt that the kernel moves itself, or what a card's driver cannot set: left alone.
    Managed,
    /// It is there, and this process may not read it.
    Hidden,
}

/// One setting, what it is and what it must be.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The knob that it belongs to.
    pub knob: &'static Knob,
    /// Where it is.
    pub place: Place,
    /// What it is; empty where it could not be read.
    pub have: String,
    /// What it must be.
    pub want: Want,
    /// How it stands.
    pub state: State,
}

impl Finding {
    /// What to write there.
    pub fn value(&self) -> String {
        self.want.mended(&self.have)
    }

    /// What a person calls it: the knob's name, with its file where there are several.
    pub fn label(&self) -> String {
        self.knob.label(&self.place)
    }
}

/// Looks at every setting that matters for this goal.
pub fn look(host: &Host, goal: &Goal, facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = look_at(knobs::all(), host, goal, facts).collect();
    leave_managed(host, &mut findings);
    findings
}

/// Interrupts that the kernel manages are its own: it says so by the file's mode (since 6.12), or
/// it has refused before, as a card's driver has what it cannot set.
fn leave_managed(host: &Host, findings: &mut [Finding]) {
    let known = Record::load(host).unwrap_or_default().of_this_boot(host).managed;
    for finding in findings.iter_mut().filter(|one| one.state == State::Change) {
        if let Place::Kernel(path) = &finding.place
            && (known.contains(path) || is_interrupt(path) && !host.is_writable(path))
        {
            finding.state = State::Managed;
        }
    }
}

/// What holds the host below so many connections; the other settings are not read.
pub fn limiting(host: &Host, goal: &Goal, facts: &Facts) -> Vec<Finding> {
    let limiting = knobs::all().filter(|knob| knob.limits_connections);
    look_at(limiting, host, goal, facts).filter(|one| one.state == State::Change).collect()
}

fn look_at(
    knobs: impl Iterator<Item = &'static Knob>,
    host: &Host,
    goal: &Goal,
    facts: &Facts,
) -> impl Iterator<Item = Finding> {
    knobs.flat_map(move |knob| {
        let settings = (knob.settings)(goal, facts).into_iter();
        settings.map(move |setting| find(host, goal, knob, setting))
    })
}

fn find(host: &Host, goal: &Goal, knob: &'static Knob, setting: knobs::Setting) -> Finding {
    let knobs::Setting { place, want } = setting;
    let read = match &place {
        Place::Kernel(path) => host.read(path),
        Place::Process(limit) => read_limit(host, *limit),
    };
    let (have, state) = match read {
        Ok(have) if want.is_met_by(&have) => (have, State::Good),
        Ok(have) if matches!(place, Place::Process(_)) && persist::has_limits(host, goal) => {
            (have, State::Later)
        }
        Ok(have) => (have, State::Change),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), State::Absent),
        Err(_) => (String::new(), State::Hidden),
    };
    Finding { knob, place, have, want, state }
}

/// The hard limit of this process, which is what a gateway begun by the same parent would have.
fn read_limit(host: &Host, limit: Limit) -> io::Result<String> {
    let title = match limit {
        Limit::Descriptors => "Max open files",
        Limit::LockedMemory => "Max locked memory",
    };
    let all = host.text("/proc/self/limits")?;
    let line = all.lines().find_map(|line| line.strip_prefix(title));
    let hard = line.and_then(|rest| rest.split_whitespace().nth(1));
    match hard {
        Some("unlimited") => Ok(u64::MAX.to_string()),
        Some(hard) => Ok(hard.to_owned()),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}
