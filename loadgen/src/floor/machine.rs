//! What the machine says about a process: its CPU time, its memory, and the kernel's memory.
//!
//! CPU time is the scheduler's own count (user and system together, in nanoseconds), summed over
//! the process's threads. Network work that the kernel puts off to `ksoftirqd` is in no process's
//! time, so it is read beside it and stated apart. A running thread's count lags by up to a tick:
//! read it while the process sleeps ([`Meter::settled`]).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Binds the calling thread, and those that it starts later, to one core.
pub(crate) fn pin_to(core: usize) -> io::Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Starts a child on `core` and leaves the calling thread on the next one, for a child begins where
/// its parent is. The outer error is of the cores, the inner one of the program.
pub(crate) fn spawn_on(core: usize, command: &mut Command) -> io::Result<io::Result<Child>> {
    pin_to(core)?;
    let child = command.spawn();
    // A child that was started is the caller's to end, so its handle is not lost to this error.
    match (child, pin_to(core + 1)) {
        (Ok(mut child), Err(error)) => {
            child.kill()?;
            child.wait()?;
            Err(error)
        }
        (child, pinned) => pinned.map(|()| child),
    }
}

/// The last of the cores that the calling thread may run on.
pub(crate) fn last_core() -> Option<usize> {
    let allowed = sched_getaffinity(None).ok()?;
    (0..CpuSet::MAX_CPU).rev().find(|core| allowed.is_set(*core))
}

/// Takes as many descriptors per table as may be had; gives how many that is.
pub(crate) fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let reached =
        if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    reached.map_or(1 << 20, |reached| usize::try_from(reached).unwrap_or(usize::MAX))
}

/// Gives the calling thread its own descriptor table, so that the limit counts for it alone. To be
/// called before the thread opens anything; what it opens later must not leave it.
pub(crate) fn own_table() -> io::Result<()> {
    Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES)?)
}

/// CPU time at one moment, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    /// Of the process.
    pub(crate) process: u64,
    /// Of the `ksoftirqd` of its core.
    pub(crate) softirq: u64,
}

impl Cpu {
    /// Both together: the work was the server's, whoever the kernel made do it.
    pub(crate) const fn total(self) -> u64 {
        self.process + self.softirq
    }

    /// What was spent since `before`.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            process: self.process.saturating_sub(before.process),
            softirq: self.softirq.saturating_sub(before.softirq),
        }
    }
}

/// Reads the CPU time of one process, or of several as one.
#[derive(Debug)]
pub(crate) struct Meter {
    /// The processes of one server.
    pids: Vec<u32>,
    /// The `ksoftirqd` of the cores that the first of them may run on.
    softirq: Vec<PathBuf>,
}

impl Meter {
    pub(crate) fn new(pid: u32) -> Self {
        Self::of(vec![pid])
    }

    /// Of a server that is several processes on the same cores.
    pub(crate) fn of(pids: Vec<u32>) -> Self {
        let pid = pids.first().copied().unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        // A server that is measured is pinned to one core; where it is not, every core counts.
        let core = cores.map(str::trim).filter(|list| list.parse::<usize>().is_ok());
        Self { pids, softirq: ksoftirqd(core) }
    }

    /// The time up to now.
    pub(crate) fn cpu(&self) -> io::Result<Cpu> {
        let mut process = 0;
        for pid in &self.pids {
            for task in fs::read_dir(format!("/proc/{pid}/task"))? {
                // A thread may end between the listing and the reading.
                process += on_cpu(&task?.path().join("schedstat")).unwrap_or(0);
            }
        }
        let softirq = self.softirq.iter().filter_map(|path| on_cpu(path)).sum();
        Ok(Cpu { process, softirq })
    }

    /// The time once the process rests: two like readings 10 ms apart, or after two seconds.
    pub(crate) fn settled(&self) -> io::Result<Cpu> {
        let mut before = self.cpu()?;
        let end = Instant::now() + Duration::from_secs(2);
        loop {
            sleep(Duration::from_millis(10));
            let now = self.cpu()?;
            // A server with timers never rests fully: below 0.5 % of a core is rest.
            // A thread that ended takes its time out of the sum.
            let spent = now.process.saturating_sub(before.process);
            if spent < 50_000 || Instant::now() > end {
                return Ok(now);
            }
            before = now;
        }
    }
}

fn on_cpu(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.split(' ').next()?.parse().ok()
}

/// The kernel threads that do deferred network work of this core, or of all.
fn ksoftirqd(core: Option<&str>) -> Vec<PathBuf> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let wanted = |name: &str| match core {
        Some(core) => name.trim_end().strip_prefix("ksoftirqd/") == Some(core),
        None => name.starts_with("ksoftirqd/"),
    };
    let folders = processes.flatten().map(|entry| entry.path());
    let named =
        |path: &PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|name| wanted(&name));
    folders.filter(named).map(|path| path.join("schedstat")).collect()
}

/// One cache of kernel objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cache {
    /// Objects in use.
    pub(crate) objects: u64,
    /// Bytes of one.
    pub(crate) size: u64,
}

/// Memory at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// Anonymous bytes of the process that are resident.
    pub(crate) anonymous: u64,
    /// Bytes of all slabs, slack included.
    pub(crate) slab: u64,
    /// Each cache; empty where `/proc/slabinfo` may not be read.
    pub(crate) caches: BTreeMap<String, Cache>,
}

/// Reads the memory of `pid` and of the kernel.
pub(crate) fn memory(pid: u32) -> io::Result<Memory> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let slabinfo = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    Ok(Memory {
        anonymous: kilobytes(&rollup, "Anonymous:"),
        slab: kilobytes(&meminfo, "Slab:"),
        caches: slabinfo.lines().skip(2).filter_map(cache).collect(),
    })
}

fn kilobytes(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

fn cache(line: &str) -> Option<(String, Cache)> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_owned();
    let objects = words.next()?.parse().ok()?;
    let size = words.nth(1)?.parse().ok()?;
    Some((name, Cache { objects, size }))
}

/// The caches that grew by at least one object for each two of `count` things, in bytes a thing:
/// what those things are made of, without the noise of everything else on the machine. The kernel
/// merges caches of one size, so a name may stand for another's objects; the sum is what counts.
pub(crate) fn grown(before: &Memory, after: &Memory, count: u64) -> BTreeMap<String, f64> {
    let mut grown = BTreeMap::new();
    for (name, cache) in &after.caches {
        let had = before.caches.get(name).copied().unwrap_or_default();
        let objects = cache.objects.saturating_sub(had.objects);
        if objects * 2 >= count {
            grown.insert(name.clone(), per(objects * cache.size, count));
        }
    }
    grown
}

/// What one end of a connection takes for its socket and file: half of what both ends take of the
/// caches that only they are made of. `grown` counts both ends, on this machine.
pub(crate) fn one_socket(grown: &BTreeMap<String, f64>) -> f64 {
    let of_a_socket = |name: &str| {
        ["TCP", "TCPv6", "sock_inode_cache", "dentry", "filp"].contains(&name)
            || name.starts_with("lsm_")
    };
    grown.iter().filter(|(name, _)| of_a_socket(name)).map(|(_, bytes)| bytes / 2.0).sum()
}

/// A ratio of two counts.
#[allow(clippy::cast_precision_loss, reason = "counts here stay far below 2^52")]
pub(crate) fn per(total: u64, count: u64) -> f64 {
    total as f64 / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn only_caches_that_grow_with_the_count_are_named() {
        let line = |objects: u64| format!("TCP {objects} 99 2368 13 8 : tunables 0 0 0");
        let memory = |objects, other| Memory {
            caches: [cache(&line(objects)).unwrap(), ("dentry".into(), other)].into(),
            ..Memory::default()
        };
        let before = memory(10, Cache { objects: 5, size: 192 });
        let after = memory(110, Cache { objects: 20, size: 192 });
        let grown = grown(&before, &after, 100);
        assert_eq!(grown.into_iter().collect::<Vec<_>>(), [("TCP".to_owned(), 2368.0)]);
    }

    #[test]
    fn one_socket_is_half_of_two_and_nothing_else() {
        let grown = [("TCP", 4736.0), ("io_kiocb", 256.0), ("lsm_file_cache", 48.0)];
        let grown = grown.map(|(name, bytes)| (name.to_owned(), bytes)).into();
        assert!((one_socket(&grown) - 2392.0).abs() < 0.1);
    }

    #[test]
    fn work_done_shows_in_the_cpu_time() {
        // A process of its own: in this one other tests' threads come and go.
        let work = "read _; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; read _";
        let mut shell = Command::new("sh");
        shell.args(["-c", work]).stdin(std::process::Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let meter = Meter::new(child.id());
        let before = meter.settled().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"go\n").unwrap();
        while meter.cpu().unwrap().since(before).process == 0 {
            std::thread::yield_now();
        }
        assert!(meter.settled().unwrap().since(before).process > 0);
        drop(input);
        child.wait().unwrap();
    }
}
