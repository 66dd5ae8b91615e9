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
//!             if client.is_new(&push) {
//!                 println!("{:?}", push.body);
//!             }
//!             if push.wants_ack() {
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
//!
//! What outlives a connection is the owner's to keep, for the [`Resume`] of the next hello: the
//! session of the welcome, [`Machine::acked`], and the greatest number of a durable broadcast that
//! it dealt with. Where a welcome takes `acked` back to 0, the gateway has lost its count, and the
//! number of broadcasts is to be forgotten too.
//!
//! [`Resume`]: crate::client::Resume

use crate::client::from_client::{self, Identity};
use crate::client::{FromServer, Push, Welcome};
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
    /// Something came again that was acknowledged: the gateway did not take the word, or not yet.
    ack_again: bool,
    output: Vec<u8>,
}

impl Machine {
    /// Starts a conversation at `now` seconds; the hello is in the output.
    pub fn new(identity: &Identity<'_>, now: u32) -> Self {
        let mut output = Vec::new();
        from_client::put_hello(identity, &mut output);
        // A resume says what was dealt with, so the gateway counts it as acknowledged.
        let acked = identity.resume.map_or(0, |resume| resume.sequence);
        let (state, heartbeat, ack_again) = (State::Connecting, 0, false);
        Self { state, heartbeat, last_sent: now, acked, ack_again, output }
    }

    /// Where it stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The greatest sequence of a durable message of the user that was acknowledged, on this
    /// connection or by the resume; 0 for none.
    pub const fn acked(&self) -> u64 {
        self.acked
    }

    /// Whether a push is to be dealt with: all but a durable message of the user that was
    /// acknowledged and comes again. Broadcasts may overtake each other, so their numbers tell
    /// nothing of the kind.
    pub const fn is_new(&self, push: &Push<'_>) -> bool {
        !push.wants_ack() || push.sequence > self.acked
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
        if self.state == State::Closed {
            // What crossed our bye on the wire is the owner's to read or to leave.
            return Ok(Some((meaning, taken)));
        }
        match (&meaning, self.state) {
            (FromServer::Welcome(welcome), State::Connecting) => self.welcomed(welcome),
            (FromServer::Welcome(_), _) | (FromServer::Push(_), State::Connecting) => {
                return Err(Violation::WrongState);
            }
            (FromServer::Close { .. }, _) => self.state = State::Closed,
            (FromServer::Push(push), _) => self.ack_again |= !self.is_new(push),
            (FromServer::Pong | FromServer::Notice(_) | FromServer::Skipped, _) => {}
        }
        Ok(Some((meaning, taken)))
    }

    fn welcomed(&mut self, welcome: &Welcome) {
        self.state = State::Online;
        self.heartbeat = welcome.heartbeat;
        // Never raised to the welcome's sequence: what is stored has a lower one. Where the gateway
        // lost its count and began anew, even the little that it has stored since is new.
        if welcome.next_sequence <= self.acked {
            self.acked = 0;
        }
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
            self.ping(now);
        }
        due
    }

    /// Puts a ping into the output at `now` seconds, due or not; nothing while not online.
    pub fn ping(&mut self, now: u32) {
        if self.state == State::Online {
            self.last_sent = now;
            from_client::put_ping(&mut self.output);
        }
    }

    /// Acknowledges every durable message of the user up to `sequence`, at `now` seconds; only for
    /// the sequence of a push that [wants it](Push::wants_ack). Nothing is said while not online,
    /// and what is not newer than the last one is left out; but where something acknowledged came
    /// again, the greatest is said once more.
    pub fn ack(&mut self, sequence: u64, now: u32) {
        if self.state == State::Online && (sequence > self.acked || self.ack_again) {
            self.acked = self.acked.max(sequence);
            self.ack_again = false;
            self.last_sent = now;
            from_client::put_ack(self.acked, &mut self.output);
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
