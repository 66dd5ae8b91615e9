//! Asking about a user's mailbox: the messages that are stored for the user and not acknowledged.

use super::kind;
use crate::backend::RequestId;
use crate::error::Violation;
use crate::field::{Reader, put_text};
use crate::frame;
use crate::varint;
use alloc::vec::Vec;

/// What to do with a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MailboxAction {
    /// Nothing: only tell how it stands.
    Show = 0,
    /// Drop every message in it.
    Purge = 1,
    /// End its quarantine: what is in it is delivered again.
    Release = 2,
}

impl MailboxAction {
    /// Every action, by its number.
    pub const ALL: [Self; 3] = [Self::Show, Self::Purge, Self::Release];

    /// A word for people and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Show => "show",
            Self::Purge => "purge",
            Self::Release => "release",
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let number = usize::from(reader.byte()?);
        Self::ALL.get(number).copied().ok_or(Violation::UnknownValue)
    }
}

/// Appends a question about, or an order to, a mailbox.
pub fn put_mailbox(
    id: RequestId,
    action: MailboxAction,
    product: &str,
    user: &str,
    out: &mut Vec<u8>,
) {
    frame::put(kind::MAILBOX, out, |out| {
        varint::put(id, out);
        put_text(product, out);
        put_text(user, out);
        out.push(action as u8);
    });
}
