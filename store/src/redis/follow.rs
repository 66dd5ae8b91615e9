//! What other processes did that share the servers: looked at once a second.
//!
//! A product's states have a version that changes with each of its durable broadcasts, so a look
//! costs one small command a product while there is nothing new.

use crate::letter::{BroadcastState, Event};
use crate::redis::caller::{Caller, Op};
use crate::redis::desk::Desk;
use crate::redis::reply::{Fault, integer};
use crate::redis::write::{VERSION, op};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often.
const LOOK: Duration = Duration::from_secs(1);

/// The version of each product's states that was looked at last.
type Versions = HashMap<u16, Option<i64>>;

/// Follows for ever.
pub(super) async fn follow(desk: Rc<Desk>) {
    let mut caller = Caller::new(Rc::clone(&desk.atlas));
    let mut versions = Versions::new();
    let mut held = false;
    loop {
        tokio::time::sleep(LOOK).await;
        if desk.health.trouble().is_some() {
            caller.hang_up();
            continue;
        }
        let number = desk.hold_number(&mut caller, &mut held).await;
        let news = desk.news(&mut caller, &mut versions).await;
        for fault in [number, news].into_iter().filter_map(Result::err) {
            // What cannot be asked now is asked in the next round.
            desk.say(&fault);
        }
    }
}

impl Desk {
    /// Hears of durable broadcasts that other processes began or steered.
    async fn news(&self, caller: &mut Caller, versions: &mut Versions) -> Result<(), Fault> {
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
                Ok(version) if versions.get(&product) == Some(&integer(&version)) => Ok(()),
                Ok(version) => self.tell_news(caller, product).await.map(|()| {
                    versions.insert(product, integer(&version));
                }),
                Err(fault) => Err(fault),
            });
        }
        outcomes.into_iter().collect()
    }

    async fn tell_news(&self, caller: &mut Caller, product: u16) -> Result<(), Fault> {
        let news = self.news_of(caller, product).await?;
        for broadcast in news.new {
            if broadcast.state != BroadcastState::Cancelled {
                let broadcast = Arc::new(broadcast);
                self.health.tell_all(|| Event::Broadcast(Arc::clone(&broadcast)));
            }
        }
        for (number, state) in news.states {
            if self.see_state((product, number), state) {
                self.health.tell_all(|| Event::Steered { product, number, state });
            }
        }
        self.forget(caller, product).await
    }
}
