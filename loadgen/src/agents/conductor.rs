//! Who of the agents is where, and when all go on: the controller's machine, without I/O.
//!
//! ```text
//! running --ready(next barrier)--> waiting --all who live wait--> running, one barrier on
//! running, past the last barrier --finished--> finished
//! running, waiting --gone, or anything else--> dead
//! ```
//! Nobody is told to go on before everybody who lives is at the barrier; the dead are not waited
//! for. When nobody runs any more it is over.

use crate::run::company::Barrier;

/// Where an agent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Before the next barrier.
    Running,
    /// At it.
    Waiting,
    /// It said what it found.
    Finished,
    /// It is gone.
    Dead,
}

/// What is heard of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It is at this barrier.
    Ready(Barrier),
    /// It said what it found.
    Finished,
    /// It is gone, or failed.
    Gone,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Tell everybody at this barrier to go on.
    Go(Barrier),
    /// This agent is lost: close its connection, name its share.
    Lost(usize),
    /// Nobody runs any more.
    Over,
}

/// All agents of a run.
#[derive(Debug)]
pub(super) struct Conductor {
    stands: Vec<Stand>,
    /// How many barriers all have passed.
    passed: usize,
    over: bool,
}

impl Conductor {
    /// So many agents, which were given their shares.
    pub(super) fn new(agents: usize) -> Self {
        Self { stands: vec![Stand::Running; agents], passed: 0, over: false }
    }

    /// Where an agent stands.
    pub(super) fn stand(&self, agent: usize) -> Stand {
        self.stands.get(agent).copied().unwrap_or(Stand::Dead)
    }

    /// The barrier that is next; `None` behind the last.
    pub(super) fn next(&self) -> Option<Barrier> {
        Barrier::ALL.get(self.passed).copied()
    }

    /// Something is heard of `agent`.
    pub(super) fn hear(&mut self, agent: usize, event: Event) -> Vec<Deed> {
        let mut deeds = Vec::new();
        let stand = self.stand(agent);
        if matches!(stand, Stand::Finished | Stand::Dead) {
            return deeds;
        }
        let now = match event {
            Event::Ready(barrier) if stand == Stand::Running && self.next() == Some(barrier) => {
                Stand::Waiting
            }
            Event::Finished if stand == Stand::Running && self.next().is_none() => Stand::Finished,
            Event::Ready(_) | Event::Finished | Event::Gone => Stand::Dead,
        };
        self.stands[agent] = now;
        if now == Stand::Dead {
            deeds.push(Deed::Lost(agent));
        }
        deeds.extend(self.advance());
        deeds
    }

    /// Lets all go on if all who live wait.
    fn advance(&mut self) -> Option<Deed> {
        let count = |stand| self.stands.iter().filter(|one| **one == stand).count();
        let (running, waiting) = (count(Stand::Running), count(Stand::Waiting));
        if running + waiting == 0 {
            return (!std::mem::replace(&mut self.over, true)).then_some(Deed::Over);
        }
        let barrier = self.next().filter(|_| running == 0)?;
        self.passed += 1;
        for stand in self.stands.iter_mut().filter(|stand| **stand == Stand::Waiting) {
            *stand = Stand::Running;
        }
        Some(Deed::Go(barrier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lets an agent do what it does next, or die, or break the rules.
    #[derive(Debug, Clone, Copy)]
    enum Turn {
        Next,
        Die,
        Break(Barrier),
    }

    fn turn() -> impl Strategy<Value = Turn> {
        prop_oneof![
            12 => Just(Turn::Next),
            1 => Just(Turn::Die),
            1 => (0..Barrier::ALL.len()).prop_map(|one| Turn::Break(Barrier::ALL[one])),
        ]
    }

    /// What an agent that keeps the rules says next, from how often it was let go on.
    fn honest(gone_on: usize) -> Event {
        Barrier::ALL.get(gone_on).map_or(Event::Finished, |barrier| Event::Ready(*barrier))
    }

    proptest! {
        #[test]
        fn nobody_goes_on_before_all_who_live_are_there_and_nobody_waits_for_the_dead(
            agents in 1..5_usize,
            turns in prop::collection::vec((0..5_usize, turn()), 0..120),
        ) {
            let mut conductor = Conductor::new(agents);
            let mut at = vec![None; agents];
            let (mut gone, mut lost, mut over) = (Vec::new(), vec![false; agents], 0);
            for (agent, turn) in turns.into_iter().map(|(agent, turn)| (agent % agents, turn)) {
                let event = match turn {
                    Turn::Next if conductor.stand(agent) != Stand::Running => continue,
                    Turn::Next => honest(gone.len()),
                    Turn::Die => Event::Gone,
                    Turn::Break(barrier) => Event::Ready(barrier),
                };
                if let Event::Ready(barrier) = event {
                    at[agent] = Some(barrier);
                }
                for deed in conductor.hear(agent, event) {
                    match deed {
                        Deed::Go(barrier) => {
                            prop_assert_eq!(Barrier::ALL.get(gone.len()), Some(&barrier));
                            for agent in (0..agents).filter(|agent| !lost[*agent]) {
                                prop_assert_eq!(at[agent], Some(barrier), "agent {}", agent);
                            }
                            gone.push(barrier);
                        }
                        Deed::Lost(agent) => {
                            prop_assert!(!lost[agent], "twice");
                            lost[agent] = true;
                        }
                        Deed::Over => over += 1,
                    }
                }
                let stands: Vec<Stand> = (0..agents).map(|one| conductor.stand(one)).collect();
                let lives = |stand: &&Stand| matches!(stand, Stand::Running | Stand::Waiting);
                let stuck = stands.iter().filter(lives).all(|stand| *stand == Stand::Waiting);
                let living = stands.iter().filter(lives).count();
                prop_assert!(living == 0 || !stuck, "{:?}", stands);
                prop_assert_eq!(over, usize::from(living == 0));
            }
        }
    }

    #[test]
    fn a_run_of_agents_that_live_passes_every_barrier_and_ends() {
        let mut conductor = Conductor::new(2);
        for barrier in Barrier::ALL {
            assert_eq!(conductor.hear(0, Event::Ready(barrier)), []);
            assert_eq!(conductor.hear(1, Event::Ready(barrier)), [Deed::Go(barrier)]);
        }
        assert_eq!(conductor.hear(1, Event::Finished), []);
        assert_eq!(conductor.hear(0, Event::Finished), [Deed::Over]);
        assert_eq!(conductor.hear(0, Event::Gone), [], "it said all that it had to say");
    }

    #[test]
    fn a_death_lets_those_go_on_who_waited() {
        let mut conductor = Conductor::new(2);
        conductor.hear(0, Event::Ready(Barrier::Ramp));
        let both = [Deed::Lost(1), Deed::Go(Barrier::Ramp)];
        assert_eq!(conductor.hear(1, Event::Gone), both);
        assert_eq!(conductor.hear(0, Event::Gone), [Deed::Lost(0), Deed::Over]);
    }
}
