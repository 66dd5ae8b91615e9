//! The store in Redis or Valkey, 7.0 or later: one server, one watched by Sentinel, or a Cluster.
//! Several processes may share it: what one stored, another opens.
//!
//! A control thread serves the letters of all shards. Each shard's batch becomes one pipeline a
//! node, on connections of that shard alone, so that one shard's wait for replicas holds up nobody
//! else; questions have connections of their own.
//!
//! # What is kept
//!
//! A user's keys share a hash tag, the user's hash in hexadecimal, so Cluster spreads users and
//! keeps each whole: an *index* (sorted set: sequence → length, expiry, receipt; and the greatest
//! sequence ever given, under the negative score of a member `last`; and who stored last), the
//! *bodies* (hash: sequence → body, so that opening a mailbox moves no bodies), and *marks*
//! (sorted set by time: idempotency keys). Streams would be fewer commands, but a stream takes 4.7
//! KB for its first message of 200 bytes (measured with `MEMORY USAGE` on 7.0); this layout takes
//! 0.5 KB. Every key expires by itself. `redis/names.rs` and `redis/script.rs` say the rest.
//!
//! # Why this client library, and what is our own
//!
//! `redis` and `fred` both do TLS by rustls, users and passwords, and pipelines, and both are kept.
//! Their Cluster clients also follow redirections and try again by themselves, below the caller,
//! which is wrong here: `WAIT` speaks for the writes of its own connection alone, so a write that
//! was quietly sent elsewhere would be called replicated when it is not. So this store keeps the
//! map of slots itself (`redis/place.rs`, `redis/caller.rs`), and needs of a library only one
//! connection that it never replaces: `redis`, the smaller of the two, gives exactly that.
//!
//! # What is not promised
//!
//! Redis replicates after it has answered. [`Durability`] says what each level survives.

mod caller;
mod counters;
mod deadlines;
mod desk;
mod encode;
mod follow;
mod health;
mod lineage;
mod link;
mod names;
mod namesake;
mod news;
mod options;
mod owed;
mod place;
mod porter;
mod reader;
mod recovery;
mod reply;
mod script;
mod service;
mod write;

pub use counters::{Counters, Numbers};
pub use options::{Credentials, Durability, Mode, OpenError, Options, Tls};
pub use service::{Handle, Started, start};
