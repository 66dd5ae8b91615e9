//! The back end without a kernel: a whole network in one thread, from a seed.
//!
//! A [`World`] has a clock of its own (microseconds from 0), the listeners of all shards and every
//! connection; [`World::io`] gives one shard's view of it, and [`World::connect`] a [`Peer`], the
//! other end of a connection, for a script to play. What goes wrong, and how often, is in
//! [`Faults`]; it never goes beyond the contract of [`Io`], but up to its limits.
//!
//! Everything random comes from the seed, so one seed is one run. Who runs a world moves its clock
//! ([`World::advance`]); a wait with a timeout moves it as well, which is of use with a single
//! shard. It does not run shards: who does, decides about their order and their pauses.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

mod chance;
mod faults;
mod link;
mod near;
mod peer;
mod pipe;
mod state;
#[cfg(test)]
mod tests;

pub use self::chance::Chance;
pub use self::faults::Faults;
pub use self::peer::{Connect, Peer};

use self::near::Report;
use self::state::{State, place};
use super::{Event, How, Interest, Io, Key, Outgoing, Port, Received, Sent, Wake};

/// Names a connection of a world; never used twice.
pub type LinkId = usize;

/// A bug, put into the world on purpose, to show that the simulation finds its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Some wake-ups are lost.
    LostWake,
    /// A send that took a part says that it took all.
    ForgottenRest,
}

/// A simulated network. Clones are the same world.
#[derive(Debug, Clone)]
pub struct World {
    state: Rc<RefCell<State>>,
}

impl World {
    /// A world of so many shards, none of which accepts yet.
    pub fn new(seed: u64, shards: usize, faults: Faults) -> Self {
        Self { state: Rc::new(RefCell::new(State::new(seed, shards, faults))) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.borrow_mut())
    }

    /// The view of one shard. Its listeners close when it is dropped; after that, a new view is
    /// that of another process in its place.
    pub fn io(&self, shard: usize) -> SimIo {
        self.with(|state| state.begin_shard(shard));
        SimIo { world: self.clone(), shard }
    }

    /// The time, in microseconds since the world began.
    pub fn now(&self) -> u64 {
        self.with(|state| state.now)
    }

    /// Moves the clock forward to `to` microseconds; everything due until then happens.
    pub fn advance(&self, to: u64) {
        self.with(|state| {
            state.collect_wakes();
            state.advance(to);
        });
    }

    /// When something happens next by itself, in microseconds since the world began.
    pub fn next_due(&self) -> Option<u64> {
        self.with(|state| {
            state.collect_wakes();
            state.next_due()
        })
    }

    /// Whether a wait of this shard has something to report.
    pub fn is_ready(&self, shard: usize) -> bool {
        self.with(|state| !state.shards[shard].pending.is_empty())
    }

    /// Whether a rest of this shard ends, as something waits that does not come from an ordinary
    /// socket.
    pub fn is_urgent(&self, shard: usize) -> bool {
        self.with(|state| state.shards[shard].pending.iter().any(|one| state.is_urgent(one)))
    }

    /// Connects to the port of a shard that chance picks, as the kernel spreads connections.
    pub fn connect(&self, port: Port) -> Peer {
        let shard = self.with(|state| state.chance.index(state.shards.len()));
        self.connect_to(port, shard)
    }

    /// Connects to the port of this shard.
    pub fn connect_to(&self, port: Port, shard: usize) -> Peer {
        let link = self.with(|state| state.connect(port, shard));
        Peer::new(self.clone(), link)
    }

    /// The peers that have something to look at since the last call: a connect, bytes, room, an
    /// end.
    pub fn take_touched(&self) -> Vec<LinkId> {
        self.with(|state| {
            let touched = std::mem::take(&mut state.touched);
            for &link in &touched {
                state.links[link].far.touched = false;
            }
            touched
        })
    }

    /// How the gateway broke the contract of [`Io`] so far, a line each.
    pub fn violations(&self) -> Vec<String> {
        self.with(|state| state.violations.clone())
    }

    /// How many sockets the gateway holds.
    pub fn open_sockets(&self) -> usize {
        self.with(|state| state.links.iter().filter(|link| link.is_held_by_gateway()).count())
    }

    /// Stops all faults from now on; what is broken stays so.
    pub fn calm(&self) {
        self.with(|state| {
            state.calm = true;
            let edges_only = state.faults.edges_only;
            state.faults = Faults { edges_only, ..Faults::none() };
        });
    }

    /// Whether the world cut or silenced a connection, so that nothing is owed to it any more.
    pub fn harmed(&self, link: LinkId) -> bool {
        self.with(|state| state.links[link].far.harmed)
    }

    /// What the gateway's sends have put into pipes since the last call, in order; from the first
    /// call on.
    pub fn take_recorded(&self) -> Vec<(LinkId, Vec<u8>)> {
        self.with(|state| state.recorded.replace(Vec::new()).unwrap_or_default())
    }

    /// Puts a bug into the world. For tests of the simulation itself.
    pub fn plant(&self, plant: Plant) {
        self.with(|state| state.plant = Some(plant));
    }

    /// A number made of everything that happened: two runs of a seed have the same.
    pub fn digest(&self) -> u64 {
        self.with(|state| state.digest)
    }
}

/// One shard's view of a [`World`].
#[derive(Debug)]
pub struct SimIo {
    world: World,
    shard: usize,
}

impl Drop for SimIo {
    fn drop(&mut self) {
        self.world.with(|state| state.end_shard(self.shard));
    }
}

/// The gateway's end of a simulated connection. Dropping it closes it.
pub struct SimSocket {
    world: World,
    link: LinkId,
}

impl fmt::Debug for SimSocket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "connection {}", self.link)
    }
}

impl SimSocket {
    /// The connection: what [`Peer::id`] gives for the other end.
    pub fn id(&self) -> LinkId {
        self.link
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        self.world.with(|state| state.close_near(self.link));
    }
}

/// Wakes one simulated shard.
#[derive(Debug, Clone)]
pub struct SimWaker {
    asked: Arc<AtomicBool>,
}

impl Wake for SimWaker {
    fn wake(&self) {
        // One thread runs the whole world, so no order between threads is needed.
        self.asked.store(true, Ordering::Relaxed);
    }
}

impl SimIo {
    /// Lets time pass until the shard has something to report or the deadline comes.
    fn pass_time(&self, timeout: Option<Duration>) -> io::Result<()> {
        let start = self.world.now();
        self.world.advance(start);
        let limit = timeout.map(|limit| u64::try_from(limit.as_micros()).unwrap_or(u64::MAX));
        let deadline = limit.map(|limit| start.saturating_add(limit));
        while !self.world.is_ready(self.shard) {
            let due = self.world.next_due();
            let next = due.into_iter().chain(deadline).min();
            let Some(next) = next else {
                return Err(io::Error::other("nothing will ever happen in this world"));
            };
            self.world.advance(next);
            if Some(next) == deadline {
                break;
            }
        }
        Ok(())
    }

    fn event(&self, report: Report) -> Event<SimSocket> {
        match report {
            Report::Accepted(port, link) => {
                Event::Accepted(port, SimSocket { world: self.world.clone(), link })
            }
            Report::AcceptFailed(port) => {
                Event::AcceptFailed(port, io::Error::from_raw_os_error(libc::EMFILE))
            }
            Report::Ready { key, readable, writable } => Event::Ready { key, readable, writable },
            Report::Woken => Event::Woken,
        }
    }
}

impl Io for SimIo {
    type Socket = SimSocket;
    type Waker = SimWaker;

    fn waker(&self) -> SimWaker {
        SimWaker { asked: self.world.with(|state| Arc::clone(&state.shards[self.shard].wake)) }
    }

    fn accept(&mut self, port: Port) {
        self.world.with(|state| state.accept(self.shard, port));
    }

    fn stop_accepting(&mut self, port: Port) {
        self.world.with(|state| state.shards[self.shard].accepting[place(port)] = false);
    }

    fn stop_listening(&mut self, port: Port) {
        self.world.with(|state| state.stop_listening(self.shard, port));
    }

    fn watch(&mut self, key: Key, socket: &SimSocket, interest: Interest) {
        self.world.with(|state| state.arm(socket.link, key, interest));
    }

    fn watch_writable_too(&mut self, _key: Key, socket: &SimSocket) {
        self.world.with(|state| state.widen(socket.link));
    }

    fn receive(&mut self, socket: &SimSocket, buffer: &mut [u8]) -> Received {
        self.world.with(|state| state.receive(socket.link, buffer))
    }

    fn send(&mut self, batch: &[Outgoing<'_, SimSocket>], outcomes: &mut Vec<Sent>) {
        self.world.with(|state| {
            let mut seen: Vec<LinkId> = batch.iter().map(|one| one.socket.link).collect();
            seen.sort_unstable();
            if seen.windows(2).any(|pair| pair[0] == pair[1]) {
                state.violate("two sends for one socket stand in a batch");
            }
            outcomes.extend(batch.iter().map(|one| state.send(one.socket.link, one.bytes)));
        });
    }

    fn shutdown(&mut self, socket: &SimSocket, how: How) {
        self.world.with(|state| state.shutdown(socket.link, how));
    }

    fn hurry(&mut self, socket: &SimSocket) {
        self.world.with(|state| state.links[socket.link].near.hurried = true);
    }

    /// Ends at once, as it may: who runs the world looks at [`World::is_urgent`].
    fn rest(&mut self, _limit: Duration) {}

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<Event<SimSocket>>,
    ) -> io::Result<()> {
        self.pass_time(timeout)?;
        let reports = self.world.with(|state| state.reports(self.shard));
        events.extend(reports.into_iter().map(|report| self.event(report)));
        Ok(())
    }
}
