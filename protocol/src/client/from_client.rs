//! What a client says.

use crate::client::SessionId;
use crate::error::Violation;
use crate::field::{Reader, put_bytes, put_count, put_text};
use crate::frame::{self, Frame, SKIPPABLE};
use crate::limits::{
    DEVICE_BYTES, HEARTBEAT_SECONDS_MAX, PRODUCT_BYTES, SEQUENCE_MAX, SESSION_ID_BYTES, TAG_BYTES,
    TAGS, TOKEN_BYTES, USER_BYTES, VERSION,
};
use crate::varint;
use alloc::vec::Vec;

/// Kinds of frames from clients.
pub mod kind {
    /// [`super::Hello`].
    pub const HELLO: u8 = 0x01;
    /// [`super::FromClient::Ping`].
    pub const PING: u8 = 0x02;
    /// [`super::FromClient::Ack`].
    pub const ACK: u8 = 0x03;
    /// [`super::FromClient::Bye`].
    pub const BYE: u8 = 0x04;
    /// Reserved: a message to backends.
    pub const UPLINK: u8 = 0x05;
    /// Reserved: enter a group.
    pub const JOIN: u8 = 0x06;
    /// Reserved: leave a group.
    pub const LEAVE: u8 = 0x07;
}

/// The bytes of a ping.
pub const PING: [u8; 2] = [kind::PING, 0];

/// A frame from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromClient<'a> {
    /// The first frame of a connection.
    Hello(Hello<'a>),
    /// I am alive; answer with a pong.
    Ping,
    /// Every durable message of the user up to this sequence was dealt with.
    Ack {
        /// The sequence of a durable message of the user, never that of a broadcast.
        sequence: u64,
    },
    /// I close in order; end my session.
    Bye,
    /// A kind of a later version, to be passed over.
    Skipped,
}

/// Who a client is and what it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The protocol version, [`VERSION`].
    pub version: u8,
    /// The wanted heartbeat in seconds; 0 leaves it to the gateway.
    pub heartbeat: u16,
    /// The product, 1 to 32 bytes.
    pub product: &'a str,
    /// The user, 1 to 64 bytes.
    pub user: &'a str,
    /// A name of the device, up to 64 bytes; may be empty.
    pub device: &'a str,
    /// The login token, up to 2048 bytes; empty where the gateway needs none.
    pub token: &'a [u8],
    /// The session to come back to.
    pub resume: Option<Resume>,
    /// Up to 16 tags that broadcasts may select.
    pub tags: Tags<'a>,
}

/// A session that a client had, and how far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// The id from its welcome.
    pub session: SessionId,
    /// The greatest sequence of a durable message of the user that was dealt with; 0 for none. It
    /// counts as an acknowledgement.
    pub sequence: u64,
    /// The greatest number of a durable broadcast of the product that was dealt with; 0 for none.
    pub broadcast: u64,
}

/// The tags of a hello, checked and still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tags<'a> {
    count: usize,
    encoded: &'a [u8],
}

impl<'a> Tags<'a> {
    /// How many.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each tag, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        (0..self.count).map_while(move |_| reader.text(1..=TAG_BYTES).ok())
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let count = usize::from(reader.byte()?);
        if count > TAGS {
            return Err(Violation::OutOfBounds);
        }
        let start = reader.left();
        for _ in 0..count {
            reader.text(1..=TAG_BYTES)?;
        }
        let encoded = &start[..start.len() - reader.left().len()];
        Ok(Self { count, encoded })
    }
}

impl<'a> FromClient<'a> {
    /// Understands a frame.
    pub fn decode(frame: Frame<'a>) -> Result<Self, Violation> {
        let mut reader = Reader::new(frame.payload);
        let meaning = match frame.kind {
            kind::HELLO => Self::Hello(Hello::read(&mut reader)?),
            kind::PING => Self::Ping,
            kind::ACK => Self::Ack { sequence: reader.integer_to(SEQUENCE_MAX)? },
            kind::BYE => Self::Bye,
            SKIPPABLE.. => return Ok(Self::Skipped),
            _ => return Err(Violation::UnknownKind),
        };
        reader.end()?;
        Ok(meaning)
    }
}

impl<'a> Hello<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let version = reader.byte()?;
        if version != VERSION {
            return Err(Violation::UnsupportedVersion);
        }
        Ok(Self {
            version,
            heartbeat: reader.integer_u16(HEARTBEAT_SECONDS_MAX)?,
            product: reader.text(1..=PRODUCT_BYTES)?,
            user: reader.text(1..=USER_BYTES)?,
            device: reader.text(0..=DEVICE_BYTES)?,
            token: reader.bytes(TOKEN_BYTES)?,
            resume: if reader.flag()? { Some(Resume::read(reader)?) } else { None },
            tags: Tags::read(reader)?,
        })
    }
}

impl Resume {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let mut session = [0; SESSION_ID_BYTES];
        session.copy_from_slice(reader.take(SESSION_ID_BYTES)?);
        let sequence = reader.integer_to(SEQUENCE_MAX)?;
        Ok(Self { session, sequence, broadcast: reader.integer_to(SEQUENCE_MAX)? })
    }
}

/// What a client puts into its hello.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity<'a> {
    /// See [`Hello::heartbeat`].
    pub heartbeat: u16,
    /// See [`Hello::product`].
    pub product: &'a str,
    /// See [`Hello::user`].
    pub user: &'a str,
    /// See [`Hello::device`].
    pub device: &'a str,
    /// See [`Hello::token`].
    pub token: &'a [u8],
    /// See [`Hello::resume`].
    pub resume: Option<Resume>,
    /// See [`Hello::tags`].
    pub tags: &'a [&'a str],
}

/// Appends a hello. Fields over their limits are sent as they are, for the gateway to refuse.
pub fn put_hello(identity: &Identity<'_>, out: &mut Vec<u8>) {
    frame::put(kind::HELLO, out, |out| {
        out.push(VERSION);
        varint::put(u64::from(identity.heartbeat), out);
        put_text(identity.product, out);
        put_text(identity.user, out);
        put_text(identity.device, out);
        put_bytes(identity.token, out);
        out.push(u8::from(identity.resume.is_some()));
        if let Some(resume) = identity.resume {
            out.extend_from_slice(&resume.session);
            varint::put(resume.sequence, out);
            varint::put(resume.broadcast, out);
        }
        put_count(identity.tags.len(), out);
        for tag in identity.tags {
            put_text(tag, out);
        }
    });
}

/// Appends a ping.
pub fn put_ping(out: &mut Vec<u8>) {
    out.extend_from_slice(&PING);
}

/// Appends an acknowledgement.
pub fn put_ack(sequence: u64, out: &mut Vec<u8>) {
    frame::put(kind::ACK, out, |out| varint::put(sequence, out));
}

/// Appends a bye.
pub fn put_bye(out: &mut Vec<u8>) {
    out.extend_from_slice(&[kind::BYE, 0]);
}
