//! What the kernel says about processes and about itself, read from /proc.
//!
//! CPU time is the scheduler's count over all threads of a process, split into user and system by
//! the clock ticks. Network work that the kernel puts off to `ksoftirqd` is in no process's time;
//! it is read beside it and stated apart. Memory of user space is PSS and its anonymous part, so
//! that shared pages do not count twice; kernel memory is the slab of the whole machine, so it
//! holds both ends of every loopback connection.

pub(crate) mod find;
pub(crate) mod meter;

use std::fs;
use std::path::Path;

/// One reading of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Process {
    /// CPU time in user mode, milliseconds.
    pub(crate) user_ms: u64,
    /// CPU time in the kernel on the process's account, milliseconds.
    pub(crate) system_ms: u64,
    /// CPU time by the scheduler's count, nanoseconds; user and system together.
    pub(crate) run_ns: u64,
    /// Resident memory, bytes.
    pub(crate) rss: u64,
    /// Its proportional share, bytes.
    pub(crate) pss: u64,
    /// The anonymous part: heap and stacks, bytes.
    pub(crate) anonymous: u64,
}

impl Process {
    /// Adds another process.
    pub(crate) fn add(&mut self, other: &Self) {
        self.user_ms = self.user_ms.saturating_add(other.user_ms);
        self.system_ms = self.system_ms.saturating_add(other.system_ms);
        self.run_ns = self.run_ns.saturating_add(other.run_ns);
        self.rss = self.rss.saturating_add(other.rss);
        self.pss = self.pss.saturating_add(other.pss);
        self.anonymous = self.anonymous.saturating_add(other.anonymous);
    }
}

/// One reading of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Machine {
    /// Time of all cores in soft interrupts, milliseconds.
    pub(crate) softirq_ms: u64,
    /// CPU time of the `ksoftirqd` threads, milliseconds.
    pub(crate) ksoftirqd_ms: u64,
    /// Slab memory, bytes.
    pub(crate) slab: u64,
    /// TCP sockets that exist.
    pub(crate) tcp_sockets: u64,
    /// Pages of memory in TCP buffers.
    pub(crate) tcp_pages: u64,
}

/// A reading of everything at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Sample {
    /// When, nanoseconds of the run's clock.
    pub(crate) at_ns: u64,
    /// The gateway, if it runs on this machine and may be read.
    pub(crate) server: Option<Process>,
    /// This process.
    pub(crate) client: Process,
    /// The machine.
    pub(crate) machine: Machine,
}

/// Reads everything; `at_ns` is when.
pub(crate) fn sample(server: Option<u32>, at_ns: u64) -> Sample {
    Sample {
        at_ns,
        server: server.and_then(process),
        client: process(std::process::id()).unwrap_or_default(),
        machine: machine(),
    }
}

/// Slab memory of the machine, bytes.
pub(crate) fn slab() -> u64 {
    kilobytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "Slab:")
}

/// Memory that can be given out without swapping, bytes.
pub(crate) fn available() -> u64 {
    kilobytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable:")
}

/// Reads one process; `None` if there is no such process.
pub(crate) fn process(pid: u32) -> Option<Process> {
    let root = format!("/proc/{pid}");
    let (user, system) = ticks(&fs::read_to_string(format!("{root}/stat")).ok()?)?;
    let memory = fs::read_to_string(format!("{root}/smaps_rollup")).unwrap_or_default();
    let status = fs::read_to_string(format!("{root}/status")).unwrap_or_default();
    Some(Process {
        user_ms: milliseconds(user),
        system_ms: milliseconds(system),
        run_ns: run_time(Path::new(&root)),
        rss: kilobytes(&status, "VmRSS:"),
        pss: kilobytes(&memory, "Pss:"),
        anonymous: kilobytes(&memory, "Anonymous:"),
    })
}

/// The scheduler's count over all threads, nanoseconds. Threads that ended are missing from it.
fn run_time(root: &Path) -> u64 {
    thread_times(root).map(|(_, times)| times.run).sum()
}

/// The scheduler's count of one thread, nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Times {
    /// On a core.
    run: u64,
    /// Ready to run, while every core that it may have was another's.
    waited: u64,
}

/// The scheduler's count of each thread of a process, with the thread's number.
fn thread_times(root: &Path) -> impl Iterator<Item = (u32, Times)> + use<> {
    let of_thread = |thread: fs::DirEntry| {
        let number = thread.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        Some((number, times(&text)?))
    };
    fs::read_dir(root.join("task")).into_iter().flatten().flatten().filter_map(of_thread)
}

/// The two times of a schedstat file; what an older kernel does not say of waiting is zero.
fn times(schedstat: &str) -> Option<Times> {
    let mut counts = schedstat.split_whitespace().map_while(|count| count.parse().ok());
    Some(Times { run: counts.next()?, waited: counts.next().unwrap_or_default() })
}

/// User and system time of a /proc stat line, in ticks.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    // The name in parentheses may hold anything; what follows its last parenthesis is regular.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn milliseconds(ticks: u64) -> u64 {
    ticks * 1_000 / rustix::param::clock_ticks_per_second().max(1)
}

/// The value behind `name` in bytes, of a file that counts in kB.
fn kilobytes(text: &str, name: &str) -> u64 {
    number_after(text, name) * 1024
}

fn number_after(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn machine() -> Machine {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let sockets = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let tcp = sockets.lines().find_map(|line| line.strip_prefix("TCP:")).unwrap_or_default();
    let softirq = stat.lines().next().and_then(|line| line.split_whitespace().nth(7));
    Machine {
        softirq_ms: milliseconds(softirq.and_then(|ticks| ticks.parse().ok()).unwrap_or_default()),
        ksoftirqd_ms: ksoftirqd(),
        slab: slab(),
        tcp_sockets: pair(tcp, "alloc"),
        tcp_pages: pair(tcp, "mem"),
    }
}

/// The number after the word `name`.
fn pair(text: &str, name: &str) -> u64 {
    let mut words = text.split_whitespace().skip_while(|word| *word != name).skip(1);
    words.next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Kernel threads are started first, so theirs are the smallest numbers.
const KERNEL_PIDS: std::ops::Range<u32> = 1..2_000;

fn ksoftirqd() -> u64 {
    let times = ksoftirqd_stats().filter_map(|(_, stat)| ticks(&stat));
    times.map(|(user, system)| milliseconds(user + system)).sum()
}

/// The process numbers of the `ksoftirqd` threads, each with its stat line.
fn ksoftirqd_stats() -> impl Iterator<Item = (u32, String)> {
    KERNEL_PIDS.filter_map(|pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.contains("(ksoftirqd/").then_some((pid, stat))
    })
}

/// The kernel's version.
pub(crate) fn kernel() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if text.is_empty() { "unknown".to_owned() } else { text.trim().to_owned() }
}

/// The processor's name and how many there are for this process.
pub(crate) fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name =
        named.and_then(|rest| rest.split_once(':')).map_or("unknown", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} x {name}")
}

/// The commit that this was built from, `-dirty` behind it where files were not as committed;
/// `debug` of a build for the day's work.
pub(crate) const COMMIT: &str = env!("HOLDFAST_COMMIT");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_a_name_with_spaces_and_parentheses() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 123 45 0 0 20 0";
        assert_eq!(ticks(stat), Some((123, 45)));
    }

    #[test]
    fn a_thread_ran_and_waited_by_the_first_two_counts() {
        let both = Times { run: 2_800_000_000, waited: 18_500_000_000 };
        assert_eq!(times("2800000000 18500000000 4711\n"), Some(both));
        assert_eq!(times("7\n"), Some(Times { run: 7, waited: 0 }));
        assert_eq!((times(""), times("none 3 4")), (None, None));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "Rss:   12 kB\nPss:     7 kB\nAnonymous: 3 kB\n";
        assert_eq!((kilobytes(text, "Pss:"), kilobytes(text, "Missing:")), (7 * 1024, 0));
    }

    #[test]
    fn this_process_has_memory_and_a_running_time() {
        let me = process(std::process::id()).unwrap();
        assert!(me.rss > 0 && me.run_ns > 0, "{me:?}");
        assert_eq!(process(u32::MAX), None);
    }
}
