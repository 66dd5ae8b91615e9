//! What is concluded from two sides about one measure.
//!
//! "Worse" and "better" mean by more than the tolerance, "same" means within it: each is concluded
//! only if the chance to see these values although it is not so is at most the risk. At most one of
//! the three can be true, so a verdict is wrong with at most that chance.

use super::measure::Measure;
use super::resample::{self, SECONDS, median};
use super::{Side, rank};
use serde::Serialize;

/// By which rules is concluded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// What counts as a difference, as a share.
    pub(crate) tolerance: f64,
    /// How likely a wrong verdict may be.
    pub(crate) risk: f64,
}

/// What is concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Better,
    Worse,
    Same,
    CannotTell,
}

/// What was found about one measure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    pub(crate) metric: &'static str,
    /// The medians of both sides.
    pub(crate) base: f64,
    pub(crate) new: f64,
    /// The same for people.
    #[serde(skip)]
    pub(crate) shown: (String, String),
    /// By how much the new is more, percent of the base; absent where the base is zero.
    pub(crate) change_percent: Option<f64>,
    pub(crate) verdict: Verdict,
    /// How sure that is, percent; absent where it was counted and not estimated, or cannot be told.
    pub(crate) confidence_percent: Option<f64>,
    /// On what it rests, or what is missing.
    pub(crate) because: String,
}

/// The chances to be wrong with each verdict.
struct Chances {
    worse: f64,
    better: f64,
    same: f64,
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::Same => "same",
            Self::CannotTell => "cannot tell",
        }
    }

    /// Of several: worse if one is, then undecided if one is, then better if one is.
    pub(crate) fn of_all(all: impl Iterator<Item = Self>) -> Self {
        let all: Vec<Self> = all.collect();
        let order = [Self::Worse, Self::CannotTell, Self::Better];
        order.into_iter().find(|verdict| all.contains(verdict)).unwrap_or(Self::Same)
    }
}

/// Compares one measure; `None` where a side does not have it at all.
pub(crate) fn find(
    measure: &'static Measure,
    (base, new): (&Side, &Side),
    rules: Rules,
) -> Option<Finding> {
    let values = |side: &Side| -> Vec<f64> { side.runs.iter().filter_map(measure.of).collect() };
    let (old, fresh) = (values(base), values(new));
    if old.is_empty() || fresh.is_empty() {
        return None;
    }
    let (before, now) = (median(&old), median(&fresh));
    let (verdict, chance, because) = if measure.fault {
        faults(&old, &fresh, rules)
    } else if old.len() == 1 && fresh.len() == 1 {
        by_seconds(measure, (base, new), rules)
    } else {
        by_runs(measure, (&old, &fresh), rules)
    };
    let decided = verdict != Verdict::CannotTell;
    Some(Finding {
        metric: measure.name,
        base: before,
        new: now,
        shown: ((measure.show)(before), (measure.show)(now)),
        change_percent: (before > 0.0).then(|| (now / before - 1.0) * 100.0),
        verdict,
        confidence_percent: chance.filter(|_| decided).map(|chance| (1.0 - chance) * 100.0),
        because,
    })
}

impl Finding {
    /// Of a side that has no run which says something of the gateway: its values are shown, and say
    /// nothing, for this reason.
    pub(super) fn untold(self, why: &str) -> Self {
        Self {
            verdict: Verdict::CannotTell,
            confidence_percent: None,
            because: why.to_owned(),
            ..self
        }
    }
}

type Concluded = (Verdict, Option<f64>, String);

/// Faults are counted: where there were none, one is worse.
fn faults(old: &[f64], new: &[f64], rules: Rules) -> Concluded {
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    match (sum(old) > 0.0, sum(new) > 0.0) {
        (false, false) => (Verdict::Same, None, "none on either side".to_owned()),
        (false, true) => (Verdict::Worse, None, "the base has none".to_owned()),
        (true, _) => {
            let worse = rank::higher(new, old);
            let better = rank::higher(old, new);
            let runs = format!("{} and {} runs", old.len(), new.len());
            match (worse <= rules.risk, better <= rules.risk) {
                (true, _) => (Verdict::Worse, Some(worse), runs),
                (_, true) => (Verdict::Better, Some(better), runs),
                _ => {
                    let why = format!("the base has some too, and {runs} do not say more");
                    (Verdict::CannotTell, None, why)
                }
            }
        }
    }
}

fn by_runs(measure: &Measure, (old, new): (&[f64], &[f64]), rules: Rules) -> Concluded {
    let runs = format!("{} and {} runs", old.len(), new.len());
    if rank::least(old.len(), new.len()) > rules.risk * (1.0 + 1e-9) {
        let enough = (2..100).find(|runs| rank::least(*runs, *runs) <= rules.risk * (1.0 + 1e-9));
        let enough = enough.unwrap_or_default();
        let why = format!("{runs} are too few to be so sure: take {enough} of each");
        return (Verdict::CannotTell, None, why);
    }
    let times = |factor: f64| old.iter().map(|value| value * factor).collect::<Vec<f64>>();
    let (upper, lower) = (times(1.0 + rules.tolerance), times(1.0 - rules.tolerance));
    let (more, less) = (rank::higher(new, &upper), rank::higher(&lower, new));
    let within = rank::higher(&upper, new).max(rank::higher(new, &lower));
    conclude(measure, (more, less, within), rules, runs)
}

fn by_seconds(measure: &Measure, (base, new): (&Side, &Side), rules: Rules) -> Concluded {
    let seconds = |side: &Side| -> Vec<f64> {
        let of_run = |line| {
            let all = (measure.seconds)(line);
            let offering = all.get(line.offering()).unwrap_or_default().to_vec();
            offering.into_iter().flatten().collect::<Vec<f64>>()
        };
        side.runs.iter().flat_map(|run| of_run(&run.timeline)).collect()
    };
    let (old, fresh) = (seconds(base), seconds(new));
    let counted = format!("{} and {} seconds", old.len(), fresh.len());
    if old.is_empty() || fresh.is_empty() {
        let why = "one run a side does not say how runs vary: give several".to_owned();
        return (Verdict::CannotTell, None, why);
    }
    if old.len().min(fresh.len()) < SECONDS {
        let why = format!("{counted} are too few: push for {SECONDS} or more");
        return (Verdict::CannotTell, None, why);
    }
    let ratios = resample::ratios(&old, &fresh);
    let (upper, lower) = (1.0 + rules.tolerance, 1.0 - rules.tolerance);
    let more = resample::not_above(&ratios, upper);
    let less = resample::not_below(&ratios, lower);
    let within = resample::not_below(&ratios, upper).max(resample::not_above(&ratios, lower));
    conclude(measure, (more, less, within), rules, counted)
}

/// `more`, `less`, `within`: the chances to be wrong with each of these.
fn conclude(
    measure: &Measure,
    (more, less, within): (f64, f64, f64),
    rules: Rules,
    because: String,
) -> Concluded {
    let (worse, better) = if measure.more_is_better { (less, more) } else { (more, less) };
    let chances = Chances { worse, better, same: within };
    let sure = |chance: f64| chance <= rules.risk * (1.0 + 1e-9);
    if sure(chances.worse) {
        (Verdict::Worse, Some(chances.worse), because)
    } else if sure(chances.better) {
        (Verdict::Better, Some(chances.better), because)
    } else if sure(chances.same) {
        (Verdict::Same, Some(chances.same), because)
    } else {
        let why = format!("{because} vary too much, or the difference is about the tolerance");
        (Verdict::CannotTell, None, why)
    }
}
