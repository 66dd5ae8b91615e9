//! Who makes the broadcasts of a run, and what is known of each: no I/O.
//!
//! The first agent makes them. When it dies, the first of those that live makes what is due after
//! that. What was due before and nobody who lives made may have been begun by the dead: whether the
//! gateway took it nobody knows.

use crate::clock::milliseconds;
use crate::scenario::plan::Planned;
use crate::verify::judge::{self, Sent};

/// Why no answer to a broadcast is known.
const DIED: &str = "agent_died";
/// The part of a run that is nobody's.
const NOBODY: u32 = u32::MAX;

/// The makers of a run.
#[derive(Debug, Default)]
pub(super) struct Makers {
    plan: Vec<Planned>,
    /// Those that died before the last one.
    dead: Vec<usize>,
    now: usize,
    /// Since when the last one makes them, nanoseconds of the timeline.
    from: u64,
    told: Vec<Sent>,
}

impl Makers {
    /// The first agent, of what is planned.
    pub(super) fn new(plan: Vec<Planned>) -> Self {
        Self { plan, ..Self::default() }
    }

    /// Whether this agent makes them now.
    pub(super) fn is_now(&self, agent: usize) -> bool {
        self.now == agent
    }

    /// Whether this agent made some, or would have.
    pub(super) fn made(&self, agent: usize) -> bool {
        !self.plan.is_empty() && (self.now == agent || self.dead.contains(&agent))
    }

    /// The present one is dead; another makes those that are due `from` then on, or later where one
    /// before it may still live. Gives since when it does.
    pub(super) fn replace(&mut self, other: usize, from: u64) -> u64 {
        self.dead.push(std::mem::replace(&mut self.now, other));
        self.from = self.from.max(from);
        self.from
    }

    /// An agent tells what it made; its times are since the timeline began.
    pub(super) fn hear(&mut self, agent: usize, sent: Vec<Sent>) {
        let by = u32::try_from(agent).unwrap_or(NOBODY);
        let sent: Vec<Sent> = sent.into_iter().map(|one| Sent { by, ..one }).collect();
        judge::renew(&mut self.told, &sent, by);
    }

    /// All that were made, or may have been, in their order.
    pub(super) fn all(&self) -> Vec<Sent> {
        let mut all = self.told.clone();
        for (number, planned) in (0..).zip(&self.plan) {
            let known = self.told.iter().any(|one| one.number == number);
            if !known && planned.due < self.from {
                let unanswered = Some(DIED.to_owned());
                let (at, product) = (milliseconds(planned.due), planned.product);
                all.push(Sent { number, by: NOBODY, product, at, unanswered, ..Sent::default() });
            }
        }
        all.sort_by_key(|one| one.number);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;
    use holdfast_protocol::client::Class;

    /// Makers of four broadcasts, a second apart.
    fn makers() -> Makers {
        let due = |second: u64| Planned {
            due: second * SECOND,
            product: 0,
            size: 64,
            users: 0,
            bits: 0,
            class: Class::Online,
        };
        Makers::new((1..=4).map(due).collect())
    }

    fn sent(numbers: &[u32]) -> Vec<Sent> {
        numbers.iter().map(|number| Sent { number: *number, ..Sent::default() }).collect()
    }

    #[test]
    fn what_the_dead_may_have_begun_is_unanswered_and_the_rest_is_the_heirs() {
        let mut makers = makers();
        assert!(makers.is_now(0) && makers.made(0) && !makers.made(2));
        assert_eq!(makers.replace(2, 2 * SECOND + 1), 2 * SECOND + 1);
        assert!(makers.is_now(2) && makers.made(0) && makers.made(2) && !makers.made(1));
        makers.hear(1, Vec::new());
        makers.hear(2, sent(&[2, 3]));
        let all = makers.all();
        let told: Vec<_> =
            all.iter().map(|one| (one.number, one.by, one.unanswered.is_some())).collect();
        assert_eq!(told, [(0, NOBODY, true), (1, NOBODY, true), (2, 2, false), (3, 2, false)]);
        assert_eq!((all[0].at, all[1].at), (1_000, 2_000));
    }

    #[test]
    fn who_takes_over_twice_makes_nothing_that_the_first_may_still_begin() {
        let mut makers = makers();
        makers.replace(1, 4 * SECOND + 1);
        assert_eq!(makers.replace(2, 2 * SECOND), 4 * SECOND + 1);
        assert_eq!(makers.all().len(), 4);
    }

    #[test]
    fn where_nobody_died_there_is_what_was_told() {
        let mut makers = makers();
        makers.hear(0, sent(&[0, 1]));
        assert_eq!(makers.all().len(), 2, "an interrupted run begins no more");
        assert!(!Makers::new(Vec::new()).made(0), "there are none");
    }
}
