//! The work that every server is given, phase by phase, and what each phase cost.
//!
//! A phase starts from rest. The server's CPU time is the scheduler's count of all its processes
//! and of its core's `ksoftirqd`, from rest to rest; the generator's is its own. Phases whose
//! figure is a cost for each delivery run as fast as the server takes it, the last one at a fixed
//! rate, each message being due at its moment whatever became of those before.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::crowd::Crowd;
use super::ledger::Ledger;
use super::peer::{Message, To};
use crate::clock::{SECOND, duration};
use crate::floor::machine::Meter;
use crate::histogram::Percentiles;
use crate::schedule::chance;
use crate::verify::body::{self, Header, Number};

/// Bytes of a message.
const BODY: usize = 256;
/// Single messages that are on their way at the same time, and how many are published at once: what
/// the figure `push` of `cargo xtask bench` has.
const IN_FLIGHT: u64 = 512;
const BATCH: usize = 64;
/// Messages that do not come for so long are lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// What chooses who gets a message.
const SEED: u64 = 1;

/// What one phase cost and brought.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Cost {
    /// Clients that logged in, or messages that came.
    pub(super) units: u64,
    /// CPU time of the server, nanoseconds; `ksoftirqd` included.
    pub(super) server_ns: u64,
    /// The part of it that is `ksoftirqd`'s.
    pub(super) softirq_ns: u64,
    /// Seconds by the clock.
    pub(super) wall_s: f64,
    /// The share of its core that the generator used.
    pub(super) generator: f64,
    /// Messages that did not come.
    pub(super) lost: u64,
    /// Messages that came twice, late, damaged or to somebody else.
    pub(super) strays: u64,
    /// Messages that the server said it refused.
    pub(super) refused: u64,
    /// How late messages came.
    pub(super) latency: Percentiles,
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
impl Cost {
    /// Units for each second of the server's CPU time.
    pub(super) fn per_cpu_second(&self) -> f64 {
        self.units as f64 * 1e9 / self.server_ns.max(1) as f64
    }

    /// Units for each second by the clock.
    pub(super) fn per_second(&self) -> f64 {
        self.units as f64 / self.wall_s.max(1e-9)
    }
}

/// One server with its clients.
pub(super) struct Work<'a> {
    pub(super) crowd: &'a mut Crowd,
    pub(super) meter: &'a Meter,
    /// How long each phase offers work.
    pub(super) time: Duration,
    /// Numbers the phases, so that what comes late is seen.
    pub(super) phase: u32,
}

/// CPU time of this process, nanoseconds.
fn own_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let whole = u64::try_from(time.tv_sec).unwrap_or_default() * SECOND;
    whole + u64::try_from(time.tv_nsec).unwrap_or_default()
}

impl Work<'_> {
    /// Has so many clients log in, one window of them after the other.
    pub(super) fn connect(&mut self, clients: u32) -> Result<Cost, String> {
        let mut cost = self.cost(|work, ledger| work.crowd.open(clients, ledger))?;
        cost.units = u64::from(clients);
        Ok(cost)
    }

    /// Nothing happens for so long, but what the server asks of its clients is answered.
    pub(super) fn idle(&mut self, time: Duration) -> Result<(), String> {
        let mut ledger = Ledger::new(self.phase, self.crowd.count());
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.crowd.turn(Duration::from_millis(100), &mut ledger)?;
        }
        Ok(())
    }

    /// Messages to everybody, each when the one before has come to all.
    pub(super) fn broadcast(&mut self) -> Result<Cost, String> {
        self.cost(|work, ledger| {
            let end = Instant::now() + work.time;
            loop {
                let number = ledger.broadcast();
                let due = work.crowd.clock.now();
                work.publish(&[(To::All, number, due)], ledger.phase)?;
                if !work.settle(ledger, 0)? || Instant::now() >= end {
                    return Ok(());
                }
            }
        })
    }

    /// Messages to single clients, as fast as they are taken.
    pub(super) fn unicast(&mut self) -> Result<Cost, String> {
        self.cost(|work, ledger| {
            let end = Instant::now() + work.time;
            while Instant::now() < end && work.settle(ledger, IN_FLIGHT - BATCH as u64)? {
                let due = work.crowd.clock.now();
                let batch: Vec<_> = (0..BATCH).map(|_| work.single(ledger, due)).collect();
                work.publish(&batch, ledger.phase)?;
            }
            work.settle(ledger, 0).map(drop)
        })
    }

    /// Messages to single clients, `rate` a second.
    pub(super) fn steady(&mut self, rate: u32) -> Result<Cost, String> {
        let gap = SECOND / u64::from(rate.max(1));
        let count = self.time.as_secs_f64() * f64::from(rate);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = count as u64;
        self.cost(|work, ledger| {
            let start = work.crowd.clock.now();
            let mut next = 0;
            while next < count {
                let (now, mut batch) = (work.crowd.clock.now(), Vec::new());
                while next < count && start + next * gap <= now && batch.len() < BATCH {
                    batch.push(work.single(ledger, start + next * gap));
                    next += 1;
                }
                work.publish(&batch, ledger.phase)?;
                let until = (start + next * gap).saturating_sub(work.crowd.clock.now());
                work.crowd.turn(duration(until), ledger)?;
            }
            work.settle(ledger, 0).map(drop)
        })
    }

    /// One more message to a client that chance chooses.
    fn single(&self, ledger: &mut Ledger, due: u64) -> (To, Number, u64) {
        let client = chance::below(self.crowd.count(), chance::hash(SEED, ledger.due()));
        (To::One(client), ledger.single(client), due)
    }

    fn publish(&mut self, messages: &[(To, Number, u64)], phase: u32) -> Result<(), String> {
        let mut bodies = Vec::with_capacity(messages.len() * BODY);
        for (_, number, due) in messages {
            let header = Header { run: phase, number: *number, due: *due };
            body::write(header, BODY, &mut bodies);
        }
        let pieces = messages.iter().zip(bodies.chunks_exact(BODY));
        let messages: Vec<Message<'_>> =
            pieces.map(|((to, ..), body)| Message { to: *to, body }).collect();
        self.crowd.publish(&messages)
    }

    /// Receives until at most `left` messages are missing; gives `false` where nothing comes any
    /// more, which ends the phase.
    fn settle(&mut self, ledger: &mut Ledger, left: u64) -> Result<bool, String> {
        let (mut came, mut heard) = (ledger.came, Instant::now());
        while ledger.missing() > left {
            self.crowd.turn(Duration::from_millis(100), ledger)?;
            if ledger.came > came {
                (came, heard) = (ledger.came, Instant::now());
            } else if heard.elapsed() > PATIENCE {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does a phase, and says what it cost.
    fn cost(
        &mut self,
        work: impl FnOnce(&mut Self, &mut Ledger) -> Result<(), String>,
    ) -> Result<Cost, String> {
        let failed = |error| format!("the server's CPU time: {error}");
        self.phase += 1;
        let mut ledger = Ledger::new(self.phase, self.crowd.count());
        let refused = self.crowd.refused();
        let (before, own, start) =
            (self.meter.settled().map_err(failed)?, own_ns(), Instant::now());
        work(self, &mut ledger)?;
        let (wall, own) = (start.elapsed(), own_ns() - own);
        let spent = self.meter.settled().map_err(failed)?.since(before);
        Ok(Cost {
            units: ledger.came,
            server_ns: spent.total(),
            softirq_ns: spent.softirq,
            wall_s: wall.as_secs_f64(),
            generator: duration(own).as_secs_f64() / wall.as_secs_f64().max(1e-9),
            lost: ledger.missing(),
            strays: ledger.strays,
            refused: self.crowd.refused() - refused,
            latency: ledger.latency.summary(),
        })
    }
}
