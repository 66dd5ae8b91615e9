//! What other files set after ours are read: those of `sysctl.d(5)` at the next start of the host,
//! and drop-ins of the service at its next start.

use crate::host::Host;
use crate::knobs::{Limit, Place};
use crate::persist::{DROP_IN, SYSCTL, granted};
use crate::plan::{Finding, State};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Where such files are: of two with one name, that in the first folder counts.
const FOLDERS: [&str; 5] = [
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
];
/// Read behind all of them, by `sysctl --system` or by a link among them.
const LAST: &str = "/etc/sysctl.conf";

/// Where drop-ins of the service are, in the same way.
const DROP_INS: [&str; 4] = [
    "/etc/systemd/system/holdfast.service.d",
    "/run/systemd/system/holdfast.service.d",
    "/usr/local/lib/systemd/system/holdfast.service.d",
    "/usr/lib/systemd/system/holdfast.service.d",
];

/// A setting that another file will make too little.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Overruled {
    /// The file.
    pub file: String,
    /// The knob.
    pub knob: &'static str,
    /// What the file sets.
    pub value: String,
    /// What must be.
    #[serde(skip)]
    want: String,
    /// When, and behind which file of ours it is read.
    #[serde(skip)]
    behind: (&'static str, &'static str),
}

impl fmt::Display for Overruled {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, knob, value, want, behind: (when, ours) } = self;
        write!(
            out,
            "at the next start of the {when} {file} wins, which is read after {ours}: it sets \
             {knob} = {value}, and the goal needs {want}"
        )
    }
}

/// The settings that will not be as they must be, since a file that is read later says otherwise.
pub fn overruled(host: &Host, findings: &[Finding]) -> Vec<Overruled> {
    let set = set_later(host);
    let of = |finding: &Finding| {
        let (file, value, behind) = match &finding.place {
            Place::Kernel(path) => {
                let (file, value) = set.get(path)?;
                (file.clone(), value.clone(), ("host", SYSCTL))
            }
            Place::Process(limit) => {
                let (file, value) = limited_later(host, *limit)?;
                (file, value.to_string(), ("gateway", DROP_IN))
            }
        };
        let is_there = !matches!(finding.state, State::Absent | State::Hidden);
        let want = finding.want.to_string();
        let knob = finding.knob.name;
        let is_short = is_there && !finding.want.is_met_by(&value);
        is_short.then_some(Overruled { file, knob, value, want, behind })
    };
    findings.iter().filter_map(of).collect()
}

/// What the files behind ours set: for each setting's path the last of them, and its value.
fn set_later(host: &Host) -> BTreeMap<String, (String, String)> {
    let mut set = BTreeMap::new();
    for file in later(host, &FOLDERS, SYSCTL).into_iter().chain([LAST.to_owned()]) {
        for (path, value) in host.words(&file).lines().filter_map(line) {
            set.insert(path, (file.clone(), value));
        }
    }
    set
}

/// The last drop-in behind ours that sets a limit of the service, and to what.
fn limited_later(host: &Host, limit: Limit) -> Option<(String, u64)> {
    let files = later(host, &DROP_INS, DROP_IN).into_iter().rev();
    files.into_iter().find_map(|file| {
        let value = granted(&host.words(&file), limit.directive())?;
        Some((file, value))
    })
}

/// The files of these folders that are read behind ours, in that order.
fn later(host: &Host, folders: &[&str], ours: &str) -> Vec<String> {
    let ours = ours.rsplit('/').next().unwrap_or(ours);
    let mut files = BTreeMap::new();
    for folder in folders {
        let is_later = |name: &String| {
            name.as_str() > ours && Path::new(name).extension().is_some_and(|end| end == "conf")
        };
        for name in host.names(folder).into_iter().filter(is_later) {
            let path = format!("{folder}/{name}");
            files.entry(name).or_insert(path);
        }
    }
    files.into_values().collect()
}

/// The path and the value of a line, where it has both. A name with `*` is of no setting that is
/// named whole elsewhere, as all of ours are.
fn line(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    let name = name.trim().trim_start_matches('-');
    // Where the first separator is a slash the others stay as they are.
    let with_slashes = name.find(['.', '/']).is_some_and(|at| name[at..].starts_with('/'));
    let name = if with_slashes { name.to_owned() } else { name.replace('.', "/") };
    Some((format!("/proc/sys/{name}"), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn lines_are_read_as_sysctl_d_has_them() {
        let says = |text, name: &str, value: &str| {
            let path = format!("/proc/sys/{name}");
            assert_eq!(line(text), Some((path, value.to_owned())), "{text}");
        };
        says("net.core.somaxconn=128", "net/core/somaxconn", "128");
        says("  -net.ipv4.tcp_mem = 1\t2 3 ", "net/ipv4/tcp_mem", "1\t2 3");
        says("net/ipv4/conf/eth0.1/x = 1", "net/ipv4/conf/eth0.1/x", "1");
        for nothing in ["", "# fs.nr_open = 1", "; fs.nr_open = 1", "-net.core.somaxconn"] {
            assert_eq!(line(nothing), None, "{nothing}");
        }
    }
}
