//! The words of an answer: what became of a target, why a request was refused, how a job stands.
//! Each has its number on the wire and its name for people.

use crate::error::Violation;
use crate::field::Reader;
use crate::varint;
use alloc::vec::Vec;

mod outcome {
    pub(super) const DELIVERED: u8 = 0;
    pub(super) const OFFLINE: u8 = 1;
    pub(super) const STORED: u8 = 2;
    pub(super) const ACKED: u8 = 3;
    pub(super) const EXPIRED: u8 = 4;
    pub(super) const REJECTED: u8 = 5;
    pub(super) const BUSY: u8 = 6;
    pub(super) const DROPPED: u8 = 7;
}

macro_rules! words {
    ($(#[$type_doc:meta])* $type:ident {
        $($(#[$doc:meta])* $name:ident = $code:literal, $word:literal;)*
    }) => {
        $(#[$type_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $type { $($(#[$doc])* $name = $code,)* }

        impl $type {
            /// Every value, for counters and tables.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The value behind a number; `None` for one that this version does not know.
            pub const fn from_number(number: u64) -> Option<Self> {
                match number { $($code => Some(Self::$name),)* _ => None }
            }

            /// The number on the wire.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// A word for people and counters.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

words! {
    /// Why a target was refused.
    Rejection {
        /// The body is empty.
        EmptyBody = 1, "empty_body";
        /// The body is over the gateway's limit.
        BodyTooLong = 2, "body_too_long";
        /// The gateway has no store for the durable class.
        NoStore = 3, "no_store";
        /// The user's mailbox is at its limit, and its product refuses what is new.
        MailboxFull = 4, "mailbox_full";
        /// The store has no room; nothing durable is taken until it has.
        StoreFull = 5, "store_full";
    }
}

words! {
    /// Why an accepted message did not reach a session.
    DropReason {
        /// The session's outbox is full: it reads too slowly.
        OutboxFull = 1, "outbox_full";
        /// The connection ended before the message was written.
        ConnectionLost = 2, "connection_lost";
        /// The gateway shut down.
        Shutdown = 3, "shutdown";
        /// The user's mailbox was at its limit, and a newer message took the place.
        MadeRoom = 4, "made_room";
        /// An operator or a backend purged the mailbox.
        Purged = 5, "purged";
        /// The disk gave back something else than was stored.
        Unreadable = 6, "unreadable";
    }
}

words! {
    /// Why a request was not carried out.
    ErrorCode {
        /// More was in flight than the window allows.
        WindowOverrun = 1, "window_overrun";
        /// The gateway does not serve this product.
        UnknownProduct = 2, "unknown_product";
        /// No such broadcast job, or it ended too long ago.
        UnknownJob = 3, "unknown_job";
        /// The body is empty.
        EmptyBody = 4, "empty_body";
        /// The body is over the gateway's limit.
        BodyTooLong = 5, "body_too_long";
        /// The gateway has no store for the durable class.
        NoStore = 6, "no_store";
        /// As many broadcast jobs run as may.
        TooManyJobs = 7, "too_many_jobs";
        /// The request's id is in flight already.
        DuplicateId = 8, "duplicate_id";
        /// The gateway shuts down.
        ShuttingDown = 9, "shutting_down";
        /// The kind is reserved for a later version.
        Unsupported = 10, "unsupported";
        /// The store is slow or away; it may work again soon.
        StoreBusy = 11, "store_busy";
        /// The store has no room; nothing durable is taken until it has.
        StoreFull = 12, "store_full";
    }
}

words! {
    /// Whether a broadcast job goes on.
    JobState {
        /// Being delivered.
        Running = 0, "running";
        /// Stopped until resumed.
        Paused = 1, "paused";
        /// Everybody was served.
        Done = 2, "done";
        /// Stopped for good.
        Cancelled = 3, "cancelled";
    }
}

/// What became of one target of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Handed to the kernel for at least one session, under this sequence.
    Delivered(u64),
    /// The user has no session, and the class is not stored.
    Offline,
    /// Stored, to be delivered, under this sequence.
    Stored(u64),
    /// Acknowledged by a client, under this sequence.
    Acked(u64),
    /// Its time to live ended first.
    Expired,
    /// Refused.
    Rejected(Rejection),
    /// Not now; try again after so many milliseconds.
    Busy(u32),
    /// Accepted, then given up.
    Dropped(DropReason),
}

impl Outcome {
    /// A word for people and counters; refusals and drops by their reason.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered(_) => "delivered",
            Self::Offline => "offline",
            Self::Stored(_) => "stored",
            Self::Acked(_) => "acked",
            Self::Expired => "expired",
            Self::Rejected(why) => why.name(),
            Self::Busy(_) => "busy",
            Self::Dropped(why) => why.name(),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        Ok(match reader.byte()? {
            outcome::DELIVERED => Self::Delivered(reader.integer()?),
            outcome::OFFLINE => Self::Offline,
            outcome::STORED => Self::Stored(reader.integer()?),
            outcome::ACKED => Self::Acked(reader.integer()?),
            outcome::EXPIRED => Self::Expired,
            outcome::REJECTED => {
                let why = Rejection::from_number(u64::from(reader.byte()?));
                Self::Rejected(why.ok_or(Violation::UnknownValue)?)
            }
            outcome::BUSY => Self::Busy(reader.integer_u32(u32::MAX)?),
            outcome::DROPPED => {
                let why = DropReason::from_number(u64::from(reader.byte()?));
                Self::Dropped(why.ok_or(Violation::UnknownValue)?)
            }
            _ => return Err(Violation::UnknownValue),
        })
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        let (code, value) = match self {
            Self::Delivered(sequence) => (outcome::DELIVERED, Some(sequence)),
            Self::Offline => (outcome::OFFLINE, None),
            Self::Stored(sequence) => (outcome::STORED, Some(sequence)),
            Self::Acked(sequence) => (outcome::ACKED, Some(sequence)),
            Self::Expired => (outcome::EXPIRED, None),
            Self::Rejected(why) => (outcome::REJECTED, Some(u64::from(why.number()))),
            Self::Busy(after) => (outcome::BUSY, Some(u64::from(after))),
            Self::Dropped(why) => (outcome::DROPPED, Some(u64::from(why.number()))),
        };
        out.push(code);
        if let Some(value) = value {
            varint::put(value, out);
        }
    }
}
