//! The store in Redis, against real servers: Debian's `redis-server`, started by each test on
//! loopback in a temporary directory. Without it the tests fail and say what to install.

#![allow(missing_docs, reason = "tests are named after what they show")]
#![allow(clippy::unwrap_used, reason = "what does not work fails the test")]

#[path = "redis/cut.rs"]
mod cut;
#[path = "redis/failover.rs"]
mod failover;
#[path = "redis/histories.rs"]
mod histories;
#[path = "redis/proxy.rs"]
mod proxy;
#[path = "redis/server.rs"]
mod server;
#[path = "redis/shard.rs"]
mod shard;
#[path = "redis/sharing.rs"]
mod sharing;
#[path = "redis/single.rs"]
mod single;
#[path = "redis/tls.rs"]
mod tls;
