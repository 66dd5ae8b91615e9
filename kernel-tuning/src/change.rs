//! Changes the host.

use crate::facts::{Facts, Interface};
use crate::goal::Goal;
use crate::host::{CARD, Host};
use crate::knobs::{CHANNELS, Place};
use crate::persist::{self, Wanted};
use crate::plan::{Finding, State};
use crate::record::{Record, Turn, is_interrupt};
use crate::want::in_few_words;
use rustix::io::Errno;
use similar::TextDiff;
use std::fmt::Write;
use std::io;

/// The most descriptors that a process may be allowed.
pub(crate) const NR_OPEN: &str = "/proc/sys/fs/nr_open";

/// What is to be changed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Settings of the kernel that are not as they must be.
    pub settings: Vec<Step>,
    /// Settings that may change with those, by what changes them: they are written down too.
    pub besides: Vec<String>,
    /// Files that are not as they must be.
    pub files: Vec<Wanted>,
}

/// One setting to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What a person calls it.
    pub label: String,
    /// Its file.
    pub path: String,
    /// What it is.
    pub have: String,
    /// What it shall be.
    pub value: String,
}

impl Step {
    /// What is to be done where this was found.
    fn of(finding: &Finding) -> Option<Self> {
        let Place::Kernel(path) = &finding.place else { return None };
        (finding.state == State::Change).then(|| Self {
            label: finding.label(),
            path: path.clone(),
            have: finding.have.clone(),
            value: finding.value(),
        })
    }
}

/// Why the host was not changed, or only in part.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Somebody else changes it now.
    #[error("another holdfast-tuning changes this host now: try again when it is done")]
    Busy,
    /// The record of what was there cannot be read or written. Nothing was changed.
    #[error("nothing was changed, since what is there now could not be written down: {0}")]
    Record(io::Error),
    /// Somebody else changed something since it was looked at. Nothing was changed.
    #[error("nothing was changed: {label} is {now} by now, not {have}: try again")]
    Moved {
        /// What a person calls it.
        label: String,
        /// What it was when the change was planned.
        have: String,
        /// What it is.
        now: String,
    },
    /// Some of it was refused; the rest is changed, and can be undone.
    #[error("{} of the changes were refused:\n{}", .0.len(), .0.join("\n"))]
    Some(Vec<String>),
}

impl Plan {
    /// What must be changed for these findings; with `program`, its path, also what keeps it so
    /// after the next start of the host.
    pub fn new(host: &Host, goal: &Goal, findings: &[Finding], program: Option<&str>) -> Self {
        // Also where this process has enough: a service begins with others' limits.
        let mut files = vec![persist::limits(host, goal)];
        if let Some(program) = program {
            files.extend(persist::for_restarts(host, goal, findings, program));
        }
        files.retain(|file| host.text(file.path).ok().as_ref() != Some(&file.text));
        let settings = findings.iter().filter_map(Step::of).collect();
        Self { settings, besides: Vec::new(), files }
    }

    /// Of the same only how many queues the cards have. What else is to be set of a card is known
    /// when it has them: interrupts, RPS, XPS and RSS are of its queues, and a driver that makes
    /// queues may set those.
    pub fn of_queues(facts: &Facts, findings: &[Finding]) -> Self {
        let queues = findings.iter().filter(|finding| finding.knob.name == CHANNELS);
        let settings: Vec<Step> = queues.filter_map(Step::of).collect();
        let changes = |card: &&Interface| {
            let queues = format!("{CARD}{}:", card.name);
            settings.iter().any(|step| step.path.starts_with(&queues))
        };
        let left = findings.iter().filter(|finding| finding.state == State::Managed);
        let left: Vec<&Place> = left.map(|finding| &finding.place).collect();
        // Also what does not matter for this goal: what it was is to be there again.
        let besides = facts.interfaces.iter().filter(changes).flat_map(Interface::of_queues);
        let besides =
            besides.filter(|path| !left.contains(&&Place::Kernel(path.clone()))).collect();
        Self { settings, besides, files: Vec::new() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.files.is_empty()
    }

    /// What would change, a line for each setting and a unified diff for each file.
    pub fn diff(&self, host: &Host) -> String {
        let mut text = String::new();
        for step in &self.settings {
            let [have, value] = [&step.have, &step.value].map(|text| in_few_words(text));
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{}: {have} -> {value}", step.label);
        }
        for file in &self.files {
            let before = host.text(file.path).unwrap_or_default();
            let old = if before.is_empty() { "/dev/null" } else { file.path };
            let diff = TextDiff::from_lines(&before, &file.text);
            text.push_str(&diff.unified_diff().header(old, file.path).to_string());
        }
        text
    }
}

/// What became of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Settings that were set.
    pub settings: usize,
    /// Files that were written.
    pub files: usize,
    /// Settings that the kernel leaves to nobody: interrupts that it moves itself, and what a
    /// card's driver cannot set.
    pub managed: Vec<String>,
}

/// Changes the host as planned. What was there is on disk before the first change, so an
/// interrupted change can be undone, or made again.
///
/// # Errors
/// [`Failed`]; but for `Some` the host is as it was.
pub fn apply(host: &Host, plan: &Plan) -> Result<Applied, Failed> {
    let _turn = turn(host)?;
    unmoved(host, plan)?;
    let mut record = record(host, plan).map_err(Failed::Record)?;
    let (mut done, mut refused) = (Applied::default(), Vec::new());
    for step in &plan.settings {
        match host.set(&step.path, &step.value) {
            Ok(()) => done.settings += 1,
            Err(error) if is_managed(&step.path, &error) => done.managed.push(step.path.clone()),
            Err(error) => {
                let value = in_few_words(&step.value);
                refused.push(format!("  {} = {value}: {error}", step.label));
            }
        }
    }
    let nr_open = host.read(NR_OPEN).ok().and_then(|text| text.parse().ok());
    for file in &plan.files {
        if file.nr_open > nr_open.unwrap_or(0) {
            refused.push(format!("  {}: with more than fs.nr_open nobody could log in", file.path));
        } else if let Err(error) = host.put(file.path, &file.text, false) {
            refused.push(format!("  {}: {error}", file.path));
        } else {
            done.files += 1;
        }
    }
    record.note_managed(&done.managed);
    record.note_after(host);
    refused.extend(record.save(host).err().map(|error| format!("  {error}")));
    all_or(refused)?;
    Ok(done)
}

/// Nothing is changed that is no longer what it was when the change was planned and shown: somebody
/// else may have made it more since. Interrupts move all the time where `irqbalance` runs.
fn unmoved(host: &Host, plan: &Plan) -> Result<(), Failed> {
    for step in plan.settings.iter().filter(|step| !is_interrupt(&step.path)) {
        let now = host.read(&step.path).unwrap_or_else(|_| step.have.clone());
        if now != step.have {
            let (label, have, now) =
                (step.label.clone(), in_few_words(&step.have), in_few_words(&now));
            return Err(Failed::Moved { label, have, now });
        }
    }
    Ok(())
}

/// Whether the kernel leaves this to nobody. An interrupt that it moves itself, since a card's
/// driver asked it to, it refuses by `EIO`, and by `EPERM` since 6.12; and some drivers tell of a
/// card what they cannot set.
fn is_managed(path: &str, error: &io::Error) -> bool {
    is_moved_by_the_kernel(path, error)
        || path.starts_with(CARD) && errno(error) == Some(Errno::OPNOTSUPP)
}

/// The same of interrupts alone.
pub(crate) fn is_moved_by_the_kernel(path: &str, error: &io::Error) -> bool {
    is_interrupt(path) && matches!(errno(error), Some(Errno::IO | Errno::PERM))
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

pub(crate) fn turn(host: &Host) -> Result<Turn, Failed> {
    Turn::take(host).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Failed::Busy,
        _ => Failed::Record(error),
    })
}

fn record(host: &Host, plan: &Plan) -> io::Result<Record> {
    let mut record = Record::load(host)?.of_this_boot(host);
    for step in &plan.settings {
        // Read again: an interrupt may have moved since it was looked at.
        let have = host.read(&step.path).unwrap_or_else(|_| step.have.clone());
        record.note_setting(&step.path, &have);
    }
    for path in &plan.besides {
        // What is gone by now is nobody's to put back.
        if let Ok(have) = host.read(path) {
            record.note_setting(path, &have);
        }
    }
    for file in &plan.files {
        record.note_file(host, file.path)?;
    }
    record.save(host)?;
    Ok(record)
}

pub(crate) fn all_or(refused: Vec<String>) -> Result<(), Failed> {
    if refused.is_empty() { Ok(()) } else { Err(Failed::Some(refused)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_leaves_to_nobody_is_told_by_its_answer() {
        let is = |path, errno: Errno| is_managed(path, &errno.into());
        let [irq, card] = ["/proc/irq/24/smp_affinity_list", "ethtool:eth0:combined"];
        assert!(is(irq, Errno::IO) && is(irq, Errno::PERM) && is(card, Errno::OPNOTSUPP));
        for (path, errno) in [
            (irq, Errno::INVAL),
            (card, Errno::PERM),
            (card, Errno::INVAL),
            ("/proc/sys/vm/swappiness", Errno::OPNOTSUPP),
        ] {
            assert!(!is(path, errno), "{path}: {errno}");
        }
    }
}
