//! The state of one simulated connection: two pipes and its two ends.
//!
//! The *near* end is the gateway's, the *far* end the script's. Owns what is true now; when things
//! happen is [`super::state`]'s.

use super::pipe::Pipe;
use crate::io::{Interest, Key, Port};

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) shard: usize,
    pub(super) port: Port,
    pub(super) stage: Stage,
    /// From the peer to the gateway.
    pub(super) up: Pipe,
    /// From the gateway to the peer.
    pub(super) down: Pipe,
    pub(super) near: Near,
    pub(super) far: Far,
}

/// How far the connect came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// On its way to the listener.
    Connecting,
    /// In the listener's backlog, or reported and not yet taken.
    Waiting,
    /// The gateway has the socket.
    Accepted,
}

/// The gateway's end.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts; most pairs can be true at once"
)]
#[derive(Debug, Default)]
pub(super) struct Near {
    pub(super) broken: bool,
    pub(super) shut_read: bool,
    pub(super) closed: bool,
    pub(super) watch: Option<Watch>,
    /// It was watched before, so that the next watch may tell of changes only.
    pub(super) known: bool,
    /// Something came since a watch was last armed or reported.
    pub(super) changed: bool,
    /// No send takes anything before this time.
    pub(super) full_until: u64,
    /// Counts watches, so that a report finds the one that it is for.
    pub(super) serial: u64,
    /// What it brings ends its shard's rests.
    pub(super) hurried: bool,
    /// The end of patience with a silent peer is on the agenda.
    pub(super) impatient: bool,
}

/// An armed watch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) key: Key,
    pub(super) interest: Interest,
    pub(super) serial: u64,
    /// Its report is on the way.
    pub(super) reported: bool,
}

/// The script's end.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts; most pairs can be true at once"
)]
#[derive(Debug, Default)]
pub(super) struct Far {
    pub(super) broken: bool,
    pub(super) closed: bool,
    /// Gone without a word: takes nothing, says nothing.
    pub(super) silent: bool,
    /// Waits in the list of those that have something to look at.
    pub(super) touched: bool,
    /// The world harmed the connection (cut or silence): nothing is owed to it any more.
    pub(super) harmed: bool,
}

impl Link {
    pub(super) fn readable(&self) -> bool {
        self.near.broken || self.near.shut_read || self.up.readable() > 0 || self.up.end_arrived()
    }

    pub(super) fn writable(&self, now: u64) -> bool {
        self.near.broken || (now >= self.near.full_until && self.down.has_room())
    }

    /// Whether an armed watch has something to report.
    pub(super) fn reportable(&self, now: u64) -> bool {
        let wants_room = matches!(self.near.watch, Some(w) if w.interest == Interest::ReadWrite);
        self.readable() || (wants_room && self.writable(now))
    }

    /// Whether the gateway has taken the socket and not dropped it.
    pub(super) fn is_held_by_gateway(&self) -> bool {
        self.stage == Stage::Accepted && !self.near.closed
    }

    /// Whether the end of what the peer says has come, one way or the other.
    pub(super) fn ended(&self) -> bool {
        self.near.broken || self.near.shut_read || self.up.end_arrived()
    }
}
