//! What clients do in a step of the plan besides receiving: drop and return, one by one or in a
//! wave, or read slowly.
//!
//! Who it is follows from the seed, the step and the client, so that a run replays.

use super::{Table, Worker};
use crate::clock::{MILLISECOND, SECOND};
use crate::fleet::client::State;
use crate::scenario::phase::Behaviour;
use crate::scenario::plan::Step;
use crate::schedule::chance;
use std::cmp::Reverse;

/// A slow client reads once in this time.
pub(super) const SLICE: u64 = 100 * MILLISECOND;
/// Most drops of a wave in one tick, so that reading goes on.
const DROPS: u32 = 2_000;
/// A draw is one of so many.
const PARTS: u32 = 1 << 20;
/// Keeps the draws of a wave and of slow readers apart from all others.
const OWN: u64 = 0x7761_7665_2121_2121;

impl Worker {
    /// Whether connections go, or come back within `soon` nanoseconds, so that short ticks are
    /// worth their cost.
    pub(super) fn is_moving(&self, soon: u64) -> bool {
        let behaviour = self.shared.behaviour();
        let goes = !matches!(behaviour, Behaviour::Stay | Behaviour::Slow { .. });
        let next = self.table.borrow().returns.peek().map(|Reverse((at, _))| *at);
        goes || next.is_some_and(|at| at <= self.shared.clock.now() + soon)
    }

    /// Lets everybody who is away come back now, once: an interrupted run does not wait for them.
    pub(super) fn call_back(&self, now: u64) {
        let table = &mut *self.table.borrow_mut();
        if !std::mem::replace(&mut table.called_back, true) {
            let returns = std::mem::take(&mut table.returns);
            let at_once = |Reverse((at, slot)): Reverse<(u64, u32)>| Reverse((at.min(now), slot));
            table.returns = returns.into_iter().map(at_once).collect();
        }
    }

    /// Does what the present step says; nothing in an interrupted run.
    pub(super) fn behave(&self, table: &mut Table, since: u64, now: u64) {
        if table.called_back {
            return;
        }
        let Some((number, step)) = self.shared.step() else { return };
        match step.phase.clients {
            // Who joins is opened with all others.
            Behaviour::Stay | Behaviour::Join { .. } | Behaviour::Slow { .. } => {}
            Behaviour::Churn { share, pause } => self.churn(table, since, (share, pause)),
            Behaviour::Wave { .. } => self.wave(table, now, (number, step)),
        }
    }

    /// How many bytes a client may read in a slice of time, if it is slow now.
    pub(super) fn pace(&self, slot: u32) -> Option<usize> {
        let Behaviour::Slow { share, bytes } = self.shared.behaviour() else { return None };
        let (step, _) = self.shared.step()?;
        let slice = u64::from(bytes) * SLICE / SECOND;
        let least = u64::from(bytes.min(1));
        self.is_one_of(share, step, slot).then(|| usize::try_from(slice.max(least)).unwrap_or(0))
    }

    /// Drops so many of the clients that are logged in as the share asks.
    #[expect(clippy::cast_precision_loss, reason = "a fraction of a client more or less")]
    fn churn(&self, table: &mut Table, since: u64, (share, pause): (f64, u64)) {
        let clients = table.opened;
        table.churn_owed += share * f64::from(clients) * (since as f64 / SECOND as f64);
        while table.churn_owed >= 1.0 && clients > 0 {
            table.churn_owed -= 1.0;
            let seed = self.shared.scenario.schedule.seed ^ u64::from(self.first) << 20;
            let slot = chance::below(clients, chance::hash(seed, table.churn_draws));
            table.churn_draws += 1;
            if table.clients[slot as usize].state == State::Online {
                self.drop_client(table, slot, pause);
            }
        }
    }

    /// Drops each client of the wave whose moment has come.
    fn wave(&self, table: &mut Table, now: u64, (number, step): (u32, &Step)) {
        let Behaviour::Wave { share, over, pause, spread } = step.phase.clients else { return };
        if table.wave.0 != number {
            table.wave = (number, 0);
        }
        let from = self.shared.since_start(now).saturating_sub(step.from);
        let left = self.shared.until(step.until, now);
        let pause = pause.unwrap_or(left);
        for _ in 0..DROPS {
            let slot = table.wave.1;
            if slot >= table.opened || moment(slot, table.opened, over) > from {
                return;
            }
            table.wave.1 += 1;
            let online = table.clients[slot as usize].state == State::Online;
            if online && self.is_one_of(share, number, slot) {
                let draw = chance::hash(self.seed_of(number) ^ OWN, u64::from(slot));
                self.drop_client(table, slot, pause.saturating_add(part(spread, draw)));
            }
        }
    }

    /// Whether a client is among the share of all that a step is about.
    pub(super) fn is_one_of(&self, share: f64, step: u32, slot: u32) -> bool {
        let drawn = chance::below(PARTS, chance::hash(self.seed_of(step), u64::from(slot)));
        f64::from(drawn) < share * f64::from(PARTS)
    }

    fn seed_of(&self, step: u32) -> u64 {
        let seed = self.shared.scenario.schedule.seed ^ OWN;
        chance::hash(seed, u64::from(step) << 32 | u64::from(self.first))
    }
}

/// When client `slot` of so many drops, in a wave that takes `over` nanoseconds.
fn moment(slot: u32, clients: u32, over: u64) -> u64 {
    part(over, u64::from(slot) * (u64::MAX / u64::from(clients.max(1))))
}

/// The part of `whole` that `draw` is of all 64-bit numbers.
fn part(whole: u64, draw: u64) -> u64 {
    u64::try_from((u128::from(draw) * u128::from(whole)) >> 64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_begins_at_once_and_takes_its_time() {
        assert_eq!((moment(0, 1_000, SECOND), moment(999, 1_000, 0)), (0, 0));
        let middle = moment(500, 1_000, SECOND);
        assert!(middle.abs_diff(SECOND / 2) < 1_000, "{middle}");
        let all: Vec<u64> = (0..1_000).map(|slot| moment(slot, 1_000, SECOND)).collect();
        assert!(all.is_sorted() && all[999] < SECOND && all[999] > SECOND * 99 / 100);
    }

    #[test]
    fn a_part_is_anywhere_in_the_whole() {
        assert_eq!((part(100, 0), part(100, u64::MAX), part(0, u64::MAX)), (0, 99, 0));
    }
}
