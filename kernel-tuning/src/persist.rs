//! The files that set the same again after the next start of the host, and the limits of processes.

use crate::goal::Goal;
use crate::host::Host;
use crate::knobs::{Knob, Limit, Place};
use crate::plan::{Finding, State};
use crate::want::on_one_line;
use std::fmt::Write;

/// Who wrote it, at the head of every file.
const HEAD: &str = "# Written by `holdfast-tuning apply`; `holdfast-tuning undo` takes it back.\n";
/// Limits for logins; see `pam_limits(8)`.
pub const LIMITS: &str = "/etc/security/limits.d/90-holdfast.conf";
/// The beginning of its line.
const LOGINS: &str = "* hard nofile ";
/// `fs.nr_open` of a kernel where nobody sets it.
const NR_OPEN: u64 = 1 << 20;
/// Limits for the service.
pub(crate) const DROP_IN: &str = "/etc/systemd/system/holdfast.service.d/90-tuning.conf";
/// What `sysctl.d(5)` reads.
pub(crate) const SYSCTL: &str = "/etc/sysctl.d/90-holdfast.conf";
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
/// than the service has without it, or than the file grants already.
pub fn limits(host: &Host, goal: &Goal) -> Wanted {
    let there = host.text(DROP_IN).unwrap_or_default();
    let line = |limit: Limit, least: u64| {
        let name = limit.directive();
        match granted(&there, name).map_or(least, |granted| granted.max(least)) {
            u64::MAX => format!("{name}=infinity\n"),
            value => format!("{name}={value}\n"),
        }
    };
    let descriptors = line(Limit::Descriptors, goal.descriptors().max(1 << 20));
    let locked = line(Limit::LockedMemory, goal.locked().max(64 << 20));
    let text = format!("{HEAD}[Service]\n{descriptors}{locked}");
    Wanted { path: DROP_IN, text, nr_open: 0 }
}

/// Whether the host's files set the limits that this goal needs.
pub fn has_limits(host: &Host, goal: &Goal) -> bool {
    let file = limits(host, goal);
    host.text(file.path).is_ok_and(|text| text == file.text)
}

/// The soft limit that a drop-in of a service sets last (`systemd.exec(5)`, process properties):
/// `4096`, `4096:524288`, `8G`, `infinity`; that is `u64::MAX`.
pub(crate) fn granted(text: &str, directive: &str) -> Option<u64> {
    let value = |line: &str| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == directive).then(|| value.trim().to_owned())
    };
    let value = text.lines().filter_map(value).next_back()?;
    let soft = value.split(':').next().unwrap_or_default().trim();
    if soft == "infinity" {
        return Some(u64::MAX);
    }
    let (digits, shift) = match soft.char_indices().next_back()? {
        (at, unit @ ('K' | 'M' | 'G' | 'T')) => (&soft[..at], 10 * (" KMGT".find(unit)?)),
        _ => (soft, 0),
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn number_behind(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The file that lets those who log in raise their limit, for what they start by hand.
///
/// With a limit above `fs.nr_open` nobody of them could log in, and another file of `sysctl.d(5)`
/// may set that lower at the next start of the host. So it is never more than what a kernel has
/// when nobody sets it, and root, who can raise its own, is not in it.
fn logins(host: &Host, goal: &Goal) -> Wanted {
    let there = host.text(LIMITS).unwrap_or_default();
    let granted = number_behind(&there, LOGINS).unwrap_or_default();
    let descriptors = goal.descriptors().max(granted).clamp(1 << 19, NR_OPEN);
    let text = format!(
        "{HEAD}# For who logs in and starts a gateway or a load generator by hand. Never more than \
         fs.nr_open is\n# when nobody sets it: above that nobody could log in. Root raises its \
         own: `ulimit -n`.\n{LOGINS}{descriptors}\n"
    );
    Wanted { path: LIMITS, text, nr_open: descriptors }
}

/// The files that survive a start of the host, for these settings as they will be; `program` is
/// this one.
pub fn for_restarts(host: &Host, goal: &Goal, findings: &[Finding], program: &str) -> Vec<Wanted> {
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
    files.chain([logins(host, goal)]).collect()
}

fn unit(goal: &Goal, program: &str) -> String {
    format!(
        "{HEAD}[Unit]\nDescription=The kernel as a Holdfast gateway needs it\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         # 3: the host falls short of the goal, and what can be set is set.\n\
         SuccessExitStatus=3\nExecStart=\"{program}\" apply --yes {}\n",
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
