//! What the service manager is told (`sd_notify(3)`): that the gateway serves, that its shards
//! turn, that it leaves. Without one, nobody is told and nothing is different.

use super::WATCH;
use crate::admin::health::{Stalled, stalled};
use crate::metrics::ShardMetrics;
use sd_notify::NotifyState;
use std::time::Duration;

/// What is to be told at one look.
#[derive(Debug, PartialEq, Eq)]
enum Sign {
    None,
    Alive,
    /// It has begun to stall.
    Stalls(Stalled),
}

/// Tells the service manager.
#[derive(Debug, Default)]
pub(super) struct Supervisor {
    /// Looks between two signs of life; `None` where nobody waits for them (`WatchdogSec=`).
    every: Option<u32>,
    /// Looks since the last.
    since: u32,
    /// A shard was stalled when looked at last, and that is said.
    silent: bool,
}

impl Supervisor {
    /// Says that the gateway serves; `status` is a line for people.
    pub(super) fn ready(status: &str) -> Self {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
        // Half of the time that it may take, so that one that is late is no reason to kill.
        let looks = |limit: Duration| (limit / 2).as_millis() / WATCH.as_millis();
        let every = sd_notify::watchdog_enabled().map(looks);
        Self {
            every: every.map(|looks| u32::try_from(looks).unwrap_or(u32::MAX)),
            ..Self::default()
        }
    }

    /// Gives a sign of life when it is due, unless a shard has stalled: then the service manager
    /// ends the process when its patience does, and starts it anew. To be called each [`WATCH`].
    pub(super) fn look(&mut self, shards: &[ShardMetrics], now: u64, timeout: Duration) {
        let first = || stalled(shards, now, timeout).next();
        match self.sign(first) {
            Sign::Alive => tell(&[NotifyState::Watchdog]),
            Sign::Stalls(Stalled { shard, silent }) => tracing::error!(
                "shard {shard} has not finished a turn for {} s: the service manager gets no sign \
                 of life until it does",
                silent.as_secs()
            ),
            Sign::None => {}
        }
    }

    fn sign(&mut self, stalled: impl FnOnce() -> Option<Stalled>) -> Sign {
        let Some(every) = self.every else { return Sign::None };
        self.since = self.since.saturating_add(1);
        if self.since < every {
            return Sign::None;
        }
        self.since = 0;
        match (stalled(), std::mem::take(&mut self.silent)) {
            (None, _) => Sign::Alive,
            (Some(stalled), said) => {
                self.silent = true;
                // Looks again at once: the sign goes out as soon as it turns again.
                self.since = every;
                if said { Sign::None } else { Sign::Stalls(stalled) }
            }
        }
    }

    /// Says that the gateway leaves, for which it may take so long.
    pub(super) fn leaving(within: Duration) {
        let micros = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
        tell(&[
            NotifyState::Stopping,
            NotifyState::Status("leaving"),
            NotifyState::ExtendTimeoutUsec(micros),
        ]);
    }

    /// Gives a sign of life when it is due, while the shards end one after the other: their time is
    /// bounded by the leaving itself.
    pub(super) fn still_leaving(&mut self) {
        self.look(&[], 0, Duration::ZERO);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("the service manager cannot be told how the gateway stands: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALLED: Stalled = Stalled { shard: 1, silent: Duration::from_secs(11) };

    #[test]
    fn signs_of_life_come_when_they_are_due_and_stop_while_a_shard_stalls() {
        let mut supervisor = Supervisor { every: Some(2), ..Supervisor::default() };
        let mut look = |stalled| supervisor.sign(|| stalled);
        assert_eq!([look(None), look(None)], [Sign::None, Sign::Alive]);
        assert_eq!([look(None), look(Some(STALLED))], [Sign::None, Sign::Stalls(STALLED)]);
        // Said once; and the sign comes with the first look after it.
        assert_eq!([look(Some(STALLED)), look(Some(STALLED))], [Sign::None, Sign::None]);
        assert_eq!([look(None), look(None), look(None)], [Sign::Alive, Sign::None, Sign::Alive]);
    }

    #[test]
    fn nobody_is_told_where_nobody_waits() {
        let mut supervisor = Supervisor::default();
        assert!((0..9).all(|_| supervisor.sign(|| None) == Sign::None));
    }
}
