//! What shards tell each other.

use crate::broadcast::notices::Had;
use crate::broadcast::{Order, PartReport, PartStart};
use crate::connection::id::ConnectionId;
use crate::directory::homes::{HomeId, UserKey};
use compact_str::CompactString;
use holdfast_protocol::backend::answer::{ErrorCode, Mailbox};
use holdfast_protocol::backend::request::{JobAction, MailboxAction};
use holdfast_protocol::backend::{Job, JobId, Outcome};
use holdfast_protocol::close::Code;
use holdfast_store::Span;
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
    /// To how many sessions the part went, each of which gives an outcome; 1 where it matters to
    /// nobody.
    pub copies: u8,
}

/// One message, as a window on the request that carried it, or on what the store loaded.
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

impl Keep {
    /// The user, to be found by.
    pub fn user_key(&self) -> UserKey<'_> {
        UserKey { product: self.product, user: self.parcel.user(), hash: self.hash }
    }
}

/// To the home of a user, or to the owner of a broadcast job.
#[derive(Debug)]
pub enum ToHome {
    /// A client proved who it is.
    Register(Box<Register>),
    /// A session ended.
    Unregister {
        /// Its home.
        home: HomeId,
        /// Its connection.
        connection: ConnectionId,
        /// Whether its client may still come back to it.
        lingers: bool,
        /// Whether durable broadcasts may still be written to it: then [`ToHome::Gone`] follows.
        writes: bool,
    },
    /// Nothing more is written to a session that ended.
    Gone(ConnectionId),
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
    /// A message for the user that is to be kept until it is acknowledged.
    Keep(Box<Keep>),
    /// A client acknowledged everything up to this sequence.
    Ack(HomeId, u64),
    /// A session could not take the durable message of this sequence, and takes none until it has
    /// said [`ToHome::Room`] and was begun anew with.
    Stuck(HomeId, ConnectionId, u64),
    /// A session that is behind may be handed more.
    Room(HomeId, ConnectionId),
    /// A durable broadcast of this number was written to a session of the user, which may have
    /// ended.
    Seen(HomeId, ConnectionId, u64),
    /// What is in the user's mailbox? Perhaps purge or release it first.
    Mailbox(Box<About>, MailboxAction),
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
    /// What the client says of an earlier session.
    pub resume: Option<Resumption>,
}

impl Register {
    /// The user, to be found by.
    pub fn user_key(&self) -> UserKey<'_> {
        UserKey { product: self.product, user: &self.user, hash: self.hash }
    }
}

/// What a client says of an earlier session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumption {
    /// The session, where it was one of this life of this host.
    pub session: Option<ConnectionId>,
    /// The greatest sequence of a durable message that arrived.
    pub sequence: u64,
    /// The greatest number of a durable broadcast that it has dealt with; 0 for none.
    pub broadcast: u64,
}

/// A message of class durable.
#[derive(Debug)]
pub struct Keep {
    /// Where the outcome goes.
    pub origin: Origin,
    /// The product's number.
    pub product: u16,
    /// The user's hash.
    pub hash: u64,
    /// For how many seconds it is of use.
    pub ttl: u32,
    /// What, and to whom.
    pub parcel: Parcel,
    /// Where the idempotency key lies in the parcel's request; empty for none.
    pub key: Span,
    /// The backend's name, where it wants a receipt.
    pub receipt: Option<CompactString>,
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

impl About {
    /// The user, to be found by.
    pub fn user_key(&self) -> UserKey<'_> {
        UserKey { product: self.product, user: &self.user, hash: self.hash }
    }
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
    /// Whether it is kept for who is not there.
    pub durable: bool,
    /// The idempotency key; empty for none.
    pub key: Box<[u8]>,
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
        /// Whether the session that the client named goes on.
        resumed: bool,
        /// The greatest sequence that waits in the user's mailbox; 0 for none.
        pending: u64,
        /// Which durable broadcasts the user has had, where there are any.
        had: Option<Box<Had>>,
    },
    /// What is known now of the durable broadcasts that the user of a session has had, which could
    /// not be said when it logged in.
    Had(ConnectionId, Box<Had>),
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
    /// A durable message for the session.
    Durable {
        /// Whose.
        connection: ConnectionId,
        /// The message's sequence.
        sequence: u64,
        /// The message.
        parcel: Parcel,
        /// Whether it may have been delivered before.
        again: bool,
        /// Whether a session that refused what came before takes them again from here on.
        first: bool,
        /// Whether to say [`ToHome::Room`] once it is written.
        last: bool,
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
#[derive(Debug)]
pub enum ToOrigin {
    /// What became of one target.
    Outcome(Origin, Outcome),
    /// How a mailbox stands.
    Mailbox(Origin, Box<Mailbox>),
    /// What became of a message that was accepted earlier.
    Receipt(Box<Receipt>),
    /// How many sessions a user has.
    Count(Origin, u32),
    /// How a job stands.
    Job(Origin, Result<Job, ErrorCode>),
    /// How far one shard's part of a broadcast has come.
    Part(PartReport),
}

/// What became of a message, for a backend that wanted to know. It goes round the shards until one
/// has a connection of that backend.
#[derive(Debug)]
pub struct Receipt {
    /// The connection that pushed the message, where it is known.
    pub connection: Option<ConnectionId>,
    /// The backend's name.
    pub backend: CompactString,
    /// How many shards it has been to.
    pub hops: u16,
    /// The product's number.
    pub product: u16,
    /// The user.
    pub user: CompactString,
    /// The message's sequence.
    pub sequence: u64,
    /// What became of it.
    pub outcome: Outcome,
}
