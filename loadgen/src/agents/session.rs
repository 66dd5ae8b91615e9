//! What an agent does for one controller: the agent's machine, without I/O.
//!
//! ```text
//! fresh --load--> running <--go/ready--> waiting at a barrier
//! running, waiting --the controller is gone, or breaks the rules--> called off
//! running --the run has ended--> over            (what it found is told)
//! called off --the run has ended--> over         (nothing is told)
//! ```
//! It is over only when no load of it runs any more, so the agent is never free too early; and it
//! is free before what was found is told, so who hears that may come again at once.

use crate::run::company::Barrier;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The controller gave a load that may be run.
    Load,
    /// The controller says that everybody is at this barrier.
    Go(Barrier),
    /// The controller wants the run to end early, with what was found.
    Interrupt,
    /// The controller is gone, or said what it may not.
    Gone,
    /// The run is at this barrier.
    Ready(Barrier),
    /// The run has ended.
    Ended,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Start the run.
    Start,
    /// Let the run go on.
    Release,
    /// Ask the run to end early.
    Interrupt,
    /// Stop the run: nobody wants to know what it finds.
    CallOff,
    /// Tell the controller that the run is at this barrier.
    TellReady(Barrier),
    /// Tell the controller what was found.
    TellEnd,
    /// Be free for the next controller.
    Free,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Running,
    Waiting(Barrier),
    CalledOff,
    Over,
}

/// A session with one controller.
#[derive(Debug)]
pub(super) struct Session {
    state: State,
}

impl Session {
    /// With a controller that has proved the key.
    pub(super) const fn new() -> Self {
        Self { state: State::Fresh }
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Something happens.
    pub(super) fn hear(&mut self, event: Event) -> Vec<Deed> {
        let (state, deeds) = match (self.state, event) {
            (State::Fresh, Event::Load) => (State::Running, vec![Deed::Start]),
            (State::Fresh, _) | (State::CalledOff, Event::Ended) => (State::Over, vec![Deed::Free]),
            (State::Running, Event::Ready(barrier)) => {
                (State::Waiting(barrier), vec![Deed::TellReady(barrier)])
            }
            (State::Waiting(here), Event::Go(barrier)) if here == barrier => {
                (State::Running, vec![Deed::Release])
            }
            (State::Running | State::Waiting(_), Event::Interrupt) => {
                (self.state, vec![Deed::Interrupt])
            }
            (State::Running | State::Waiting(_), Event::Ended) => {
                (State::Over, vec![Deed::Free, Deed::TellEnd])
            }
            (State::Running | State::Waiting(_), _) => (State::CalledOff, vec![Deed::CallOff]),
            (State::CalledOff | State::Over, _) => (self.state, Vec::new()),
        };
        self.state = state;
        deeds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn barrier() -> impl Strategy<Value = Barrier> {
        (0..Barrier::ALL.len()).prop_map(|one| Barrier::ALL[one])
    }

    /// What a controller says, in any order.
    fn said() -> impl Strategy<Value = Event> {
        prop_oneof![
            2 => Just(Event::Load),
            6 => barrier().prop_map(Event::Go),
            1 => Just(Event::Interrupt),
            1 => Just(Event::Gone),
        ]
    }

    /// A run as the machine sees it: it goes from barrier to barrier while it is let, and ends.
    #[derive(Default)]
    struct Run {
        started: bool,
        at: Option<Barrier>,
        passed: usize,
        stopped: bool,
        ended: bool,
    }

    impl Run {
        /// What it does next of itself.
        fn next(&mut self) -> Option<Event> {
            let stays = !self.started || self.ended || (self.at.is_some() && !self.stopped);
            if stays {
                return None;
            }
            self.at = Barrier::ALL.get(self.passed).copied().filter(|_| !self.stopped);
            self.ended = self.at.is_none();
            Some(self.at.map_or(Event::Ended, Event::Ready))
        }
    }

    proptest! {
        #[test]
        fn an_agent_is_free_once_and_never_while_its_load_runs(
            script in prop::collection::vec((said(), 0..3_usize), 0..60)
        ) {
            let (mut session, mut run) = (Session::new(), Run::default());
            let (mut freed, mut told) = (0, 0);
            let gone = (Event::Gone, 9);
            for (event, steps) in script.into_iter().chain([gone]) {
                let mut events = vec![event];
                for _ in 0..=steps {
                    for event in std::mem::take(&mut events) {
                        for deed in session.hear(event) {
                            match deed {
                                Deed::Start => {
                                    prop_assert!(!run.started, "a second load");
                                    run.started = true;
                                }
                                Deed::Release => {
                                    prop_assert!(run.at.take().is_some(), "it waits nowhere");
                                    run.passed += 1;
                                }
                                Deed::CallOff => run.stopped = true,
                                Deed::TellReady(at) => {
                                    prop_assert!(run.at == Some(at) && !run.stopped);
                                }
                                Deed::TellEnd => {
                                    prop_assert!(run.ended && !run.stopped);
                                    told += 1;
                                }
                                Deed::Free => {
                                    prop_assert!(!run.started || run.ended, "its load runs");
                                    freed += 1;
                                }
                                Deed::Interrupt => {}
                            }
                        }
                    }
                    events.extend(run.next());
                }
                // What the run said last is heard before the controller says more.
                for event in events {
                    for deed in session.hear(event) {
                        freed += usize::from(deed == Deed::Free);
                        told += usize::from(deed == Deed::TellEnd);
                    }
                }
            }
            prop_assert_eq!(freed, 1, "free in the end");
            prop_assert!(session.is_over() && told <= 1);
        }
    }

    #[test]
    fn a_controller_that_goes_away_stops_the_load_before_the_agent_is_free() {
        let mut session = Session::new();
        assert_eq!(session.hear(Event::Load), [Deed::Start]);
        assert_eq!(session.hear(Event::Gone), [Deed::CallOff]);
        assert_eq!(session.hear(Event::Ready(Barrier::Ramp)), []);
        assert_eq!(session.hear(Event::Ended), [Deed::Free]);
    }

    #[test]
    fn a_barrier_that_nobody_is_at_is_not_passed() {
        let mut session = Session::new();
        session.hear(Event::Load);
        assert_eq!(session.hear(Event::Go(Barrier::Ramp)), [Deed::CallOff]);
    }
}
