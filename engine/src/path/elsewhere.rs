//! What this host learns of others that share its store: their durable broadcasts, and which
//! sequences are its own.
//!
//! A user who logs in gets what others began. One who is here when another host begins a broadcast
//! gets it with the next login here: it is not this host's to walk over.

use crate::broadcast::notices::Had;
use crate::connection::id::ConnectionId;
use crate::io::{Io, Key};
use crate::mailbox::room::RESERVE;
use crate::shard::{Shard, key as key_of};
use holdfast_store::Broadcast;
use std::sync::Arc;

impl<I: Io> Shard<I> {
    /// Sequences behind this one are this process's alone.
    pub(crate) fn take_block(&mut self, behind: u64) {
        let Some(room) = self.mailroom.as_mut() else { return };
        room.reserved = behind + RESERVE;
        self.homes.own_block(behind, RESERVE);
    }

    /// Another host keeps this broadcast. Of one that this process began all shards are told once
    /// the store has answered: the store may hear of it from itself before that.
    pub(crate) fn learn_broadcast(&mut self, broadcast: &Arc<Broadcast>) {
        if !self.owner.is_of_this_life(broadcast.job) {
            self.notices.learn(broadcast);
        }
    }

    /// The store could not say what the user of a new session has had: it gets none of the
    /// broadcasts that began before it came, until that is known.
    pub(crate) fn withhold(&mut self, key: Key, product: u16, said: u64) {
        let numbers = self.notices.numbers(product);
        if !numbers.is_empty() {
            self.withheld.insert(key, (numbers, said));
        }
    }

    /// Now it is known.
    pub(crate) fn make_sure(&mut self, connection: ConnectionId, mut had: Had) {
        let key = key_of(connection);
        if let Some((numbers, said)) = self.withheld.remove(&key) {
            had.said = said;
            self.owe_all(key, &had, |number| numbers.binary_search(&number).is_ok());
        }
    }
}
