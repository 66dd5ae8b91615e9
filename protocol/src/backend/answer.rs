//! What the gateway answers a backend.

mod list;
mod mailbox;
mod receipt;
mod word;

pub use list::{Counters, Counts, Outcomes};
pub use mailbox::{Mailbox, put_mailbox};
pub use receipt::{Receipt, put_receipt};
pub use word::{DropReason, ErrorCode, JobState, Outcome, Rejection};

use crate::backend::{JobId, RequestId};
use crate::error::Violation;
use crate::field::{Reader, put_text};
use crate::frame::{self, Frame, SKIPPABLE};
use crate::limits::{
    BACKEND_PAYLOAD, BODY_BYTES_CEILING, COUNTERS, ONLINE_USERS, PUSH_TARGETS, REASON_BYTES,
    VERSION,
};
use crate::varint;
use alloc::vec::Vec;

/// Kinds of frames to backends. The ranges reserved for requests are reserved here with 0x40 added.
pub mod kind {
    /// [`super::Welcome`].
    pub const WELCOME: u8 = 0x41;
    /// [`super::Answer::Pong`].
    pub const PONG: u8 = 0x42;
    /// [`super::Answer::Drain`].
    pub const DRAIN: u8 = 0x44;
    /// [`super::Answer::Close`].
    pub const CLOSE: u8 = 0x45;
    /// [`super::Answer::Error`].
    pub const ERROR: u8 = 0x46;
    /// [`super::Answer::Push`].
    pub const PUSH: u8 = 0x50;
    /// [`super::Answer::Job`].
    pub const JOB: u8 = 0x51;
    /// [`super::Answer::Online`].
    pub const ONLINE: u8 = 0x56;
    /// [`super::Answer::Kick`].
    pub const KICK: u8 = 0x57;
    /// [`super::Answer::Counters`].
    pub const COUNTERS: u8 = 0x58;
    /// [`super::Mailbox`].
    pub const MAILBOX: u8 = 0x59;
    /// [`super::Receipt`].
    pub const RECEIPT: u8 = 0x5a;
}

/// A frame to a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The hello was good.
    Welcome(Welcome),
    /// The answer to a ping.
    Pong,
    /// The gateway shuts down after so many milliseconds; finish and connect elsewhere.
    Drain {
        /// Milliseconds until it closes.
        delay: u32,
    },
    /// The last frame: why the gateway closes the connection.
    Close {
        /// A [`crate::close::Code`], perhaps of a later version.
        code: u16,
        /// The reason in words, for a person.
        reason: &'a str,
    },
    /// The request was not carried out.
    Error {
        /// Which request.
        id: RequestId,
        /// An [`ErrorCode`], perhaps of a later version.
        code: u16,
        /// Try again after so many milliseconds; 0 for never.
        retry_after: u32,
        /// The error in words, for a person.
        text: &'a str,
    },
    /// One outcome for each target of a push, in the order sent.
    Push(RequestId, Outcomes<'a>),
    /// How a broadcast job stands.
    Job(RequestId, Job),
    /// How many sessions each user has, in the order asked.
    Online(RequestId, Counts<'a>),
    /// How many sessions were ended.
    Kick(RequestId, u32),
    /// The gateway's counters.
    Counters(RequestId, Counters<'a>),
    /// How a user's mailbox stands after what was done with it.
    Mailbox(RequestId, Mailbox),
    /// What became of a durable message in the end; answers no request.
    Receipt(Receipt<'a>),
    /// A kind of a later version, to be passed over.
    Skipped,
}

/// What a backend gets for its hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// How much may be unanswered at once: each target of a push counts one, each other request
    /// one.
    pub window: u32,
    /// The longest body that this gateway pushes.
    pub body_max: u32,
    /// The host's number in its cluster.
    pub host: u16,
    /// Grows each time the host's process starts.
    pub incarnation: u32,
}

/// How a broadcast job stands. `total = delivered + dropped + left` at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// The job.
    pub id: JobId,
    /// Whether it goes on.
    pub state: JobState,
    /// The broadcast's number in its product.
    pub sequence: u64,
    /// Sessions that it is for, counted when it started.
    pub total: u64,
    /// Sessions for which the gateway's kernel took it.
    pub delivered: u64,
    /// Sessions that did not get it: gone meanwhile, their outbox was full, or its time to live
    /// ended.
    pub dropped: u64,
}

impl<'a> Answer<'a> {
    /// Understands a frame.
    pub fn decode(frame: Frame<'a>) -> Result<Self, Violation> {
        let mut reader = Reader::new(frame.payload);
        let r = &mut reader;
        let meaning = match frame.kind {
            kind::WELCOME => Self::Welcome(Welcome::read(r)?),
            kind::PONG => Self::Pong,
            kind::DRAIN => Self::Drain { delay: r.integer_u32(u32::MAX)? },
            kind::CLOSE => {
                Self::Close { code: r.integer_u16(u16::MAX)?, reason: r.text(0..=REASON_BYTES)? }
            }
            kind::ERROR => Self::Error {
                id: r.integer()?,
                code: r.integer_u16(u16::MAX)?,
                retry_after: r.integer_u32(u32::MAX)?,
                text: r.text(0..=REASON_BYTES)?,
            },
            kind::PUSH => Self::Push(r.integer()?, Outcomes::read(r, PUSH_TARGETS)?),
            kind::JOB => Self::Job(r.integer()?, Job::read(r)?),
            kind::ONLINE => Self::Online(r.integer()?, Counts::read(r, ONLINE_USERS)?),
            kind::KICK => Self::Kick(r.integer()?, r.integer_u32(u32::MAX)?),
            kind::COUNTERS => Self::Counters(r.integer()?, Counters::read(r, COUNTERS)?),
            kind::MAILBOX => Self::Mailbox(r.integer()?, Mailbox::read(r)?),
            kind::RECEIPT => Self::Receipt(Receipt::read(r)?),
            SKIPPABLE.. => return Ok(Self::Skipped),
            _ => return Err(Violation::UnknownKind),
        };
        reader.end()?;
        Ok(meaning)
    }

    /// The request that this answers; `None` for what answers none.
    pub const fn request(&self) -> Option<RequestId> {
        match self {
            Self::Error { id, .. }
            | Self::Push(id, _)
            | Self::Job(id, _)
            | Self::Online(id, _)
            | Self::Kick(id, _)
            | Self::Counters(id, _)
            | Self::Mailbox(id, _) => Some(*id),
            Self::Welcome(_)
            | Self::Pong
            | Self::Drain { .. }
            | Self::Close { .. }
            | Self::Receipt(_)
            | Self::Skipped => None,
        }
    }
}

impl Welcome {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        if reader.byte()? != VERSION {
            return Err(Violation::UnsupportedVersion);
        }
        Ok(Self {
            window: reader.integer_u32(u32::MAX)?,
            body_max: reader.size(BODY_BYTES_CEILING)?,
            host: reader.integer_u16(u16::MAX)?,
            incarnation: reader.integer_u32(u32::MAX)?,
        })
    }
}

impl Job {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        Ok(Self {
            id: reader.integer()?,
            state: JobState::from_number(reader.integer()?).ok_or(Violation::UnknownValue)?,
            sequence: reader.integer()?,
            total: reader.integer()?,
            delivered: reader.integer()?,
            dropped: reader.integer()?,
        })
    }
}

const _: () = assert!(PUSH_TARGETS * 9 < BACKEND_PAYLOAD, "the outcomes of a push fit in a frame");

/// Appends a welcome.
pub fn put_welcome(welcome: &Welcome, out: &mut Vec<u8>) {
    frame::put(kind::WELCOME, out, |out| {
        out.push(VERSION);
        varint::put(u64::from(welcome.window), out);
        varint::put(u64::from(welcome.body_max), out);
        varint::put(u64::from(welcome.host), out);
        varint::put(u64::from(welcome.incarnation), out);
    });
}

/// Appends a pong.
pub fn put_pong(out: &mut Vec<u8>) {
    out.extend_from_slice(&[kind::PONG, 0]);
}

/// Appends the notice of a drain.
pub fn put_drain(delay: u32, out: &mut Vec<u8>) {
    frame::put(kind::DRAIN, out, |out| varint::put(u64::from(delay), out));
}

/// Appends a close.
pub fn put_close(code: u16, reason: &str, out: &mut Vec<u8>) {
    frame::put(kind::CLOSE, out, |out| {
        varint::put(u64::from(code), out);
        put_text(reason, out);
    });
}

/// Appends an error.
pub fn put_error(id: RequestId, code: ErrorCode, retry_after: u32, text: &str, out: &mut Vec<u8>) {
    frame::put(kind::ERROR, out, |out| {
        varint::put(id, out);
        varint::put(u64::from(code.number()), out);
        varint::put(u64::from(retry_after), out);
        put_text(text, out);
    });
}

/// Appends the outcomes of a push.
pub fn put_outcomes(id: RequestId, outcomes: &[Outcome], out: &mut Vec<u8>) {
    frame::put(kind::PUSH, out, |out| {
        varint::put(id, out);
        varint::put(outcomes.len() as u64, out);
        for outcome in outcomes {
            outcome.put(out);
        }
    });
}

/// Appends how a job stands.
pub fn put_job(id: RequestId, job: &Job, out: &mut Vec<u8>) {
    frame::put(kind::JOB, out, |out| {
        varint::put(id, out);
        varint::put(job.id, out);
        varint::put(u64::from(job.state.number()), out);
        varint::put(job.sequence, out);
        varint::put(job.total, out);
        varint::put(job.delivered, out);
        varint::put(job.dropped, out);
    });
}

/// Appends the answer to an online query.
pub fn put_online(id: RequestId, counts: &[u32], out: &mut Vec<u8>) {
    frame::put(kind::ONLINE, out, |out| {
        varint::put(id, out);
        varint::put(counts.len() as u64, out);
        for &count in counts {
            varint::put(u64::from(count), out);
        }
    });
}

/// Appends the answer to a kick.
pub fn put_kick(id: RequestId, sessions: u32, out: &mut Vec<u8>) {
    frame::put(kind::KICK, out, |out| {
        varint::put(id, out);
        varint::put(u64::from(sessions), out);
    });
}

/// Appends counters.
pub fn put_counters(id: RequestId, counters: &[(&str, u64)], out: &mut Vec<u8>) {
    frame::put(kind::COUNTERS, out, |out| {
        varint::put(id, out);
        let counters = &counters[..counters.len().min(COUNTERS)];
        varint::put(counters.len() as u64, out);
        for (name, value) in counters {
            put_text(name, out);
            varint::put(*value, out);
        }
    });
}
