//! The files that set the same again after the next start of the host, and the limits of processes.

use crate::goal::Goal;
use crate::host::Host;
use crate::knobs::{Knob, Place};
use crate::plan::{Finding, State};
use crate::want::on_one_line;
use std::fmt::Write;

/// Who wrote it, at the head of every file.
const HEAD: &str = "# Written by `holdfast-tuning apply`; `holdfast-tuning undo` takes it back.\n";
/// Limits for logins; see `pam_limits(8)`.
const LIMITS: &str = "/etc/security/limits.d/90-holdfast.conf";
/// Limits for the service.
const DROP_IN: &str = "/etc/systemd/system/holdfast.service.d/90-tuning.conf";
/// What `sysctl.d(5)` reads.
const SYSCTL: &str = "/etc/sysctl.d/90-holdfast.conf";
/// What sets the rest when the gateway starts: interrupts are numbered anew with each start of the
/// host, and cards may have other queues.
const UNIT: &str = "/etc/systemd/system/holdfast-tuning.service";
/// Has the gateway's service start that before itself.
const STARTS: &str = "/etc/systemd/system/holdfast.service.d/91-tuning-at-start.conf";
/// The same for hosts that are run by tuned, which would else set its own.
const TUNED: &str = "/etc/tuned/holdfast/tuned.conf";

/// A file as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub path: &'static str,
    /// All of it.
    pub text: String,
    /// It does harm where `fs.nr_open` is less.
    pub nr_open: u64,
}

/// The file that sets the limits of the service: there is no other way to set those. Never less
/// than the service has without it.
pub fn limits(goal: &Goal) -> Wanted {
    let descriptors = goal.descriptors().max(1 << 20);
    let locked = goal.locked().max(64 << 20);
    let text = format!("{HEAD}[Service]\nLimitNOFILE={descriptors}\nLimitMEMLOCK={locked}\n");
    Wanted { path: DROP_IN, text, nr_open: 0 }
}

/// Whether the host's files set the limits that this goal needs.
pub fn has_limits(host: &Host, goal: &Goal) -> bool {
    let file = limits(goal);
    host.text(file.path).is_ok_and(|text| text == file.text)
}

/// The file that lets those who log in raise their limit, for what they start by hand. With a limit
/// above `fs.nr_open` nobody could log in, so it goes together with that.
fn logins(goal: &Goal) -> Wanted {
    let descriptors = goal.descriptors().max(1 << 19);
    let text = format!(
        "{HEAD}# For who logs in and starts a gateway or a load generator by hand.\n\
         * hard nofile {descriptors}\nroot hard nofile {descriptors}\n"
    );
    Wanted { path: LIMITS, text, nr_open: descriptors }
}

/// The files that survive a start of the host, for these settings as they will be; `program` is
/// this one.
pub fn for_restarts(goal: &Goal, findings: &[Finding], program: &str) -> Vec<Wanted> {
    let there = |one: &&Finding| !matches!(one.state, State::Absent | State::Hidden);
    let settings: Vec<Setting<'_>> =
        findings.iter().filter(there).filter_map(Setting::of).collect();
    let starts =
        format!("{HEAD}[Unit]\nWants=holdfast-tuning.service\nAfter=holdfast-tuning.service\n");
    let texts = [
        (SYSCTL, sysctl(&settings)),
        (UNIT, unit(goal, program)),
        (STARTS, starts),
        (TUNED, tuned(&settings)),
    ];
    let files = texts.into_iter().map(|(path, text)| Wanted { path, text, nr_open: 0 });
    files.chain([logins(goal)]).collect()
}

fn unit(goal: &Goal, program: &str) -> String {
    format!(
        "{HEAD}[Unit]\nDescription=The kernel as a Holdfast gateway needs it\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=\"{program}\" apply --yes {}\n",
        goal.arguments()
    )
}

/// One file of the kernel and the text that it shall have.
struct Setting<'a> {
    knob: &'static Knob,
    path: &'a str,
    value: String,
}

impl<'a> Setting<'a> {
    fn of(finding: &'a Finding) -> Option<Self> {
        let Place::Kernel(path) = &finding.place else { return None };
        let value = match finding.state {
            State::Good => on_one_line(&finding.have),
            _ => finding.value(),
        };
        Some(Self { knob: finding.knob, path, value })
    }

    /// The name for `sysctl(8)`, where it has one.
    fn sysctl(&self) -> Option<String> {
        self.path.strip_prefix("/proc/sys/").map(|name| name.replace('/', "."))
    }
}

fn sysctl(settings: &[Setting<'_>]) -> String {
    let mut text = HEAD.to_owned();
    for setting in settings {
        if let Some(name) = setting.sysctl() {
            // Writing into a string cannot fail. A dash: a kernel without it is no error.
            let _ = write!(text, "\n# {}\n-{name} = {}\n", setting.knob.reason, setting.value);
        }
    }
    text
}

fn tuned(settings: &[Setting<'_>]) -> String {
    let mut text = format!(
        "{HEAD}# Chosen by `tuned-adm profile holdfast`, on hosts that tuned looks after.\n\
         [main]\nsummary=A host of a Holdfast push gateway\n\n[sysctl]\n"
    );
    for setting in settings {
        if let Some(name) = setting.sysctl() {
            let _ = writeln!(text, "{name}={}", setting.value);
        }
    }
    text.push_str("\n[sysfs]\n");
    for setting in settings.iter().filter(|setting| setting.path.starts_with("/sys/")) {
        let _ = writeln!(text, "{}={}", setting.path, setting.value);
    }
    text
}
