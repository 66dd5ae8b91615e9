//! Leaving in order: nobody new, everybody told, what is queued sent, what is left counted.
//!
//! Clients go first, in slices; backends stay until their requests are answered. At the deadline
//! whatever is left is cut off and counted.

use super::Shard;
use crate::clock::Now;
use crate::connection::{Ending, Role};
use crate::io::{Io, Port};
use holdfast_protocol::backend::answer;
use holdfast_protocol::close::Code;
use std::time::Duration;

/// Connections told in one turn.
const SLICE: u32 = 256;
/// How long backends may go on asking about what is in flight, in microseconds.
const QUIET_MICROS: u64 = 200_000;

/// How far the leaving has come.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// When whatever is left is cut off, in microseconds.
    deadline: u64,
    /// From when on backends without requests are closed.
    quiet: u64,
    /// The next slot to look at.
    next: u32,
    /// Connections that were cut off.
    cut: u64,
}

impl<I: Io> Shard<I> {
    /// Begins to leave at `now`; whoever is still there after `timeout` is cut off.
    pub fn begin_drain(&mut self, now: Now, timeout: Duration) {
        if self.drain.is_some() {
            return;
        }
        self.now = now;
        let timeout = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        let deadline = now.micros.saturating_add(timeout);
        self.io.stop_accepting(Port::Client);
        self.io.stop_accepting(Port::Backend);
        self.accept_at = [None; 2];
        let quiet = self.now.micros.saturating_add(QUIET_MICROS).min(deadline);
        self.drain = Some(Drain { deadline, quiet, next: 0, cut: 0 });
        let delay = deadline.saturating_sub(self.now.micros) / 1000;
        let mut notice = Vec::new();
        answer::put_drain(u32::try_from(delay).unwrap_or(u32::MAX), &mut notice);
        for key in self.backends.clone() {
            self.queue_bytes(key, notice.clone());
        }
    }

    /// Whether it is leaving.
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Once everybody has gone: how many had to be cut off.
    pub fn drained(&self) -> Option<u64> {
        self.drain.filter(|_| self.connections.is_empty()).map(|drain| drain.cut)
    }

    pub(crate) fn drain_has_work(&self) -> bool {
        self.drain.is_some_and(|drain| drain.next < self.connections.high_water())
    }

    pub(crate) fn continue_drain(&mut self) {
        let Some(mut drain) = self.drain else { return };
        if self.now.micros >= drain.deadline {
            // Backends a little later: what becomes of the cut clients' messages is still told.
            let backends_too = self.now.micros >= drain.deadline.saturating_add(QUIET_MICROS);
            drain.cut += self.cut_off(backends_too);
            self.drain = Some(drain);
        }
        let end = drain.next.saturating_add(SLICE).min(self.connections.high_water());
        for slot in drain.next..end {
            self.tell(slot);
        }
        drain.next = end;
        self.drain = Some(drain);
        if self.now.micros >= drain.quiet && end == self.connections.high_water() {
            self.close_quiet_backends();
        }
    }

    fn tell(&mut self, slot: u32) {
        let Some((key, connection)) = self.connections.at(slot) else { return };
        if matches!(connection.role, Role::Client(_)) {
            self.close(key, Code::GoingAway, "the gateway shuts down");
        }
    }

    fn close_quiet_backends(&mut self) {
        for key in self.backends.clone() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let open = connection.ending == Ending::Open;
            let quiet = connection.backend().is_some_and(|backend| backend.requests.is_empty());
            if open && quiet {
                self.close(key, Code::GoingAway, "the gateway shuts down");
            }
        }
    }

    fn cut_off(&mut self, backends_too: bool) -> u64 {
        let mut cut = 0;
        for slot in 0..self.connections.high_water() {
            let Some((key, connection)) = self.connections.at(slot) else { continue };
            let due = backends_too || matches!(connection.role, Role::Client(_));
            if due && connection.ending != Ending::Dead {
                cut += 1;
                self.kill(key);
            }
        }
        cut
    }
}
