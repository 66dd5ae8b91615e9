//! What a server is to the generator: the bytes that its clients say, and what they understand.
//!
//! Pure: bytes in, bytes out, no socket and no clock. The loop that moves the bytes
//! ([`super::crowd`]) is one for all, so what differs between two servers' figures is the servers
//! and these few functions.

use crate::floor::user;

/// The channel that every client listens to, beside its own.
const CHANNEL_ALL: &str = "all";

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Every client.
    All,
    /// The client with this number.
    One(u32),
}

impl To {
    /// The channel that those clients listen to.
    pub(super) fn channel(self) -> String {
        match self {
            Self::All => CHANNEL_ALL.to_owned(),
            Self::One(number) => user(number),
        }
    }
}

/// One message to be published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    /// For whom.
    pub(super) to: To,
    /// What.
    pub(super) body: &'a [u8],
}

/// The first thing in what a client received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard<'a> {
    /// Its bytes.
    pub(super) length: usize,
    /// What it is.
    pub(super) what: What<'a>,
}

/// What a client heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What<'a> {
    /// It is logged in, and subscribed to everything that it asked for.
    Ready,
    /// A message with this body.
    Message(&'a [u8]),
    /// Nothing that anybody waits for.
    Other,
}

/// The first thing in what the publisher received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its bytes.
    pub(super) length: usize,
    /// Whether it says that the publisher may publish.
    pub(super) ready: bool,
    /// How many messages the server says it refused.
    pub(super) refused: u64,
}

impl Answer {
    /// One of `length` bytes that refuses nothing.
    pub(super) const fn good(length: usize) -> Self {
        Self { length, ready: false, refused: 0 }
    }
}

/// One protocol, as clients and a publisher speak it. An error ends the measurement of the server.
pub(super) trait Peer {
    /// Appends what client `number` says first: its login, and that it wants what is for it and
    /// what is for all.
    fn greet(&self, number: u32, out: &mut Vec<u8>) -> Result<(), String>;

    /// Takes the first thing off `bytes`, which a client received; `None` where it is not whole.
    /// `ready` says whether the client has heard that it is. Appends to `reply` what the protocol
    /// wants answered.
    fn hear<'a>(
        &self,
        ready: bool,
        bytes: &'a [u8],
        reply: &mut Vec<u8>,
    ) -> Result<Option<Heard<'a>>, String>;

    /// Appends what the publisher says first. One that is ready at once says nothing and gives
    /// `true`.
    fn greet_as_publisher(&mut self, out: &mut Vec<u8>) -> Result<bool, String>;

    /// Appends what publishes these messages, in the way that the server takes best.
    fn publish(&mut self, messages: &[Message<'_>], out: &mut Vec<u8>) -> Result<(), String>;

    /// Takes the first thing off `bytes`, which the publisher received. Appends to `reply` what the
    /// protocol wants answered.
    fn hear_as_publisher(
        &mut self,
        bytes: &[u8],
        reply: &mut Vec<u8>,
    ) -> Result<Option<Answer>, String>;
}
