//! CPU time and memory of a process, read again and again: cheap enough for every second.
//!
//! The proportional memory of [`super::process`] makes the kernel walk all pages of the process,
//! which holds a large gateway up; this reads the resident size alone, which is a number.

use super::{Times, ksoftirqd_stats, thread_times};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

/// What a process used since the reading before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// CPU time of all its threads, in cores: 1 is a core that was never idle.
    pub(crate) cores: f64,
    /// The same of the thread that had most.
    pub(crate) busiest: f64,
    /// Of the thread that had or wanted most: the time in which it ran or waited for a core.
    pub(crate) wanted: f64,
    /// Of the thread that waited most: ready, while it had no core.
    pub(crate) waited: f64,
    /// Resident memory now, bytes.
    pub(crate) rss: u64,
}

/// Reads one process, or several as one.
#[derive(Debug)]
pub(crate) struct Meter {
    roots: Vec<PathBuf>,
    /// The scheduler's count of each thread at the last reading.
    threads: HashMap<u32, Times>,
}

impl Meter {
    /// Of the process `pid`, from now on.
    pub(crate) fn new(pid: u32) -> Self {
        Self::of([pid])
    }

    /// Of the kernel's `ksoftirqd` threads, from now on.
    pub(crate) fn of_ksoftirqd() -> Self {
        Self::of(ksoftirqd_stats().map(|(pid, _)| pid))
    }

    fn of(pids: impl IntoIterator<Item = u32>) -> Self {
        let roots = pids.into_iter().map(|pid| PathBuf::from(format!("/proc/{pid}"))).collect();
        let mut meter = Self { roots, threads: HashMap::new() };
        meter.threads = meter.times();
        meter
    }

    /// What was used since the last reading, `passed` seconds ago; `None` if there is no such
    /// process any more.
    #[expect(clippy::cast_precision_loss, reason = "a share of a second, rounded anyway")]
    pub(crate) fn read(&mut self, passed: f64) -> Option<Reading> {
        let now = self.times();
        if now.is_empty() {
            return None;
        }
        // A thread that is new began from nothing.
        let spent = |(thread, times): (&u32, &Times)| {
            let before = self.threads.get(thread).copied().unwrap_or_default();
            let run = times.run.saturating_sub(before.run);
            (run, times.waited.saturating_sub(before.waited))
        };
        let (mut all, mut most, mut wished, mut idle) = (0, 0, 0, 0);
        for (run, ready) in now.iter().map(spent) {
            all += run;
            most = most.max(run);
            wished = wished.max(run + ready);
            idle = idle.max(ready);
        }
        self.threads = now;
        let cores = |ns: u64| ns as f64 / 1e9 / passed.max(1e-3);
        Some(Reading {
            cores: cores(all),
            busiest: cores(most),
            wanted: cores(wished),
            waited: cores(idle),
            rss: self.resident(),
        })
    }

    fn times(&self) -> HashMap<u32, Times> {
        self.roots.iter().flat_map(|root| thread_times(root)).collect()
    }

    fn resident(&self) -> u64 {
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        let pages = self.roots.iter().filter_map(|root| {
            let text = fs::read_to_string(root.join("statm")).ok()?;
            text.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        pages.sum::<u64>() * page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_uses_is_seen_and_what_is_gone_is_not() {
        let mut meter = Meter::new(std::process::id());
        let mut sum = 0_u64;
        let used = loop {
            sum = (0..1_000_000_u64).fold(sum, |sum, next| sum.wrapping_mul(31) ^ next);
            let reading = meter.read(1.0).unwrap();
            if reading.busiest > 0.0 {
                break reading;
            }
        };
        assert!(used.rss > 0 && used.cores >= used.busiest, "{used:?} {sum}");
        assert!(used.wanted >= used.busiest && used.wanted >= used.waited, "{used:?}");
        assert_eq!(Meter::new(u32::MAX).read(1.0), None);
    }
}
