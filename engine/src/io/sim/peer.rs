//! The far end of a simulated connection: what a script can do to the gateway.

use super::link::Stage;
use super::state::{Due, State};
use super::{LinkId, World};
use crate::io::Received;

/// A script's end of a connection. Dropping it closes it.
#[derive(Debug)]
pub struct Peer {
    world: World,
    link: LinkId,
}

/// How far a peer's connect came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connect {
    /// On its way.
    Pending,
    /// The listener's kernel has it; bytes may be sent.
    Done,
    /// Refused, or broken since.
    Broken,
}

impl Peer {
    pub(super) fn new(world: World, link: LinkId) -> Self {
        Self { world, link }
    }

    /// What [`World::take_touched`] calls this peer.
    pub fn id(&self) -> LinkId {
        self.link
    }

    /// The shard that the connection was spread to.
    pub fn shard(&self) -> usize {
        self.world.with(|state| state.links[self.link].shard)
    }

    /// How far the connect came.
    pub fn connect(&self) -> Connect {
        self.world.with(|state| {
            let link = &state.links[self.link];
            match link.stage {
                _ if link.far.broken => Connect::Broken,
                Stage::Connecting => Connect::Pending,
                Stage::Waiting | Stage::Accepted => Connect::Done,
            }
        })
    }

    /// Sends as much as there is room for; gives how many bytes. A silent peer believes that all
    /// went.
    pub fn send(&self, bytes: &[u8]) -> usize {
        self.world.with(|state| state.send_up(self.link, bytes))
    }

    /// Reads what has arrived.
    pub fn receive(&self, buffer: &mut [u8]) -> Received {
        self.world.with(|state| state.receive_down(self.link, buffer))
    }

    /// Ends this direction; the gateway reads what was sent, then end of stream.
    pub fn finish(&self) {
        self.world.with(|state| state.end_up(self.link));
    }

    /// Resets the connection.
    pub fn reset(&self) {
        self.world.with(|state| {
            state.links[self.link].far.closed = true;
            let arrival = state.now + state.latency();
            state.at(arrival, Due::BreakNear(self.link));
        });
    }

    /// Is gone without a word from now on: a half-open connection at the gateway.
    pub fn fall_silent(&self) {
        self.world.with(|state| state.silence(self.link));
    }

    /// See [`World::harmed`].
    pub fn harmed(&self) -> bool {
        self.world.harmed(self.link)
    }

    /// How many bytes the gateway's sends have put into the pipe.
    pub fn written(&self) -> u64 {
        self.world.with(|state| state.links[self.link].down.written())
    }

    /// Whether the gateway has dropped its socket (or never got it).
    pub fn dropped_by_gateway(&self) -> bool {
        self.world.with(|state| state.links[self.link].near.closed)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.world.with(|state| state.close_far(self.link));
    }
}

impl State {
    fn send_up(&mut self, id: LinkId, bytes: &[u8]) -> usize {
        let link = &self.links[id];
        if link.far.silent {
            return bytes.len();
        }
        if link.far.broken || link.up.is_ended() || link.stage == Stage::Connecting {
            return 0;
        }
        let arrival = self.now + self.latency();
        let (taken, arrival) = self.links[id].up.write(bytes, arrival);
        if taken > 0 {
            self.at(arrival, Due::Up(id));
        }
        taken
    }

    fn receive_down(&mut self, id: LinkId, buffer: &mut [u8]) -> Received {
        let link = &mut self.links[id];
        let was_full = !link.down.has_room();
        let count = link.down.read(buffer);
        if count == 0 {
            return match (link.far.broken, link.down.at_end()) {
                (true, _) => Received::Broken,
                (false, true) => Received::End,
                (false, false) => Received::Empty,
            };
        }
        if was_full && link.down.has_room() {
            let arrival = self.now + self.latency();
            self.at(arrival, Due::Room(id));
        }
        Received::Bytes(count)
    }

    fn end_up(&mut self, id: LinkId) {
        let arrival = self.now + self.latency();
        let link = &mut self.links[id];
        if !link.far.broken && !link.far.silent && !link.up.is_ended() {
            let arrival = link.up.end(arrival);
            self.at(arrival, Due::Up(id));
        }
    }

    fn close_far(&mut self, id: LinkId) {
        if std::mem::replace(&mut self.links[id].far.closed, true) {
            return;
        }
        let unread = self.links[id].down.readable() > 0;
        if unread && !self.links[id].far.broken && !self.links[id].far.silent {
            let arrival = self.now + self.latency();
            self.at(arrival, Due::BreakNear(id));
        }
        self.end_up(id);
        if !self.links[id].far.silent {
            self.links[id].down.clear();
            let at = self.now;
            self.at(at, Due::Room(id));
        }
    }
}
