//! What the gateway says to a client.

use crate::client::SessionId;
use crate::error::Violation;
use crate::field::{Reader, put_count, put_text};
use crate::frame::{self, Frame, SKIPPABLE};
use crate::limits::{
    ADDRESS_BYTES, BODY_BYTES_CEILING, HEARTBEAT_SECONDS_MAX, PUSH_OVERHEAD, REASON_BYTES,
    REDIRECT_ADDRESSES, SEQUENCE_MAX, SESSION_ID_BYTES,
};
use crate::varint;
use alloc::vec::Vec;

/// Kinds of frames to clients.
pub mod kind {
    /// [`super::Welcome`].
    pub const WELCOME: u8 = 0x41;
    /// [`super::FromServer::Pong`].
    pub const PONG: u8 = 0x42;
    /// [`super::Push`].
    pub const PUSH: u8 = 0x43;
    /// [`super::Notice`].
    pub const NOTICE: u8 = 0x44;
    /// [`super::FromServer::Close`].
    pub const CLOSE: u8 = 0x45;
}

/// The bytes of a pong.
pub const PONG: [u8; 2] = [kind::PONG, 0];

/// The flags of a push.
mod flag {
    pub(super) const DURABLE: u8 = 0b0001;
    pub(super) const BROADCAST: u8 = 0b0010;
    pub(super) const REDELIVERED: u8 = 0b0100;
    pub(super) const KNOWN: u8 = 0b0111;

    pub(super) const fn of(push: &super::Push<'_>) -> u8 {
        let durable = matches!(push.class, super::Class::Durable) as u8 * DURABLE;
        let broadcast = push.broadcast as u8 * BROADCAST;
        durable | broadcast | (push.redelivered as u8 * REDELIVERED)
    }
}

mod notice {
    pub(super) const KICK: u8 = 1;
    pub(super) const REDIRECT: u8 = 2;
    pub(super) const DRAIN: u8 = 3;
}

/// How carefully a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Class {
    /// To sessions that are online now; never stored.
    #[default]
    Online,
    /// Stored until the client acknowledges or its time to live ends.
    Durable,
}

/// A frame to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromServer<'a> {
    /// The login succeeded.
    Welcome(Welcome),
    /// The answer to a ping.
    Pong,
    /// A message.
    Push(Push<'a>),
    /// Something that the client should know or do.
    Notice(Notice<'a>),
    /// The last frame: why the gateway closes the connection.
    Close {
        /// A [`crate::close::Code`], perhaps of a later version.
        code: u16,
        /// The reason in words, for a person.
        reason: &'a str,
    },
    /// A kind of a later version, to be passed over.
    Skipped,
}

/// What a client gets for its hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// Names this session in a later hello.
    pub session: SessionId,
    /// The granted heartbeat in seconds, at least 1: the client sends something at least this
    /// often.
    pub heartbeat: u16,
    /// The gateway's clock, milliseconds since 1970 UTC.
    pub server_time: u64,
    /// The sequence of the user's next new message; at least 1. What is stored for the user, sent
    /// before or not, has a lower one.
    pub next_sequence: u64,
    /// Whether the session named in the hello goes on.
    pub resumed: bool,
    /// The longest body that this gateway pushes.
    pub body_max: u32,
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Push<'a> {
    /// How carefully it is delivered.
    pub class: Class,
    /// Whether `sequence` counts the product's broadcasts rather than the user's messages.
    pub broadcast: bool,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    /// 1 to [`SEQUENCE_MAX`]; grows with each message, for the user or for the product's
    /// broadcasts.
    pub sequence: u64,
    /// At least one byte.
    pub body: &'a [u8],
}

impl Push<'_> {
    /// Whether it is to be acknowledged: a durable message of the user, not a broadcast.
    pub const fn wants_ack(&self) -> bool {
        matches!(self.class, Class::Durable) && !self.broadcast
    }
}

/// Something that the client should know or do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice<'a> {
    /// The session ends; a close follows.
    Kick {
        /// The close code that follows.
        code: u16,
        /// Why, in words.
        reason: &'a str,
    },
    /// Connect elsewhere.
    Redirect {
        /// Wait so long first, in milliseconds.
        delay: u32,
        /// `host:port`, the best first; up to eight.
        addresses: Addresses<'a>,
    },
    /// The gateway shuts down.
    Drain {
        /// It closes the connection after so long, in milliseconds.
        delay: u32,
    },
}

/// The addresses of a redirect, checked and still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addresses<'a> {
    count: usize,
    encoded: &'a [u8],
}

impl<'a> Addresses<'a> {
    /// How many.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each address, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        (0..self.count).map_while(move |_| reader.text(1..=ADDRESS_BYTES).ok())
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let count = usize::from(reader.byte()?);
        if count == 0 || count > REDIRECT_ADDRESSES {
            return Err(Violation::OutOfBounds);
        }
        let start = reader.left();
        for _ in 0..count {
            reader.text(1..=ADDRESS_BYTES)?;
        }
        Ok(Self { count, encoded: &start[..start.len() - reader.left().len()] })
    }
}

impl<'a> FromServer<'a> {
    /// Understands a frame.
    pub fn decode(frame: Frame<'a>) -> Result<Self, Violation> {
        let mut reader = Reader::new(frame.payload);
        let meaning = match frame.kind {
            kind::WELCOME => Self::Welcome(Welcome::read(&mut reader)?),
            kind::PONG => Self::Pong,
            kind::PUSH => return Push::read(reader).map(Self::Push),
            kind::NOTICE => Self::Notice(Notice::read(&mut reader)?),
            kind::CLOSE => Self::Close {
                code: reader.integer_u16(u16::MAX)?,
                reason: reader.text(0..=REASON_BYTES)?,
            },
            SKIPPABLE.. => return Ok(Self::Skipped),
            _ => return Err(Violation::UnknownKind),
        };
        reader.end()?;
        Ok(meaning)
    }
}

fn nonzero<T: PartialEq + From<u8>>(value: T) -> Result<T, Violation> {
    if value == T::from(0) { Err(Violation::OutOfBounds) } else { Ok(value) }
}

impl Welcome {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let mut session = [0; SESSION_ID_BYTES];
        session.copy_from_slice(reader.take(SESSION_ID_BYTES)?);
        Ok(Self {
            session,
            heartbeat: nonzero(reader.integer_u16(HEARTBEAT_SECONDS_MAX)?)?,
            server_time: reader.integer()?,
            next_sequence: nonzero(reader.integer_to(SEQUENCE_MAX)?)?,
            resumed: reader.flag()?,
            body_max: reader.size(BODY_BYTES_CEILING)?,
        })
    }
}

impl<'a> Push<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, Violation> {
        let flags = reader.byte()?;
        if flags & !flag::KNOWN != 0 {
            return Err(Violation::UnknownValue);
        }
        let sequence = nonzero(reader.integer_to(SEQUENCE_MAX)?)?;
        let body = reader.left();
        if body.is_empty() {
            return Err(Violation::OutOfBounds);
        }
        let class = if flags & flag::DURABLE == 0 { Class::Online } else { Class::Durable };
        let broadcast = flags & flag::BROADCAST != 0;
        Ok(Self { class, broadcast, redelivered: flags & flag::REDELIVERED != 0, sequence, body })
    }
}

impl<'a> Notice<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        match reader.byte()? {
            notice::KICK => Ok(Self::Kick {
                code: reader.integer_u16(u16::MAX)?,
                reason: reader.text(0..=REASON_BYTES)?,
            }),
            notice::REDIRECT => Ok(Self::Redirect {
                delay: reader.integer_u32(u32::MAX)?,
                addresses: Addresses::read(reader)?,
            }),
            notice::DRAIN => Ok(Self::Drain { delay: reader.integer_u32(u32::MAX)? }),
            _ => Err(Violation::UnknownValue),
        }
    }
}

/// What stands before the body of a push on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushHead {
    bytes: [u8; PUSH_OVERHEAD],
    length: u8,
}

impl PushHead {
    /// The head of `push`, whose body must be 1 to [`BODY_BYTES_CEILING`] bytes and whose sequence
    /// 1 to [`SEQUENCE_MAX`].
    #[inline]
    pub fn new(push: &Push<'_>) -> Self {
        debug_assert!(!push.body.is_empty() && push.body.len() <= BODY_BYTES_CEILING);
        debug_assert!((1..=SEQUENCE_MAX).contains(&push.sequence));
        let (sequence, sequence_bytes) = varint::packed(push.sequence);
        let (payload, payload_bytes) =
            varint::packed((1 + sequence_bytes + push.body.len()) as u64);
        let flags_and_sequence = u128::from(sequence) << 8 | u128::from(flag::of(push));
        let head = flags_and_sequence << (8 * (1 + payload_bytes))
            | u128::from(payload) << 8
            | u128::from(kind::PUSH);
        let mut bytes = [0; PUSH_OVERHEAD];
        bytes.copy_from_slice(&head.to_le_bytes()[..PUSH_OVERHEAD]);
        let length = 1 + payload_bytes + 1 + sequence_bytes;
        Self { bytes, length: length.to_le_bytes()[0] }
    }

    /// The bytes, to be followed by the body.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Appends a push.
pub fn put_push(push: &Push<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(PushHead::new(push).as_bytes());
    out.extend_from_slice(push.body);
}

/// Appends a welcome.
pub fn put_welcome(welcome: &Welcome, out: &mut Vec<u8>) {
    frame::put(kind::WELCOME, out, |out| {
        out.extend_from_slice(&welcome.session);
        varint::put(u64::from(welcome.heartbeat), out);
        varint::put(welcome.server_time, out);
        varint::put(welcome.next_sequence, out);
        out.push(u8::from(welcome.resumed));
        varint::put(u64::from(welcome.body_max), out);
    });
}

/// Appends a pong.
pub fn put_pong(out: &mut Vec<u8>) {
    out.extend_from_slice(&PONG);
}

/// Appends the notice of a kick.
pub fn put_kick(code: u16, reason: &str, out: &mut Vec<u8>) {
    frame::put(kind::NOTICE, out, |out| {
        out.push(notice::KICK);
        varint::put(u64::from(code), out);
        put_text(reason, out);
    });
}

/// Appends the notice of a redirect; addresses beyond eight are left out.
pub fn put_redirect(delay: u32, addresses: &[&str], out: &mut Vec<u8>) {
    frame::put(kind::NOTICE, out, |out| {
        out.push(notice::REDIRECT);
        varint::put(u64::from(delay), out);
        let addresses = &addresses[..addresses.len().min(REDIRECT_ADDRESSES)];
        put_count(addresses.len(), out);
        for address in addresses {
            put_text(address, out);
        }
    });
}

/// Appends the notice of a drain.
pub fn put_drain(delay: u32, out: &mut Vec<u8>) {
    frame::put(kind::NOTICE, out, |out| {
        out.push(notice::DRAIN);
        varint::put(u64::from(delay), out);
    });
}

/// Appends a close.
pub fn put_close(code: u16, reason: &str, out: &mut Vec<u8>) {
    frame::put(kind::CLOSE, out, |out| {
        varint::put(u64::from(code), out);
        put_text(reason, out);
    });
}
