//! The kinds of frames of both protocols and both directions, with their names.

use holdfast_protocol::backend::{answer, request};
use holdfast_protocol::client::{from_client, from_server};

/// Cells for the kinds of one direction; the last one counts kinds that have no name here.
pub(super) const FRAME_KINDS: usize = 12;

/// The kinds of one direction.
pub(super) struct Kinds {
    names: [&'static str; FRAME_KINDS],
    index: [u8; 256],
}

impl Kinds {
    /// The cell of a kind.
    pub(super) const fn index(&self, kind: u8) -> usize {
        self.index[kind as usize] as usize
    }

    /// The names of the cells; empty for a cell that is not used.
    pub(super) const fn names(&self) -> &[&'static str; FRAME_KINDS] {
        &self.names
    }

    const fn new(kinds: &[(u8, &'static str)]) -> Self {
        const LAST: u8 = 11;
        assert!(FRAME_KINDS == LAST as usize + 1 && kinds.len() < FRAME_KINDS);
        let mut table = Self { names: [""; FRAME_KINDS], index: [LAST; 256] };
        table.names[LAST as usize] = "other";
        let mut next = 0_u8;
        while (next as usize) < kinds.len() {
            let (kind, name) = kinds[next as usize];
            table.names[next as usize] = name;
            table.index[kind as usize] = next;
            next += 1;
        }
        table
    }
}

pub(super) static CLIENT_IN: Kinds = Kinds::new(&[
    (from_client::kind::HELLO, "hello"),
    (from_client::kind::PING, "ping"),
    (from_client::kind::ACK, "ack"),
    (from_client::kind::BYE, "bye"),
]);

pub(super) static CLIENT_OUT: Kinds = Kinds::new(&[
    (from_server::kind::WELCOME, "welcome"),
    (from_server::kind::PONG, "pong"),
    (from_server::kind::PUSH, "push"),
    (from_server::kind::NOTICE, "notice"),
    (from_server::kind::CLOSE, "close"),
]);

pub(super) static BACKEND_IN: Kinds = Kinds::new(&[
    (request::kind::HELLO, "hello"),
    (request::kind::PING, "ping"),
    (request::kind::PUSH, "push"),
    (request::kind::BROADCAST, "broadcast"),
    (request::kind::STATUS, "status"),
    (request::kind::PAUSE, "pause"),
    (request::kind::RESUME, "resume"),
    (request::kind::CANCEL, "cancel"),
    (request::kind::ONLINE, "online"),
    (request::kind::KICK, "kick"),
    (request::kind::COUNTERS, "counters"),
]);

pub(super) static BACKEND_OUT: Kinds = Kinds::new(&[
    (answer::kind::WELCOME, "welcome"),
    (answer::kind::PONG, "pong"),
    (answer::kind::DRAIN, "drain"),
    (answer::kind::CLOSE, "close"),
    (answer::kind::ERROR, "error"),
    (answer::kind::PUSH, "push"),
    (answer::kind::JOB, "job"),
    (answer::kind::ONLINE, "online"),
    (answer::kind::KICK, "kick"),
    (answer::kind::COUNTERS, "counters"),
]);
