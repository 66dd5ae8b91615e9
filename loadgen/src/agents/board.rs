//! What the controller knows of its agents, and what it says to them: the state around
//! [`super::conductor`].
//!
//! A thread for each agent tells it what it hears; the run's own thread looks at it. What the
//! agents count is shown as the gauges of this process, so progress is shown as for any run.

use super::PATIENCE;
use super::channel::Sender;
use super::conductor::{Conductor, Deed, Event, Stand};
use super::makers::Makers;
use super::seconds::Seconds;
use super::wire::{self, Host, Second, ToAgent, ToController};
use crate::fleet::shared::{Counts, Shared};
use crate::histogram::Tally;
use crate::notices::Notices;
use crate::report::float;
use crate::run::Findings;
use crate::run::company::Barrier;
use crate::run::failure::{Failure, Whose};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between the moment at which all are at a barrier and the one at which they go on, besides the
/// way there.
const LEAD: Duration = Duration::from_millis(50);
/// So long a broadcast is not begun after another agent was told to make it: it is to know in time.
const HAND_OVER: Duration = Duration::from_millis(250);

/// One agent.
pub(super) struct One {
    /// As it was typed.
    pub(super) name: String,
    pub(super) host: Host,
    pub(super) clients: u32,
    pub(super) rate: u32,
    sender: Sender,
    /// There and back, as it was last.
    trip: Duration,
    asked: Option<(u64, Instant)>,
    /// The last ping whose answer came.
    heard: u64,
    /// All that it counted when it was heard last.
    pub(super) tally: Tally,
    pub(super) counts: Counts,
    /// CPU time in each second of pushing, in cores: all of it, its busiest thread, and the thread
    /// that had or wanted most.
    pub(super) cpu: Vec<[f64; 3]>,
    /// When it was at each barrier, seconds of the run's clock.
    pub(super) ready: BTreeMap<String, f64>,
    pub(super) findings: Option<Findings>,
    /// When and why it was lost.
    pub(super) died: Option<(f64, String)>,
}

impl One {
    /// An agent that was given its share.
    pub(super) fn new(
        name: String,
        host: Host,
        sender: Sender,
        (clients, rate): (u32, u32),
    ) -> Self {
        Self {
            name,
            host,
            clients,
            rate,
            sender,
            trip: Duration::ZERO,
            asked: None,
            heard: 0,
            tally: Tally::new(),
            counts: Counts::default(),
            cpu: Vec::new(),
            ready: BTreeMap::new(),
            findings: None,
            died: None,
        }
    }

    fn say(&mut self, message: &ToAgent) -> bool {
        wire::encode(message).is_ok_and(|bytes| self.sender.send(&bytes).is_ok())
    }
}

/// Nothing more will be heard of an agent.
pub(super) struct Loss {
    pub(super) why: String,
    /// It may go on for a while, until it notices.
    pub(super) silent: bool,
}

/// All agents.
pub(super) struct Board {
    shared: Arc<Shared>,
    inner: Mutex<Inner>,
}

pub(super) struct Inner {
    conductor: Conductor,
    pub(super) agents: Vec<One>,
    /// When all passed each barrier, nanoseconds of the run's clock.
    passed: BTreeMap<Barrier, u64>,
    makers: Makers,
    pub(super) seconds: Seconds,
    over: bool,
    finished: bool,
    interrupted: bool,
    /// Why the run could not be set up.
    failed: Option<Failure>,
    pings: u64,
    notices: Notices,
}

/// What the run's own thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// When the barrier was passed, if it was.
    pub(super) passed: Option<u64>,
    /// Nothing more will come.
    pub(super) over: bool,
}

impl Board {
    /// These agents, whose counts are shown in `shared`.
    pub(super) fn new(agents: Vec<One>, shared: &Arc<Shared>) -> Self {
        let inner = Inner {
            conductor: Conductor::new(agents.len()),
            agents,
            passed: BTreeMap::new(),
            makers: Makers::new(shared.scenario.plan.broadcasts.clone()),
            seconds: Seconds::default(),
            over: false,
            finished: false,
            interrupted: false,
            failed: None,
            pings: 0,
            notices: shared.notices.clone(),
        };
        Self { shared: Arc::clone(shared), inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is heard of an agent, or it is gone.
    pub(super) fn hear(&self, agent: usize, said: Result<ToController, Loss>) {
        let mut inner = self.lock();
        // What was on its way when an agent was given up comes too late, for others have its part;
        // but not why it could not take it.
        let why = matches!(said, Ok(ToController::Refused(_) | ToController::Failed(..)));
        if inner.finished || !(why || inner.lives(agent)) {
            return;
        }
        let now = self.shared.clock.now();
        let unasked =
            || Loss { why: "it said what it may not say there".to_owned(), silent: false };
        let (event, loss) = match said {
            Ok(ToController::Ready { barrier, sent }) => {
                inner.makers.hear(agent, sent);
                let at = float(now) / 1e9;
                inner.agents[agent].ready.insert(barrier.name().to_owned(), at);
                (Event::Ready(barrier), unasked())
            }
            Ok(ToController::Second(second)) => {
                inner.count(agent, *second, &self.shared);
                return;
            }
            Ok(ToController::Pong(number)) => {
                inner.agents[agent].answered(number);
                return;
            }
            Ok(ToController::Findings(findings)) => {
                inner.agents[agent].findings = Some(*findings);
                (Event::Finished, unasked())
            }
            Ok(ToController::Refused(why)) => {
                inner.fails(agent, &why.0, Whose::Generators);
                (Event::Gone, Loss { why: why.0, silent: false })
            }
            Ok(ToController::Failed(why, whose)) => {
                inner.fails(agent, &why.0, whose);
                (Event::Gone, Loss { why: why.0, silent: false })
            }
            Ok(ToController::Welcome(_)) => (Event::Gone, unasked()),
            Err(loss) => (Event::Gone, loss),
        };
        inner.act(agent, (event, &loss), now);
    }

    /// Gives every agent a sign of life, and shows what all have counted: adding it up whenever one
    /// of many agents is heard would be most of the work.
    pub(super) fn ping(&self) {
        let mut inner = self.lock();
        if inner.finished {
            return;
        }
        let mut all = Tally::new();
        for one in &inner.agents {
            all.add(&one.tally);
        }
        self.shared.sums().all = all;
        inner.pings += 1;
        let number = inner.pings;
        let now = self.shared.clock.now();
        for agent in 0..inner.agents.len() {
            if inner.lives(agent) {
                inner.agents[agent].asked = Some((number, Instant::now()));
                let heard = inner.agents[agent].heard;
                inner.say(agent, &ToAgent::Ping { number, heard }, now);
            }
        }
    }

    /// Ends the run early, with what was found.
    pub(super) fn interrupt(&self) {
        let mut inner = self.lock();
        if std::mem::replace(&mut inner.interrupted, true) {
            return;
        }
        let now = self.shared.clock.now();
        for agent in 0..inner.agents.len() {
            if inner.lives(agent) {
                inner.say(agent, &ToAgent::Interrupt, now);
            }
        }
    }

    /// How it stands with a barrier.
    ///
    /// # Errors
    /// The run could not be set up; the text says why.
    pub(super) fn look(&self, barrier: Barrier) -> Result<Look, Failure> {
        let inner = self.lock();
        match &inner.failed {
            Some(failure) => Err(failure.clone()),
            None => Ok(Look { passed: inner.passed.get(&barrier).copied(), over: inner.over }),
        }
    }

    /// Says no more, whatever is heard; agents that still run stop, and close the connection when
    /// they are free.
    pub(super) fn finish(&self) {
        let mut inner = self.lock();
        inner.finished = true;
        for agent in &inner.agents {
            agent.sender.finish();
        }
    }

    /// Closes all connections.
    pub(super) fn close(&self) {
        for agent in &self.lock().agents {
            agent.sender.close();
        }
    }

    /// Takes what was found, when it is over.
    pub(super) fn take(&self) -> (Vec<One>, Makers, Seconds) {
        let mut inner = self.lock();
        let agents = std::mem::take(&mut inner.agents);
        (agents, std::mem::take(&mut inner.makers), std::mem::take(&mut inner.seconds))
    }
}

impl One {
    /// What part of all is gone with it, in a line.
    fn loss_in_words(&self, clients: u32, rate: u32) -> String {
        let (at, why) = self.died.as_ref().map_or((0.0, ""), |(at, why)| (*at, why));
        let share = match rate {
            0 => String::new(),
            _ => format!(
                " and {} of {rate} pushes/s ({:.0} %)",
                self.rate,
                f64::from(self.rate) / f64::from(rate) * 100.0
            ),
        };
        format!(
            "LOST at {at:.1} s: the agent {} died ({why}); {} of {clients} clients{share} are gone \
             with it",
            self.name, self.clients
        )
    }

    fn answered(&mut self, number: u64) {
        self.heard = self.heard.max(number);
        if let Some((_, since)) = self.asked.take_if(|(asked, _)| *asked == number) {
            self.trip = since.elapsed();
        }
    }
}

impl Inner {
    fn lives(&self, agent: usize) -> bool {
        matches!(self.conductor.stand(agent), Stand::Running | Stand::Waiting)
    }

    fn say(&mut self, agent: usize, message: &ToAgent, now: u64) {
        if !self.agents[agent].say(message) {
            let loss = Loss { why: "it takes nothing more".to_owned(), silent: true };
            self.act(agent, (Event::Gone, &loss), now);
        }
    }

    /// Has the machine decide, and does what it says.
    fn act(&mut self, agent: usize, (event, loss): (Event, &Loss), now: u64) {
        for deed in self.conductor.hear(agent, event) {
            match deed {
                Deed::Go(barrier) => self.go(barrier, now),
                Deed::Lost(dead) => {
                    let one = &mut self.agents[dead];
                    one.sender.close();
                    one.died = Some((float(now) / 1e9, loss.why.clone()));
                    one.findings = None;
                    // Its clients are gone with it; what it had counted was.
                    (one.counts.connected, one.counts.online) = (0, 0);
                    let heir = self.hand_over(dead, loss.silent, now);
                    self.tell_of(dead, heir);
                }
                Deed::Over => self.over = true,
            }
        }
    }

    /// Says what was lost with `dead`, while there is still somebody who can do something.
    fn tell_of(&self, dead: usize, heir: Option<usize>) {
        let all = self.agents.iter();
        let (clients, rate) = all.fold((0, 0), |sum, one| (sum.0 + one.clients, sum.1 + one.rate));
        let left = (0..self.agents.len()).filter(|agent| self.lives(*agent)).count();
        let lost = self.agents[dead].loss_in_words(clients, rate);
        let rest = match left {
            0 => "no agent is left".to_owned(),
            1 => "one agent goes on".to_owned(),
            _ => format!("{left} agents go on"),
        };
        let heir =
            heir.map(|heir| format!(", and {} makes the broadcasts now", self.agents[heir].name));
        self.notices.say(format!("{lost}; {rest}{}", heir.unwrap_or_default()));
    }

    /// Has another agent make the broadcasts, if `dead` did: those that it cannot have begun. Gives
    /// which.
    fn hand_over(&mut self, dead: usize, silent: bool, now: u64) -> Option<usize> {
        let heir = (0..self.agents.len()).find(|agent| self.lives(*agent));
        let over = self.passed.contains_key(&Barrier::Drain) || !self.makers.is_now(dead);
        let heir = heir.filter(|_| !over)?;
        let wait = if silent { PATIENCE } else { HAND_OVER };
        let since = |start: &u64| Duration::from_nanos(now.saturating_sub(*start)) + wait;
        // Before the timeline there was nothing to begin.
        let from = self.passed.get(&Barrier::Push).map_or(Duration::ZERO, since);
        let from = u64::try_from(from.as_nanos()).unwrap_or(u64::MAX);
        let from_us = self.makers.replace(heir, from).div_ceil(1_000);
        self.say(heir, &ToAgent::Broadcast { from_us }, now);
        // One that could not be told is lost too, and has an heir of its own.
        self.lives(heir).then_some(heir)
    }

    /// What an agent that lives cannot set up is not a death: the run is a wrong one. Once its
    /// clients had logged in, it is one.
    fn fails(&mut self, agent: usize, why: &str, whose: Whose) {
        if self.failed.is_none() && !self.passed.contains_key(&Barrier::Settle) {
            let why = format!("the agent {}: {why}", self.agents[agent].name);
            self.failed = Some(Failure { why, whose });
        }
    }

    /// Lets all go on at one moment, as near as the way to each is known.
    fn go(&mut self, barrier: Barrier, now: u64) {
        let living: Vec<usize> =
            (0..self.agents.len()).filter(|agent| self.lives(*agent)).collect();
        let longest = living.iter().map(|agent| self.agents[*agent].trip).max();
        let lead = LEAD + longest.unwrap_or_default();
        let moment = Instant::now() + lead;
        self.passed.insert(barrier, now + u64::try_from(lead.as_nanos()).unwrap_or_default());
        for agent in living {
            let way = self.agents[agent].trip / 2;
            let after = moment.saturating_duration_since(Instant::now()).saturating_sub(way);
            let after_us = u64::try_from(after.as_micros()).unwrap_or_default();
            let sent = if barrier == Barrier::Drain { self.makers.all() } else { Vec::new() };
            self.say(agent, &ToAgent::Go { barrier, after_us, sent }, now);
        }
    }

    /// Takes one more second of an agent, and shows the gauges of all as this process's own.
    fn count(&mut self, agent: usize, second: Second, shared: &Shared) {
        let before = &self.agents[agent].tally;
        self.seconds.add(agent, &second, before);
        let recent = second.tally.push.since(&before.push);
        let pushing =
            self.passed.contains_key(&Barrier::Push) && !self.passed.contains_key(&Barrier::Drain);
        let one = &mut self.agents[agent];
        let known = |values: &[Option<f64>]| values.first().copied().flatten();
        let line = &second.line;
        let cpu = [&line.client_cpu, &line.client_busiest, &line.client_wanted];
        let cpu = cpu.map(|values| known(values));
        if let ([Some(all), Some(busiest), Some(wanted)], true) = (cpu, pushing) {
            one.cpu.push([all, busiest, wanted]);
        }
        one.tally = second.tally;
        one.counts = second.counts;
        let mut counts = Counts::default();
        for one in &self.agents {
            counts.add(&one.counts);
        }
        counts.show(&shared.gauges);
        shared.sums().recent.add(&recent);
    }
}
