//! What this host gives: cores, descriptors, memory, leave to split descriptor tables.

use crate::io::table::own_descriptor_table;
use crate::limits::Host;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What can be had now, beside so many cores.
pub(super) fn host(cores: usize) -> Host {
    Host { cores, descriptors: descriptor_limit(), memory: available_memory() }
}

/// The cores that the process may run on.
pub(super) fn usable_cores() -> Vec<usize> {
    let all = 0..rustix::thread::CpuSet::MAX_CPU;
    let usable = rustix::thread::sched_getaffinity(None)
        .map(|set| all.filter(|&core| set.is_set(core)).collect::<Vec<_>>())
        .unwrap_or_default();
    if usable.is_empty() { vec![0] } else { usable }
}

/// Descriptors that a table may hold. The soft limit is low for the sake of programs that use
/// `select(2)`, so it is raised to the hard one; where that is forbidden, it counts as it is.
fn descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let limit = getrlimit(Resource::Nofile);
    limit.current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Memory that could be had, by the kernel's own estimate; what a container allows, where that is
/// less.
fn available_memory() -> usize {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<usize>().ok())
        .map_or(usize::MAX, |kib| kib << 10);
    let cgroup = std::fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    available.min(cgroup.trim().parse().unwrap_or(usize::MAX))
}

/// Whether a thread may take a descriptor table of its own: containers often forbid it, together
/// with `io_uring`.
pub(super) fn can_own_tables() -> bool {
    let tried = std::thread::spawn(|| own_descriptor_table(&[])).join();
    match tried {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(
                "the shards share one descriptor table, because unshare(2) or close_range(2) is \
                 forbidden ({error}): they share its limit too"
            );
            false
        }
        Err(_) => false,
    }
}
