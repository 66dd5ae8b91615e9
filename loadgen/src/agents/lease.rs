//! Until when an agent may begin anything: as long as its controller cannot have taken it for dead.
//!
//! The controller takes who is silent for [`PATIENCE`] for dead, and has another do its part. A
//! ping says which answer was heard last, and the lease runs from when that answer was sent, by
//! the agent's own clock. So a ping that lay in a buffer while the agent was stopped renews
//! nothing, and the lease is over before anybody can have been given the agent's part.

use super::PATIENCE;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// So many answers are remembered; who has so many unheard ones is gone.
const ANSWERS: usize = 64;

/// Between an agent's session and its run.
#[derive(Debug)]
pub(super) struct Lease(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// When the latest thing that the controller is known to have heard was said; nothing if the
    /// lease is over for good.
    heard: Option<Instant>,
    /// When each answer was sent that it is not known to have heard.
    answers: VecDeque<(u64, Instant)>,
}

impl Lease {
    /// Of an agent that said its first word `at`, to a controller that answered it.
    pub(super) fn new(at: Instant) -> Self {
        Self(Mutex::new(Inner { heard: Some(at), answers: VecDeque::new() }))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A ping came, which is answered `now`; `heard` is the last answer that the controller heard.
    pub(super) fn pinged(&self, number: u64, heard: u64, now: Instant) {
        self.with(|inner| {
            while let Some((answer, at)) = inner.answers.pop_front() {
                if answer > heard {
                    inner.answers.push_front((answer, at));
                    break;
                }
                inner.heard = inner.heard.map(|before| before.max(at));
            }
            if inner.answers.len() >= ANSWERS {
                inner.answers.pop_front();
            }
            inner.answers.push_back((number, now));
        });
    }

    /// The controller is gone: it is over, and is not renewed.
    pub(super) fn end(&self) {
        self.with(|inner| inner.heard = None);
    }

    /// Whether something may be begun `now`.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.with(|inner| {
            inner.heard.is_some_and(|heard| now.saturating_duration_since(heard) < PATIENCE)
        })
    }

    /// Whether it is over for good.
    pub(super) fn is_over(&self) -> bool {
        self.with(|inner| inner.heard.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const BEAT: Duration = super::super::BEAT;

    #[test]
    fn it_runs_from_what_the_controller_heard_and_not_from_what_came() {
        let begun = Instant::now();
        let lease = Lease::new(begun);
        lease.pinged(1, 0, begun + BEAT);
        assert!(lease.holds(begun + BEAT) && !lease.holds(begun + PATIENCE));
        lease.pinged(2, 1, begun + 2 * BEAT);
        assert!(lease.holds(begun + PATIENCE) && !lease.holds(begun + PATIENCE + BEAT));
    }

    #[test]
    fn pings_that_waited_while_the_agent_was_stopped_renew_nothing() {
        let begun = Instant::now();
        let lease = Lease::new(begun);
        lease.pinged(1, 0, begun + BEAT);
        let back = begun + 3 * PATIENCE;
        for number in 2..20 {
            lease.pinged(number, 1, back);
            assert!(!lease.holds(back), "after ping {number}");
        }
        // One that answers what it says now does: it was never taken for dead.
        lease.pinged(20, 19, back + BEAT);
        assert!(lease.holds(back + BEAT));
    }

    #[test]
    fn a_controller_that_is_gone_does_not_come_back() {
        let begun = Instant::now();
        let lease = Lease::new(begun);
        lease.pinged(1, 0, begun);
        lease.end();
        lease.pinged(2, 1, begun);
        assert!(lease.is_over() && !lease.holds(begun));
    }

    #[test]
    fn answers_that_nobody_hears_take_no_more_room() {
        let begun = Instant::now();
        let lease = Lease::new(begun);
        (1..1_000).for_each(|number| lease.pinged(number, 0, begun));
        assert_eq!(lease.with(|inner| inner.answers.len()), ANSWERS);
    }
}
