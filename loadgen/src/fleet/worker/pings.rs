//! Pings besides the heartbeats, at a rate and whatever the gateway does (open loop): the smallest
//! exchange with it.
//!
//! All that fall into one millisecond go out together and are due at its beginning; clients take
//! turns, and the threads.

use super::{Table, Worker};
use crate::clock::{MILLISECOND, SECOND};
use crate::fleet::client::State;

/// Between two looks at what is due.
pub(super) const TICK: u64 = MILLISECOND;
/// Most pings in one look, so that reading goes on.
const PINGS: u32 = 1_000;

impl Worker {
    /// Whether clients ping besides their heartbeats.
    pub(super) fn pings(&self) -> bool {
        self.shared.scenario.pings > 0
    }

    /// Sends the pings whose time has come; none in an interrupted run.
    pub(super) fn ping(&self, table: &mut Table, now: u64) {
        if !self.pings() || table.opened == 0 || table.called_back {
            return;
        }
        let elapsed = self.shared.since_start(now);
        // A step may be left late.
        let end = self.shared.scenario.plan.steps.last().map_or(0, |step| step.until);
        for _ in 0..PINGS {
            let scenario = &self.shared.scenario;
            let turn = table.pinged * u64::from(scenario.threads) + u64::from(self.index);
            let due = moment(turn, scenario.pings);
            if due > elapsed || due >= end {
                return;
            }
            let slot = u32::try_from(table.pinged % u64::from(table.opened)).unwrap_or_default();
            table.pinged += 1;
            let (client, mut desk) = table.desk(self, slot);
            if client.state == State::Online {
                let said = client.ping(now - (elapsed - due), &mut desk);
                self.go_on(table, slot, said);
            }
        }
    }
}

/// When ping `number` of so many a second is due, nanoseconds: the beginning of its millisecond.
fn moment(number: u64, rate: u32) -> u64 {
    let exact = u128::from(number) * u128::from(SECOND) / u128::from(rate.max(1));
    let exact = u64::try_from(exact).unwrap_or(u64::MAX);
    exact - exact % TICK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_due_in_a_second_as_the_rate_says() {
        for rate in [1, 7, 999, 1_000, 60_001, u32::MAX] {
            let rate_64 = u64::from(rate);
            assert!(moment(rate_64 - 1, rate) < SECOND, "{rate}");
            assert_eq!(moment(rate_64, rate), SECOND, "{rate}");
        }
    }

    #[test]
    fn those_of_one_millisecond_are_due_together() {
        let due: Vec<u64> = (0..6).map(|number| moment(number, 2_000)).collect();
        assert_eq!(due, [0, 0, TICK, TICK, 2 * TICK, 2 * TICK]);
    }
}
