//! Offers the schedule's messages to the API when they are due, whatever the gateway does (open
//! loop).
//!
//! What is due together travels together, up to the batch. When the window is full the messages
//! wait, stay due, and their latency grows: nothing is skipped and nothing is moved.

use crate::clock::{MILLISECOND, duration, milliseconds};
use crate::fleet::shared::Shared;
use crate::histogram::Tally;
use crate::verify::body::{self, Header, Number};
use crate::verify::ledger::Code;
use holdfast_client::{Backend, Class, Error, Outcome, Target};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// The pusher sleeps at least so long: finer sleep would cost a core, and what it is late is
/// measured.
const QUANTUM: u64 = MILLISECOND / 4;
/// The pusher sleeps at most so long, to see when it shall end.
const LONGEST_SLEEP: u64 = 20 * MILLISECOND;
/// Bodies of one request take at most so much, well under the frame's limit of 4 MiB.
const BODIES_BYTES: usize = 2 << 20;

/// What is known of the pushing while it goes on.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    /// Messages handed to the API.
    pub(super) sent: AtomicU64,
    /// Messages whose fate at the API is known.
    pub(super) answered: AtomicU64,
    /// Messages that the gateway accepted.
    pub(super) accepted: AtomicU64,
    /// No more will be sent.
    pub(super) done: AtomicBool,
}

/// Offers the schedule.
pub(super) struct Pusher {
    shared: Arc<Shared>,
    backend: Backend,
    pushed: Arc<Pushed>,
    /// When the phase began, nanoseconds of the run's clock.
    start: u64,
    batch: usize,
    ttl: u32,
    bodies: Vec<u8>,
    /// Where each body of the present batch stands, its user and its class.
    pieces: Vec<(Range<usize>, String, Class)>,
    tally: Tally,
}

impl Pusher {
    /// A pusher that begins at `start`.
    pub(super) fn new(
        shared: &Arc<Shared>,
        backend: &Backend,
        pushed: &Arc<Pushed>,
        start: u64,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            backend: backend.clone(),
            pushed: Arc::clone(pushed),
            start,
            batch: 1,
            ttl: 0,
            bodies: Vec::new(),
            pieces: Vec::new(),
            tally: Tally::new(),
        }
    }

    /// At most `batch` targets in a request, each with `ttl` seconds to live.
    pub(super) fn with(mut self, batch: usize, ttl: u32) -> Self {
        self.batch = batch;
        self.ttl = ttl;
        self
    }

    /// Offers everything; ends when all is sent, when it is told to halt, when the run is
    /// interrupted, or when the API is closed for good.
    pub(super) fn run(mut self) {
        let mut next = 0;
        while next < self.shared.scenario.schedule.count
            && !self.shared.halt.load(Ordering::Relaxed)
            && !self.shared.interrupt.came()
        {
            let now = self.shared.clock.now();
            let due = self.due(next);
            if due > now {
                self.rest(due - now);
                continue;
            }
            match self.offer(next, now) {
                Ok(count) => next += count,
                Err(Error::WindowFull { .. } | Error::NotConnected { .. }) => self.rest(0),
                Err(error) => {
                    self.tally.reason(&format!("api: {error}"));
                    break;
                }
            }
        }
        self.shared.absorb(&mut self.tally);
        self.pushed.done.store(true, Ordering::Release);
    }

    /// When message `number` is due, on the run's clock.
    fn due(&self, number: u64) -> u64 {
        self.start + self.shared.scenario.schedule.due(number)
    }

    #[expect(clippy::unused_self, reason = "reads as what the pusher does")]
    fn rest(&self, ns: u64) {
        thread::sleep(duration(ns.clamp(QUANTUM, LONGEST_SLEEP)));
    }

    /// Hands what is due to the API, beginning with message `next`; gives how many messages that
    /// was.
    fn offer(&mut self, next: u64, now: u64) -> Result<u64, Error> {
        let room = self.backend.window_left() as usize;
        let count = self.compose(next, now, room.clamp(1, self.batch));
        let (shared, pushed) = (Arc::clone(&self.shared), Arc::clone(&self.pushed));
        let start = self.start;
        let targets: Vec<Target<'_>> = self.pieces.iter().map(|piece| self.target(piece)).collect();
        self.backend.try_push_then(&self.shared.scenario.product, &targets, move |answer| {
            record(&shared, &pushed, (next..next + count, start), answer);
        })?;
        self.pushed.sent.store(next + count, Ordering::Release);
        for number in next..next + count {
            self.tally.late.record(now.saturating_sub(self.due(number)));
        }
        Ok(count)
    }

    /// Writes the bodies of at most `most` messages that are due by `now`; gives how many.
    fn compose(&mut self, next: u64, now: u64, most: usize) -> u64 {
        self.bodies.clear();
        self.pieces.clear();
        let last = self.shared.scenario.schedule.count.min(next + most as u64);
        for number in next..last {
            let due = self.due(number);
            if due > now || self.bodies.len() > BODIES_BYTES {
                break;
            }
            let schedule = &self.shared.scenario.schedule;
            let at = self.bodies.len();
            let run = self.shared.scenario.run;
            let header = Header { run, number: Number::Push(number), due };
            body::write(header, schedule.size(number), &mut self.bodies);
            let user = self.shared.scenario.user(schedule.target(number));
            let durable = self.shared.scenario.mix.is_durable(number);
            let class = if durable { Class::Durable } else { Class::Online };
            self.pieces.push((at..self.bodies.len(), user, class));
        }
        self.pieces.len() as u64
    }

    fn target<'a>(&'a self, piece: &'a (Range<usize>, String, Class)) -> Target<'a> {
        let (body, user, class) = (&self.bodies[piece.0.clone()], &piece.1, piece.2);
        let receipt = class == Class::Durable && self.shared.scenario.receipts;
        Target { user, class, ttl: self.ttl, key: &[], receipt, body }
    }
}

/// Writes the answer about some messages into the ledger. Runs on the API client's thread.
fn record(
    shared: &Shared,
    pushed: &Pushed,
    (numbers, start): (Range<u64>, u64),
    answer: Result<Vec<Outcome>, Error>,
) {
    let now = shared.clock.now();
    let at = milliseconds(now);
    let codes: Vec<Code> = match answer {
        Ok(outcomes) => outcomes.into_iter().map(Code::of).collect(),
        Err(Error::Declined { code, .. }) => vec![Code::declined(code); count(&numbers)],
        Err(_) => vec![Code::NO_ANSWER; count(&numbers)],
    };
    let mut sums = shared.sums();
    for (number, code) in numbers.zip(codes) {
        shared.ledger.answered(number, code, at);
        shared.gauges.stored.fetch_add(u64::from(code == Code::STORED), Ordering::Relaxed);
        pushed.answered.fetch_add(1, Ordering::Relaxed);
        pushed.accepted.fetch_add(u64::from(code.accepted()), Ordering::Relaxed);
        let due = start + shared.scenario.schedule.due(number);
        sums.all.answer.record(now.saturating_sub(due));
    }
}

fn count(numbers: &Range<u64>) -> usize {
    usize::try_from(numbers.end - numbers.start).unwrap_or(usize::MAX)
}
