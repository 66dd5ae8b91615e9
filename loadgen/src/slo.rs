//! `--slo`: what must hold for a run to pass, as a list of clauses such as
//! `p99 < 20ms, lost = 0, cpu < 80%`.
//!
//! [`parse`] reads the list, [`metric`] knows what can be asked for and finds it in a report. A
//! clause about what the run could not measure is missed: a gate that cannot see does not open.

pub(crate) mod metric;
mod parse;

use crate::report::Report;
use crate::units::percent;
use metric::{Kind, Metric};
use serde::{Deserialize, Serialize};

/// A list of clauses, all of which must hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slo {
    clauses: Vec<Clause>,
}

/// One clause.
#[derive(Debug, Clone, PartialEq)]
struct Clause {
    /// As it was typed, with single spaces.
    text: String,
    metric: Metric,
    how: Comparison,
    limit: Limit,
}

/// How what was measured compares to the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Below,
    AtMost,
    Equal,
    AtLeast,
    Above,
}

/// What it is compared to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    /// In the metric's own unit: microseconds, bytes, percent, or a count.
    Plain(f64),
    /// Percent of what was offered; of counts alone.
    OfOffered(f64),
}

/// What became of one clause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// The clause.
    pub(crate) clause: String,
    /// Whether it held.
    pub(crate) met: bool,
    /// What was measured, in the metric's own unit; absent if it could not be.
    pub(crate) measured: Option<f64>,
    /// What was measured, for people; or why it could not be.
    pub(crate) says: String,
}

/// A level that a metric is held to, in its own unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Level {
    /// The metric's name.
    pub(crate) metric: &'static str,
    pub(crate) limit: f64,
    /// The clause.
    pub(crate) clause: String,
}

impl Judged {
    /// The level of the clause, unless it is a share of what was offered.
    pub(crate) fn level(&self) -> Option<Level> {
        let slo: Slo = self.clause.parse().ok()?;
        let clause = slo.clauses.into_iter().next()?;
        match clause.limit {
            Limit::Plain(limit) => {
                Some(Level { metric: clause.metric.name, limit, clause: clause.text })
            }
            Limit::OfOffered(_) => None,
        }
    }
}

impl Slo {
    /// Judges a run by each clause.
    pub(crate) fn judge(&self, report: &Report) -> Vec<Judged> {
        self.clauses.iter().map(|clause| clause.judge(report)).collect()
    }

    /// Each clause as it was typed.
    pub(crate) fn clauses(&self) -> impl Iterator<Item = &str> {
        self.clauses.iter().map(|clause| clause.text.as_str())
    }

    /// The first clause that bounds a time from above: its metric, and the bound in microseconds.
    pub(crate) fn first_time(&self) -> Option<(Metric, f64)> {
        self.clauses.iter().find_map(|clause| match (clause.how, clause.limit) {
            (Comparison::Below | Comparison::AtMost, Limit::Plain(limit))
                if clause.metric.kind == Kind::Time =>
            {
                Some((clause.metric, limit))
            }
            _ => None,
        })
    }
}

impl Clause {
    fn judge(&self, report: &Report) -> Judged {
        let of = match self.limit {
            Limit::Plain(_) => Some(1.0),
            Limit::OfOffered(_) => self.metric.offered(report).map(|all| all / 100.0),
        };
        let measured = self.metric.measure(report).zip(of).map(|(measured, of)| measured / of);
        let (Limit::Plain(limit) | Limit::OfOffered(limit)) = self.limit;
        let says = match (measured, self.limit) {
            (None, _) => self.metric.why_unknown().to_owned(),
            (Some(share), Limit::OfOffered(_)) => percent(share),
            (Some(value), Limit::Plain(_)) => self.metric.show(value),
        };
        Judged {
            clause: self.text.clone(),
            met: measured.is_some_and(|measured| self.how.holds(measured, limit)),
            measured,
            says,
        }
    }
}

impl Comparison {
    fn holds(self, measured: f64, limit: f64) -> bool {
        match self {
            Self::Below => measured < limit,
            Self::AtMost => measured <= limit,
            Self::Equal => (measured - limit).abs() < f64::EPSILON,
            Self::AtLeast => measured >= limit,
            Self::Above => measured > limit,
        }
    }
}

#[cfg(test)]
mod tests;
