//! Whether another process that shares the servers has this host's number too.
//!
//! Each writes down once a second that the number is its own. Who finds that somebody else has done
//! so since its own last time says it: two that have one number take each other's durable
//! broadcasts for their own, and tell their clients nothing of them.

use crate::redis::caller::Caller;
use crate::redis::desk::Desk;
use crate::redis::news::one;
use crate::redis::reply::{Fault, integer};
use crate::redis::write::op;
use std::sync::atomic::Ordering::Relaxed;

/// How long the number stays written down, in seconds.
const KEPT: u32 = 10;

impl Desk {
    /// Writes down that the host's number is this process's; `held` says whether it has before.
    pub(super) async fn hold_number(
        &self,
        caller: &mut Caller,
        held: &mut bool,
    ) -> Result<(), Fault> {
        let key = self.names.number();
        let mut set = redis::cmd("SET");
        set.arg(&key.name).arg(self.process).arg("GET").arg("EX").arg(KEPT);
        let before = integer(&one(caller, op(&key, set)).await?);
        // Before its first time that was an earlier life.
        let shared = *held && before.is_some_and(|it| it.unsigned_abs() != self.process);
        *held = true;
        let known = self.health.counters.namesake.swap(u64::from(shared), Relaxed);
        if shared && known == 0 {
            tracing::error!(
                host = self.names.host,
                "another process that shares this store has the same host number: give each its \
                 own (`host = N`), or they miss each other's durable broadcasts"
            );
        }
        Ok(())
    }
}
