//! Between two turns: how long a shard sleeps, and when it need not hurry.
//!
//! Idle clients send heartbeats at times of their own, so each would cost a wake-up, which is
//! dearer than the answer. After a turn that had nothing to do but answer heartbeats, the shard
//! lets the next few gather for a moment ([`Io::rest`]). Nobody waits for a pong; whoever may wait
//! for something ends the rest (backends, neighbours, who connects) or keeps it from beginning.

use super::Shard;
use crate::io::{Event, Io};
use crate::metrics::ConnectionState;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How many heartbeats a rest gathers.
const GATHERED: u32 = 16;
/// With how many heartbeats a second it pays to rest: fewer cost nothing that shows, and more come
/// together anyway.
const RESTFUL: RangeInclusive<u32> = 16..=8192;
/// The longest sleep: a shard shows at least once a second that it lives.
const SLEEP_MICROS: u64 = 1_000_000;
/// How long to wait for a neighbour to make room in its rings.
const ROOM_MICROS: u64 = 100;
/// How long to wait before looking again whether everybody has gone.
const DRAIN_MICROS: u64 = 20_000;
/// How long to wait before looking again whether a backend reads its answers.
const HELD_MICROS: u64 = 1000;

impl<I: Io> Shard<I> {
    /// Waits until there is something for the next turn and appends it to `events`.
    ///
    /// # Errors
    /// Those of [`Io::wait`]: the shard can not go on.
    pub fn wait(&mut self, events: &mut Vec<Event<I::Socket>>) -> std::io::Result<()> {
        let sleep = self.sleep();
        let rest = self.rest(sleep);
        if !rest.is_zero() {
            self.io.rest(rest);
        }
        let waited = self.io.wait(Some(sleep.saturating_sub(rest)), events);
        self.awake();
        waited
    }

    /// How much of the coming sleep may be a rest: as long as a few heartbeats take to come, at
    /// most `pong_delay`; zero where somebody might wait, and where it would gain nothing. Ask
    /// after [`Shard::sleep`].
    pub fn rest(&self, sleep: Duration) -> Duration {
        let rate = self.pongs_last_second;
        if !self.at_ease || !RESTFUL.contains(&rate) || self.somebody_waits() {
            return Duration::ZERO;
        }
        let gathering = Duration::from_secs(1) * GATHERED / rate;
        gathering.min(self.settings.pong_delay).min(sleep)
    }

    /// Whether any client is due an answer, or any peer bytes that did not fit.
    fn somebody_waits(&self) -> bool {
        let any = |state| self.metrics.connections(state) > 0;
        let logs_in = any(ConnectionState::Opening) || any(ConnectionState::LoggingIn);
        let unsent = self.outbox_bytes > 0 || !self.held.is_empty() || self.blocked();
        let stores = self.mailroom.as_ref().is_some_and(|room| {
            // A backend waits for the store, or a client for what is loaded.
            !room.journal.is_idle() || !room.loads.is_empty() || room.messages > 0
        });
        logs_in || unsent || stores || !self.parts.is_empty() || self.is_draining()
    }

    /// How long the coming wait may be; it is announced to the neighbours where it is more than
    /// nothing. Call it once before each wait, and [`Shard::awake`] after it.
    pub fn sleep(&mut self) -> Duration {
        let micros = self.sleep_micros();
        if micros == 0 {
            return Duration::ZERO;
        }
        self.ends.sleeper.announce();
        if self.letters_wait() {
            self.ends.sleeper.awake();
            return Duration::ZERO;
        }
        Duration::from_micros(micros)
    }

    /// The wait is over.
    pub fn awake(&self) {
        self.ends.sleeper.awake();
    }

    /// Whether letters wait that the next turn may take.
    fn letters_wait(&mut self) -> bool {
        let ends = &mut self.ends;
        let answers = !ends.origin_out.blocked();
        let routes = answers && !ends.session_out.blocked();
        let store = self.mailroom.as_ref().is_some_and(|room| room.port.has_news());
        (routes && (store || ends.home_in.iter_mut().any(|ring| ring.waiting() > 0)))
            || (answers && ends.session_in.iter_mut().any(|ring| ring.waiting() > 0))
            || ends.origin_in.iter_mut().any(|ring| ring.waiting() > 0)
    }

    /// Until when nothing is to be done unless something happens.
    fn sleep_micros(&mut self) -> u64 {
        let behind = self.wheel.is_behind(self.now.seconds());
        let owes = self.late.has_work();
        let sweeps = (self.has_to_sweep() || owes) && !self.blocked();
        if !self.again.is_empty() || self.drain_has_work() || behind || sweeps {
            return 0;
        }
        let now = self.now.micros;
        let mut sleep = SLEEP_MICROS - now % SLEEP_MICROS;
        if self.is_draining() {
            sleep = sleep.min(DRAIN_MICROS);
        }
        // No broadcast goes on while its reports find no room.
        let walks = !self.ends.origin_out.blocked();
        let parts = self.parts.iter().filter(|_| walks).filter_map(|(_, part)| part.due(now));
        let accepts = self.accept_at.iter().copied().flatten();
        for due in parts.chain(accepts) {
            sleep = sleep.min(due.saturating_sub(now));
        }
        match (self.blocked(), self.held.is_empty()) {
            (true, _) => sleep.min(ROOM_MICROS),
            (false, false) => sleep.min(HELD_MICROS),
            (false, true) => sleep,
        }
    }

    /// Whether any stage waits for a neighbour's room.
    pub(crate) fn blocked(&self) -> bool {
        let ends = &self.ends;
        ends.home_out.blocked() || ends.session_out.blocked() || ends.origin_out.blocked()
    }
}
