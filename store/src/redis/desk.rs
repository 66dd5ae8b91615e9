//! What all tasks of the store share; and the watcher, which tells trouble from its end.

use crate::Homes;
pub(super) use crate::clock::seconds as now;
use crate::letter::Trouble;
use crate::redis::caller::{Atlas, Caller, Op};
use crate::redis::health::Health;
use crate::redis::names::{Names, UserKeys};
use crate::redis::reply::Fault;
use crate::redis::write::{attempt, op};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
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
    /// Broadcasts that are live, by product: number and expiry.
    pub(super) live: RefCell<HashMap<u16, Vec<(u64, u32)>>>,
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

    /// Carries out what is owed, then tries to write on every primary.
    async fn try_all(&self, caller: &mut Caller) -> Result<(), Fault> {
        loop {
            let owed = self.health.take_owed(OWED_AT_ONCE);
            if owed.is_empty() {
                break;
            }
            let faults = attempt(self, caller, &owed).await;
            let mut why = None;
            let failed = owed.into_iter().zip(faults).filter_map(|(command, fault)| match fault {
                None | Some(Fault::Refused(_)) => None,
                Some(fault) => {
                    why = Some(fault);
                    Some(command)
                }
            });
            let failed: Vec<_> = failed.collect();
            self.health.owe_first(failed);
            if let Some(fault) = why {
                return Err(fault);
            }
        }
        self.probe(caller, true).await
    }

    /// Looks at every primary; with `write`, writes something, as safe as everything is written.
    pub(super) async fn probe(&self, caller: &mut Caller, write: bool) -> Result<(), Fault> {
        let map = self.atlas.map().await.map_err(Fault::Down)?;
        let ops = map.primaries().into_iter().map(|(from, to)| {
            let key = self.names.probe(from, to);
            let mut command = redis::cmd(if write { "SET" } else { "EXISTS" });
            command.arg(&key.name);
            if write {
                command.arg(1).arg("EX").arg(PROBE_SECONDS);
            }
            op(&key, command)
        });
        let ops: Vec<Op> = ops.collect();
        let outcomes = caller.carry(&ops, write).await;
        outcomes.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }

    /// Carries out what is still owed, if the servers take it now.
    pub(super) async fn last_try(&self) {
        let mut caller = Caller::new(Rc::clone(&self.atlas));
        if self.health.owes()
            && let Err(fault) = self.try_all(&mut caller).await
        {
            tracing::warn!(?fault, "trims that the store in Redis did not take: they come again");
        }
    }

    fn say(&self, fault: &Fault) {
        match fault {
            Fault::Full(why) => self.health.worsen(Trouble::Full, why),
            Fault::Down(why) | Fault::Refused(why) => self.health.worsen(Trouble::Down, why),
        }
    }

    /// Tries until it works.
    async fn mend(&self, caller: &mut Caller) {
        let mut pause = PAUSES.0;
        while self.health.trouble().is_some() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
            caller.hang_up();
            self.atlas.doubt();
            match self.try_all(caller).await {
                // What was owed since is carried out before the shards go on.
                Ok(()) if self.health.owes() => pause = PAUSES.0,
                Ok(()) => self.health.mend(),
                Err(fault) => self.say(&fault),
            }
        }
    }
}

/// Watches the servers, and mends.
pub(super) async fn watch(desk: Rc<Desk>) {
    let mut caller = Caller::new(Rc::clone(&desk.atlas));
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
