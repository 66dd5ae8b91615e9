//! The client's half of the conversation, as a pure machine.
//!
//! ```text
//!  Connecting ──welcome──▶ Online ──close or bye──▶ Closed
//! ```
//!
//! ```
//! use holdfast_protocol::client::machine::Machine;
//! use holdfast_protocol::client::{FromServer, from_client::Identity};
//!
//! fn received(client: &mut Machine, buffer: &mut Vec<u8>, now: u32) {
//!     while let Ok(Some((meaning, taken))) = client.receive(buffer) {
//!         if let FromServer::Push(push) = meaning {
//!             println!("{:?}", push.body);
//!             if !push.broadcast {
//!                 client.ack(push.sequence, now);
//!             }
//!         }
//!         buffer.drain(..taken);
//!     }
//! }
//!
//! let identity = Identity { product: "chat", user: "alice", ..Identity::default() };
//! let mut client = Machine::new(&identity, 0);
//! let hello = core::mem::take(client.output()); // to be sent
//! received(&mut client, &mut Vec::new(), 1);
//! # assert_eq!(hello[0], 0x01);
//! ```
//!
//! The owner moves bytes: what it receives goes into [`Machine::receive`], what [`Machine::output`]
//! holds is sent. Time comes in as seconds of the owner's own clock.

use crate::client::from_client::{self, Identity};
use crate::client::{FromServer, Welcome};
use crate::error::Violation;
use crate::frame;
use crate::limits::PUSH_PAYLOAD;
use alloc::vec::Vec;

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The hello is on its way.
    Connecting,
    /// Welcomed.
    Online,
    /// A close came or a bye went; nothing more is sent, and what still comes changes nothing.
    Closed,
}

/// One client of the gateway.
#[derive(Debug)]
pub struct Machine {
    state: State,
    heartbeat: u16,
    last_sent: u32,
    acked: u64,
    output: Vec<u8>,
}

impl Machine {
    /// Starts a conversation at `now` seconds; the hello is in the output.
    pub fn new(identity: &Identity<'_>, now: u32) -> Self {
        let mut output = Vec::new();
        from_client::put_hello(identity, &mut output);
        // A resume hint says what arrived, so the gateway counts it as acknowledged.
        let acked = identity.resume.map_or(0, |resume| resume.sequence);
        Self { state: State::Connecting, heartbeat: 0, last_sent: now, acked, output }
    }

    /// Where it stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The greatest sequence of the user acknowledged; 0 for none.
    pub const fn acked(&self) -> u64 {
        self.acked
    }

    /// Bytes to send; the owner takes away what it sent (`drain`, `clear` or `mem::take`).
    pub const fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Understands the first frame in `bytes`; gives it and the bytes it took, or `None` while it
    /// is incomplete.
    ///
    /// # Errors
    /// The gateway broke the protocol; the connection is of no more use.
    pub fn receive<'a>(
        &mut self,
        bytes: &'a [u8],
    ) -> Result<Option<(FromServer<'a>, usize)>, Violation> {
        let Some((frame, taken)) = frame::split(bytes, PUSH_PAYLOAD)? else { return Ok(None) };
        let meaning = FromServer::decode(frame)?;
        match (&meaning, self.state) {
            // What crossed our bye on the wire is the owner's to read or to leave.
            (_, State::Closed) => {}
            (FromServer::Welcome(welcome), State::Connecting) => self.welcomed(welcome),
            (FromServer::Welcome(_), _) | (FromServer::Push(_), State::Connecting) => {
                return Err(Violation::WrongState);
            }
            (FromServer::Close { .. }, _) => self.state = State::Closed,
            (
                FromServer::Pong
                | FromServer::Push(_)
                | FromServer::Notice(_)
                | FromServer::Skipped,
                _,
            ) => {}
        }
        Ok(Some((meaning, taken)))
    }

    fn welcomed(&mut self, welcome: &Welcome) {
        self.state = State::Online;
        self.heartbeat = welcome.heartbeat;
        // Not raised to the welcome's sequence: what was sent before and never acknowledged comes
        // again, with a lower one. Lowered to it where the gateway lost its count and began anew.
        self.acked = self.acked.min(welcome.next_sequence.saturating_sub(1));
    }

    /// The second at which [`Machine::tick`] has a ping to send; `None` while not online.
    pub const fn ping_due(&self) -> Option<u32> {
        match self.state {
            State::Online => Some(self.last_sent.saturating_add(self.heartbeat as u32)),
            State::Connecting | State::Closed => None,
        }
    }

    /// Puts a ping into the output when one is due at `now` seconds; says whether it did.
    pub fn tick(&mut self, now: u32) -> bool {
        let due = self.ping_due().is_some_and(|due| now >= due);
        if due {
            self.last_sent = now;
            from_client::put_ping(&mut self.output);
        }
        due
    }

    /// Acknowledges everything of the user up to `sequence`, at `now` seconds; the numbers of
    /// broadcasts are not for this. What is not newer than the last one, and
    /// anything while not online, is left out.
    pub fn ack(&mut self, sequence: u64, now: u32) {
        if self.state == State::Online && sequence > self.acked {
            self.acked = sequence;
            self.last_sent = now;
            from_client::put_ack(sequence, &mut self.output);
        }
    }

    /// Says bye.
    pub fn bye(&mut self) {
        if self.state != State::Closed {
            self.state = State::Closed;
            from_client::put_bye(&mut self.output);
        }
    }
}
