//! The search for the highest load that still meets an SLO: which load to try next, from what
//! became of those before. It grows until one fails, halves the distance between what held and what
//! failed, and confirms what it found; a confirmation that fails sends it further down.
//!
//! Pure: it is told verdicts and measures nothing. What holds, whatever it is told:
//! - nothing is found at or above a load that failed, in any of its tries;
//! - what is found held in so many tries in a row, the last ones, and the least load that failed is
//!   within the resolution;
//! - it ends after so many tries.

/// What became of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The SLO held.
    Met,
    /// It did not, and the generator kept up.
    Missed,
    /// The generator was the bottleneck.
    Limited,
}

/// What is asked of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plan {
    /// Where it begins; at least 1.
    pub(crate) start: u64,
    /// What it never goes above; at least `start`.
    pub(crate) most: u64,
    /// How far above the load that is found the first one that fails may lie, as a share of it.
    pub(crate) resolution: f64,
    /// In how many tries in a row the load that is found must hold; at least 1.
    pub(crate) confirmations: u32,
    /// After so many tries it ends; at least 1.
    pub(crate) tries: u32,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try this load.
    Try(u64),
    /// It is over.
    Over(End),
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// This load holds, confirmed.
    Found(u64),
    /// This one held, and would have had to be confirmed, or more to be tried above it, but there
    /// were too many tries.
    Unconfirmed(u64),
    /// No load that was tried holds.
    Nothing,
}

/// A search.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    plan: Plan,
    /// Loads that held and lie below all that failed, ascending.
    held: Vec<u64>,
    /// The least load that failed, and how it did the last time.
    failed: Option<(u64, Verdict)>,
    /// The load that was tried last, and in how many tries in a row it held.
    row: (u64, u32),
    tries: u32,
}

/// While nothing failed, the next load is so many times as high; while nothing held, so many times
/// as low.
const STEP: u64 = 2;
/// Below the so manieth part of where it began, it gives up.
const DEPTH: u64 = 1_024;

impl Search {
    /// Nothing is tried yet.
    pub(crate) const fn new(plan: Plan) -> Self {
        Self { plan, held: Vec::new(), failed: None, row: (0, 0), tries: 0 }
    }

    /// What to do next.
    pub(crate) fn next(&self) -> Next {
        let low = self.held.last().copied();
        if self.tries >= self.plan.tries {
            return Next::Over(match low {
                Some(low) if self.is_confirmed(low) && self.is_settled(low) => End::Found(low),
                Some(low) => End::Unconfirmed(low),
                None => End::Nothing,
            });
        }
        let least = (self.plan.start / DEPTH).max(1);
        match (low, self.failed) {
            (None, None) => Next::Try(self.plan.start),
            (None, Some((failed, _))) if failed <= least => Next::Over(End::Nothing),
            (None, Some((failed, _))) => Next::Try((failed / STEP).max(least)),
            (Some(low), None) if low < self.plan.most => {
                Next::Try(low.saturating_mul(STEP).min(self.plan.most))
            }
            (Some(low), Some((failed, _))) if !self.is_close(low, failed) => {
                Next::Try(middle(low, failed))
            }
            (Some(low), _) if self.is_confirmed(low) => Next::Over(End::Found(low)),
            (Some(low), _) => Next::Try(low),
        }
    }

    /// Takes what became of a try of `load`, which was what [`Search::next`] said.
    pub(crate) fn tell(&mut self, load: u64, verdict: Verdict) {
        self.tries += 1;
        if verdict == Verdict::Met {
            if self.held.last().is_none_or(|last| *last < load) {
                self.held.push(load);
            }
            self.row = if self.row.0 == load { (load, self.row.1 + 1) } else { (load, 1) };
        } else {
            if self.failed.is_none_or(|(failed, _)| load <= failed) {
                self.failed = Some((load, verdict));
            }
            self.held.retain(|held| *held < load);
            self.row = (load, 0);
        }
    }

    /// The least load that failed, and how; `None` if none did.
    pub(crate) const fn bound(&self) -> Option<(u64, Verdict)> {
        self.failed
    }

    /// How many tries there were.
    pub(crate) const fn tries(&self) -> u32 {
        self.tries
    }

    fn is_confirmed(&self, load: u64) -> bool {
        self.row.0 == load && self.row.1 >= self.plan.confirmations
    }

    /// Whether nothing above what held is left to be tried.
    fn is_settled(&self, held: u64) -> bool {
        self.failed.map_or(held >= self.plan.most, |(failed, _)| self.is_close(held, failed))
    }

    /// Whether what failed is close enough above what held.
    fn is_close(&self, held: u64, failed: u64) -> bool {
        let apart = failed.saturating_sub(held);
        apart <= 1
            || crate::report::float(apart) <= crate::report::float(held) * self.plan.resolution
    }
}

/// The load that is as many times above `low` as `high` is above it; between them, and neither.
/// They are more than 1 apart.
fn middle(low: u64, high: u64) -> u64 {
    let root = (u128::from(low) * u128::from(high)).isqrt();
    u64::try_from(root).unwrap_or(u64::MAX).clamp(low + 1, high - 1)
}

#[cfg(test)]
mod tests;
