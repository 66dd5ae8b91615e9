//! What is asked of a message, and how its push may then be answered.

use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::{DropReason, Rejection};

/// What was asked of a message.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of a push")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kind {
    pub(crate) durable: bool,
    /// Whether it has an idempotency key, and so is pushed again when its answer does not come.
    pub(crate) keyed: bool,
    pub(crate) receipt: bool,
    /// Whether its time to live is short.
    pub(crate) short: bool,
    /// Bytes of its body.
    pub(crate) size: usize,
}

impl Kind {
    /// Whether a push may be answered so; `room` says whether the mailbox makes room for what is
    /// new.
    pub(crate) const fn fits(self, outcome: Outcome, room: bool) -> bool {
        let kind = self;
        match outcome {
            Outcome::Delivered(_)
            | Outcome::Offline
            | Outcome::Dropped(
                DropReason::OutboxFull | DropReason::ConnectionLost | DropReason::Shutdown,
            ) => !kind.durable,
            Outcome::Stored(_) | Outcome::Acked(_) | Outcome::Rejected(Rejection::StoreFull) => {
                kind.durable
            }
            Outcome::Dropped(DropReason::MadeRoom) => kind.durable && room,
            Outcome::Rejected(Rejection::MailboxFull) => kind.durable && !room,
            Outcome::Expired => kind.short,
            Outcome::Rejected(_) | Outcome::Dropped(_) | Outcome::Busy(_) => false,
        }
    }
}
