//! One connection: what its shard keeps for as long as it is open.
//!
//! Everything that an idle, logged-in client does not need is behind one pointer that is empty
//! while it is idle ([`Busy`]), because a million of these are the largest part of the gateway's
//! memory.
//!
//! Invariants: `watched` is true exactly while the kernel holds the connection's watch, and the
//! slot is given back only after that. A connection is in the roster, and has a home, exactly while
//! it is `Online`.

pub mod id;
pub mod outbox;
pub mod table;
pub mod timers;

use crate::backend::Backend;
use crate::directory::homes::HomeId;
use crate::directory::roster::{ListId, MemberId};
use crate::io::Port;
use holdfast_protocol::session::State;
use outbox::{Parked, Queue};
use std::collections::VecDeque;

/// A connection of either port.
#[derive(Debug)]
pub struct Connection<S> {
    /// The socket.
    pub socket: S,
    /// When something was last heard, in seconds of the process's clock.
    pub heard: u32,
    /// Frames queued in this turn.
    pub queue: Queue,
    /// What only a busy connection needs.
    pub busy: Option<Box<Busy>>,
    /// Whose it is.
    pub role: Role,
    /// Whether the kernel holds its watch.
    pub watched: bool,
    /// How it ends, once it does.
    pub ending: Ending,
}

/// Whose connection it is.
#[derive(Debug)]
pub enum Role {
    /// A client's.
    Client(Client),
    /// A backend's.
    Backend(Box<Backend>),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Not yet.
    Open,
    /// What is queued is sent, then the sending direction is shut, then the peer's end is awaited.
    Flushing,
    /// The sending direction is shut; the peer's end is awaited.
    Lingering,
    /// Both directions are shut; only the watch is awaited.
    Dead,
}

/// A client's session.
#[derive(Debug)]
pub struct Client {
    /// The greatest sequence sent to it.
    pub sent: u64,
    /// The greatest sequence of a durable message that it was sent, or that waits for it.
    pub durable: u64,
    /// The greatest sequence that it acknowledged.
    pub acked: u64,
    /// Its tags, if it has any.
    pub tags: Option<Box<[Tag]>>,
    /// Its home, while it is online.
    pub home: HomeId,
    /// Its place among the members of its product, while it is online.
    pub member: MemberId,
    /// Frames in the second of `heard`.
    pub frames: u16,
    /// The shard of its home.
    pub home_shard: u16,
    /// Its product's number.
    pub product: u16,
    /// The granted heartbeat, in seconds.
    pub heartbeat: u16,
    /// What may come from it.
    pub state: State,
    /// Whether its home waits to hear that nothing more is written to it.
    pub reports: bool,
}

/// One tag of a session.
#[derive(Debug, Clone, Copy)]
pub struct Tag {
    /// The list of those with the tag.
    pub list: ListId,
    /// This session's place in it.
    pub member: MemberId,
}

/// What only a busy connection needs.
#[derive(Debug, Default)]
pub struct Busy {
    /// The beginning of a frame whose end has not come.
    pub partial: Vec<u8>,
    /// When that frame began, in seconds.
    pub begun: u32,
    /// What the kernel did not take, oldest first.
    pub parked: VecDeque<Parked>,
    /// Bytes in `parked`.
    pub parked_bytes: usize,
    /// Frames of this turn's login that wait for the home's answer: tags of the hello.
    pub wanted_tags: Vec<compact_str::CompactString>,
    /// Whether a durable message found no room, so that none is taken until its home begins anew.
    pub stuck: bool,
    /// The turn in which its home was told so last.
    pub stuck_in: usize,
}

impl Busy {
    /// Whether an idle connection would need nothing of this.
    pub fn is_idle(&self) -> bool {
        self.partial.is_empty()
            && self.parked.is_empty()
            && self.wanted_tags.is_empty()
            && !self.stuck
    }

    /// A durable message found no room in this turn; whether its home is to be told. What finds
    /// none behind it in the same turn was sent before the home could know, and comes again with
    /// it: told of that too, the home would send the same once more.
    pub fn refuses(&mut self, turn: usize) -> bool {
        let is_known = self.stuck && self.stuck_in == turn;
        (self.stuck, self.stuck_in) = (true, turn);
        !is_known
    }
}

impl Client {
    /// A client that has just connected.
    pub fn new() -> Self {
        Self {
            sent: 0,
            durable: 0,
            acked: 0,
            tags: None,
            home: HomeId { slot: u32::MAX, generation: 0 },
            member: MemberId::MAX,
            frames: 0,
            home_shard: 0,
            product: 0,
            heartbeat: 0,
            state: State::Opening,
            reports: false,
        }
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Connection<S> {
    /// A connection that was accepted at `now` seconds.
    pub fn new(socket: S, role: Role, now: u32) -> Self {
        Self {
            socket,
            heard: now,
            queue: Queue::default(),
            busy: None,
            role,
            watched: false,
            ending: Ending::Open,
        }
    }

    /// The session of a client's connection.
    pub fn client(&mut self) -> Option<&mut Client> {
        match &mut self.role {
            Role::Client(client) => Some(client),
            Role::Backend(_) => None,
        }
    }

    /// The backend of a backend's connection.
    pub fn backend(&mut self) -> Option<&mut Backend> {
        match &mut self.role {
            Role::Client(_) => None,
            Role::Backend(backend) => Some(backend),
        }
    }

    /// The tags of a client's session.
    pub fn tags(&self) -> Option<&[Tag]> {
        match &self.role {
            Role::Client(client) => client.tags.as_deref(),
            Role::Backend(_) => None,
        }
    }

    /// The port that it came in by.
    pub fn port(&self) -> Port {
        match self.role {
            Role::Client(_) => Port::Client,
            Role::Backend(_) => Port::Backend,
        }
    }

    /// Whether the kernel has not taken all that it was given.
    pub fn is_parked(&self) -> bool {
        self.busy.as_ref().is_some_and(|busy| !busy.parked.is_empty())
    }

    /// Bytes that the kernel has not taken.
    pub fn parked_bytes(&self) -> usize {
        self.busy.as_ref().map_or(0, |busy| busy.parked_bytes)
    }

    /// Memory that waits with what the kernel has not taken.
    pub fn parked_cost(&self) -> usize {
        self.busy
            .as_ref()
            .map_or(0, |busy| busy.parked_bytes + busy.parked.len() * size_of::<Parked>())
    }

    /// What only a busy connection needs, made where it was not.
    pub fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    /// Gives back what an idle connection does not need.
    pub fn settle(&mut self) {
        if self.busy.as_ref().is_some_and(|busy| busy.is_idle()) {
            self.busy = None;
        }
    }
}

/// The bytes of one client connection in its table, for the memory sum.
pub const CLIENT_BYTES: usize = size_of::<Connection<crate::io::socket::Socket>>();

const _: () = assert!(CLIENT_BYTES <= 96, "a million connections feel every byte");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_told_once_of_what_finds_no_room_in_one_turn() {
        let mut busy = Busy::default();
        assert!(busy.refuses(0), "also in the first turn");
        assert!(!busy.refuses(0) && !busy.refuses(0), "what came with it comes again with it");
        assert!(busy.refuses(1), "what comes later may have been sent behind the word of it");
        busy.stuck = false;
        assert!(busy.refuses(1), "its home has begun anew");
    }
}
