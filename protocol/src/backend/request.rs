//! What a backend asks.

mod mailbox;
mod target;

pub use mailbox::{MailboxAction, put_mailbox};
pub use target::{Target, TargetIter, Targets};

use crate::backend::{JobId, RequestId};
use crate::client::Class;
use crate::error::Violation;
use crate::field::{Reader, put_bytes, put_text, text_length};
use crate::frame::{self, Frame, SKIPPABLE};
use crate::limits::{
    API_KEY_BYTES, BACKEND_NAME_BYTES, BACKEND_PAYLOAD, IDEMPOTENCY_KEY_BYTES, ONLINE_USERS,
    PRODUCT_BYTES, REASON_BYTES, TAG_BYTES, TTL_SECONDS_MAX, USER_BYTES, VERSION,
};
use crate::varint;
use alloc::vec::Vec;
use target::with_same_body;

/// Kinds of frames from backends. 0x20–0x2F are reserved for groups, 0x30–0x37 for uplink,
/// 0x38–0x3B for presence, 0x3C–0x3F for what is to come: see [`unsupported`].
pub mod kind {
    /// [`super::Request::Hello`].
    pub const HELLO: u8 = 0x01;
    /// [`super::Request::Ping`].
    pub const PING: u8 = 0x02;
    /// [`super::Push`].
    pub const PUSH: u8 = 0x10;
    /// [`super::Broadcast`].
    pub const BROADCAST: u8 = 0x11;
    /// [`super::JobAction::Status`].
    pub const STATUS: u8 = 0x12;
    /// [`super::JobAction::Pause`].
    pub const PAUSE: u8 = 0x13;
    /// [`super::JobAction::Resume`].
    pub const RESUME: u8 = 0x14;
    /// [`super::JobAction::Cancel`].
    pub const CANCEL: u8 = 0x15;
    /// [`super::Request::Online`].
    pub const ONLINE: u8 = 0x16;
    /// [`super::Request::Kick`].
    pub const KICK: u8 = 0x17;
    /// [`super::Request::Counters`].
    pub const COUNTERS: u8 = 0x18;
    /// [`super::Request::Mailbox`].
    pub const MAILBOX: u8 = 0x19;
    /// Kinds kept for requests of later versions. Each begins with a request id.
    pub const RESERVED: core::ops::RangeInclusive<u8> = 0x20..=0x3f;
}

/// A frame from a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// The first frame of a connection.
    Hello {
        /// The backend's name for logs and counters, 1 to 64 bytes.
        name: &'a str,
        /// The API key, up to 256 bytes; empty where the gateway needs none.
        key: &'a [u8],
    },
    /// I am alive; answer with a pong.
    Ping,
    /// Push to many users.
    Push(RequestId, Push<'a>),
    /// Start a broadcast.
    Broadcast(RequestId, Broadcast<'a>),
    /// Ask about or steer a broadcast.
    Job(RequestId, JobAction, JobId),
    /// How many sessions has each of these users?
    Online(RequestId, Online<'a>),
    /// End a user's sessions.
    Kick {
        /// The request's id.
        id: RequestId,
        /// The product.
        product: &'a str,
        /// The user.
        user: &'a str,
        /// Why, for the user to read.
        reason: &'a str,
    },
    /// List the gateway's counters.
    Counters(RequestId),
    /// Ask about, or act on, what is stored for a user.
    Mailbox {
        /// The request's id.
        id: RequestId,
        /// The product.
        product: &'a str,
        /// The user.
        user: &'a str,
        /// What to do with it.
        action: MailboxAction,
    },
    /// A kind of a later version, to be passed over.
    Skipped,
}

/// What to do with a broadcast job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAction {
    /// Nothing: only tell how it stands.
    Status,
    /// Stop until resumed.
    Pause,
    /// Go on.
    Resume,
    /// Stop for good.
    Cancel,
}

/// A push to many users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Push<'a> {
    /// The product.
    pub product: &'a str,
    /// The targets, 1 to 4096.
    pub targets: Targets<'a>,
}

/// A broadcast to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broadcast<'a> {
    /// The product.
    pub product: &'a str,
    /// Only to sessions with this tag; empty for all of the product.
    pub tag: &'a str,
    /// How carefully.
    pub class: Class,
    /// For how many seconds it is of use; 0 leaves it to the gateway.
    pub ttl: u32,
    /// At most so many users a second over the whole gateway; 0 for as fast as it goes.
    pub users_per_second: u32,
    /// At most so many bits of body a second over the whole gateway; 0 for as fast as it goes.
    pub bits_per_second: u64,
    /// The idempotency key, up to 64 bytes; empty for none.
    pub key: &'a [u8],
    /// The body; an empty one is refused.
    pub body: &'a [u8],
}

/// An online query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Online<'a> {
    /// The product.
    pub product: &'a str,
    /// The users, 1 to 4096.
    pub users: Users<'a>,
}

/// The users of an online query, checked and still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Users<'a> {
    count: usize,
    encoded: &'a [u8],
}

impl<'a> Users<'a> {
    /// How many; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a query without users is refused")]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Each user, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        (0..self.count).map_while(move |_| reader.text(1..=USER_BYTES).ok())
    }
}

/// The id of a request whose kind is in [`kind::RESERVED`], to be answered with
/// [`crate::backend::answer::ErrorCode::Unsupported`]; `None` for any other frame. Asked before
/// [`Request::decode`], which takes such a kind for a violation.
///
/// # Errors
/// A reserved kind whose payload does not begin with an id.
pub fn unsupported(frame: Frame<'_>) -> Result<Option<RequestId>, Violation> {
    if kind::RESERVED.contains(&frame.kind) {
        Reader::new(frame.payload).integer().map(Some)
    } else {
        Ok(None)
    }
}

impl<'a> Request<'a> {
    /// Understands a frame.
    pub fn decode(frame: Frame<'a>) -> Result<Self, Violation> {
        let mut reader = Reader::new(frame.payload);
        let r = &mut reader;
        let meaning = match frame.kind {
            kind::HELLO => Self::read_hello(r)?,
            kind::PING => Self::Ping,
            kind::PUSH => Self::Push(r.integer()?, Push::read(r)?),
            kind::BROADCAST => Self::Broadcast(r.integer()?, Broadcast::read(r)?),
            kind::STATUS => Self::Job(r.integer()?, JobAction::Status, r.integer()?),
            kind::PAUSE => Self::Job(r.integer()?, JobAction::Pause, r.integer()?),
            kind::RESUME => Self::Job(r.integer()?, JobAction::Resume, r.integer()?),
            kind::CANCEL => Self::Job(r.integer()?, JobAction::Cancel, r.integer()?),
            kind::ONLINE => Self::Online(r.integer()?, Online::read(r)?),
            kind::KICK => Self::Kick {
                id: r.integer()?,
                product: r.text(1..=PRODUCT_BYTES)?,
                user: r.text(1..=USER_BYTES)?,
                reason: r.text(0..=REASON_BYTES)?,
            },
            kind::COUNTERS => Self::Counters(r.integer()?),
            kind::MAILBOX => Self::Mailbox {
                id: r.integer()?,
                product: r.text(1..=PRODUCT_BYTES)?,
                user: r.text(1..=USER_BYTES)?,
                action: MailboxAction::read(r)?,
            },
            SKIPPABLE.. => return Ok(Self::Skipped),
            _ => return Err(Violation::UnknownKind),
        };
        reader.end()?;
        Ok(meaning)
    }

    fn read_hello(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        if reader.byte()? != VERSION {
            return Err(Violation::UnsupportedVersion);
        }
        let name = reader.text(1..=BACKEND_NAME_BYTES)?;
        Ok(Self::Hello { name, key: reader.bytes(API_KEY_BYTES)? })
    }
}

impl<'a> Push<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let product = reader.text(1..=PRODUCT_BYTES)?;
        Ok(Self { product, targets: Targets::read(reader)? })
    }
}

impl<'a> Broadcast<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        Ok(Self {
            product: reader.text(1..=PRODUCT_BYTES)?,
            tag: reader.text(0..=TAG_BYTES)?,
            class: match reader.byte()? {
                0 => Class::Online,
                1 => Class::Durable,
                _ => return Err(Violation::UnknownValue),
            },
            ttl: reader.integer_u32(TTL_SECONDS_MAX)?,
            users_per_second: reader.integer_u32(u32::MAX)?,
            bits_per_second: reader.integer()?,
            key: reader.bytes(IDEMPOTENCY_KEY_BYTES)?,
            body: reader.bytes(BACKEND_PAYLOAD)?,
        })
    }
}

impl<'a> Online<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let product = reader.text(1..=PRODUCT_BYTES)?;
        let count = reader.count(ONLINE_USERS)?;
        if count == 0 {
            return Err(Violation::OutOfBounds);
        }
        let start = reader.left();
        for _ in 0..count {
            reader.text(1..=USER_BYTES)?;
        }
        let encoded = &start[..start.len() - reader.left().len()];
        Ok(Self { product, users: Users { count, encoded } })
    }
}

/// Appends a hello.
pub fn put_hello(name: &str, key: &[u8], out: &mut Vec<u8>) {
    frame::put(kind::HELLO, out, |out| {
        out.push(VERSION);
        put_text(name, out);
        put_bytes(key, out);
    });
}

/// Appends a ping.
pub fn put_ping(out: &mut Vec<u8>) {
    out.extend_from_slice(&[kind::PING, 0]);
}

/// Appends a push. A body that is the very slice of the target before is sent once.
pub fn put_push(id: RequestId, product: &str, targets: &[Target<'_>], out: &mut Vec<u8>) {
    let count = targets.len() as u64;
    let payload = varint::length(id)
        + text_length(product)
        + varint::length(count)
        + with_same_body(targets).map(|(target, same)| target.length(same)).sum::<usize>();
    frame::put_sized(kind::PUSH, payload, out, |out| {
        varint::put(id, out);
        put_text(product, out);
        varint::put(count, out);
        with_same_body(targets).for_each(|(target, same)| target.put(same, out));
    });
}

/// Appends the start of a broadcast.
pub fn put_broadcast(id: RequestId, broadcast: &Broadcast<'_>, out: &mut Vec<u8>) {
    frame::put(kind::BROADCAST, out, |out| {
        varint::put(id, out);
        put_text(broadcast.product, out);
        put_text(broadcast.tag, out);
        out.push(u8::from(broadcast.class == Class::Durable));
        varint::put(u64::from(broadcast.ttl), out);
        varint::put(u64::from(broadcast.users_per_second), out);
        varint::put(broadcast.bits_per_second, out);
        put_bytes(broadcast.key, out);
        put_bytes(broadcast.body, out);
    });
}

/// Appends a question about, or an order to, a broadcast job.
pub fn put_job(id: RequestId, action: JobAction, job: JobId, out: &mut Vec<u8>) {
    let kind = match action {
        JobAction::Status => kind::STATUS,
        JobAction::Pause => kind::PAUSE,
        JobAction::Resume => kind::RESUME,
        JobAction::Cancel => kind::CANCEL,
    };
    frame::put(kind, out, |out| {
        varint::put(id, out);
        varint::put(job, out);
    });
}

/// Appends an online query.
pub fn put_online(id: RequestId, product: &str, users: &[&str], out: &mut Vec<u8>) {
    frame::put(kind::ONLINE, out, |out| {
        varint::put(id, out);
        put_text(product, out);
        varint::put(users.len() as u64, out);
        for user in users {
            put_text(user, out);
        }
    });
}

/// Appends a kick.
pub fn put_kick(id: RequestId, product: &str, user: &str, reason: &str, out: &mut Vec<u8>) {
    frame::put(kind::KICK, out, |out| {
        varint::put(id, out);
        put_text(product, out);
        put_text(user, out);
        put_text(reason, out);
    });
}

/// Appends a request for the counters.
pub fn put_counters(id: RequestId, out: &mut Vec<u8>) {
    frame::put(kind::COUNTERS, out, |out| varint::put(id, out));
}
