//! What Holdfast keeps: messages until they are acknowledged, durable broadcasts until their time
//! to live ends.
//!
//! Shards never wait for a disk. Each has a [`Port`]: it sends a [`Batch`] of [`Command`]s, goes on
//! serving, and hears an [`Event`] when the whole batch is safe. A shard has at most one batch on
//! its way, so its next one grows while the store syncs: the slower the disk, the larger the groups
//! that one sync commits.
//!
//! The index of what is kept belongs to the shards (each user's home knows the [`Place`]s of its
//! messages); the store knows bytes. So a message that waits for its reader costs an index entry in
//! memory and its body nothing.
//!
//! Below these letters a back end keeps all of it: files of one directory, memory, or Redis.

pub mod check;
mod clock;
pub mod disk;
pub mod embedded;
pub mod keeper;
pub mod letter;
mod log;
mod own;
pub mod port;
pub mod reader;
mod record;
mod recover;
pub mod redis;
mod stats;

pub use letter::{
    Append, Ask, Batch, Broadcast, BroadcastState, Command, Event, Freed, KeyMark, Loaded, Mark,
    Place, Seen, Span, Trouble, Wanted,
};
pub use port::{Bell, Port, Server, connect};

use compact_str::CompactString;

/// What a store had kept before this process began, for one shard.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Every mailbox that is not empty.
    pub mailboxes: Vec<Mailbox>,
    /// Idempotency keys whose window is not over.
    pub keys: Vec<KeyMark>,
    /// Durable broadcasts of every product whose time to live is not over; the same for each
    /// shard.
    pub broadcasts: Vec<Broadcast>,
    /// Who has had which of them, for users whose home is this shard.
    pub seen: Vec<Seen>,
    /// No user was ever given a sequence over this; the same for each shard.
    pub sequence: u64,
}

/// The messages of one user that were stored and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The product's number.
    pub product: u16,
    /// The user.
    pub user: CompactString,
    /// By sequence, ascending. Among them may be some that have expired, of which somebody wants to
    /// be told.
    pub messages: Vec<Kept>,
}

/// What a home knows of one stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the user's order.
    pub sequence: u64,
    /// Where it lies.
    pub place: Place,
    /// The bytes of its body.
    pub length: u32,
    /// The second since 1970 UTC after which it is of no use.
    pub expires: u32,
    /// The backend that wants a receipt; `None` where nobody does.
    pub receipt: Option<CompactString>,
}

/// Whose users live where: what a store needs to know to hand out what it recovered.
pub trait Homes: Send + Sync {
    /// The products of this process, by number; a product that is not there is kept and not
    /// served.
    fn products(&self) -> &[String];
    /// The user's hash in the product of this number.
    fn hash(&self, product: u16, user: &str) -> u64;
    /// The shard that is home to users of this hash.
    fn shard(&self, hash: u64) -> u16;
    /// How many shards there are.
    fn shards(&self) -> u16;
}
