//! One turn of a shard: what happened is handled, what is due is done, what was queued is sent.
//!
//! Every step is bounded, so that no connection, neighbour or broadcast can keep the others
//! waiting.

use super::Shard;
use crate::clock::Now;
use crate::io::{Event, Io};
use crate::limits;
use crate::mesh::{Outbound, ToSession};
use crate::metrics::{Counter, Gauge, Histogram, Memory};

/// Events after which a turn lets backends pass.
const SLICE: usize = 64;
/// Backends that pass each time.
const PASSING: usize = 64;
/// Most letters taken from one neighbour and stage in one turn.
const LETTERS: usize = 1024;
/// Most timers looked at in one turn.
const TIMERS: usize = 1024;

impl<I: Io> Shard<I> {
    /// Does one turn at `now` with what the wait brought; `events` is empty afterwards.
    pub fn turn(&mut self, now: Now, events: &mut Vec<Event<I::Socket>>) {
        self.now = now;
        self.turns = self.turns.wrapping_add(1);
        self.metrics.count(Counter::Turns);
        self.ends.home_out.retry();
        self.ends.session_out.retry();
        self.ends.origin_out.retry();
        let happened = events.len();
        self.pongs = 0;
        for (count, event) in events.drain(..).enumerate() {
            if count > 0 && count % SLICE == 0 {
                self.let_backends_pass();
            }
            self.happened(event);
        }
        self.at_ease = happened > 0 && self.pongs >= happened;
        self.accept_again();
        self.read_on();
        // Before the letters, so that what it causes on this shard passes all stages in this turn.
        self.hear_store();
        self.pass_letters();
        self.run_timers();
        self.sweep(now.seconds() != self.shown);
        self.walk_broadcasts();
        self.serve_late();
        self.continue_drain();
        self.flush();
        self.tell_store();
        self.bury();
        self.publish();
        self.show();
    }

    fn happened(&mut self, event: Event<I::Socket>) {
        match event {
            Event::Accepted(port, socket) => self.accepted(port, socket),
            Event::AcceptFailed(port, error) => self.accept_failed(port, &error),
            Event::Ready { key, readable, writable } => self.ready(key, readable, writable),
            Event::Woken => {}
        }
    }

    /// Takes what backends have sent by now, in the middle of a turn with many events, and has it
    /// leave. The kernel reports in the order in which things happened: where thousands of clients
    /// log in at once, a backend that has something for somebody else would be the last.
    fn let_backends_pass(&mut self) {
        let count = self.backends.len();
        for step in 0..count.min(PASSING) {
            if let Some(&key) = self.backends.get((self.turns + step) % count) {
                self.receive_unless_held(key);
            }
        }
        self.pass_letters();
        self.flush();
        self.publish();
    }

    /// Takes letters stage by stage, so that what stays on this shard passes all stages in one
    /// turn.
    fn pass_letters(&mut self) {
        self.ends.home_out.publish_to(self.number);
        self.take_home_letters();
        self.ends.session_out.publish_to(self.number);
        self.take_session_letters();
        self.ends.origin_out.publish_to(self.number);
        self.take_origin_letters();
    }

    /// All neighbours, a different one first in each turn: when a stage is blocked half way,
    /// everybody gets ahead.
    fn sources(&self) -> impl Iterator<Item = usize> + use<I> {
        let (count, first) = (usize::from(self.settings.shards), self.turns);
        (0..count).map(move |step| (first + step) % count)
    }

    fn take_home_letters(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox.home);
        for source in self.sources() {
            // What a home says goes to sessions: while that is stuck, letters wait where they are.
            if self.ends.session_out.blocked() || self.ends.origin_out.blocked() {
                break;
            }
            self.ends.home_in[source].take(LETTERS, |letter| inbox.push(letter));
            inbox.drain(..).for_each(|letter| self.at_home(letter));
        }
        self.inbox.home = inbox;
    }

    fn take_session_letters(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox.session);
        for source in self.sources() {
            if self.ends.origin_out.blocked() {
                break;
            }
            self.ends.session_in[source].take(LETTERS, |letter| inbox.push(letter));
            for letter in inbox.drain(..) {
                self.at_session(letter);
            }
        }
        self.inbox.session = inbox;
    }

    /// These are always taken: see [`crate::mesh`].
    fn take_origin_letters(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox.origin);
        for source in 0..self.ends.origin_in.len() {
            self.ends.origin_in[source].take(LETTERS, |letter| inbox.push(letter));
            inbox.drain(..).for_each(|letter| self.at_origin(letter));
        }
        self.inbox.origin = inbox;
    }

    fn run_timers(&mut self) {
        let now = self.now.seconds();
        for _ in 0..TIMERS {
            let Some(slot) = self.wheel.pop(now) else { return };
            self.metrics.count(Counter::TimerVisits);
            self.timer(slot);
        }
    }

    /// Shows every neighbour what it was sent, and wakes those that sleep.
    fn publish(&mut self) {
        let ends = &mut self.ends;
        let (bells, metrics, own) = (&ends.doorbells, &self.metrics, usize::from(self.number));
        let mut ring = |to: usize| {
            if to != own && bells[to].ring() {
                metrics.count(Counter::Wakes);
            }
        };
        ends.home_out.publish(&mut ring);
        ends.session_out.publish(&mut ring);
        ends.origin_out.publish(&mut ring);
        let letters =
            ends.home_out.take_sent() + ends.session_out.take_sent() + ends.origin_out.take_sent();
        metrics.add(Counter::MeshLetters, letters);
    }

    fn show(&mut self) {
        self.metrics.set(Gauge::Backends, self.backends.len() as u64);
        self.metrics.set(Gauge::PushesInFlight, self.in_flight);
        self.metrics.set(Gauge::Users, self.homes.online() as u64);
        self.show_mailboxes();
        self.metrics.set(Gauge::Broadcasts, self.owner.running() as u64);
        self.metrics.set(Gauge::OutboxBytes, self.outbox_bytes as u64);
        self.metrics.set_total(Counter::CqOverflows, self.io.overflows());
        let paused = self.accept_at.iter().any(Option::is_some);
        self.metrics.set(Gauge::AcceptPaused, u64::from(paused));
        let second = self.now.seconds();
        if second != self.shown {
            self.shown = second;
            self.pongs_last_second = std::mem::take(&mut self.pongs_this_second);
            self.show_memory();
        }
    }

    pub(super) fn show_mailboxes(&self) {
        let Some(room) = &self.mailroom else { return };
        self.metrics.set(Gauge::Mailboxes, room.boxes.len() as u64);
        self.metrics.set(Gauge::MailboxMessages, room.messages);
        self.metrics.set(Gauge::MailboxBytes, room.bytes);
        self.metrics.set(Gauge::Quarantined, room.quarantined);
        self.metrics.set(Gauge::StoreWaiting, room.journal.waiting_bytes() as u64);
        let troubled = room.journal.trouble().is_some() || room.journal.is_stuck(self.now.micros);
        self.metrics.set(Gauge::StoreTrouble, u64::from(troubled));
    }

    /// Says who holds memory, once a second.
    fn show_memory(&self) {
        let rings = self.ends.bytes();
        let slots = self.connections.high_water() as usize;
        let users = self.homes.len();
        let bodies: usize = self.parts.iter().map(|(_, part)| part.start.frame.len()).sum();
        let bodies = bodies + self.notices.memory() + self.late.memory();
        for (of, bytes) in [
            (Memory::Connections, slots * limits::CONNECTION_BYTES),
            (Memory::Timers, slots * limits::TIMER_BYTES),
            (Memory::Directory, users * (limits::HOME_BYTES + limits::MEMBER_BYTES)),
            (Memory::Mailboxes, self.mailroom.as_ref().map_or(0, |room| room.memory())),
            (Memory::Outboxes, self.outbox_bytes),
            (Memory::ReceiveBuffers, self.buffer.len() + self.arena.capacity()),
            (Memory::Mesh, rings),
            (Memory::Broadcasts, bodies),
            (Memory::Backends, self.backends.len() * crate::path::accept::BACKEND_BYTES),
        ] {
            self.metrics.set_memory(of, bytes as u64);
        }
    }

    /// Notes how long the turn took that ended at `now`.
    pub fn turned(&self, now: Now) {
        let micros = now.micros.saturating_sub(self.now.micros);
        self.metrics.observe(Histogram::Turn, micros);
        self.metrics.turned(now.micros);
    }

    /// Sends to the shard of a session; to every shard, with [`Shard::everywhere`].
    pub(crate) fn everywhere(
        outbound: &mut Outbound<ToSession>,
        shards: u16,
        letter: impl Fn() -> ToSession,
    ) {
        (0..shards).for_each(|shard| outbound.send(shard, letter()));
    }
}
