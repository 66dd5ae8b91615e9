//! What other processes did that share the servers, and what is due: looked at once a second.
//!
//! A product's states have a version that changes with each of its durable broadcasts, so a look
//! costs one small command a product while there is nothing new. What is due costs nothing while
//! nobody wants to hear of it.

use crate::letter::{Broadcast, BroadcastState, Event};
use crate::redis::caller::{Caller, Op};
use crate::redis::counters::count;
use crate::redis::desk::{Desk, now};
use crate::redis::encode;
use crate::redis::recovery::all_states;
use crate::redis::reply::{Fault, bytes, integer, list};
use crate::redis::write::{VERSION, op};
use redis::Value;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often.
const LOOK: Duration = Duration::from_secs(1);
/// Most mailboxes that are looked at in one round.
const LOOKS: usize = 1000;
/// How many seconds late: the shards' clocks are a turn behind.
const LATE: u32 = 2;

/// A durable broadcast that somebody may still have to get.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live {
    pub(super) expires: u32,
    pub(super) state: BroadcastState,
}

/// What one round leaves to the next.
#[derive(Default)]
struct Known {
    /// The version of each product's states.
    versions: HashMap<u16, Option<i64>>,
    /// Deadlines of which the shards were told.
    told: Vec<Vec<u8>>,
}

/// Follows for ever.
pub(super) async fn follow(desk: Rc<Desk>) {
    let mut caller = Caller::new(Rc::clone(&desk.atlas));
    let mut known = Known::default();
    loop {
        tokio::time::sleep(LOOK).await;
        if desk.health.trouble().is_some() {
            caller.hang_up();
            continue;
        }
        // What cannot be asked now is asked in the next round.
        for outcome in [
            desk.news(&mut caller, &mut known).await,
            desk.deadlines(&mut caller, &mut known).await,
        ] {
            if let Err(fault) = outcome {
                desk.say(&fault);
            }
        }
    }
}

impl Desk {
    /// Hears of durable broadcasts that other processes began or steered.
    async fn news(&self, caller: &mut Caller, known: &mut Known) -> Result<(), Fault> {
        let many = self.homes.products().len();
        let products = 0..u16::try_from(many).unwrap_or(u16::MAX);
        let ask = |product| {
            let key = self.names.states(self.product(product));
            op(&key, redis::cmd("HGET").arg(&key.name).arg(VERSION).to_owned())
        };
        let ops: Vec<Op> = products.clone().map(ask).collect();
        let mut outcomes = Vec::new();
        for (product, version) in products.zip(caller.carry(&ops, false).await) {
            outcomes.push(match version {
                Ok(version) if known.versions.get(&product) == Some(&integer(&version)) => Ok(()),
                Ok(version) => self.news_of(caller, product).await.map(|()| {
                    known.versions.insert(product, integer(&version));
                }),
                Err(fault) => Err(fault),
            });
        }
        outcomes.into_iter().collect()
    }

    async fn news_of(&self, caller: &mut Caller, product: u16) -> Result<(), Fault> {
        let key = self.names.states(self.product(product));
        let all = op(&key, redis::cmd("HGETALL").arg(&key.name).to_owned());
        let states = one(caller, all).await?;
        let new = all_states(&states).filter(|&which| self.is_new(product, which.0));
        let new: Vec<_> = new.collect();
        if !new.is_empty() {
            let key = self.names.broadcasts(self.product(product));
            let mut get = redis::cmd("HMGET");
            get.arg(&key.name).arg(new.iter().map(|which| which.0).collect::<Vec<_>>());
            let bodies = one(caller, op(&key, get)).await?;
            for (&(number, state), body) in new.iter().zip(list(&bodies)) {
                let body = bytes(body);
                let read = body.and_then(|it| encode::broadcast_of((product, number), state, it));
                if let Some(broadcast) = read {
                    self.tell_of(broadcast);
                }
            }
        }
        for (number, state) in all_states(&states) {
            if self.see_state((product, number), state) {
                self.health.tell_all(|| Event::Steered { product, number, state });
            }
        }
        Ok(())
    }

    fn is_new(&self, product: u16, number: u64) -> bool {
        let live = self.live.borrow();
        live.get(&product).is_none_or(|live| !live.contains_key(&number))
    }

    fn tell_of(&self, broadcast: Broadcast) {
        if broadcast.expires >= now() && broadcast.state != BroadcastState::Cancelled {
            self.know(&broadcast);
            let broadcast = Arc::new(broadcast);
            self.health.tell_all(|| Event::Broadcast(Arc::clone(&broadcast)));
        }
    }

    /// A live broadcast stands so; whether that is new.
    pub(super) fn see_state(&self, (product, number): (u16, u64), state: BroadcastState) -> bool {
        let mut live = self.live.borrow_mut();
        let live = live.get_mut(&product).and_then(|live| live.get_mut(&number));
        live.is_some_and(|live| std::mem::replace(&mut live.state, state) != state)
    }

    /// Has mailboxes looked at in which a message went out of date that somebody wants to hear of.
    /// What was told of is forgotten a round later, so a process that ends between says it again.
    async fn deadlines(&self, caller: &mut Caller, known: &mut Known) -> Result<(), Fault> {
        let upto = now().saturating_sub(LATE);
        if self.due.get() > upto && known.told.is_empty() {
            return Ok(());
        }
        let key = self.names.deadlines();
        if !known.told.is_empty() {
            one(caller, op(&key, redis::cmd("ZREM").arg(&key.name).arg(&known.told).to_owned()))
                .await?;
            known.told.clear();
        }
        let mut first = redis::cmd("ZRANGE");
        first.arg(&key.name).arg(0).arg(LOOKS - 1).arg("WITHSCORES");
        // What comes meanwhile lowers it again.
        self.due.set(u32::MAX);
        let first = one(caller, op(&key, first)).await.inspect_err(|_| self.due.set(0))?;
        for pair in list(&first).chunks_exact(2) {
            let expires = integer(&pair[1]).and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
            if expires > upto {
                self.due.set(self.due.get().min(expires));
                break;
            }
            let Some(member) = bytes(&pair[0]) else { continue };
            known.told.push(member.to_vec());
            self.tell_to_look(member);
        }
        Ok(())
    }

    fn tell_to_look(&self, member: &[u8]) {
        let Some((name, user)) = encode::deadline_of(member) else { return };
        let product = self.homes.products().iter().position(|product| product == name);
        let Some(product) = product.and_then(|at| u16::try_from(at).ok()) else { return };
        count(&self.health.counters.looks, 1);
        let shard = self.homes.shard(self.homes.hash(product, user));
        self.health.tell(shard, Event::Look { product, user: user.into() });
    }
}

async fn one(caller: &mut Caller, op: Op) -> Result<Value, Fault> {
    caller.carry(&[op], false).await.pop().unwrap_or(Ok(Value::Nil))
}
