//! Offers the schedule's messages to the API when they are due, whatever the gateway does (open
//! loop).
//!
//! What is due together travels together, up to the batch. When the window is full the messages
//! wait, stay due, and their latency grows: nothing is skipped and nothing is moved.

use super::company::Company;
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
    company: Arc<dyn Company>,
    backend: Backend,
    pushed: Arc<Pushed>,
    /// When the plan's timeline began, nanoseconds of the run's clock.
    start: u64,
    batch: usize,
    ttl: u32,
    /// The message after those that are composed.
    next: u64,
    /// Until when the gateway would take nothing, the last time, nanoseconds of the run's clock.
    held_up: u64,
    bodies: Vec<u8>,
    /// What is composed and not handed over yet, those of one product after each other.
    pieces: Vec<Piece>,
    tally: Tally,
}

/// A message that is due.
struct Piece {
    number: u64,
    /// Where its body stands.
    body: Range<usize>,
    user: String,
    product: usize,
    class: Class,
}

impl Pusher {
    /// A pusher that begins at `start`.
    pub(super) fn new(
        (shared, company): (&Arc<Shared>, &Arc<dyn Company>),
        backend: &Backend,
        pushed: &Arc<Pushed>,
        start: u64,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            company: Arc::clone(company),
            backend: backend.clone(),
            pushed: Arc::clone(pushed),
            start,
            batch: 1,
            ttl: 0,
            next: 0,
            held_up: start,
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
        while self.goes_on() {
            if !self.company.may_begin() {
                // It was stopped, or cut off: its lateness is the generator's own.
                self.rest(0);
                continue;
            }
            let now = self.shared.clock.now();
            if self.pieces.is_empty() {
                let due = self.due(self.next);
                if due > now {
                    self.rest(due - now);
                    continue;
                }
                self.compose(now);
            }
            match self.offer(now) {
                Ok(()) => {}
                Err(Error::WindowFull { .. } | Error::NotConnected { .. }) => {
                    self.held_up = now;
                    self.rest(0);
                }
                Err(error) => {
                    self.tally.reason(&format!("api: {error}"));
                    break;
                }
            }
        }
        self.give_up();
        self.shared.absorb(&mut self.tally);
        self.pushed.done.store(true, Ordering::Release);
    }

    /// Whether something is left to be offered, and shall be. Of what is composed already, a part
    /// may be handed over, so an interrupt waits for the rest of it.
    fn goes_on(&self) -> bool {
        let interrupted = self.shared.interrupt.came() && !self.is_begun();
        let left = self.next < self.shared.scenario.schedule.count || !self.pieces.is_empty();
        left && !interrupted && !self.shared.halt.load(Ordering::Relaxed)
    }

    /// Whether messages are handed over that come after some that are not.
    fn is_begun(&self) -> bool {
        !self.pieces.is_empty() && self.shared.scenario.people.products().len() > 1
    }

    /// When message `number` is due, on the run's clock.
    fn due(&self, number: u64) -> u64 {
        self.start + self.shared.scenario.schedule.due(number)
    }

    #[expect(clippy::unused_self, reason = "reads as what the pusher does")]
    fn rest(&self, ns: u64) {
        thread::sleep(duration(ns.clamp(QUANTUM, LONGEST_SLEEP)));
    }

    /// Hands over what is composed, a request for each product.
    fn offer(&mut self, now: u64) -> Result<(), Error> {
        while let Some(first) = self.pieces.first() {
            let product = first.product;
            let other = self.pieces.iter().position(|piece| piece.product != product);
            let count = other.unwrap_or(self.pieces.len());
            self.hand_over(product, count)?;
            self.pushed.sent.fetch_add(count as u64, Ordering::Release);
            self.shared.gauges.offered.fetch_add(count as u64, Ordering::Relaxed);
            for piece in self.pieces.drain(..count) {
                let due = self.start + self.shared.scenario.schedule.due(piece.number);
                self.tally.late.record(now.saturating_sub(due));
            }
        }
        Ok(())
    }

    /// Hands the first `count` messages, all of one product, to the API.
    fn hand_over(&self, product: usize, count: usize) -> Result<(), Error> {
        let pieces = &self.pieces[..count];
        let (shared, pushed) = (Arc::clone(&self.shared), Arc::clone(&self.pushed));
        let start = self.start;
        let numbers: Vec<u64> = pieces.iter().map(|piece| piece.number).collect();
        let targets: Vec<Target<'_>> = pieces.iter().map(|piece| self.target(piece)).collect();
        let product = &self.shared.scenario.people.products()[product];
        self.backend.try_push_then(product, &targets, move |answer| {
            record(&shared, &pushed, (&numbers, start), answer);
        })?;
        Ok(())
    }

    /// Writes the bodies of what is due by `now`, as much as the window and the batch take.
    fn compose(&mut self, now: u64) {
        self.bodies.clear();
        let room = self.backend.window_left() as usize;
        let most = room.clamp(1, self.batch);
        let scenario = &self.shared.scenario;
        let schedule = &scenario.schedule;
        let last = schedule.count.min(self.next + most as u64);
        while self.next < last && self.bodies.len() <= BODIES_BYTES {
            let (number, due) = (self.next, self.due(self.next));
            if due > now {
                break;
            }
            self.tally.own_late.record(now.saturating_sub(due.max(self.held_up)));
            let at = self.bodies.len();
            let header = Header { run: scenario.runs.pushes, number: Number::Push(number), due };
            body::write(header, schedule.size(number), &mut self.bodies);
            let target = schedule.target(number);
            let durable = schedule.is_durable(number);
            self.pieces.push(Piece {
                number,
                body: at..self.bodies.len(),
                user: scenario.people.user(target),
                product: scenario.people.product(target),
                class: if durable { Class::Durable } else { Class::Online },
            });
            self.next += 1;
        }
        // Of one user all are of one product, so they stay in their order.
        self.pieces.sort_by_key(|piece| piece.product);
    }

    fn target<'a>(&'a self, piece: &'a Piece) -> Target<'a> {
        let receipt = piece.class == Class::Durable && self.shared.scenario.receipts;
        let (body, user) = (&self.bodies[piece.body.clone()], &piece.user);
        Target { user, class: piece.class, ttl: self.ttl, key: &[], receipt, body }
    }

    /// Says of each message that cannot be handed over any more, and is not after all that were,
    /// that it never was.
    fn give_up(&mut self) {
        if !self.is_begun() {
            return;
        }
        let at = milliseconds(self.shared.clock.now());
        for piece in self.pieces.drain(..) {
            self.shared.ledger.answered(piece.number, Code::NEVER_SENT, at);
            self.pushed.sent.fetch_add(1, Ordering::Release);
            self.pushed.answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes the answer about some messages into the ledger. Runs on the API client's thread.
fn record(
    shared: &Shared,
    pushed: &Pushed,
    (numbers, start): (&[u64], u64),
    answer: Result<Vec<Outcome>, Error>,
) {
    let now = shared.clock.now();
    let at = milliseconds(now);
    let codes: Vec<Code> = match answer {
        Ok(outcomes) => outcomes.into_iter().map(Code::of).collect(),
        Err(Error::Declined { code, .. }) => vec![Code::declined(code); numbers.len()],
        Err(Error::ConnectionLost(_)) => vec![Code::CUT_OFF; numbers.len()],
        Err(_) => vec![Code::NO_ANSWER; numbers.len()],
    };
    let mut sums = shared.sums();
    for (&number, code) in numbers.iter().zip(codes) {
        shared.ledger.answered(number, code, at);
        shared.gauges.stored.fetch_add(u64::from(code == Code::STORED), Ordering::Relaxed);
        pushed.answered.fetch_add(1, Ordering::Relaxed);
        pushed.accepted.fetch_add(u64::from(code.accepted()), Ordering::Relaxed);
        shared.gauges.accepted.fetch_add(u64::from(code.accepted()), Ordering::Relaxed);
        let due = start + shared.scenario.schedule.due(number);
        sums.all.answer.record(now.saturating_sub(due));
    }
}
