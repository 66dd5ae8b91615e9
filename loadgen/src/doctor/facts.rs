//! What this host allows, read from the kernel. What cannot be read is taken as unbounded: a guess
//! would refuse what works.

use crate::sources;
use rustix::process::{Resource, getrlimit};
use std::fs;

/// What the host allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Descriptors that one table may have, once the soft limit is raised to the hard one.
    pub(super) descriptors: u64,
    /// Files that all processes may have open, and that they have.
    pub(super) files: (u64, u64),
    /// The first and the last local port that the kernel gives out.
    pub(super) ports: (u16, u16),
    /// Connections that wait in TIME-WAIT now, and that may.
    pub(super) waiting: (u64, u64),
    /// `net.ipv4.tcp_tw_reuse`: 0 never, 1 always, 2 on loopback.
    pub(super) reuse: u64,
    /// Memory that may still be had, bytes.
    pub(super) memory: u64,
    /// Connections that a listener may have waiting to be accepted.
    pub(super) backlog: u64,
    /// Cores that this process may use.
    pub(super) cores: u32,
}

impl Facts {
    /// Reads them.
    pub(super) fn read() -> Self {
        let sockets = text("/proc/net/sockstat");
        let tcp = sockets.lines().find_map(|line| line.strip_prefix("TCP:")).unwrap_or_default();
        let mut words = tcp.split_whitespace().skip_while(|word| *word != "tw").skip(1);
        let waiting = words.next().and_then(|count| count.parse().ok()).unwrap_or_default();
        let files = text("/proc/sys/fs/file-nr");
        let mut files = files.split_whitespace().map_while(|count| count.parse().ok());
        let used = files.next().unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            descriptors: getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
            files: (files.nth(1).unwrap_or(u64::MAX), used),
            ports: sources::local_port_range(),
            waiting: (waiting, number("/proc/sys/net/ipv4/tcp_max_tw_buckets", u64::MAX)),
            reuse: number("/proc/sys/net/ipv4/tcp_tw_reuse", 2),
            memory: memory(),
            backlog: number("/proc/sys/net/core/somaxconn", u64::MAX),
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
        }
    }
}

/// What is left of the machine, and of the control group if that is less.
fn memory() -> u64 {
    let meminfo = text("/proc/meminfo");
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let machine = kib.map_or(u64::MAX, |kib| kib * 1024);
    let group = text("/proc/self/cgroup");
    let group = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let group = format!("/sys/fs/cgroup{}", group.trim_end());
    let most = number(&format!("{group}/memory.max"), u64::MAX);
    let used = number(&format!("{group}/memory.current"), 0);
    machine.min(most.saturating_sub(used))
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The number in a file, or `unknown`.
fn number(path: &str, unknown: u64) -> u64 {
    text(path).trim().parse().unwrap_or(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_allows_something() {
        let facts = Facts::read();
        assert!(facts.descriptors > 0 && facts.cores > 0 && facts.memory > 0, "{facts:?}");
        assert!(facts.files.0 > facts.files.1, "{facts:?}");
        assert!(facts.ports.0 < facts.ports.1 && facts.backlog > 0, "{facts:?}");
    }
}
