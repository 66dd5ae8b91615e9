//! What all tasks of the store share; and the watcher, which tells trouble from its end.

use crate::Homes;
pub(super) use crate::clock::seconds as now;
use crate::letter::Trouble;
use crate::redis::caller::{Atlas, Caller};
use crate::redis::follow::Live;
use crate::redis::health::Health;
use crate::redis::names::{Names, UserKeys};
use crate::redis::reply::Fault;
use crate::redis::write::{attempt, op};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often the servers are looked at while nothing is wrong.
const LOOK: Duration = Duration::from_secs(1);
/// The first and the longest pause between attempts while something is.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How many owed commands are carried out at once.
const OWED_AT_ONCE: usize = 1000;
/// How long a key that only tries writing stays.
const PROBE_SECONDS: u32 = 60;

/// The state of the control thread.
pub(super) struct Desk {
    pub(super) names: Names,
    pub(super) homes: Arc<dyn Homes>,
    pub(super) atlas: Rc<Atlas>,
    pub(super) health: Health,
    /// How far sequences are reserved, as far as this process knows.
    pub(super) reserved: Cell<u64>,
    /// Broadcasts that are live, by product and number.
    pub(super) live: RefCell<HashMap<u16, BTreeMap<u64, Live>>>,
    /// No message is due to be looked at before this second since 1970 UTC.
    pub(super) due: Cell<u32>,
}

impl Desk {
    /// A product's name. Shards name only products of this process.
    pub(super) fn product(&self, number: u16) -> &str {
        self.homes.products().get(usize::from(number)).map_or("", String::as_str)
    }

    /// A user's keys.
    pub(super) fn user(&self, product: u16, user: &str) -> UserKeys {
        self.names.user(self.homes.hash(product, user), self.product(product), user)
    }

    /// Tries to write on every primary, then carries out what is owed there.
    async fn try_all(&self, caller: &mut Caller) -> Result<(), Fault> {
        let reached = self.probe(caller, true).await;
        self.atlas.forget_replaced();
        if let Err(Fault::Full(_) | Fault::Down(_) | Fault::Refused(_)) = reached {
            return reached;
        }
        let mut owed = self.health.take_owed(OWED_AT_ONCE);
        let mut later = Vec::new();
        let mut worst = None;
        let insists = std::mem::replace(&mut caller.insists, false);
        while !owed.is_empty() && worst.is_none() {
            let faults = attempt(self, caller, &owed).await;
            for (command, fault) in owed.into_iter().zip(faults) {
                match fault {
                    None | Some(Fault::Refused(_)) => {}
                    Some(fault) => {
                        worst = worst.or((!matches!(fault, Fault::Away(_))).then_some(fault));
                        later.push(command);
                    }
                }
            }
            owed = self.health.take_owed(OWED_AT_ONCE);
        }
        caller.insists = insists;
        later.extend(owed);
        self.health.owe_first(later);
        worst.map_or(reached, Err)
    }

    /// Looks at every primary; with `write`, writes something, as safe as everything is written.
    /// Who can do that is back. Gives the worst of what failed.
    pub(super) async fn probe(&self, caller: &mut Caller, write: bool) -> Result<(), Fault> {
        let map = self.atlas.map().await.map_err(Fault::Down)?;
        let mut ops = Vec::new();
        for (from, to) in map.primaries() {
            let key = self.names.probe(from, to);
            let mut command = redis::cmd(if write { "SET" } else { "EXISTS" });
            command.arg(&key.name);
            if write {
                command.arg(1).arg("EX").arg(PROBE_SECONDS);
            }
            ops.push(op(&key, command));
        }
        let outcomes = caller.carry(&ops, write).await;
        let mut worst = None;
        for (op, outcome) in ops.iter().zip(outcomes) {
            match outcome {
                // Where it has moved on the way, the next look finds it.
                Ok(_) => map.node(op.slot).into_iter().for_each(|node| self.atlas.come_back(node)),
                Err(fault @ Fault::Away(_)) => worst = worst.or(Some(fault)),
                Err(fault) => worst = Some(fault),
            }
        }
        worst.map_or(Ok(()), Err)
    }

    /// Carries out what is still owed, if the servers take it now.
    pub(super) async fn last_try(&self) {
        let mut caller = Caller::new(Rc::clone(&self.atlas));
        if !self.health.owes() {
            return;
        }
        let fault = self.try_all(&mut caller).await.err();
        if self.health.owes() {
            tracing::warn!(?fault, "trims that the store in Redis did not take: they come again");
        }
    }

    /// Says what a fault means for the whole store: nothing, while others serve.
    pub(super) fn say(&self, fault: &Fault) {
        match fault {
            Fault::Full(why) => self.health.worsen(Trouble::Full, why),
            Fault::Down(why) | Fault::Refused(why) => self.health.worsen(Trouble::Down, why),
            Fault::Away(why) if self.atlas.is_dark() => self.health.worsen(Trouble::Down, why),
            Fault::Away(_) => self.health.alarm.notify_one(),
        }
    }

    /// Tries until it works everywhere.
    async fn mend(&self, caller: &mut Caller) {
        let mut pause = PAUSES.0;
        while self.health.trouble().is_some() || self.atlas.is_torn() || self.health.owes() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
            caller.hang_up();
            if self.health.trouble().is_some() {
                self.atlas.doubt();
            } else {
                self.atlas.look_again().await;
            }
            match self.try_all(caller).await {
                // What was owed since is carried out before the shards go on.
                Ok(()) if self.health.owes() => pause = PAUSES.0,
                Ok(()) => self.health.mend(),
                Err(Fault::Away(_)) if !self.atlas.is_dark() => self.health.mend(),
                Err(fault) => self.say(&fault),
            }
        }
    }
}

/// Watches the servers, and mends.
pub(super) async fn watch(desk: Rc<Desk>) {
    let mut caller = Caller::insisting(Rc::clone(&desk.atlas));
    loop {
        let woken = desk.health.alarm.notified();
        if tokio::time::timeout(LOOK, woken).await.is_err() && desk.health.trouble().is_none() {
            // A primary that was replaced may still answer, to those who do not know it.
            desk.atlas.look_again().await;
            if let Err(fault) = desk.probe(&mut caller, false).await {
                desk.say(&fault);
            }
        }
        desk.mend(&mut caller).await;
    }
}
