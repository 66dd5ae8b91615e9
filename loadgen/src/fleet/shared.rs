//! What the threads of a run share.

use crate::clock::{Clock, SECOND};
use crate::histogram::{Latency, Tally};
use crate::interrupt::Interrupt;
use crate::notices::Notices;
use crate::scenario::Scenario;
use crate::scenario::phase::Behaviour;
use crate::scenario::plan::Step;
use crate::verify::away::Away;
use crate::verify::judge::Heard;
use crate::verify::ledger::Ledger;
use crate::weak::board::Board;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the clients are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Nothing yet: the threads are up, no client exists.
    Wait = 0,
    /// Connect and log in at the planned rate.
    Ramp = 1,
    /// Receive, acknowledge, heartbeat.
    Hold = 2,
    /// The same, and what the present step of the plan says of clients.
    Step = 3,
    /// Say bye and wait for the gateway to close.
    Leave = 4,
    /// End.
    Stop = 5,
}

impl Phase {
    const ALL: [Self; 6] =
        [Self::Wait, Self::Ramp, Self::Hold, Self::Step, Self::Leave, Self::Stop];
}

/// How many clients are where, now.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// With an open connection.
    pub(crate) connected: AtomicU32,
    /// Logged in.
    pub(crate) online: AtomicU32,
    /// Given up: the gateway said "do not come back".
    pub(crate) refused: AtomicU32,
    /// Messages of the schedule that arrived, for the first time.
    pub(crate) deliveries: AtomicU64,
    /// Broadcasts that arrived, for the first time, over all clients.
    pub(crate) broadcasts: AtomicU64,
    /// Receipts of durable messages that a client acknowledged.
    pub(crate) receipts: AtomicU64,
    /// Receipts of those that expired or were dropped.
    pub(crate) given_up: AtomicU64,
    /// Messages that were answered as stored.
    pub(crate) stored: AtomicU64,
    /// Pushes handed to the API, and those that it accepted.
    pub(crate) offered: AtomicU64,
    pub(crate) accepted: AtomicU64,
}

/// The gauges of one moment, on their way to another host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    pub(crate) connected: u32,
    pub(crate) online: u32,
    pub(crate) refused: u32,
    pub(crate) deliveries: u64,
    pub(crate) broadcasts: u64,
    pub(crate) receipts: u64,
    pub(crate) given_up: u64,
    pub(crate) stored: u64,
    pub(crate) offered: u64,
    pub(crate) accepted: u64,
}

impl Counts {
    /// Those of now.
    pub(crate) fn of(gauges: &Gauges) -> Self {
        let few = |gauge: &AtomicU32| gauge.load(Ordering::Relaxed);
        let many = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        Self {
            connected: few(&gauges.connected),
            online: few(&gauges.online),
            refused: few(&gauges.refused),
            deliveries: many(&gauges.deliveries),
            broadcasts: many(&gauges.broadcasts),
            receipts: many(&gauges.receipts),
            given_up: many(&gauges.given_up),
            stored: many(&gauges.stored),
            offered: many(&gauges.offered),
            accepted: many(&gauges.accepted),
        }
    }

    /// Adds those of another host.
    pub(crate) fn add(&mut self, other: &Self) {
        self.connected = self.connected.saturating_add(other.connected);
        self.online = self.online.saturating_add(other.online);
        self.refused = self.refused.saturating_add(other.refused);
        self.deliveries = self.deliveries.saturating_add(other.deliveries);
        self.broadcasts = self.broadcasts.saturating_add(other.broadcasts);
        self.receipts = self.receipts.saturating_add(other.receipts);
        self.given_up = self.given_up.saturating_add(other.given_up);
        self.stored = self.stored.saturating_add(other.stored);
        self.offered = self.offered.saturating_add(other.offered);
        self.accepted = self.accepted.saturating_add(other.accepted);
    }

    /// Shows them as the gauges of this process.
    pub(crate) fn show(&self, gauges: &Gauges) {
        gauges.connected.store(self.connected, Ordering::Relaxed);
        gauges.online.store(self.online, Ordering::Relaxed);
        gauges.refused.store(self.refused, Ordering::Relaxed);
        gauges.deliveries.store(self.deliveries, Ordering::Relaxed);
        gauges.broadcasts.store(self.broadcasts, Ordering::Relaxed);
        gauges.receipts.store(self.receipts, Ordering::Relaxed);
        gauges.given_up.store(self.given_up, Ordering::Relaxed);
        gauges.stored.store(self.stored, Ordering::Relaxed);
        gauges.offered.store(self.offered, Ordering::Relaxed);
        gauges.accepted.store(self.accepted, Ordering::Relaxed);
    }
}

/// The sum of what all threads counted, and the latencies since the last look.
#[derive(Debug)]
pub(crate) struct Sums {
    /// Since the beginning.
    pub(crate) all: Tally,
    /// Push latencies since the last progress line.
    pub(crate) recent: Latency,
}

/// The last time in which something went on, or goes on; nanoseconds of the run's clock.
#[derive(Debug, Default)]
pub(crate) struct Span {
    from: AtomicU64,
    until: AtomicU64,
}

impl Span {
    /// It begins, or goes on.
    pub(crate) fn begin(&self, now: u64) {
        if self.until.load(Ordering::Relaxed) != u64::MAX {
            self.from.store(now, Ordering::Relaxed);
            self.until.store(u64::MAX, Ordering::Relaxed);
        }
    }

    /// It ends, if it goes on.
    pub(crate) fn end(&self, now: u64) {
        if self.until.load(Ordering::Relaxed) == u64::MAX {
            self.until.store(now, Ordering::Relaxed);
        }
    }

    /// Whether what went on from `due` to `now` went on beside it.
    pub(crate) fn overlaps(&self, due: u64, now: u64) -> bool {
        now >= self.from.load(Ordering::Relaxed) && due < self.until.load(Ordering::Relaxed)
    }
}

/// What the threads of a run share.
pub(crate) struct Shared {
    /// What is to be done.
    pub(crate) scenario: Scenario,
    /// The clock of the run.
    pub(crate) clock: Clock,
    /// What is known of each message.
    pub(crate) ledger: Ledger,
    /// How many clients are where.
    pub(crate) gauges: Gauges,
    /// When the ramp began, nanoseconds of the clock.
    pub(crate) ramp_start: AtomicU64,
    /// When the plan's timeline began, nanoseconds of the clock.
    pub(crate) start: AtomicU64,
    /// While which broadcasts run.
    pub(crate) broadcasting: Span,
    /// A bit for each broadcast that was begun here.
    pub(crate) made: AtomicU64,
    /// What is known of the way of clients behind a weak network; `None` without one.
    pub(crate) board: Option<Arc<Board>>,
    /// Told to the pushing threads: no more.
    pub(crate) halt: AtomicBool,
    /// Whether somebody wants the run to end early: nothing new is offered then.
    pub(crate) interrupt: Interrupt,
    /// What is to be shown at once.
    pub(crate) notices: Notices,
    phase: AtomicU8,
    step: AtomicU32,
    sums: Mutex<Sums>,
    absences: Mutex<Vec<Away>>,
    heard: Mutex<Vec<Heard>>,
}

impl Shared {
    /// For this scenario, until the interrupt.
    pub(crate) fn new(scenario: Scenario, interrupt: Interrupt) -> Self {
        let ledger = Ledger::new(scenario.schedule.count);
        Self::with(scenario, interrupt, ledger)
    }

    /// The same for a run on other hosts, which have the ledgers.
    pub(crate) fn elsewhere(scenario: Scenario, interrupt: Interrupt) -> Self {
        Self::with(scenario, interrupt, Ledger::new(0))
    }

    fn with(scenario: Scenario, interrupt: Interrupt, ledger: Ledger) -> Self {
        let board = || Arc::new(Board::new(scenario.clients, scenario.proxies));
        Self {
            board: scenario.weak.as_ref().map(|_| board()),
            ledger,
            scenario,
            clock: Clock::start(),
            gauges: Gauges::default(),
            ramp_start: AtomicU64::new(0),
            start: AtomicU64::new(0),
            broadcasting: Span::default(),
            made: AtomicU64::new(0),
            halt: AtomicBool::new(false),
            interrupt,
            notices: Notices::default(),
            phase: AtomicU8::new(Phase::Wait as u8),
            step: AtomicU32::new(0),
            sums: Mutex::new(Sums { all: Tally::new(), recent: Latency::new() }),
            absences: Mutex::new(Vec::new()),
            heard: Mutex::new(Vec::new()),
        }
    }

    /// What the clients are to do now.
    pub(crate) fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::Acquire);
        Phase::ALL.get(usize::from(phase)).copied().unwrap_or(Phase::Stop)
    }

    /// What the clients are to do from now on.
    pub(crate) fn set_phase(&self, phase: Phase) {
        if let Some(board) = &self.board {
            // Before the steps everybody is to log in, and after them everything is to arrive.
            board.set_rough(phase == Phase::Step);
        }
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Whether a client is behind the weak network.
    pub(crate) fn is_weak(&self, user: u32) -> bool {
        let weak = self.scenario.weak.as_ref();
        weak.is_some_and(|weak| weak.has(self.scenario.schedule.seed, user))
    }

    /// Where a client connects to that is behind the weak network.
    pub(crate) fn weak_port(&self, user: u32) -> Option<SocketAddr> {
        self.board.as_ref().filter(|_| self.is_weak(user))?.port(user)
    }

    /// Up to when all that the gateway wrote to a client is in its socket, as seen at `now`.
    pub(crate) fn through(&self, user: u32, now: u64) -> u64 {
        let board = self.board.as_ref().filter(|_| self.is_weak(user));
        board.map_or(now, |board| board.through(user, now))
    }

    /// Whether the weak network ended the last connection of a client.
    pub(crate) fn broken(&self, user: u32) -> bool {
        self.board.as_ref().is_some_and(|board| board.ended(user))
    }

    /// Begins step `number` of the plan, for the clients.
    pub(crate) fn begin_step(&self, number: u32) {
        self.step.store(number, Ordering::Release);
        self.set_phase(Phase::Step);
    }

    /// The step of the plan that was begun last, with its number.
    pub(crate) fn step(&self) -> Option<(u32, &Step)> {
        let number = self.step.load(Ordering::Acquire);
        Some((number, self.scenario.plan.steps.get(number as usize)?))
    }

    /// Nanoseconds at `now` since the plan's timeline began.
    pub(crate) fn since_start(&self, now: u64) -> u64 {
        now.saturating_sub(self.start.load(Ordering::Relaxed))
    }

    /// Nanoseconds from `now` until the moment `at` of the timeline; 0 if it is past.
    pub(crate) fn until(&self, at: u64, now: u64) -> u64 {
        at.saturating_sub(self.since_start(now))
    }

    /// How many clients are to have been opened at `now`, over all threads; nobody new in an
    /// interrupted run.
    pub(crate) fn due(&self, phase: Phase, now: u64) -> u32 {
        let Scenario { clients, connect_rate, plan, .. } = &self.scenario;
        match phase {
            _ if self.interrupt.came() => 0,
            Phase::Ramp => {
                let since = now.saturating_sub(self.ramp_start.load(Ordering::Relaxed));
                let due = u128::from(since) * u128::from(*connect_rate) / u128::from(SECOND);
                // The first is due at once.
                let due = u32::try_from(due + 1).unwrap_or(u32::MAX);
                due.min(plan.joined(*clients, None))
            }
            Phase::Hold | Phase::Step => {
                let begun = self.start.load(Ordering::Relaxed) > 0;
                plan.joined(*clients, begun.then(|| self.since_start(now)))
            }
            _ => 0,
        }
    }

    /// What clients do besides receiving now.
    pub(crate) fn behaviour(&self) -> Behaviour {
        let in_step = self.phase() == Phase::Step;
        let step = self.step().filter(|_| in_step);
        step.map_or(Behaviour::Stay, |(_, step)| step.phase.clients)
    }

    /// The sums, for a short look.
    pub(crate) fn sums(&self) -> MutexGuard<'_, Sums> {
        lock(&self.sums)
    }

    /// Adds what a thread counted, and empties it.
    pub(crate) fn absorb(&self, tally: &mut Tally) {
        let mut sums = self.sums();
        sums.recent.add(&tally.push);
        sums.all.absorb(tally);
    }

    /// Keeps the absences and the broadcasts of a thread's clients, for the verdict.
    pub(crate) fn testify(&self, absences: Vec<Away>, heard: impl Iterator<Item = Heard>) {
        lock(&self.absences).extend(absences);
        lock(&self.heard).extend(heard);
    }

    /// All absences; empties the list.
    pub(crate) fn take_absences(&self) -> Vec<Away> {
        std::mem::take(&mut *lock(&self.absences))
    }

    /// What each client has of the broadcasts; empties the list.
    pub(crate) fn take_heard(&self) -> Vec<Heard> {
        std::mem::take(&mut *lock(&self.heard))
    }
}

/// A thread that panicked in the middle of adding leaves sums that are still the best there are.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_that_does_not_go_on_does_not_end_again() {
        let span = Span::default();
        span.end(50);
        assert!(!span.overlaps(40, 60), "none has begun");
        span.begin(100);
        assert!(span.overlaps(40, 100) && span.overlaps(400, 500) && !span.overlaps(40, 60));
        span.end(200);
        span.end(300);
        assert!(span.overlaps(199, 400) && !span.overlaps(250, 400));
    }
}
