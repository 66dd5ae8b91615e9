//! What a shard needs to know of the configuration, in its own units.

use crate::auth::{BackendAuth, ClientAuth};
use crate::directory::place::Placer;
use crate::mailbox::room::{MailboxPolicy, Rules};
use std::time::Duration;

/// A product that the gateway serves.
#[derive(Debug)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// Hashes its users.
    pub placer: Placer,
    /// Most sessions that one user may have; at least 1.
    pub sessions: usize,
    /// How its users' mailboxes are bounded.
    pub mailbox: MailboxPolicy,
}

impl Product {
    /// The product of this name, whose users have so many sessions each and mailboxes like these.
    pub fn new(name: &str, sessions: usize, mailbox: MailboxPolicy) -> Self {
        Self { name: name.to_owned(), placer: Placer::new(name), sessions, mailbox }
    }
}

/// The same for all shards of a process. Times are in seconds unless they say otherwise.
#[derive(Debug)]
pub struct Settings {
    /// The host's number in its cluster.
    pub host: u16,
    /// Grows each time the host's process starts.
    pub incarnation: u32,
    /// How many shards there are.
    pub shards: u16,
    /// The products, by number.
    pub products: Vec<Product>,
    /// Who may log in.
    pub client_auth: ClientAuth,
    /// Which backends may connect.
    pub backend_auth: BackendAuth,
    /// Most connections of clients of one shard.
    pub clients_max: usize,
    /// Most connections of clients of all shards together; `None` for as many as fit.
    pub clients_total: Option<u64>,
    /// Most backends of one shard.
    pub backends_max: usize,
    /// For a complete hello, from the accept.
    pub hello_timeout: u32,
    /// For the rest of a frame that was begun.
    pub frame_timeout: u32,
    /// The heartbeat of a client that wants none in particular.
    pub heartbeat: u16,
    /// The shortest heartbeat granted.
    pub heartbeat_min: u16,
    /// The longest heartbeat granted.
    pub heartbeat_max: u16,
    /// Clients of one shard closed in a second while it leaves; zero for all at once.
    pub drain_rate: u32,
    /// How long pongs may wait for one another on an idle shard.
    pub pong_delay: Duration,
    /// Most frames that a client may send in one second.
    pub frames_per_second: u16,
    /// Most bytes that wait for one client.
    pub outbox_bytes: usize,
    /// How long a message may wait for a peer that reads slowly.
    pub slow_reader_timeout: u32,
    /// The longest body, in bytes.
    pub body_max: usize,
    /// The window of a backend, in targets.
    pub window: u32,
    /// A backend for which more bytes than this wait is not read.
    pub backend_outbox_bytes: usize,
    /// The longest silence of a backend.
    pub backend_idle: u32,
    /// Most broadcast jobs of one owner that run at once.
    pub jobs_max: usize,
    /// Most durable broadcasts of one product that are kept.
    pub kept_max: usize,
    /// Most deliveries of broadcasts in one turn.
    pub slice: u32,
    /// The pace of a broadcast that asks for none, in users a second; 0 for as fast as it goes.
    pub broadcast_pace: u32,
    /// How long a session whose connection dropped may be come back to.
    pub linger: u32,
    /// How durable messages are treated.
    pub rules: Rules,
    /// The time to live of a message of class online that asks for none.
    pub ttl: u32,
    /// The time to live of a broadcast that asks for none.
    pub broadcast_ttl: u32,
}

impl Settings {
    /// The number of the product of this name.
    pub fn product(&self, name: &str) -> Option<u16> {
        let place = self.products.iter().position(|product| product.name == name)?;
        u16::try_from(place).ok()
    }

    /// The heartbeat to grant to a client that wants `wanted` seconds; 0 for none in particular.
    pub fn grant(&self, wanted: u16) -> u16 {
        let wanted = if wanted == 0 { self.heartbeat } else { wanted };
        wanted.clamp(self.heartbeat_min, self.heartbeat_max)
    }

    /// This shard's part of the clients that may be there: over all shards, as many as there may
    /// be in all.
    pub fn clients_share(&self, shard: u16) -> u64 {
        share(self.clients_max as u64, self.clients_total, (shard, self.shards))
    }
}

/// The part of one of so many shards, each of which has places for `each`, in at most `total`.
fn share(each: u64, total: Option<u64>, (shard, shards): (u16, u16)) -> u64 {
    let (shard, shards) = (u64::from(shard), u64::from(shards.max(1)));
    total.map_or(each, |total| each.min(total / shards + u64::from(shard < total % shards)))
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn the_parts_of_all_shards_are_what_there_may_be_in_all() {
        let sum = |each, total| (0..3).map(|shard| share(each, total, (shard, 3))).sum::<u64>();
        assert_eq!(sum(100, None), 300);
        assert_eq!(sum(100, Some(250)), 250);
        assert_eq!(sum(84, Some(250)), 250);
        assert_eq!(sum(83, Some(250)), 249, "each shard's own places end first");
        assert_eq!(sum(100, Some(2)), 2);
    }
}
