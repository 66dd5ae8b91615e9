//! What shards tell each other.

use crate::broadcast::{Order, PartReport, PartStart};
use crate::connection::id::ConnectionId;
use crate::directory::homes::HomeId;
use compact_str::CompactString;
use holdfast_protocol::backend::request::JobAction;
use holdfast_protocol::backend::{JobId, Outcome};
use holdfast_protocol::close::Code;
use std::sync::Arc;

/// Where the answer to one part of a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The backend's connection.
    pub connection: ConnectionId,
    /// The request's place among those in flight there.
    pub request: u32,
    /// Which part of the request; below 4096.
    pub part: u16,
}

/// One target of a push, as a window on the request that carried it.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The payload of the request, shared by its targets.
    pub request: Arc<[u8]>,
    /// Where the user's name starts in it.
    pub user_at: u32,
    /// Where the body starts in it.
    pub body_at: u32,
    /// The length of the body; not 0.
    pub body_length: u32,
    /// The second, on the process's clock, after which the message is of no use.
    pub expires: u32,
    /// The length of the user's name.
    pub user_length: u8,
}

impl Parcel {
    /// The user's name.
    pub fn user(&self) -> &str {
        let at = self.user_at as usize;
        let bytes = self.request.get(at..at + usize::from(self.user_length));
        // It was checked as UTF-8 when the request was understood.
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// The message.
    pub fn body(&self) -> &[u8] {
        let at = self.body_at as usize;
        self.request.get(at..at + self.body_length as usize).unwrap_or_default()
    }
}

/// To the home of a user, or to the owner of a broadcast job.
#[derive(Debug)]
pub enum ToHome {
    /// A client proved who it is.
    Register(Box<Register>),
    /// A session ended.
    Unregister(HomeId, ConnectionId),
    /// A message for the user.
    Push {
        /// Where the outcome goes.
        origin: Origin,
        /// The product's number.
        product: u16,
        /// The user's hash.
        hash: u64,
        /// What, and to whom.
        parcel: Parcel,
    },
    /// Has the user a session?
    Online(Box<About>),
    /// End the user's session.
    Kick(Box<About>, Arc<str>),
    /// Start a broadcast.
    Broadcast(Box<BroadcastOrder>),
    /// Ask about or steer a broadcast.
    Job(Origin, JobAction, JobId),
}

/// A login.
#[derive(Debug)]
pub struct Register {
    /// The connection to be the user's session.
    pub connection: ConnectionId,
    /// The product's number.
    pub product: u16,
    /// The user's hash.
    pub hash: u64,
    /// The user.
    pub user: CompactString,
}

/// A question about one user.
#[derive(Debug)]
pub struct About {
    /// Where the answer goes.
    pub origin: Origin,
    /// The product's number.
    pub product: u16,
    /// The user's hash.
    pub hash: u64,
    /// The user.
    pub user: CompactString,
}

/// A broadcast to start.
#[derive(Debug)]
pub struct BroadcastOrder {
    /// Where the answer goes.
    pub origin: Origin,
    /// The product's number.
    pub product: u16,
    /// Only to sessions with this tag; empty for all.
    pub tag: CompactString,
    /// Users a second over the whole gateway; 0 for as fast as it goes.
    pub users_per_second: u32,
    /// Bits of body a second over the whole gateway; 0 for as fast as it goes.
    pub bits_per_second: u64,
    /// For how many seconds it is of use.
    pub ttl: u32,
    /// The message.
    pub body: Arc<[u8]>,
}

/// To the shard of a connection.
#[derive(Debug)]
pub enum ToSession {
    /// The home knows the session.
    Registered {
        /// Whose.
        connection: ConnectionId,
        /// The home.
        home: HomeId,
        /// The shard of the home.
        shard: u16,
        /// The sequence of the user's next message.
        next_sequence: u64,
    },
    /// A message for the session.
    Push {
        /// Whose.
        connection: ConnectionId,
        /// Where the outcome goes.
        origin: Origin,
        /// The message's sequence.
        sequence: u64,
        /// The message.
        parcel: Parcel,
    },
    /// The session is to end.
    End {
        /// Whose.
        connection: ConnectionId,
        /// Why.
        code: Code,
        /// Why, in words; empty for the code's own name.
        reason: Option<Arc<str>>,
    },
    /// A broadcast starts here too.
    Part(Arc<PartStart>),
    /// A broadcast is steered.
    Order(JobId, Order),
}

/// To the shard of a backend's connection, or to the owner of a broadcast job.
#[derive(Debug, Clone, Copy)]
pub enum ToOrigin {
    /// What became of one target.
    Outcome(Origin, Outcome),
    /// How many sessions a user has.
    Count(Origin, u32),
    /// How a job stands.
    Job(
        Origin,
        Result<holdfast_protocol::backend::Job, holdfast_protocol::backend::answer::ErrorCode>,
    ),
    /// How far one shard's part of a broadcast has come.
    Part(PartReport),
}
