//! What a shard counts, and how others read it.
//!
//! A shard owns one [`ShardMetrics`] and is its only writer; every number is an atomic that it
//! loads, changes and stores without ordering and without a locked instruction, so counting costs
//! what a plain addition costs. Anybody may read at any time: each number is whole, but two numbers
//! may be of different moments. A second writer would lose counts, and break nothing else.
//!
//! Map: [`names`] lists what is counted, `cell` holds the numbers, [`histogram`] the distributions,
//! `frames` the kinds of frames, `possible` says what can occur where, `families` puts it all into
//! one table, `store` has the store's own numbers beside it, and [`expose`] reads both for
//! Prometheus and for the backend API. No clock is read here; times come in as numbers.

mod cell;
pub mod expose;
mod families;
mod frames;
pub mod histogram;
pub mod names;
mod possible;
mod store;

pub use expose::{Shards, flat};
pub use histogram::Histogram;
pub use names::{ConnectionState, Counter, Gauge, Memory, Refusal};
pub use store::StoreNumbers;

use crate::io::Port;
use cell::Cells;
use frames::{BACKEND_IN, BACKEND_OUT, CLIENT_IN, CLIENT_OUT, FRAME_KINDS};
use histogram::Buckets;
use holdfast_protocol::backend::answer::{DropReason, ErrorCode, Outcome, Rejection};
use holdfast_protocol::close::Code;
use holdfast_protocol::error::Violation;
use holdfast_store::embedded::Stats;
use holdfast_store::redis;
use names::OUTCOMES;
use possible::{BACKEND_CLOSES, BACKEND_VIOLATIONS, CLOSES, LOGIN_REFUSALS};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Everything that one shard counts.
#[derive(Debug, Default)]
// Two shards never share a line of the cache, nor a pair of lines that is fetched together.
#[repr(align(128))]
pub struct ShardMetrics {
    counters: Cells<{ Counter::ALL.len() }>,
    gauges: Cells<{ Gauge::ALL.len() }>,
    connections: Cells<{ ConnectionState::ALL.len() }>,
    memory: Cells<{ Memory::ALL.len() }>,
    refused: Cells<{ Refusal::ALL.len() }>,
    logins_refused: Cells<{ LOGIN_REFUSALS.len() }>,
    closes: Cells<{ CLOSES.len() }>,
    backend_closes: Cells<{ BACKEND_CLOSES.len() }>,
    violations: Cells<{ Violation::ALL.len() }>,
    backend_violations: Cells<{ BACKEND_VIOLATIONS.len() }>,
    outcomes: Cells<{ OUTCOMES.len() }>,
    rejections: Cells<{ Rejection::ALL.len() }>,
    outcome_drops: Cells<{ DropReason::ALL.len() }>,
    drops: Cells<{ DropReason::ALL.len() }>,
    request_errors: Cells<{ ErrorCode::ALL.len() }>,
    client_in: Cells<FRAME_KINDS>,
    client_out: Cells<FRAME_KINDS>,
    backend_in: Cells<FRAME_KINDS>,
    backend_out: Cells<FRAME_KINDS>,
    histograms: [Buckets; Histogram::ALL.len()],
    last_turn: AtomicU64,
    /// The store's numbers, on one shard of the process.
    store: OnceLock<store::Source>,
}

impl ShardMetrics {
    /// Adds one.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Adds `n`.
    pub fn add(&self, counter: Counter, n: u64) {
        self.counters.add(counter as usize, n);
    }

    /// Sets a counter that somebody else keeps to what it stands at.
    pub fn set_total(&self, counter: Counter, total: u64) {
        self.counters.set(counter as usize, total);
    }

    /// Sets a gauge.
    pub fn set(&self, gauge: Gauge, value: u64) {
        self.gauges.set(gauge as usize, value);
    }

    /// Sets how many connections of clients are in a state.
    pub fn set_connections(&self, state: ConnectionState, value: u64) {
        self.connections.set(state as usize, value);
    }

    /// Moves one connection of a client from a state (none: it is new) to another (none: it is
    /// gone).
    pub fn moved(&self, from: Option<ConnectionState>, to: Option<ConnectionState>) {
        if let Some(from) = from {
            self.connections.subtract_one(from as usize);
        }
        if let Some(to) = to {
            self.connections.add(to as usize, 1);
        }
    }

    /// How many connections of clients are in this state.
    pub fn connections(&self, state: ConnectionState) -> u64 {
        self.connections.get(state as usize)
    }

    /// How many connections of clients there are, in whatever state.
    pub fn clients(&self) -> u64 {
        (0..ConnectionState::ALL.len()).map(|state| self.connections.get(state)).sum()
    }

    /// Sets how many bytes something holds.
    pub fn set_memory(&self, of: Memory, bytes: u64) {
        self.memory.set(of as usize, bytes);
    }

    /// How many bytes everything together held when it was last said.
    pub fn memory(&self) -> u64 {
        (0..Memory::ALL.len()).map(|of| self.memory.get(of)).sum()
    }

    /// Counts a connection that was refused before its first byte.
    pub fn refused(&self, why: Refusal) {
        self.refused.add(why as usize, 1);
    }

    /// Counts the login of a client that was refused with this code.
    pub fn login_refused(&self, code: Code) {
        self.logins_refused.add_at(LOGIN_REFUSALS, &code, 1);
    }

    /// Counts a connection of a client that ended for this reason.
    pub fn close(&self, code: Code) {
        self.closes.add_at(CLOSES, &code, 1);
    }

    /// Counts a connection of a backend that ended for this reason.
    pub fn backend_close(&self, code: Code) {
        self.backend_closes.add_at(BACKEND_CLOSES, &code, 1);
    }

    /// Counts what a client did wrong.
    pub fn violation(&self, violation: Violation) {
        self.violations.add_at(&Violation::ALL, &violation, 1);
    }

    /// Counts what a backend did wrong.
    pub fn backend_violation(&self, violation: Violation) {
        self.backend_violations.add_at(BACKEND_VIOLATIONS, &violation, 1);
    }

    /// Counts the answer for one target of a push.
    pub fn outcome(&self, outcome: Outcome) {
        match outcome {
            Outcome::Delivered(_) => self.outcomes.add(0, 1),
            Outcome::Offline => self.outcomes.add(1, 1),
            Outcome::Stored(_) => self.outcomes.add(2, 1),
            Outcome::Acked(_) => self.outcomes.add(3, 1),
            Outcome::Expired => self.outcomes.add(4, 1),
            Outcome::Busy(_) => self.outcomes.add(5, 1),
            Outcome::Rejected(why) => self.rejections.add_at(Rejection::ALL, &why, 1),
            Outcome::Dropped(why) => self.outcome_drops.add_at(DropReason::ALL, &why, 1),
        }
    }

    /// Counts `n` messages, of pushes and of broadcasts, that were accepted for a session and then
    /// given up.
    pub fn dropped(&self, why: DropReason, n: u64) {
        self.drops.add_at(DropReason::ALL, &why, n);
    }

    /// How many messages were given up for this reason.
    pub fn drops(&self, why: DropReason) -> u64 {
        let place = DropReason::ALL.iter().position(|known| *known == why);
        place.map_or(0, |place| self.drops.get(place))
    }

    /// Counts a request of a backend that was answered with an error.
    pub fn request_error(&self, code: ErrorCode) {
        self.request_errors.add_at(ErrorCode::ALL, &code, 1);
    }

    /// Counts a frame that arrived, by its kind on the wire.
    pub fn frame_in(&self, port: Port, kind: u8) {
        match port {
            Port::Client => self.client_in.add(CLIENT_IN.index(kind), 1),
            Port::Backend => self.backend_in.add(BACKEND_IN.index(kind), 1),
        }
    }

    /// Counts `n` frames that were sent, by their kind on the wire.
    pub fn frames_out(&self, port: Port, kind: u8, n: u64) {
        match port {
            Port::Client => self.client_out.add(CLIENT_OUT.index(kind), n),
            Port::Backend => self.backend_out.add(BACKEND_OUT.index(kind), n),
        }
    }

    /// Adds a value, in the unit of the histogram, to its distribution.
    pub fn observe(&self, histogram: Histogram, value: u64) {
        self.histograms[histogram as usize].observe(value);
    }

    /// Notes that a turn ended at `micros` of the process's clock.
    pub fn turned(&self, micros: u64) {
        self.last_turn.store(micros, Relaxed);
    }

    /// When the last turn ended, in microseconds of the process's clock; 0 before the first.
    pub fn last_turn(&self) -> u64 {
        self.last_turn.load(Relaxed)
    }

    /// A counter as it stands.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(counter as usize)
    }

    /// Shows the store's numbers beside those of this shard: of one shard of the process, since
    /// they are for all of them. The first call counts.
    pub fn show_store(&self, numbers: Arc<Stats>) {
        // A second store has nothing to show.
        let _ = self.store.set(store::Source::Embedded(numbers));
    }

    /// As [`Self::show_store`], where the store is in Redis.
    pub fn show_redis(&self, numbers: Arc<redis::Counters>) {
        let _ = self.store.set(store::Source::Redis(numbers));
    }

    /// The store's numbers now, where this shard shows them.
    pub fn store(&self) -> Option<StoreNumbers> {
        self.store.get().map(store::Source::read)
    }

    /// A gauge as it stands.
    pub fn gauge(&self, gauge: Gauge) -> u64 {
        self.gauges.get(gauge as usize)
    }
}

#[cfg(test)]
mod tests;
