//! The phases of a run on its timeline, which begins when the clients have settled.
//!
//! Every phase after that begins and ends at a time that is fixed before: nothing that the gateway
//! does moves it. How long the first ramp takes is the gateway's matter, so it comes before.

use super::people::People;
use super::phase::{Behaviour, Broadcasts, Kind, Phase, latest_return};
use crate::clock::SECOND;
use crate::options::Options;
use crate::profile::Slice;
use crate::schedule::rhythm::Rhythm;
use crate::schedule::{Piece, Schedule};
use crate::weak::Weak;
use holdfast_protocol::client::Class;

/// Most broadcasts of a run: a client keeps a bit for each.
pub(crate) const BROADCASTS_MAX: usize = 64;

/// One phase with its place.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// What it asks for.
    pub(crate) phase: Phase,
    /// When it begins, nanoseconds from the beginning of the timeline.
    pub(crate) from: u64,
    /// When it ends.
    pub(crate) until: u64,
}

/// One broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// When it is due, nanoseconds from the beginning of the timeline.
    pub(crate) due: u64,
    /// Which product's users get it.
    pub(crate) product: usize,
    /// Body size in bytes.
    pub(crate) size: usize,
    /// Pace in users a second; 0 for as fast as it goes.
    pub(crate) users: u32,
    /// Pace in bits of body a second; 0 for as fast as it goes.
    pub(crate) bits: u64,
    /// The delivery class.
    pub(crate) class: Class,
}

/// All phases.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The scenario's name or file, where there is one.
    pub(crate) scenario: Option<String>,
    /// How long clients hold still between the first ramp and the timeline, nanoseconds.
    pub(crate) settle: u64,
    /// In order.
    pub(crate) steps: Vec<Step>,
    /// When everybody is back whom a phase drops, nanoseconds from the beginning of the timeline;
    /// never before the end of the phases.
    pub(crate) all_back: u64,
    /// In the order in which they are due.
    pub(crate) broadcasts: Vec<Planned>,
    /// What the way of some clients is like, in words.
    pub(crate) network: Option<String>,
}

impl Plan {
    /// What the options ask for: their scenario's phases, or the one that they describe themselves.
    ///
    /// # Errors
    /// There are more broadcasts than can be followed, or clients return later than the run waits
    /// for them; the text says what may be.
    pub(crate) fn new(options: &Options, people: &People) -> Result<Self, String> {
        let asked = &options.asked;
        let mut phases = phases(options);
        // The first ramp is before the timeline.
        phases.retain(|phase| phase.kind != Kind::Ramp || phase.length > 0);
        let settles = phases.first().is_some_and(|first| first.kind == Kind::Hold);
        let settle = if settles { phases.remove(0).length } else { 0 };
        for pushes in phases.iter_mut().filter_map(|phase| phase.pushes.as_mut()) {
            pushes.rate = options.share.part(pushes.rate);
            for slice in &mut pushes.slices {
                let count = u32::try_from(slice.count).unwrap_or(u32::MAX);
                slice.count = u64::from(options.share.part(count));
            }
        }
        let late = in_time(&phases, options.push.drain)?;
        let steps = placed(phases);
        let all_back = steps.last().map_or(0, |step| step.until).saturating_add(late);
        let broadcasts: Vec<Planned> =
            steps.iter().flat_map(|step| planned(step, people)).collect();
        if broadcasts.len() > BROADCASTS_MAX {
            return Err(format!(
                "{} broadcasts; all phases together may have {BROADCASTS_MAX}",
                broadcasts.len()
            ));
        }
        let network = asked.weak.as_ref().map(Weak::in_words);
        Ok(Self { scenario: asked.scenario.clone(), settle, steps, all_back, broadcasts, network })
    }

    /// How many of `clients` have had their turn to connect `since` nanoseconds after the beginning
    /// of the timeline; before it (`None`), those of the first ramp.
    pub(crate) fn joined(&self, clients: u32, since: Option<u64>) -> u32 {
        let mut joins = self.steps.iter().filter_map(|step| match step.phase.clients {
            Behaviour::Join { from, to } => Some((step, from, to)),
            _ => None,
        });
        let Some(first) = joins.next() else { return clients };
        let Some(since) = since else { return share_of(clients, first.1).max(1) };
        let begun = joins.take_while(|(step, ..)| step.from <= since).last().unwrap_or(first);
        let (step, from, to) = begun;
        let (passed, length) = (since.saturating_sub(step.from), step.until - step.from);
        if passed >= length {
            return share_of(clients, to);
        }
        share_of(clients, from + (to - from) * (float(passed) / float(length)))
    }

    /// New connections a second in the steepest ramp, where the first has `first`; one that is
    /// shorter than a second has all its clients in that.
    pub(crate) fn steepest(&self, clients: u32, first: u32) -> u32 {
        let rate = |step: &Step| match step.phase.clients {
            Behaviour::Join { from, to } => {
                let joined = share_of(clients, to) - share_of(clients, from);
                let whole = step.phase.length.div_ceil(SECOND).max(1);
                joined.div_ceil(u32::try_from(whole).unwrap_or(u32::MAX))
            }
            _ => 0,
        };
        self.steps.iter().map(rate).fold(first, u32::max)
    }

    /// What the scenario offers, in words; `None` without one.
    pub(crate) fn in_words(&self) -> Option<String> {
        let scenario = self.scenario.as_ref()?;
        let words = self.steps.iter().map(|step| step.phase.in_words());
        let words: Vec<String> = words.chain(self.network.clone()).collect();
        Some(format!("scenario {scenario}: {}", words.join("; ")))
    }

    /// What is pushed, to `users` users.
    pub(crate) fn schedule(&self, users: u32, seed: u64) -> Schedule {
        let pieces = self.steps.iter().enumerate().flat_map(pieces);
        Schedule::new(pieces.collect(), users, seed)
    }
}

/// This share of so many, rounded down; all of them for 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is from 0 to 1, so it is no more than there are"
)]
pub(super) fn share_of(clients: u32, share: f64) -> u32 {
    (f64::from(clients) * share) as u32
}

#[expect(clippy::cast_precision_loss, reason = "a week has fewer than 2^53 microseconds")]
fn float(nanoseconds: u64) -> f64 {
    (nanoseconds / 1_000) as f64
}

/// The phases that the options ask for: those of their scenario, or those that they describe
/// themselves.
pub(crate) fn phases(options: &Options) -> Vec<Phase> {
    let asked = &options.asked.phases;
    if asked.is_empty() { described(options) } else { asked.clone() }
}

/// The phases that the options describe without a scenario: hold still, then push.
fn described(options: &Options) -> Vec<Phase> {
    let (push, broadcast) = (&options.push, &options.broadcast);
    let hold = Phase::settle(push.settle);
    let pushes = super::phase::Pushes {
        rate: push.rate,
        slices: Vec::new(),
        sizes: push.size.clone(),
        rhythm: Rhythm::Even,
        burst: push.burst,
        scatter: push.scatter,
        order: push.targets,
        durable: options.durable(),
    };
    let broadcasts = Broadcasts {
        count: broadcast.count,
        size: broadcast.size,
        users: broadcast.users,
        bits: broadcast.bits,
        class: push.class.into(),
        product: None,
    };
    let churn = options.churn();
    let pause = options.clients.churn_pause.saturating_mul(crate::clock::MILLISECOND);
    let push = Phase {
        kind: Kind::Push,
        name: "push".to_owned(),
        length: u64::from(push.duration) * SECOND,
        pushes: Some(pushes),
        broadcasts: Some(broadcasts),
        clients: if churn > 0.0 {
            Behaviour::Churn { share: churn, pause }
        } else {
            Behaviour::Stay
        },
    };
    vec![hold, push]
}

/// Each phase where the one before it ends.
/// How long after the last phase the last client returns, nanoseconds.
///
/// # Errors
/// That is later than a run waits with this drain, in seconds; the text says how long it must.
pub(super) fn in_time(phases: &[Phase], drain: u32) -> Result<u64, String> {
    let Some((late, phase)) = latest_return(phases) else { return Ok(0) };
    let least = late.div_ceil(SECOND);
    if least <= u64::from(drain) {
        return Ok(late);
    }
    Err(format!(
        "the last clients that \"{}\" drops return {} s after the last phase, and drain is {drain} \
         s; allowed: a longer drain, or a phase behind it",
        phase.name, least
    ))
}

fn placed(phases: Vec<Phase>) -> Vec<Step> {
    let mut from = 0;
    let place = |phase: Phase| {
        let step = Step { from, until: from + phase.length, phase };
        from = step.until;
        step
    };
    phases.into_iter().map(place).collect()
}

/// The broadcasts of a phase. None at either end of it, so that each has some time to spread.
fn planned(step: &Step, people: &People) -> Vec<Planned> {
    let Some(asked) = &step.phase.broadcasts else { return Vec::new() };
    let count = if step.phase.length > 0 { asked.count } else { 0 };
    let apart = step.phase.length / u64::from(asked.count + 1);
    let product = |number: u32| match &asked.product {
        Some(name) => people.find(name),
        None => number as usize % people.products().len(),
    };
    (0..count)
        .map(|number| Planned {
            due: step.from + u64::from(number + 1) * apart,
            product: product(number),
            size: asked.size,
            users: asked.users,
            bits: asked.bits,
            class: asked.class,
        })
        .collect()
}

/// What a phase pushes: a piece, or of a replay one for each interval.
fn pieces((number, step): (usize, &Step)) -> Vec<Piece> {
    let Some(pushes) = &step.phase.pushes else { return Vec::new() };
    let whole = Piece {
        step: number,
        from: step.from,
        count: step.phase.pushed(),
        rate: pushes.rate,
        rhythm: pushes.rhythm,
        burst: pushes.burst,
        scatter: pushes.scatter,
        order: pushes.order,
        sizes: pushes.sizes.clone(),
        durable: pushes.durable,
    };
    let mut from = step.from;
    let slice = |slice: &Slice| {
        // Rather some moments too early than after the interval.
        let rate = u128::from(slice.count) * u128::from(SECOND);
        let rate = rate.div_ceil(u128::from(slice.length.max(1)));
        let rate = u32::try_from(rate).unwrap_or(u32::MAX);
        let piece =
            Piece { from, count: slice.count, rate, sizes: slice.sizes.clone(), ..whole.clone() };
        from += slice.length;
        piece
    };
    if pushes.slices.is_empty() { vec![whole] } else { pushes.slices.iter().map(slice).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Order;
    use crate::schedule::size::Sizes;

    #[test]
    fn clients_of_later_ramps_have_their_turn_while_those_last() {
        let phase = |kind, clients| Phase { kind, clients, ..Phase::settle(10) };
        let join = |from, to| phase(Kind::Ramp, Behaviour::Join { from, to });
        let hold = phase(Kind::Hold, Behaviour::Stay);
        let phases = vec![hold.clone(), join(0.2, 0.5), hold, join(0.5, 1.0)];
        let (steps, broadcasts) = (placed(phases), Vec::new());
        let mut plan =
            Plan { scenario: None, settle: 0, steps, all_back: 0, broadcasts, network: None };
        let at = |second: u64| plan.joined(1_000, Some(second * SECOND));
        assert_eq!(plan.joined(1_000, None), 200);
        assert_eq!([0, 9, 10, 15, 20, 29, 30].map(at), [200, 200, 200, 350, 500, 500, 500]);
        assert_eq!([35, 40, 99].map(at), [750, 1_000, 1_000]);
        assert_eq!(plan.joined(3, None), 1, "somebody is there");
        // 300 in ten seconds, then 500.
        assert_eq!((plan.steepest(1_000, 20), plan.steepest(1_000, 70)), (50, 70));
        plan.steps[3].phase.length = SECOND / 100;
        assert_eq!(plan.steepest(1_000, 20), 500);
        plan.steps.clear();
        assert_eq!((plan.joined(7, None), plan.joined(7, Some(0))), (7, 7));
    }

    #[test]
    fn a_replay_offers_in_each_interval_what_was_recorded_in_it() {
        let counts = [200, 0, 600, 1, 333];
        let sizes = || Sizes::uniform(64, 256);
        let slice = |count| Slice { length: SECOND, count, sizes: sizes() };
        let pushes = crate::scenario::phase::Pushes {
            rate: 1,
            slices: counts.map(slice).to_vec(),
            sizes: sizes(),
            rhythm: Rhythm::Even,
            burst: 1,
            scatter: false,
            order: Order::Random,
            durable: 0.0,
        };
        let phase = Phase {
            kind: Kind::Replay,
            name: "replay".to_owned(),
            length: 5 * SECOND,
            pushes: Some(pushes),
            broadcasts: None,
            clients: Behaviour::Stay,
        };
        let step = Step { phase, from: 3 * SECOND, until: 8 * SECOND };
        let schedule = Schedule::new(pieces((1, &step)), 10, 7);
        let mut offered = [0; 5];
        for number in 0..schedule.count {
            let second = (schedule.due(number) - 3 * SECOND) / SECOND;
            offered[usize::try_from(second).unwrap()] += 1;
            assert_eq!(schedule.step(number), 1);
        }
        assert_eq!(offered, counts);
    }
}
