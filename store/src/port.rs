//! The channels between shards and a store.

use crate::letter::{Ask, Batch, Event};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::sync::Arc;

/// Wakes a shard that may sleep. It is rung after events, for several at once or for each.
pub trait Bell: Send + Sync {
    /// Rings.
    fn ring(&self);
}

/// A shard's end.
#[derive(Debug)]
pub struct Port {
    batches: flume::Sender<Batch>,
    asks: flume::Sender<Ask>,
    events: flume::Receiver<Event>,
}

impl Port {
    /// Sends a batch; `false` if the store has ended.
    pub fn send(&self, batch: Batch) -> bool {
        self.batches.send(batch).is_ok()
    }

    /// Asks for what is stored; `false` if the store has ended.
    pub fn ask(&self, ask: Ask) -> bool {
        self.asks.send(ask).is_ok()
    }

    /// The next event, if there is one.
    pub fn hear(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Whether an event waits.
    pub fn has_news(&self) -> bool {
        !self.events.is_empty()
    }
}

/// The store's end.
pub struct Server {
    /// Batches of all shards.
    pub batches: flume::Receiver<Batch>,
    /// Questions of all shards.
    pub asks: flume::Receiver<Ask>,
    /// The way back to each shard.
    pub ears: Vec<Ear>,
}

/// The way back to one shard.
#[derive(Clone)]
pub struct Ear {
    events: flume::Sender<Event>,
    bell: Arc<dyn Bell>,
}

impl Ear {
    /// Tells the shard; a shard that has ended hears nothing.
    pub fn tell(&self, event: Event) {
        if self.events.send(event).is_ok() {
            self.bell.ring();
        }
    }

    /// Lays the event where the shard finds it once it is awake: [`Ear::ring`] is to follow.
    pub fn leave(&self, event: Event) {
        // A shard that has ended hears nothing.
        let _ = self.events.send(event);
    }

    /// Wakes the shard for what was left.
    pub fn ring(&self) {
        self.bell.ring();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Server").field("shards", &self.ears.len()).finish_non_exhaustive()
    }
}

/// Connects a store with the shards whose bells these are.
pub fn connect(bells: Vec<Arc<dyn Bell>>) -> (Vec<Port>, Server) {
    let (batch_in, batches) = flume::unbounded();
    let (ask_in, asks) = flume::unbounded();
    let mut ears = Vec::with_capacity(bells.len());
    let ports = bells
        .into_iter()
        .map(|bell| {
            // Bounded by what a shard has asked: one batch, and one question for each login.
            let (told, events) = flume::unbounded();
            ears.push(Ear { events: told, bell });
            Port { batches: batch_in.clone(), asks: ask_in.clone(), events }
        })
        .collect();
    (ports, Server { batches, asks, ears })
}

/// The hash of an idempotency key, the same in every process.
pub fn key_hash(key: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(key);
    hasher.finish()
}
