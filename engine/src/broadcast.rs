//! Broadcasts: one message to everybody it is for, as a job.
//!
//! ```text
//!  backend ─ order ─▶ owner ─ part ─▶ every shard ─ counted ─▶ owner ─ job ─▶ backend
//!                       └── pace, pause, resume, cancel ──▶ parts ── progress ──▶ owner
//! ```
//!
//! The owner of all jobs of a product is one shard, the product's home, so it can number them. Each
//! shard walks its own list of members in bounded slices ([`part`]); the owner adds up what they
//! report ([`owner`]). One of class durable is kept by the store before it begins, and who was not
//! there gets it on login ([`notices`], [`late`]). A job costs what its recipients
//! cost, whoever else is connected.

pub mod late;
pub mod notices;
pub mod owner;
pub mod pace;
pub mod part;
pub mod steered;

use compact_str::CompactString;
use holdfast_protocol::backend::JobId;
use holdfast_store::{Broadcast, BroadcastState};
use std::sync::Arc;

/// What every shard needs to know of a broadcast.
#[derive(Debug)]
pub struct PartStart {
    /// The job.
    pub job: JobId,
    /// The product's number.
    pub product: u16,
    /// Only to sessions with this tag; empty for all.
    pub tag: CompactString,
    /// The whole frame, the same for everybody.
    pub frame: Arc<[u8]>,
    /// What is kept of it for who is not there; `None` of class online.
    pub kept: Option<Arc<Broadcast>>,
    /// Whether to wait for [`Order::Pace`] before the first delivery.
    pub paced: bool,
    /// The second, on the process's clock, after which it is of no use.
    pub expires: u32,
}

/// What the owner of a job tells its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Go at so many thousandths of a user a second.
    Pace(u64),
    /// Stop until resumed.
    Pause,
    /// Go on.
    Resume,
    /// Stop for good.
    Cancel,
}

impl Order {
    /// How a durable broadcast stands after it, where it says that.
    pub fn state(self) -> Option<BroadcastState> {
        match self {
            Self::Pace(_) => None,
            Self::Pause => Some(BroadcastState::Paused),
            Self::Resume => Some(BroadcastState::Running),
            Self::Cancel => Some(BroadcastState::Cancelled),
        }
    }
}

/// What a part tells the owner of its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartReport {
    /// The job.
    pub job: JobId,
    /// The part's shard.
    pub shard: u16,
    /// What it has to say.
    pub news: News,
}

/// The news of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// So many sessions are to be served here.
    Counted(u64),
    /// So many were, so far.
    Progress {
        /// Sessions served.
        delivered: u64,
        /// Sessions that could not be served.
        dropped: u64,
        /// Whether everybody here was met; some may not have read it yet.
        met: bool,
        /// Whether nothing is left to do here.
        done: bool,
    },
}

/// The job that `number` of the shard `owner` of `host` is.
pub fn job_id(host: u16, owner: u16, number: u32) -> JobId {
    u64::from(host) << 48 | u64::from(owner) << 32 | u64::from(number)
}

/// The shard, of so many, that owns a job; `None` for a job of another host. A job may be older
/// than this process, which may have fewer shards than the one that gave it its id.
pub fn owner_of(job: JobId, host: u16, shards: u16) -> Option<u16> {
    let bytes = job.to_be_bytes();
    (u16::from_be_bytes([bytes[0], bytes[1]]) == host)
        .then(|| u16::from_be_bytes([bytes[2], bytes[3]]) % shards.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_an_owner_however_many_shards_there_are() {
        let job = job_id(3, 4, 77);
        assert_eq!(owner_of(job, 3, 5), Some(4));
        assert_eq!(owner_of(job, 3, 3), Some(1));
        assert_eq!(owner_of(job, 2, 5), None);
    }
}
