//! The records of a log: how they look in a file. Pure; no file is touched here.
//!
//! ```text
//! crc32c, 4 bytes | length of the payload, 4 bytes | kind, 1 byte | payload
//! ```
//!
//! All numbers are little-endian. The checksum covers everything behind itself and begins at the
//! segment's salt, so that what a client puts into a body can never look like a record, nor can
//! what another segment left on the same blocks. Products are written by name: their numbers are
//! of one process only. Names, users and keys are at most 65,535 bytes; the parts of the gateway
//! that accept them allow far less.
//!
//! What an orderly stop leaves beside the segments has a form of its own: `log/witness.rs`.
//!
//! Decoding takes whatever bytes there are: it never panics and allocates nothing.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(crate) use decode::{Bad, meaning as parse_payload, parse, shape, unproven};
pub(crate) use encode::Pen;

use crate::letter::{BroadcastState, KeyMark};

/// What stands before each payload.
pub(crate) const HEAD: usize = 9;
/// The bytes of one key mark.
pub(crate) const KEY_MARK: usize = 28;
/// The version of the format that this code writes. It reads those from [`OLDEST`] on.
pub(crate) const VERSION: u16 = 2;
/// The oldest version that this code reads: its headers do not say [`Header::room`].
pub(crate) const OLDEST: u16 = 1;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Header = 1,
    Message = 2,
    Trim = 3,
    Broadcast = 4,
    Steer = 5,
    Seen = 6,
    Keys = 7,
    Mark = 8,
    Reserve = 9,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Header,
        Self::Message,
        Self::Trim,
        Self::Broadcast,
        Self::Steer,
        Self::Seen,
        Self::Keys,
        Self::Mark,
        Self::Reserve,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The kind of this record.
    pub(crate) const fn of_record(record: &Record<'_>) -> Self {
        match record {
            Record::Header(_) => Self::Header,
            Record::Message(_) => Self::Message,
            Record::Trim { .. } => Self::Trim,
            Record::Broadcast(_) => Self::Broadcast,
            Record::Steer { .. } => Self::Steer,
            Record::Seen { .. } => Self::Seen,
            Record::Keys(_) => Self::Keys,
            Record::Mark(_) => Self::Mark,
            Record::Reserve(_) => Self::Reserve,
        }
    }

    /// How a report names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Message => "message",
            Self::Trim => "trim",
            Self::Broadcast => "broadcast",
            Self::Steer => "steer",
            Self::Seen => "seen",
            Self::Keys => "keys",
            Self::Mark => "mark",
            Self::Reserve => "reserve",
        }
    }
}

/// What a payload says. It borrows from the bytes that it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    Header(Header),
    Message(Message<'a>),
    Trim {
        product: &'a str,
        user: &'a str,
        upto: u64,
    },
    Broadcast(Cast<'a>),
    Steer {
        product: &'a str,
        number: u64,
        state: BroadcastState,
    },
    Seen {
        product: &'a str,
        number: u64,
        until: u32,
        users: Hashes<'a>,
    },
    Keys(Marks<'a>),
    /// Everything of this segment below this offset had been synced when this was written.
    Mark(u32),
    /// Sequences up to this may have been given out.
    Reserve(u64),
}

impl<'a> Record<'a> {
    /// The product that it belongs to, where it says one.
    pub(crate) const fn product(&self) -> Option<&'a str> {
        match self {
            Self::Message(Message { product, .. })
            | Self::Broadcast(Cast { product, .. })
            | Self::Trim { product, .. }
            | Self::Steer { product, .. }
            | Self::Seen { product, .. } => Some(product),
            Self::Header(_) | Self::Keys(_) | Self::Mark(_) | Self::Reserve(_) => None,
        }
    }
}

/// What a segment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u16,
    /// The segment's own.
    pub(crate) number: u32,
    /// How much of the segment before it was synced: all that may be read of it.
    pub(crate) before: u32,
    /// The greatest sequence that may have been given out when this segment was begun.
    pub(crate) reserved: u64,
    /// How long the file was before this was written, in bytes: what lies below that and is no
    /// record may be an older segment's. 0 where the version does not say it.
    pub(crate) room: u32,
}

/// A message to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) product: &'a str,
    pub(crate) user: &'a str,
    pub(crate) sequence: u64,
    pub(crate) at: u32,
    pub(crate) expires: u32,
    pub(crate) key: &'a [u8],
    pub(crate) receipt: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// A durable broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cast<'a> {
    pub(crate) product: &'a str,
    pub(crate) number: u64,
    pub(crate) job: u64,
    pub(crate) at: u32,
    pub(crate) expires: u32,
    pub(crate) state: BroadcastState,
    pub(crate) tag: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// Hashes of users, as they lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashes<'a>(&'a [u8]);

impl<'a> Hashes<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = u64> + 'a {
        self.0.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
    }
}

/// Key marks, as they lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks<'a>(&'a [u8]);

impl<'a> Marks<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = KeyMark> + 'a {
        self.0.as_chunks::<KEY_MARK>().0.iter().map(decode::key_mark)
    }
}
