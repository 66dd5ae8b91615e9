//! What became of a durable message in the end: the one frame to a backend that answers no request.

use super::{Outcome, kind};
use crate::error::Violation;
use crate::field::{Reader, put_text};
use crate::frame;
use crate::limits::{PRODUCT_BYTES, USER_BYTES};
use crate::varint;
use alloc::vec::Vec;

/// The end of a durable message whose target asked for a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// The product, 1 to 32 bytes.
    pub product: &'a str,
    /// The user, 1 to 64 bytes.
    pub user: &'a str,
    /// The sequence under which the message was stored.
    pub sequence: u64,
    /// Only [`Outcome::Acked`] (with the message's own sequence), [`Outcome::Expired`] or
    /// [`Outcome::Dropped`].
    pub outcome: Outcome,
}

impl<'a> Receipt<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let receipt = Self {
            product: reader.text(1..=PRODUCT_BYTES)?,
            user: reader.text(1..=USER_BYTES)?,
            sequence: reader.integer()?,
            outcome: Outcome::read(reader)?,
        };
        receipt.check().map(|()| receipt)
    }

    fn check(&self) -> Result<(), Violation> {
        match self.outcome {
            Outcome::Acked(sequence) if sequence != self.sequence => Err(Violation::OutOfBounds),
            Outcome::Acked(_) | Outcome::Expired | Outcome::Dropped(_) => Ok(()),
            Outcome::Delivered(_)
            | Outcome::Offline
            | Outcome::Stored(_)
            | Outcome::Rejected(_)
            | Outcome::Busy(_) => Err(Violation::UnknownValue),
        }
    }
}

/// Appends a receipt, whose outcome must be one that may occur.
pub fn put_receipt(receipt: &Receipt<'_>, out: &mut Vec<u8>) {
    debug_assert_eq!(receipt.check(), Ok(()), "{:?} ends nothing", receipt.outcome);
    frame::put(kind::RECEIPT, out, |out| {
        put_text(receipt.product, out);
        put_text(receipt.user, out);
        varint::put(receipt.sequence, out);
        receipt.outcome.put(out);
    });
}
