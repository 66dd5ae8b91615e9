//! The backend's half of the conversation, as a pure machine.
//!
//! It numbers requests, keeps count of what is in flight against the window that the gateway
//! granted, and tells which answer belongs to which request. The owner moves bytes and keeps what
//! it wants to know about a request under its id.
//!
//! ```
//! use holdfast_protocol::backend::machine::{Machine, Refused};
//! use holdfast_protocol::backend::{Answer, Target, Welcome, answer};
//! use holdfast_protocol::client::Class;
//!
//! let mut backend = Machine::new("billing", b"");
//! let target = Target {
//!     user: "alice", class: Class::Online, ttl: 0, key: b"", receipt: false, body: b"hi",
//! };
//! assert_eq!(backend.push("chat", &[target]), Err(Refused::NotOpen), "the welcome comes first");
//!
//! // What the gateway would send.
//! let mut received = Vec::new();
//! let welcome = Welcome { window: 100, body_max: 65536, host: 1, incarnation: 1 };
//! answer::put_welcome(&welcome, &mut received);
//! let (answer, taken) = backend.receive(&received)?.expect("a whole frame");
//! assert_eq!((answer, taken), (Answer::Welcome(welcome), received.len()));
//!
//! assert_eq!(backend.push("chat", &[target]), Ok(1));
//! assert_eq!(backend.window_left(), 99);
//! let bytes = core::mem::take(backend.output()); // hello and push, to be sent
//! # assert!(bytes.len() > 20);
//! # Ok::<(), holdfast_protocol::error::Violation>(())
//! ```

use crate::backend::answer::{Answer, Welcome};
use crate::backend::request::{self, Broadcast, JobAction, MailboxAction, Target};
use crate::backend::{JobId, RequestId};
use crate::error::Violation;
use crate::frame;
use crate::limits::BACKEND_PAYLOAD;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The hello is on its way.
    Connecting,
    /// Welcomed.
    Open(Welcome),
    /// A close came; nothing more is sent or answered. What was in flight is
    /// [`Machine::unanswered`].
    Closed,
}

/// Why a request could not be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Not welcomed yet, or closed.
    NotOpen,
    /// The window is too full for it; wait for answers.
    WindowFull,
    /// It is larger than the whole window and can never be sent.
    OverWindow,
}

/// One backend's connection.
#[derive(Debug)]
pub struct Machine {
    state: State,
    next: RequestId,
    /// What each request in flight costs of the window.
    in_flight: BTreeMap<RequestId, u32>,
    used: u32,
    output: Vec<u8>,
}

impl Machine {
    /// Starts a conversation; the hello is in the output.
    pub fn new(name: &str, key: &[u8]) -> Self {
        let mut output = Vec::new();
        request::put_hello(name, key, &mut output);
        let in_flight = BTreeMap::new();
        Self { state: State::Connecting, next: 1, in_flight, used: 0, output }
    }

    /// Where it stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// How much of the window is free; 0 while not open.
    pub const fn window_left(&self) -> u32 {
        match self.state {
            State::Open(welcome) => welcome.window.saturating_sub(self.used),
            State::Connecting | State::Closed => 0,
        }
    }

    /// The requests without an answer, oldest first.
    pub fn unanswered(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.in_flight.keys().copied()
    }

    /// Bytes to send; the owner takes away what it sent.
    pub const fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Understands the first frame in `bytes`; gives it and the bytes it took, or `None` while it
    /// is incomplete. An answer frees its request's part of the window.
    ///
    /// # Errors The gateway broke the protocol (an answer to nothing is [`Violation::WrongState`]);
    /// the connection is of no more use.
    pub fn receive<'a>(
        &mut self,
        bytes: &'a [u8],
    ) -> Result<Option<(Answer<'a>, usize)>, Violation> {
        let Some((frame, taken)) = frame::split(bytes, BACKEND_PAYLOAD)? else { return Ok(None) };
        let answer = Answer::decode(frame)?;
        if self.state == State::Closed {
            // A close is the last word; what comes behind it changes nothing.
            return Ok(Some((answer, taken)));
        }
        if let Some(id) = answer.request() {
            let cost = self.in_flight.remove(&id).ok_or(Violation::WrongState)?;
            self.used -= cost;
        }
        match (&answer, self.state) {
            (Answer::Welcome(welcome), State::Connecting) => self.state = State::Open(*welcome),
            (Answer::Welcome(_), _) | (Answer::Receipt(_), State::Connecting) => {
                return Err(Violation::WrongState);
            }
            (Answer::Close { .. }, _) => self.state = State::Closed,
            (
                Answer::Pong
                | Answer::Drain { .. }
                | Answer::Error { .. }
                | Answer::Push(..)
                | Answer::Job(..)
                | Answer::Online(..)
                | Answer::Kick(..)
                | Answer::Counters(..)
                | Answer::Mailbox(..)
                | Answer::Receipt(_)
                | Answer::Skipped,
                _,
            ) => {}
        }
        debug_assert!(self.used == 0 || !self.in_flight.is_empty(), "nothing costs {}", self.used);
        Ok(Some((answer, taken)))
    }

    fn admit(&mut self, cost: usize) -> Result<RequestId, Refused> {
        let State::Open(welcome) = self.state else { return Err(Refused::NotOpen) };
        let cost = u32::try_from(cost).map_err(|_| Refused::OverWindow)?;
        if cost > welcome.window {
            return Err(Refused::OverWindow);
        }
        if cost > welcome.window - self.used {
            return Err(Refused::WindowFull);
        }
        let id = self.next;
        self.next += 1;
        self.used += cost;
        self.in_flight.insert(id, cost);
        Ok(id)
    }

    /// Pushes to 1 to [`PUSH_TARGETS`](crate::limits::PUSH_TARGETS) targets. Nothing is checked but
    /// the window: a frame over [`BACKEND_PAYLOAD`], or a field out of its bounds, ends the
    /// connection at the gateway.
    pub fn push(&mut self, product: &str, targets: &[Target<'_>]) -> Result<RequestId, Refused> {
        let id = self.admit(targets.len())?;
        request::put_push(id, product, targets, &mut self.output);
        Ok(id)
    }

    /// Starts a broadcast.
    pub fn broadcast(&mut self, broadcast: &Broadcast<'_>) -> Result<RequestId, Refused> {
        let id = self.admit(1)?;
        request::put_broadcast(id, broadcast, &mut self.output);
        Ok(id)
    }

    /// Asks about or steers a broadcast job.
    pub fn job(&mut self, action: JobAction, job: JobId) -> Result<RequestId, Refused> {
        let id = self.admit(1)?;
        request::put_job(id, action, job, &mut self.output);
        Ok(id)
    }

    /// Asks how many sessions each of 1 to 4096 users has.
    pub fn online(&mut self, product: &str, users: &[&str]) -> Result<RequestId, Refused> {
        let id = self.admit(1)?;
        request::put_online(id, product, users, &mut self.output);
        Ok(id)
    }

    /// Ends a user's sessions.
    pub fn kick(&mut self, product: &str, user: &str, reason: &str) -> Result<RequestId, Refused> {
        let id = self.admit(1)?;
        request::put_kick(id, product, user, reason, &mut self.output);
        Ok(id)
    }

    /// Asks for the gateway's counters.
    pub fn counters(&mut self) -> Result<RequestId, Refused> {
        let id = self.admit(1)?;
        request::put_counters(id, &mut self.output);
        Ok(id)
    }

    /// Asks how a user's mailbox stands, or acts on it.
    pub fn mailbox(
        &mut self,
        action: MailboxAction,
        product: &str,
        user: &str,
    ) -> Result<RequestId, Refused> {
        let id = self.admit(1)?;
        request::put_mailbox(id, action, product, user, &mut self.output);
        Ok(id)
    }

    /// Says that the backend is alive.
    pub fn ping(&mut self) {
        request::put_ping(&mut self.output);
    }
}
