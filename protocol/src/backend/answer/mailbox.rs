//! How a user's mailbox stands.

use super::kind;
use crate::backend::RequestId;
use crate::error::Violation;
use crate::field::Reader;
use crate::frame;
use crate::varint;
use alloc::vec::Vec;

/// The flags of a mailbox.
mod flag {
    pub(super) const QUARANTINED: u8 = 0b01;
    pub(super) const ONLINE: u8 = 0b10;
    pub(super) const KNOWN: u8 = 0b11;
}

/// How the messages that are stored for a user stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mailbox {
    /// How many there are.
    pub messages: u32,
    /// The bytes of their bodies.
    pub bytes: u64,
    /// The sequence of the oldest; 0 if there is none.
    pub first: u64,
    /// The sequence of the newest; 0 if there is none.
    pub last: u64,
    /// The greatest sequence that a client acknowledged; 0 where the gateway does not know.
    pub acked: u64,
    /// How often the oldest was delivered without an acknowledgement of anything.
    pub deliveries: u32,
    /// Nothing durable is delivered until the client acknowledges or the mailbox is released.
    pub quarantined: bool,
    /// The user has a connection now.
    pub online: bool,
    /// How many sessions the user has, those that linger without a connection among them.
    pub sessions: u32,
}

impl Mailbox {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let mut mailbox = Self {
            messages: reader.integer_u32(u32::MAX)?,
            bytes: reader.integer()?,
            first: reader.integer()?,
            last: reader.integer()?,
            acked: reader.integer()?,
            deliveries: reader.integer_u32(u32::MAX)?,
            ..Self::default()
        };
        let flags = reader.byte()?;
        if flags & !flag::KNOWN != 0 {
            return Err(Violation::UnknownValue);
        }
        mailbox.quarantined = flags & flag::QUARANTINED != 0;
        mailbox.online = flags & flag::ONLINE != 0;
        mailbox.sessions = reader.integer_u32(u32::MAX)?;
        Ok(mailbox)
    }
}

/// Appends how a mailbox stands.
pub fn put_mailbox(id: RequestId, mailbox: &Mailbox, out: &mut Vec<u8>) {
    let quarantined = u8::from(mailbox.quarantined) * flag::QUARANTINED;
    frame::put(kind::MAILBOX, out, |out| {
        varint::put(id, out);
        varint::put(u64::from(mailbox.messages), out);
        varint::put(mailbox.bytes, out);
        varint::put(mailbox.first, out);
        varint::put(mailbox.last, out);
        varint::put(mailbox.acked, out);
        varint::put(u64::from(mailbox.deliveries), out);
        out.push(quarantined | (u8::from(mailbox.online) * flag::ONLINE));
        varint::put(u64::from(mailbox.sessions), out);
    });
}
