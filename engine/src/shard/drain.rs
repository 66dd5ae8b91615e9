//! Leaving in order: nobody new, everybody told, what is queued sent, what is left counted.
//!
//! Nobody can connect any more from the first moment. Clients go first: those that will have to
//! wait for their turn are told how long at most, and are closed at a pace that the gateways which
//! they go to can bear, or faster where time demands it. Backends stay until their requests are
//! answered. At the deadline whatever is left is cut off and counted.

use super::Shard;
use crate::clock::Now;
use crate::connection::{Ending, Role};
use crate::io::{Io, Port};
use holdfast_protocol::backend::answer;
use holdfast_protocol::client::from_server;
use holdfast_protocol::close::Code;
use holdfast_protocol::session::State;
use std::time::Duration;

/// Connections told, and connections closed, in one turn.
const SLICE: u32 = 256;
/// Where all can be closed within this time there is nothing to be told before, in microseconds.
const SOON_MICROS: u64 = 1_000_000;
/// How long backends may go on asking about what is in flight, in microseconds.
const QUIET_MICROS: u64 = 200_000;
/// What everybody is told, for a person.
const REASON: &str = "the gateway shuts down";

/// What became of the connections of a shard that left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Told why and closed before time was over.
    pub closed: u64,
    /// Cut off as time was over.
    pub cut: u64,
}

/// How far the leaving has come. All times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    begun: u64,
    /// Over how long clients are closed; zero where it can be done at once.
    window: u64,
    /// When whatever is left is cut off.
    deadline: u64,
    /// From when on backends without requests are closed.
    quiet: u64,
    /// The next slot to tell.
    told: u32,
    /// The next slot to close.
    next: u32,
    left: Left,
}

impl Drain {
    /// Of a shard with `clients` that closes `rate` of them in a second (zero: all at once).
    fn new(now: u64, timeout: u64, clients: usize, rate: u32) -> Self {
        let wanted = (clients as u64 * 1_000_000).checked_div(u64::from(rate)).unwrap_or(0);
        // What is queued for the last ones needs time too.
        let window = Some(wanted.min(timeout / 5 * 4)).filter(|&window| window >= SOON_MICROS);
        let deadline = now.saturating_add(timeout);
        let quiet = now.saturating_add(QUIET_MICROS).min(deadline);
        let window = window.unwrap_or(0);
        Self { begun: now, window, deadline, quiet, told: 0, next: 0, left: Left::default() }
    }

    /// Whether clients were told before it is their turn.
    pub(crate) fn has_told_clients(&self) -> bool {
        self.window > 0
    }

    fn end_of_window(&self) -> u64 {
        self.begun.saturating_add(self.window)
    }

    /// Below which of `slots` everybody shall be closed by now.
    fn goal(&self, now: u64, slots: u32) -> u32 {
        let elapsed = now.saturating_sub(self.begun);
        if elapsed >= self.window {
            return slots;
        }
        u32::try_from(u64::from(slots) * elapsed / self.window).unwrap_or(slots)
    }
}

impl<I: Io> Shard<I> {
    /// Begins to leave at `now`; whoever is still there after `timeout` is cut off.
    pub fn begin_drain(&mut self, now: Now, timeout: Duration) {
        if self.drain.is_some() {
            return;
        }
        self.now = now;
        let timeout = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        self.io.stop_listening(Port::Client);
        self.io.stop_listening(Port::Backend);
        self.accept_at = [None; 2];
        let clients = self.connections.len() - self.backends.len();
        self.drain = Some(Drain::new(now.micros, timeout, clients, self.settings.drain_rate));
        let mut notice = Vec::new();
        answer::put_drain(millis(timeout), &mut notice);
        for key in self.backends.clone() {
            self.queue_bytes(key, notice.clone());
        }
    }

    /// Whether it is leaving.
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Once everybody has gone: what became of them.
    pub fn drained(&self) -> Option<Left> {
        self.drain.filter(|_| self.connections.is_empty()).map(|drain| drain.left)
    }

    /// Whether requests are still carried out: as long as there are clients that wait for their
    /// turn.
    pub(crate) fn takes_requests(&self) -> bool {
        self.drain.is_none_or(|drain| self.now.micros < drain.end_of_window())
    }

    /// Tells a client that came through the door as it was closed.
    pub(crate) fn tell_late(&mut self, slot: u32) {
        let now = self.now.micros;
        if let Some(drain) = self.drain.filter(Drain::has_told_clients) {
            self.tell(slot, millis(drain.end_of_window().saturating_sub(now)));
        }
    }

    pub(crate) fn drain_has_work(&self) -> bool {
        let slots = self.connections.high_water();
        self.drain.is_some_and(|drain| {
            (drain.has_told_clients() && drain.told < slots)
                || drain.next < drain.goal(self.now.micros, slots)
        })
    }

    pub(crate) fn continue_drain(&mut self) {
        let Some(mut drain) = self.drain else { return };
        if self.now.micros >= drain.deadline {
            // Backends a little later: what becomes of the cut clients' messages is still told.
            let backends_too = self.now.micros >= drain.deadline.saturating_add(QUIET_MICROS);
            let cut = self.cut_off(backends_too);
            drain.left.cut += cut.closed + cut.cut;
            // What was to be closed and is still there was not.
            drain.left.closed = drain.left.closed.saturating_sub(cut.closed);
        }
        let slots = self.connections.high_water();
        if drain.has_told_clients() {
            let end = drain.told.saturating_add(SLICE).min(slots);
            (drain.told..end).for_each(|slot| self.tell(slot, millis(drain.window)));
            drain.told = end;
        }
        let end = drain.next.saturating_add(SLICE).min(drain.goal(self.now.micros, slots));
        for slot in drain.next..end {
            drain.left.closed += u64::from(self.close_client(slot));
        }
        drain.next = drain.next.max(end);
        if self.now.micros >= drain.quiet && drain.next == slots {
            drain.left.closed += self.close_quiet_backends();
        }
        self.drain = Some(drain);
    }

    /// Tells a client within how many milliseconds it will be closed.
    fn tell(&mut self, slot: u32, delay: u32) {
        let Some((key, connection)) = self.connections.at(slot) else { return };
        let online = connection.client().is_some_and(|client| client.state == State::Online);
        if online && connection.ending == Ending::Open {
            let mut notice = Vec::new();
            from_server::put_drain(delay, &mut notice);
            self.queue_bytes(key, notice);
        }
    }

    /// Whether there was one to close.
    fn close_client(&mut self, slot: u32) -> bool {
        let Some((key, connection)) = self.connections.at(slot) else { return false };
        let open = connection.ending == Ending::Open;
        let leaves = open && matches!(connection.role, Role::Client(_));
        if leaves {
            self.close(key, Code::GoingAway, REASON);
        }
        leaves
    }

    /// How many there were to close.
    fn close_quiet_backends(&mut self) -> u64 {
        let mut closed = 0;
        for key in self.backends.clone() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let open = connection.ending == Ending::Open;
            let quiet = connection.backend().is_some_and(|backend| backend.requests.is_empty());
            if open && quiet {
                self.close(key, Code::GoingAway, REASON);
                closed += 1;
            }
        }
        closed
    }

    /// Ends what is left: how many were being closed already, and how many were not.
    fn cut_off(&mut self, backends_too: bool) -> Left {
        let mut left = Left::default();
        for slot in 0..self.connections.high_water() {
            let Some((key, connection)) = self.connections.at(slot) else { continue };
            let due = backends_too || matches!(connection.role, Role::Client(_));
            if due && connection.ending != Ending::Dead {
                let open = connection.ending == Ending::Open;
                *(if open { &mut left.cut } else { &mut left.closed }) += 1;
                self.kill(key);
            }
        }
        left
    }
}

fn millis(micros: u64) -> u32 {
    u32::try_from(micros / 1000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_closed_at_once_and_many_at_a_pace() {
        let few = Drain::new(0, 10_000_000, 500, 1000);
        assert_eq!((few.window, few.goal(0, 512)), (0, 512));
        let many = Drain::new(0, 10_000_000, 4000, 1000);
        assert_eq!(many.window, 4_000_000);
        assert_eq!(
            [0, 1, 3, 4].map(|second| many.goal(second * 1_000_000, 4000)),
            [0, 1000, 3000, 4000]
        );
    }

    #[test]
    fn time_wins_over_the_pace() {
        assert_eq!(Drain::new(0, 10_000_000, 1_000_000, 1000).window, 8_000_000);
        assert_eq!(Drain::new(0, 10_000_000, 1_000_000, 0).window, 0);
        assert_eq!(Drain::new(0, 100_000, 1_000_000, 1000).window, 0);
    }
}
