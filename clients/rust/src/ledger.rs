//! What is in flight: the one place that callers and the client's thread share.
//!
//! Callers encode their requests straight into the machine's output under one short lock; the
//! thread takes that output away whole, so whatever was queued while it wrote leaves in the next
//! single write.
//!
//! Invariants: a request is in `waiting` from the moment it is encoded until exactly one of answer,
//! timeout, lost connection or closed client removes it; whoever removes it calls its sink, after
//! the lock is given back. A request that timed out keeps its part of the window until the gateway
//! answers it, because the gateway counts it too.

use crate::error::{Attempt, Close, Error};
use crate::options::Options;
use crate::receipt::Receipt;
use crate::sink::Sink;
use holdfast_protocol::backend::machine::{Machine, Refused, State};
use holdfast_protocol::backend::{Answer, RequestId, Welcome};
use holdfast_protocol::error::Violation;
use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// Whether a call waits for room, or for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Up to the request timeout.
    Wait,
    /// No.
    Try,
}

/// Where the client stands.
#[derive(Debug)]
pub(crate) enum Phase {
    /// No connection.
    Dialling(Dialling),
    /// Welcomed.
    Open,
    /// Welcomed, and the gateway shuts down: nothing new is sent.
    Draining,
    /// For good.
    Ended(Error),
}

/// How the search for a connection goes.
#[derive(Debug, Default)]
pub(crate) struct Dialling {
    /// What failed in this round, or in the last one while it is over; or how the last connection
    /// ended.
    failed: Vec<Attempt>,
    /// Every address has failed since there was a connection.
    all_failed: bool,
    /// The round is over; the next failure begins another.
    over: bool,
}

struct Waiting {
    deadline: Instant,
    sink: Sink,
}

struct Ledger {
    phase: Phase,
    /// Of the connection that is being made or is open.
    machine: Option<Machine>,
    /// Ids grow and all requests have the same patience, so the first is also the first to time
    /// out.
    waiting: BTreeMap<RequestId, Waiting>,
    /// Sinks were taken out of `waiting`, and may not all have been called yet.
    handing_over: bool,
    /// Threads that wait for any change.
    watchers: usize,
    /// The client's thread sleeps, or is about to, and wants to be woken for output.
    asleep: bool,
    /// The last handle is gone.
    abandoned: bool,
}

/// What a frame means to the client's thread.
pub(crate) enum Heard<'a> {
    /// The answer to a request that somebody waits for.
    Answer(Sink, Answer<'a>),
    Welcome(Welcome),
    Drain(Duration),
    Close(Close),
    Receipt(Receipt),
}

/// What the client's thread must do before it may sleep.
pub(crate) struct Due {
    /// There are bytes to write.
    pub(crate) output: bool,
    /// The first request times out then.
    pub(crate) deadline: Option<Instant>,
    pub(crate) abandoned: bool,
}

/// The ledger behind its lock.
pub(crate) struct Shared {
    pub(crate) options: Options,
    waker: mio::Waker,
    ledger: Mutex<Ledger>,
    changed: Condvar,
    /// The client's own thread, which must never wait for itself.
    driver: OnceLock<ThreadId>,
}

impl Phase {
    /// A connection ended so, and another is sought.
    pub(crate) fn dialling_after(attempt: Attempt) -> Self {
        Self::Dialling(Dialling { failed: vec![attempt], all_failed: false, over: true })
    }

    /// A gateway said "do not come back".
    pub(crate) fn refused(address: &Arc<str>, close: &Close) -> Self {
        Self::Ended(Error::Refused { address: Arc::clone(address), close: close.clone() })
    }
}

impl Ledger {
    fn lose(&mut self) -> Vec<Sink> {
        self.machine = None;
        self.handing_over = !self.waiting.is_empty();
        mem::take(&mut self.waiting).into_values().map(|waiting| waiting.sink).collect()
    }

    fn encode(
        &mut self,
        request: &mut dyn FnMut(&mut Machine) -> Result<RequestId, Refused>,
        cost: u32,
    ) -> Result<RequestId, Error> {
        let machine = match (&self.phase, &mut self.machine) {
            (Phase::Ended(error), _) => return Err(error.clone()),
            (Phase::Dialling(dialling), _) => {
                return Err(Error::NotConnected { last: dialling.failed.last().cloned() });
            }
            (Phase::Open, Some(machine)) => machine,
            (Phase::Open | Phase::Draining, _) => return Err(Error::NotConnected { last: None }),
        };
        request(machine).map_err(|refused| match (refused, machine.state()) {
            (Refused::WindowFull, _) => {
                Error::WindowFull { needed: cost, left: machine.window_left() }
            }
            (Refused::OverWindow, State::Open(welcome)) => {
                Error::OverWindow { needed: cost, window: welcome.window }
            }
            (Refused::OverWindow | Refused::NotOpen, _) => Error::NotConnected { last: None },
        })
    }
}

impl Shared {
    pub(crate) fn new(options: Options, waker: mio::Waker) -> Self {
        let ledger = Ledger {
            phase: Phase::Dialling(Dialling::default()),
            machine: None,
            waiting: BTreeMap::new(),
            handing_over: false,
            watchers: 0,
            asleep: false,
            abandoned: false,
        };
        let ledger = Mutex::new(ledger);
        Self { options, waker, ledger, changed: Condvar::new(), driver: OnceLock::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // No code of ours leaves the ledger half changed, so a poisoned lock says nothing about it.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, ledger: MutexGuard<'_, Ledger>) {
        let watched = ledger.watchers > 0;
        drop(ledger);
        if watched {
            self.changed.notify_all();
        }
    }

    /// Waits until something changes or `end` comes; `None` when it has come.
    fn watch<'a>(
        &'a self,
        mut ledger: MutexGuard<'a, Ledger>,
        end: Instant,
    ) -> (MutexGuard<'a, Ledger>, bool) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || self.driver.get() == Some(&thread::current().id()) {
            return (ledger, false);
        }
        ledger.watchers += 1;
        let waited = self.changed.wait_timeout(ledger, left);
        ledger = waited.unwrap_or_else(PoisonError::into_inner).0;
        ledger.watchers -= 1;
        (ledger, true)
    }

    // ---- for callers ----

    /// Queues the request that `request` encodes at the price of `cost`; its answer goes to `sink`,
    /// which is dropped uncalled if this fails.
    pub(crate) fn submit(
        &self,
        room: Room,
        cost: u32,
        sink: Sink,
        request: &mut dyn FnMut(&mut Machine) -> Result<RequestId, Refused>,
    ) -> Result<(), Error> {
        let end = Instant::now() + self.options.timeout;
        let mut ledger = self.lock();
        let id = loop {
            match ledger.encode(request, cost) {
                Ok(id) => break id,
                Err(error @ (Error::WindowFull { .. } | Error::NotConnected { .. }))
                    if room == Room::Wait =>
                {
                    let (again, in_time) = self.watch(ledger, end);
                    if !in_time {
                        return Err(error);
                    }
                    ledger = again;
                }
                Err(error) => return Err(error),
            }
        };
        let deadline = Instant::now() + self.options.timeout;
        ledger.waiting.insert(id, Waiting { deadline, sink });
        let asleep = mem::take(&mut ledger.asleep);
        drop(ledger);
        if asleep {
            self.wake();
        }
        Ok(())
    }

    /// Waits until there is a connection, every address has failed once, or the client has ended.
    pub(crate) fn await_first_connection(&self) -> Result<(), Error> {
        let mut ledger = self.lock();
        loop {
            match &ledger.phase {
                Phase::Open | Phase::Draining => return Ok(()),
                Phase::Ended(error) => return Err(error.clone()),
                Phase::Dialling(dialling) if dialling.all_failed => {
                    return Err(Error::Unreachable(dialling.failed.as_slice().into()));
                }
                Phase::Dialling(_) => {}
            }
            // The driver bounds each attempt, so an hour is for ever.
            ledger = self.watch(ledger, Instant::now() + Duration::from_hours(1)).0;
        }
    }

    /// Waits until every sink has been called; whether that came in time.
    pub(crate) fn await_all_answers(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        let mut ledger = self.lock();
        while !ledger.waiting.is_empty() || ledger.handing_over {
            let (again, in_time) = self.watch(ledger, end);
            if !in_time {
                return false;
            }
            ledger = again;
        }
        true
    }

    pub(crate) fn welcome(&self) -> Option<Welcome> {
        match self.lock().machine.as_ref()?.state() {
            State::Open(welcome) => Some(welcome),
            State::Connecting | State::Closed => None,
        }
    }

    pub(crate) fn window_left(&self) -> u32 {
        let ledger = self.lock();
        match (&ledger.phase, &ledger.machine) {
            (Phase::Open, Some(machine)) => machine.window_left(),
            _ => 0,
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.lock().waiting.len()
    }

    /// The last handle is gone: the client's thread ends.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.wake();
    }

    fn wake(&self) {
        // A waker fails only when its descriptor is gone, and it is open as long as `self`.
        let _ = self.waker.wake();
    }
}

/// For the client's thread.
impl Shared {
    /// Says that this thread is the client's.
    pub(crate) fn claim_driver(&self) {
        let _ = self.driver.set(thread::current().id());
    }

    pub(crate) fn abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// A connection is being made; its hello is in the output.
    pub(crate) fn attach(&self) {
        let machine = Machine::new(&self.options.name, &self.options.key);
        self.lock().machine = Some(machine);
    }

    /// An address did not answer, or did not welcome.
    pub(crate) fn dial_failed(&self, attempt: Attempt) {
        let mut ledger = self.lock();
        ledger.machine = None;
        let Phase::Dialling(dialling) = &mut ledger.phase else { return };
        if mem::take(&mut dialling.over) {
            dialling.failed.clear();
        }
        dialling.failed.push(attempt);
    }

    /// Every address has failed.
    pub(crate) fn round_failed(&self) {
        let mut ledger = self.lock();
        let Phase::Dialling(dialling) = &mut ledger.phase else { return };
        dialling.all_failed = true;
        dialling.over = true;
        self.change(ledger);
    }

    /// The thread ends, for whatever reason. Gives the sinks of what was in flight.
    pub(crate) fn end(&self) -> Vec<Sink> {
        let mut ledger = self.lock();
        if !matches!(ledger.phase, Phase::Ended(_)) {
            ledger.phase = Phase::Ended(Error::Closed);
        }
        let lost = ledger.lose();
        self.change(ledger);
        lost
    }

    /// The connection is gone. Gives the sinks of what was in flight.
    pub(crate) fn detach(&self, next: Phase) -> Vec<Sink> {
        let mut ledger = self.lock();
        ledger.phase = next;
        let lost = ledger.lose();
        self.change(ledger);
        lost
    }

    /// Appends what is to be sent to `bytes`.
    pub(crate) fn take_output(&self, bytes: &mut Vec<u8>) {
        let mut ledger = self.lock();
        ledger.asleep = false;
        let Some(machine) = &mut ledger.machine else { return };
        if bytes.is_empty() {
            mem::swap(machine.output(), bytes);
        } else {
            bytes.append(machine.output());
        }
    }

    pub(crate) fn ping(&self) {
        if let Some(machine) = &mut self.lock().machine {
            machine.ping();
        }
    }

    /// Understands every complete frame in `bytes`; gives how many bytes they took, and what was
    /// wrong with the next one.
    pub(crate) fn receive<'a>(
        &self,
        bytes: &'a [u8],
        heard: &mut Vec<Heard<'a>>,
    ) -> (usize, Option<Violation>) {
        let mut taken = 0;
        let mut guard = self.lock();
        let ledger = &mut *guard;
        let Some(machine) = &mut ledger.machine else { return (0, None) };
        ledger.handing_over = true;
        let wrong = loop {
            match machine.receive(&bytes[taken..]) {
                Ok(None) => break None,
                Err(violation) => break Some(violation),
                Ok(Some((answer, length))) => {
                    taken += length;
                    let waiting = answer.request().and_then(|id| ledger.waiting.remove(&id));
                    heard.extend(understand(answer, waiting, &mut ledger.phase));
                }
            }
        };
        self.change(guard);
        (taken, wrong)
    }

    /// Every sink that was given out has been called.
    pub(crate) fn handed_over(&self) {
        let mut ledger = self.lock();
        ledger.handing_over = false;
        self.change(ledger);
    }

    /// The sinks of requests whose time is over.
    pub(crate) fn expire(&self, now: Instant) -> Vec<Sink> {
        let mut expired = Vec::new();
        let mut ledger = self.lock();
        while let Some(first) = ledger.waiting.first_entry() {
            if first.get().deadline > now {
                break;
            }
            expired.push(first.remove().sink);
            ledger.handing_over = true;
        }
        if !expired.is_empty() {
            self.change(ledger);
        }
        expired
    }

    /// Whether no request is in flight, not even one that nobody waits for.
    pub(crate) fn is_settled(&self) -> bool {
        self.lock().machine.as_ref().is_none_or(|machine| machine.unanswered().next().is_none())
    }

    /// What there is to do. Unless that is output that can leave at once, callers wake the thread
    /// from now on.
    pub(crate) fn due(&self, can_write: bool) -> Due {
        let mut ledger = self.lock();
        let machine = ledger.machine.as_mut();
        let output = machine.is_some_and(|machine| !machine.output().is_empty());
        ledger.asleep = !(can_write && output);
        let deadline = ledger.waiting.first_key_value().map(|(_, first)| first.deadline);
        Due { output, deadline, abandoned: ledger.abandoned }
    }
}

fn understand<'a>(
    answer: Answer<'a>,
    waiting: Option<Waiting>,
    phase: &mut Phase,
) -> Option<Heard<'a>> {
    match answer {
        Answer::Welcome(welcome) => {
            *phase = Phase::Open;
            Some(Heard::Welcome(welcome))
        }
        Answer::Drain { delay } => {
            *phase = Phase::Draining;
            Some(Heard::Drain(Duration::from_millis(delay.into())))
        }
        Answer::Close { code, reason } => Some(Heard::Close(Close { code, reason: reason.into() })),
        Answer::Receipt(receipt) => Some(Heard::Receipt(Receipt::owned(&receipt))),
        Answer::Pong | Answer::Skipped => None,
        // Nobody waits any more for the answer to a request that timed out.
        answer => waiting.map(|waiting| Heard::Answer(waiting.sink, answer)),
    }
}
