//! What all tasks of the store share; and the watcher, which tells trouble from its end.

use crate::Homes;
pub(super) use crate::clock::seconds as now;
use crate::letter::{Ask, Command, Trouble};
use crate::redis::caller::{Atlas, Caller};
use crate::redis::health::Health;
use crate::redis::names::{Names, SLOTS, UserKeys};
use crate::redis::news::Known;
use crate::redis::reply::Fault;
use crate::redis::write::{attempt, op};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often the servers are looked at while nothing is wrong.
const INTERVAL: Duration = Duration::from_secs(1);
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
    /// Names this process among those that share the store: chance, under 2^48 and not 0.
    pub(super) process: u64,
    /// How far sequences are reserved, as far as this process knows.
    pub(super) reserved: Cell<u64>,
    /// What shards gave sequences up to this is not stored any more: see [`super::lineage`].
    pub(super) floor: Cell<u64>,
    /// What is known of each product's durable broadcasts.
    pub(super) known: RefCell<HashMap<u16, Known>>,
    /// Questions that wait.
    pub(super) asks: flume::Receiver<Ask>,
    /// No message is due to be looked at before this second since 1970 UTC.
    pub(super) due: Cell<u32>,
}

/// What a look at a primary found.
pub(super) struct Look {
    /// Its slots.
    ranges: Vec<(u16, u16)>,
    pub(super) found: Result<(), Fault>,
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

    /// Keeps what is to be carried out later; what has an answer was answered.
    pub(super) fn owe(&self, commands: impl IntoIterator<Item = Command>) {
        for command in commands {
            let mut ops = Vec::new();
            self.put(&command, &mut ops);
            // Nothing: it says nothing new, or nothing to servers.
            if let Some(op) = ops.first() {
                self.atlas.owed.push(op.slot, command);
            }
        }
    }

    /// Tries to write on every primary, then carries out what is owed there.
    async fn try_all(&self, caller: &mut Caller) -> Result<(), Fault> {
        let looks = self.probe(caller, true).await?;
        self.atlas.forget_replaced();
        let mut faults = Vec::new();
        for Look { ranges, found } in looks {
            let paid = match &found {
                Ok(()) => self.pay(caller, &ranges, |_| true).await,
                // What makes room is taken all the same.
                Err(Fault::Full(_)) => {
                    let makes_room = |command: &Command| matches!(command, Command::Trim { .. });
                    self.pay(caller, &ranges, makes_room).await
                }
                Err(_) => Ok(()),
            };
            faults.extend([found, paid]);
        }
        worst(faults)
    }

    /// Carries out what is owed of these slots, in order; what comes meanwhile perhaps the next
    /// time, so that this ends.
    async fn pay(
        &self,
        caller: &mut Caller,
        ranges: &[(u16, u16)],
        which: fn(&Command) -> bool,
    ) -> Result<(), Fault> {
        for _ in 0..=self.atlas.owed.len() / OWED_AT_ONCE {
            let taken = self.atlas.owed.take(OWED_AT_ONCE, ranges, which);
            if taken.is_empty() {
                break;
            }
            let commands: Vec<_> = taken.iter().map(|(_, command)| command).collect();
            let faults = attempt(self, caller, &commands).await;
            let still = |fault: &Option<Fault>| !matches!(fault, None | Some(Fault::Refused(_)));
            let owed: Vec<_> = faults.iter().map(still).collect();
            self.atlas.owed.settle(taken, &owed);
            let failed =
                faults.into_iter().zip(owed).filter_map(|(fault, owed)| fault.filter(|_| owed));
            worst(failed.map(Err))?;
        }
        Ok(())
    }

    /// Looks at every primary; with `write`, writes something, as safe as everything is written.
    /// Who can do that is back, but for the slots of which something is owed.
    pub(super) async fn probe(&self, caller: &mut Caller, write: bool) -> Result<Vec<Look>, Fault> {
        let map = self.atlas.map().await.map_err(Fault::Down)?;
        let primaries = map.primaries();
        let mut ops = Vec::new();
        for (_, ranges) in &primaries {
            // Every primary of a map has a range.
            let &(from, to) = ranges.first().unwrap_or(&(0, SLOTS - 1));
            let key = self.names.probe(from, to);
            let mut command = redis::cmd(if write { "SET" } else { "EXISTS" });
            command.arg(&key.name);
            if write {
                command.arg(1).arg("EX").arg(PROBE_SECONDS);
            }
            ops.push(op(&key, command));
        }
        let outcomes = caller.carry(&ops, write).await;
        let met = self.meet(caller).await;
        let lineages = &self.atlas.lineages;
        let looks = primaries.into_iter().zip(outcomes).map(|((node, ranges), outcome)| {
            let known = lineages.knew(&node, lineages.count());
            let found = outcome.map(drop).and(if known { Ok(()) } else { met.clone() });
            if found.is_ok() {
                // Where a slot has moved on the way, the next look finds it.
                self.atlas.come_back(&node);
            }
            Look { ranges, found }
        });
        Ok(looks.collect())
    }

    /// Carries out what is still owed, if the servers take it now.
    pub(super) async fn last_try(&self) {
        if self.atlas.owed.is_empty() {
            return;
        }
        let mut caller = Caller::insisting(Rc::clone(&self.atlas));
        let fault = self.try_all(&mut caller).await.err();
        if !self.atlas.owed.is_empty() {
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

    fn is_unwell(&self) -> bool {
        self.health.trouble().is_some() || self.atlas.is_torn() || !self.atlas.owed.is_empty()
    }

    /// Tries until it works everywhere.
    async fn mend(&self, caller: &mut Caller) {
        let mut pause = PAUSES.0;
        while self.is_unwell() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
            caller.hang_up();
            if self.health.trouble().is_some() {
                self.atlas.doubt();
            } else {
                self.atlas.look_again().await;
            }
            match self.try_all(caller).await {
                Ok(()) => {
                    // What was owed since holds up its own slots, and soon ends.
                    pause = PAUSES.0;
                    self.health.mend();
                }
                Err(Fault::Away(_)) if !self.atlas.is_dark() => self.health.mend(),
                Err(fault) => self.say(&fault),
            }
        }
    }
}

/// The worst of what failed: that one server of several is away is the least.
pub(super) fn worst(all: impl IntoIterator<Item = Result<(), Fault>>) -> Result<(), Fault> {
    let mut worst = None;
    for fault in all.into_iter().filter_map(Result::err) {
        if worst.is_none() || !matches!(fault, Fault::Away(_)) {
            worst = Some(fault);
        }
    }
    worst.map_or(Ok(()), Err)
}

/// Watches the servers, and mends.
pub(super) async fn watch(desk: Rc<Desk>) {
    let mut caller = Caller::insisting(Rc::clone(&desk.atlas));
    loop {
        let woken = desk.health.alarm.notified();
        if tokio::time::timeout(INTERVAL, woken).await.is_err() && desk.health.trouble().is_none() {
            // A primary that was replaced may still answer, to those who do not know it.
            desk.atlas.look_again().await;
            caller.forget_replaced().await;
            let looks = desk.probe(&mut caller, false).await;
            let found = looks.and_then(|looks| worst(looks.into_iter().map(|look| look.found)));
            if let Err(fault) = found {
                desk.say(&fault);
            }
        }
        desk.mend(&mut caller).await;
    }
}
