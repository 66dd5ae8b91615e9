//! A connection from its opening to its end.

use super::behaviour::SLICE;
use super::{COME_BACK, Table, Worker, socket};
use crate::clock::{duration, milliseconds};
use crate::fleet::client::{Client, End, State};
use crate::verify::away::{Away, Why};
use monoio::net::TcpStream;
use std::cmp::Reverse;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// Why a connection ended that the generator's own weak network broke.
const NETWORK: &str = "broken by the weak network";

/// Waits for one connection's socket until it is over.
async fn live(worker: Rc<Worker>, slot: u32, generation: u32, stream: Rc<TcpStream>) {
    // An error of the wait itself shows at the next read.
    let _ = stream.writable(false).await;
    if !worker.connected(slot, generation) {
        return;
    }
    loop {
        let _ = stream.readable(false).await;
        let pace = worker.pace(slot);
        if pace.is_some() {
            // Apart, for it is large and few clients ever are slow.
            Box::pin(monoio::time::sleep(duration(SLICE))).await;
        }
        if !worker.readable(slot, generation, pace) {
            return;
        }
    }
}

impl Worker {
    /// Opens a client's connection and gives it a task.
    pub(super) fn open(self: &Rc<Self>, slot: u32) {
        let table = &mut *self.table.borrow_mut();
        let scenario = &self.shared.scenario;
        let index = self.first + slot;
        let now = self.shared.clock.now();
        let dialled = match self.shared.weak_port(index) {
            Some(proxy) => socket::dial(proxy, None, false),
            None => scenario.dial(index, scenario.arrival),
        };
        match dialled.and_then(socket::adopt) {
            Ok(stream) => {
                let stream = Rc::new(stream);
                let client = &mut table.clients[slot as usize];
                client.open(Rc::clone(&stream), &self.shared, index, now);
                self.shared.gauges.connected.fetch_add(1, Ordering::Relaxed);
                monoio::spawn(live(Rc::clone(self), slot, client.generation, stream));
            }
            Err(error) => {
                let errno = error.raw_os_error().map(nix::errno::Errno::from_raw);
                table.tally.failures += 1;
                table.tally.reason(&errno.map_or_else(|| error.to_string(), socket::word));
                table.clients[slot as usize].state = State::Away;
                table.comes_back(now + COME_BACK, slot);
            }
        }
    }

    /// The connect is decided: says hello. Whether the task goes on.
    fn connected(&self, slot: u32, generation: u32) -> bool {
        let table = &mut *self.table.borrow_mut();
        let client = &mut table.clients[slot as usize];
        if client.generation != generation {
            return false;
        }
        let greeted = client.greet(&mut table.scratch);
        self.go_on(table, slot, greeted)
    }

    /// There is something to read, of which a slow client reads so many bytes. Whether the task
    /// goes on.
    fn readable(&self, slot: u32, generation: u32, most: Option<usize>) -> bool {
        let table = &mut *self.table.borrow_mut();
        if table.clients[slot as usize].generation != generation {
            return false;
        }
        let read = match most {
            Some(0) => Ok(()),
            most => table.read(self, slot, most),
        };
        self.go_on(table, slot, read)
    }

    /// Ends the connection if `result` says so. Whether it goes on.
    pub(super) fn go_on(&self, table: &mut Table, slot: u32, result: Result<(), End>) -> bool {
        match result {
            Ok(()) => true,
            Err(end) => {
                self.ended(table, slot, &end);
                false
            }
        }
    }

    /// A connection ended from the other side.
    fn ended(&self, table: &mut Table, slot: u32, end: &End) {
        let now = self.shared.clock.now();
        let client = &mut table.clients[slot as usize];
        let state = client.state;
        self.release(client);
        client.state = if end.reconnect() { State::Away } else { State::Over };
        let (user, broken) = (self.first + slot, self.shared.broken(self.first + slot));
        match state {
            State::Leaving => {
                client.state = State::Over;
                table.tally.byes += 1;
                return;
            }
            State::Online if broken || *end == End::Silent => {
                table.tally.network_ends += 1;
                table.absent(user, slot, self.shared.through(user, now), Why::Network);
            }
            State::Online => {
                table.tally.unasked_ends += 1;
                table.absent(user, slot, self.shared.through(user, now), Why::Ended);
            }
            _ if broken => table.tally.network_ends += 1,
            _ => table.tally.failures += 1,
        }
        let name = if broken { NETWORK.to_owned() } else { end.name() };
        table.tally.reason(&name);
        if end.reconnect() {
            table.comes_back(now + COME_BACK, slot);
        } else {
            self.shared.gauges.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Drops a client that is logged in, without a word, after reading all that the gateway wrote
    /// so far; it comes back after `pause` nanoseconds.
    pub(super) fn drop_client(&self, table: &mut Table, slot: u32, pause: u64) {
        // The time is taken before the last read: what was answered earlier is in the socket by
        // then, unless it is still on its way through a weak network.
        let now = self.shared.clock.now();
        let from = self.shared.through(self.first + slot, now);
        let read = table.read(self, slot, None);
        if !self.go_on(table, slot, read) {
            return;
        }
        let client = &mut table.clients[slot as usize];
        if client.state != State::Online {
            return;
        }
        self.release(client);
        client.state = State::Away;
        table.tally.churned += 1;
        table.absent(self.first + slot, slot, from, Why::Churned);
        table.comes_back(now.saturating_add(pause), slot);
    }

    /// Gives up the socket and wakes its task, which closes it.
    pub(super) fn release(&self, client: &mut Client) {
        if client.state == State::Online || client.state == State::Leaving {
            self.shared.gauges.online.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(stream) = client.release() {
            socket::shut(&stream);
            self.shared.gauges.connected.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Table {
    fn comes_back(&mut self, at: u64, slot: u32) {
        self.returns.push(Reverse((at, slot)));
    }

    fn absent(&mut self, user: u32, slot: u32, now: u64, why: Why) {
        self.clients[slot as usize].absence = u32::try_from(self.absences.len()).ok();
        self.absences.push(Away { user, from: milliseconds(now), until: u32::MAX, why });
    }
}
