//! The durable broadcasts of a product, as this process knows them and as the servers have them.
//!
//! Each is fetched once: what is over is remembered by its number while the servers have it, and
//! what is out of date is removed there.

use crate::letter::{Broadcast, BroadcastState};
use crate::redis::caller::{Caller, Op};
use crate::redis::desk::{Desk, now};
use crate::redis::encode;
use crate::redis::reply::{Fault, bytes, list, text};
use crate::redis::write::{SPARED, op};
use redis::Value;
use std::collections::BTreeMap;

/// A durable broadcast that somebody may still have to get.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live {
    expires: u32,
    state: BroadcastState,
}

/// What this process knows of a product's durable broadcasts.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By number.
    pub(super) live: BTreeMap<u64, Live>,
    /// Those that nobody gets any more, and until when the servers are to keep them.
    over: BTreeMap<u64, u32>,
}

/// What the servers say of a product.
pub(super) struct News {
    /// What was not known: all but what is out of date, by number.
    pub(super) new: Vec<Broadcast>,
    /// How each of the product's broadcasts stands.
    pub(super) states: BTreeMap<u64, BroadcastState>,
}

impl Known {
    fn has(&self, number: u64) -> bool {
        self.live.contains_key(&number) || self.over.contains_key(&number)
    }

    fn add(&mut self, broadcast: &Broadcast, now: u32) {
        let Broadcast { number, expires, state, .. } = *broadcast;
        if expires < now || state == BroadcastState::Cancelled {
            self.over.insert(number, expires);
        } else {
            self.live.insert(number, Live { expires, state });
        }
    }

    /// What goes out of date is over.
    fn age(&mut self, now: u32) {
        let over = &mut self.over;
        self.live.retain(|number, live| {
            let lives = live.expires >= now;
            if !lives {
                over.insert(*number, live.expires);
            }
            lives
        });
    }

    /// What the servers need not keep. Clocks differ, so not what has only just ended.
    fn stale(&self, now: u32) -> Vec<u64> {
        let stale = self.over.iter().filter(|(_, expires)| expires.saturating_add(SPARED) < now);
        stale.map(|(number, _)| *number).collect()
    }
}

impl Desk {
    /// Remembers a broadcast.
    pub(super) fn know(&self, broadcast: &Broadcast) {
        let mut known = self.known.borrow_mut();
        let known = known.entry(broadcast.product).or_default();
        known.age(now());
        known.add(broadcast, now());
    }

    /// A live broadcast stands so; whether that is new.
    pub(super) fn see_state(&self, (product, number): (u16, u64), state: BroadcastState) -> bool {
        let mut known = self.known.borrow_mut();
        let live = known.get_mut(&product).and_then(|known| known.live.get_mut(&number));
        live.is_some_and(|live| std::mem::replace(&mut live.state, state) != state)
    }

    /// What the servers have of a product; what is new of it is known from then on.
    pub(super) async fn news_of(&self, caller: &mut Caller, product: u16) -> Result<News, Fault> {
        let key = self.names.states(self.product(product));
        let all = op(&key, redis::cmd("HGETALL").arg(&key.name).to_owned());
        let states: BTreeMap<_, _> = all_states(&one(caller, all).await?).collect();
        let unknown: Vec<u64> = {
            let mut known = self.known.borrow_mut();
            let known = known.entry(product).or_default();
            known.age(now());
            known.over.retain(|number, _| states.contains_key(number));
            states.keys().copied().filter(|number| !known.has(*number)).collect()
        };
        let mut new = Vec::new();
        if !unknown.is_empty() {
            let key = self.names.broadcasts(self.product(product));
            let mut get = redis::cmd("HMGET");
            get.arg(&key.name).arg(&unknown);
            let bodies = one(caller, op(&key, get)).await?;
            for (number, body) in unknown.into_iter().zip(list(&bodies)) {
                let state = states.get(&number).copied().unwrap_or(BroadcastState::Running);
                new.extend(self.read_broadcast((product, number), state, body));
            }
        }
        Ok(News { new, states })
    }

    /// Reads and remembers a broadcast; nothing where nobody gets it any more for its age.
    fn read_broadcast(
        &self,
        (product, number): (u16, u64),
        state: BroadcastState,
        body: &Value,
    ) -> Option<Broadcast> {
        let read = bytes(body).map(|body| encode::broadcast_of((product, number), state, body));
        if let Some(Some(broadcast)) = read {
            self.know(&broadcast);
            return (broadcast.expires >= now()).then_some(broadcast);
        }
        // Somebody has removed it, or it cannot be read: that stays for people to look at.
        let until = if read.is_some() { u32::MAX } else { 0 };
        if read.is_some() {
            let product = self.product(product);
            tracing::error!(product, number, "a broadcast in Redis cannot be read");
        }
        self.known.borrow_mut().entry(product).or_default().over.insert(number, until);
        None
    }

    /// Has the servers forget what is out of date.
    pub(super) async fn forget(&self, caller: &mut Caller, product: u16) -> Result<(), Fault> {
        let stale = self.known.borrow().get(&product).map(|known| known.stale(now()));
        let stale = stale.unwrap_or_default();
        if stale.is_empty() {
            return Ok(());
        }
        let name = self.product(product);
        // What is left of one is its state, so that it is found again.
        for key in [self.names.broadcasts(name), self.names.states(name)] {
            one(caller, op(&key, redis::cmd("HDEL").arg(&key.name).arg(&stale).to_owned())).await?;
        }
        if let Some(known) = self.known.borrow_mut().get_mut(&product) {
            known.over.retain(|number, _| stale.binary_search(number).is_err());
        }
        Ok(())
    }
}

/// Every broadcast's number and how it stands.
fn all_states(states: &Value) -> impl Iterator<Item = (u64, BroadcastState)> {
    list(states).chunks_exact(2).filter_map(|pair| {
        let number = text(&pair[0])?.parse().ok()?;
        Some((number, encode::state_of(bytes(&pair[1])?)?))
    })
}

/// One command's answer.
pub(super) async fn one(caller: &mut Caller, op: Op) -> Result<Value, Fault> {
    caller.carry(&[op], false).await.pop().unwrap_or(Ok(Value::Nil))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn broadcast(number: u64, expires: u32, state: BroadcastState) -> Broadcast {
        let (tag, key, body) = ("".into(), Box::default(), Arc::from([1_u8].as_slice()));
        Broadcast { product: 0, number, job: 1, tag, at: 0, expires, state, key, body }
    }

    #[test]
    fn what_is_over_is_known_and_goes_when_every_clock_says_so() {
        let mut known = Known::default();
        known.add(&broadcast(1, 100, BroadcastState::Running), 100);
        known.add(&broadcast(2, 900, BroadcastState::Cancelled), 100);
        known.add(&broadcast(3, 99, BroadcastState::Running), 100);
        assert_eq!(known.live.keys().collect::<Vec<_>>(), [&1]);
        known.age(101);
        assert!(known.live.is_empty() && [1, 2, 3].iter().all(|number| known.has(*number)));
        assert_eq!(known.stale(100 + SPARED), [3]);
        assert_eq!(known.stale(101 + SPARED), [1, 3]);
        assert_eq!(known.stale(901 + SPARED), [1, 2, 3]);
    }
}
