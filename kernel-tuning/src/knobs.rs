//! Every knob: what it must be for a goal, why, what that costs, and who says so.

mod accepting;
mod cores;
mod descriptors;
mod memory;
mod network;
mod tracking;

pub(crate) use memory::tcp_pages_needed;
pub(crate) use network::CHANNELS;

use crate::facts::Facts;
use crate::goal::Goal;
use crate::want::Want;

/// Where a setting is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A file of `/proc/sys` or `/sys`, which the kernel reads when it is written.
    Kernel(String),
    /// A limit that a process begins with (`setrlimit(2)`), set in files for those that come.
    Process(Limit),
}

/// A limit of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// `RLIMIT_NOFILE`: descriptors.
    Descriptors,
    /// `RLIMIT_MEMLOCK`: bytes that cannot be swapped.
    LockedMemory,
}

impl Limit {
    /// What sets it in a unit of systemd (`systemd.exec(5)`).
    pub(crate) const fn directive(self) -> &'static str {
        match self {
            Self::Descriptors => "LimitNOFILE",
            Self::LockedMemory => "LimitMEMLOCK",
        }
    }
}

/// One setting and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where it is.
    pub place: Place,
    /// What it must be.
    pub want: Want,
}

/// Something of the host that can be turned.
#[derive(Debug)]
pub struct Knob {
    /// Its name: that of `sysctl(8)` where it has one.
    pub name: &'static str,
    /// Why it must be so.
    pub reason: &'static str,
    /// What that costs, or risks.
    pub cost: &'static str,
    /// Where it is described.
    pub source: &'static str,
    /// What a host that has less cannot carry: connections, not just comfort.
    pub limits_connections: bool,
    /// What it must be for this goal on this host; empty where it does not matter there.
    pub settings: fn(&Goal, &Facts) -> Vec<Setting>,
}

impl Knob {
    /// What a person calls one of its settings: the knob's name, with its file where there are
    /// several.
    pub fn label(&self, place: &Place) -> String {
        match place {
            Place::Kernel(path) if !path.starts_with("/proc/sys/") => path.clone(),
            Place::Kernel(_) | Place::Process(_) => self.name.to_owned(),
        }
    }
}

/// All of them, in the order in which they are shown and set.
pub fn all() -> impl Iterator<Item = &'static Knob> {
    [
        descriptors::KNOBS,
        accepting::KNOBS,
        memory::KNOBS,
        tracking::KNOBS,
        network::KNOBS,
        cores::KNOBS,
    ]
    .into_iter()
    .flatten()
}

/// The knob of this name.
///
/// # Errors
/// The name that is most like it, if any is.
pub fn named(name: &str) -> Result<&'static Knob, Option<&'static str>> {
    if let Some(knob) = all().find(|knob| knob.name == name) {
        return Ok(knob);
    }
    // Without its beginning, as many say it: `somaxconn`.
    let end = format!(".{name}");
    if let Some(knob) = all().find(|knob| knob.name.ends_with(&end)) {
        return Err(Some(knob.name));
    }
    let scored = all().map(|knob| (strsim::jaro_winkler(knob.name, name), knob.name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    Err(best.filter(|(score, _)| *score > 0.75).map(|(_, name)| name))
}

/// The setting of a `sysctl(8)` name.
fn sysctl(name: &str, want: Want) -> Vec<Setting> {
    let place = Place::Kernel(format!("/proc/sys/{}", name.replace('.', "/")));
    vec![Setting { place, want }]
}

/// The same want of several files.
fn each(paths: &[String], want: &Want) -> Vec<Setting> {
    let setting =
        |path: &String| Setting { place: Place::Kernel(path.clone()), want: want.clone() };
    paths.iter().map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_knob_has_a_name_of_its_own_and_says_why_at_what_cost_and_who_says_so() {
        let names: BTreeSet<_> = all().map(|knob| knob.name).collect();
        assert_eq!(names.len(), all().count());
        for knob in all() {
            for text in [knob.reason, knob.cost, knob.source] {
                assert!(text.len() > 10 && !text.ends_with('.'), "{}: {text}", knob.name);
            }
        }
    }

    #[test]
    fn a_name_that_is_nearly_one_is_told() {
        assert_eq!(named("net.core.somaxcon").unwrap_err(), Some("net.core.somaxconn"));
        assert_eq!(named("tcp_mem").unwrap_err(), Some("net.ipv4.tcp_mem"));
        assert_eq!(named("somaxconn").unwrap_err(), Some("net.core.somaxconn"));
        assert_eq!(named("").unwrap_err(), None);
        assert_eq!(named("zzz").unwrap_err(), None);
        assert!(named("fs.nr_open").is_ok());
    }
}
