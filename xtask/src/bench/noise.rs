//! What else the machine does while figures are taken: it is stated beside them.

use std::fs;

/// Load over which a person should know that figures will not be clean.
const BUSY: f64 = 0.5;

/// The machine's counters at one moment.
pub(super) struct Reading {
    load: f64,
    stolen: f64,
    total: f64,
}

/// What went on between two readings.
pub(super) struct Noise {
    /// Load average of the last minute when it began.
    pub(super) load: f64,
    /// Share of CPU time that the hypervisor gave to others.
    pub(super) stolen: f64,
}

impl Reading {
    pub(super) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let (stolen, total) = stolen_of(stat.lines().next().unwrap_or_default());
        Self { load: load(), stolen, total }
    }

    pub(super) fn until_now(&self) -> Noise {
        let now = Self::now();
        let total = (now.total - self.total).max(1.0);
        Noise { load: self.load, stolen: (now.stolen - self.stolen) / total }
    }
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Stolen and total ticks in the first line of `/proc/stat`.
fn stolen_of(line: &str) -> (f64, f64) {
    let ticks: Vec<f64> =
        line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    (ticks.get(7).copied().unwrap_or(0.0), ticks.iter().take(8).sum())
}

/// Tells a person who looks at the terminal that the machine is not idle.
pub(super) fn warn_before() {
    let load = load();
    if load > BUSY {
        eprintln!("the machine has a load of {load:.1}: figures will be noisy");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_the_eighth_column() {
        let (stolen, total) = stolen_of("cpu  1 2 3 4 5 6 7 8 9 10");
        assert_eq!((stolen.to_string(), total.to_string()), ("8".into(), "36".into()));
    }
}
