//! Messages that go out of date of which somebody wants to hear.
//!
//! Each push with a receipt leaves a deadline, and an acknowledgement leaves it there. When it is
//! over, the servers are asked which users have anything left: only these mailboxes are looked at,
//! the other deadlines are forgotten a thousand at a time. It costs nothing while nobody wants to
//! hear of anything.

use crate::letter::Event;
use crate::redis::caller::{Caller, Op};
use crate::redis::counters::count;
use crate::redis::desk::{Desk, now};
use crate::redis::encode;
use crate::redis::news::one;
use crate::redis::reply::{Fault, bytes, integer, list};
use crate::redis::write::op;
use redis::Value;
use std::rc::Rc;
use std::time::Duration;

/// How often deadlines are looked for.
const ROUND: Duration = Duration::from_secs(1);
/// How many deadlines go together.
const SLICE: usize = 1000;
/// How long to wait after each, and again while shards have more than a slice of questions open.
const PACE: Duration = Duration::from_millis(10);
/// How many mailboxes are looked at in one round. That is more than can be stored in it.
const LOOKS: usize = 50_000;
/// How many seconds late: the shards' clocks are a turn behind.
const LATE: u32 = 2;

/// Has mailboxes looked at, for ever.
pub(super) async fn remind(desk: Rc<Desk>) {
    let mut caller = Caller::new(Rc::clone(&desk.atlas));
    // Deadlines of which the shards were told.
    let mut told = Vec::new();
    loop {
        tokio::time::sleep(ROUND).await;
        if desk.health.trouble().is_some() {
            caller.hang_up();
        } else if desk.due.get() <= now().saturating_sub(LATE) || !told.is_empty() {
            // What comes meanwhile lowers it again.
            desk.due.set(u32::MAX);
            if let Err(fault) = desk.remind_of_all(&mut caller, &mut told).await {
                desk.due.set(0);
                desk.say(&fault);
            }
        }
    }
}

/// A deadline that is over.
struct Deadline {
    member: Vec<u8>,
    /// Whose, by product and name; `None` where this process does not serve it.
    whose: Option<(u16, String)>,
}

/// What is to become of a deadline.
enum Fate {
    /// The shard is to look.
    Look,
    /// Nothing is left to look at.
    Forget,
    /// It cannot be said now.
    Stay,
}

impl Desk {
    /// Has mailboxes looked at in which a message went out of date. What was told of is forgotten a
    /// round later, so a process that ends between says it again.
    async fn remind_of_all(
        &self,
        caller: &mut Caller,
        told: &mut Vec<Vec<u8>>,
    ) -> Result<(), Fault> {
        while !told.is_empty() {
            let slice = told.len().saturating_sub(SLICE);
            self.forget_deadlines(caller, &told[slice..]).await?;
            told.truncate(slice);
        }
        let mut at = 0;
        while let Some(deadlines) = self.over(caller, at).await? {
            let fates = self.fates(caller, &deadlines).await;
            let mut over = Vec::new();
            for (Deadline { member, whose }, fate) in deadlines.into_iter().zip(fates) {
                match (fate, whose) {
                    (Fate::Look, Some((product, user))) => {
                        self.tell_to_look(product, &user);
                        told.push(member);
                        at += 1;
                    }
                    (Fate::Stay, _) => {
                        self.due.set(0);
                        at += 1;
                    }
                    (Fate::Forget | Fate::Look, _) => over.push(member),
                }
            }
            self.forget_deadlines(caller, &over).await?;
            if at >= LOOKS {
                self.due.set(0);
                break;
            }
            tokio::time::sleep(PACE).await;
            while self.asks.len() > SLICE {
                tokio::time::sleep(PACE).await;
            }
        }
        Ok(())
    }

    /// The next deadlines that are over, behind so many; `None` where there are none.
    async fn over(&self, caller: &mut Caller, at: usize) -> Result<Option<Vec<Deadline>>, Fault> {
        let upto = now().saturating_sub(LATE);
        let key = self.names.deadlines();
        let mut first = redis::cmd("ZRANGE");
        first.arg(&key.name).arg(at).arg(at + SLICE - 1).arg("WITHSCORES");
        let first = one(caller, op(&key, first)).await?;
        let mut over = Vec::new();
        for pair in list(&first).chunks_exact(2) {
            let expires = integer(&pair[1]).and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
            if expires > upto {
                self.due.set(self.due.get().min(expires));
                break;
            }
            let Some(member) = bytes(&pair[0]) else { continue };
            let whose = encode::deadline_of(member).and_then(|(name, user)| {
                let product = self.homes.products().iter().position(|product| product == name)?;
                Some((u16::try_from(product).ok()?, user.to_owned()))
            });
            over.push(Deadline { member: member.to_vec(), whose });
        }
        Ok((!over.is_empty()).then_some(over))
    }

    /// Who has anything left.
    async fn fates(&self, caller: &mut Caller, deadlines: &[Deadline]) -> Vec<Fate> {
        let whose = deadlines.iter().filter_map(|deadline| deadline.whose.as_ref());
        let greatest = whose.map(|(product, user)| {
            let key = self.user(*product, user).index;
            op(
                &key,
                redis::cmd("ZRANGE").arg(&key.name).arg(-1).arg(-1).arg("WITHSCORES").to_owned(),
            )
        });
        let ops: Vec<Op> = greatest.collect();
        let mut answers = caller.carry(&ops, false).await.into_iter();
        let fate = |deadline: &Deadline| match deadline.whose.as_ref().and_then(|_| answers.next())
        {
            None => Fate::Forget,
            Some(Ok(greatest)) if is_empty(&greatest) => Fate::Forget,
            Some(Ok(_)) => Fate::Look,
            Some(Err(fault)) => {
                self.say(&fault);
                Fate::Stay
            }
        };
        deadlines.iter().map(fate).collect()
    }

    async fn forget_deadlines(&self, caller: &mut Caller, which: &[Vec<u8>]) -> Result<(), Fault> {
        if !which.is_empty() {
            let key = self.names.deadlines();
            let forget = redis::cmd("ZREM").arg(&key.name).arg(which).to_owned();
            one(caller, op(&key, forget)).await?;
        }
        Ok(())
    }

    fn tell_to_look(&self, product: u16, user: &str) {
        count(&self.health.counters.looks, 1);
        let shard = self.homes.shard(self.homes.hash(product, user));
        self.health.tell(shard, Event::Look { product, user: user.into() });
    }
}

/// Whether an index has no message, by its greatest score. One that is not there says nothing: it
/// was not to be remembered for long, and the shard may know more.
fn is_empty(greatest: &Value) -> bool {
    let score = list(greatest).get(1).and_then(integer);
    score.is_some_and(|score| score <= 0)
}
