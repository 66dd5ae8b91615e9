//! What a thread does by the clock: open what is due, heartbeat, drop and return, leave, add up.

use super::{Table, Worker, pings, reopens};
use crate::clock::{MILLISECOND, SECOND, duration};
use crate::fleet::client::{Client, State};
use crate::fleet::shared::Phase;
use std::cmp::Reverse;
use std::rc::Rc;

/// Between two ticks while connections come and go.
const BUSY_TICK: u64 = 5 * MILLISECOND;
/// Between two ticks otherwise.
const CALM_TICK: u64 = 50 * MILLISECOND;
/// Every client's heartbeat is looked at once in this time.
const ROUND: u64 = SECOND;
/// Counts are added to the run's once in this time.
const PUBLISH: u64 = SECOND / 2;
/// Most connections opened in one tick, so that reading goes on.
const OPENS: u32 = 500;
/// Most byes in one tick.
const BYES: u32 = 2_000;
/// After the sockets are shut down, their tasks have so long to close them.
const LAST_BREATH: u64 = 30 * MILLISECOND;

/// Ticks until the phase is [`Phase::Stop`].
pub(super) async fn drive(worker: &Rc<Worker>) {
    loop {
        let phase = worker.shared.phase();
        if phase == Phase::Stop {
            break;
        }
        let busy = matches!(phase, Phase::Ramp | Phase::Leave) || worker.is_moving(CALM_TICK);
        let planned = match phase {
            Phase::Step if worker.pings() => pings::TICK,
            _ if busy => BUSY_TICK,
            _ => CALM_TICK,
        };
        monoio::time::sleep(duration(planned)).await;
        worker.tick(phase, planned);
    }
    worker.stop();
    monoio::time::sleep(duration(LAST_BREATH)).await;
}

impl Worker {
    /// Does what is due, `planned` nanoseconds after the last time or later.
    fn tick(self: &Rc<Self>, phase: Phase, planned: u64) {
        let now = self.shared.clock.now();
        if self.shared.interrupt.came() {
            self.call_back(now);
        }
        if reopens(phase) {
            self.open_due(phase, now);
            self.reopen_due(now);
        }
        let table = &mut *self.table.borrow_mut();
        let since = now.saturating_sub(std::mem::replace(&mut table.last_tick, now));
        match phase {
            Phase::Step => {
                table.tally.lag.record_stall(planned, since.saturating_sub(planned), MILLISECOND);
                self.behave(table, since, now);
                self.ping(table, now);
            }
            Phase::Leave => self.leave(table),
            _ => {}
        }
        self.sweep(table, since);
        self.acknowledge(table, now);
        if now.saturating_sub(table.last_publish) >= PUBLISH {
            table.last_publish = now;
            self.shared.absorb(&mut table.tally);
        }
    }

    /// Opens the clients whose time has come. The clients of all threads take turns.
    fn open_due(self: &Rc<Self>, phase: Phase, now: u64) {
        let due = self.shared.due(phase, now);
        for _ in 0..OPENS {
            let slot = self.table.borrow().opened;
            let turn = u64::from(slot) * u64::from(self.shared.scenario.threads);
            if slot >= self.clients || turn + u64::from(self.index) >= u64::from(due) {
                return;
            }
            {
                let mut table = self.table.borrow_mut();
                table.clients.push(Client::new());
                table.opened += 1;
            }
            self.open(slot);
        }
    }

    /// Opens again what dropped or failed and whose time has come.
    fn reopen_due(self: &Rc<Self>, now: u64) {
        for _ in 0..OPENS {
            let slot = {
                let mut table = self.table.borrow_mut();
                match table.returns.peek() {
                    Some(&Reverse((due, slot))) if due <= now => {
                        table.returns.pop();
                        slot
                    }
                    _ => return,
                }
            };
            self.open(slot);
        }
    }

    /// Testifies, then says bye for some more clients.
    fn leave(&self, table: &mut Table) {
        self.testify(table);
        for _ in 0..BYES.min(table.opened - table.left) {
            let slot = table.left;
            table.left += 1;
            let (client, mut desk) = table.desk(self, slot);
            match client.state {
                State::Online => {
                    let said = client.acknowledge(&mut desk);
                    let said = said.and_then(|()| client.leave(desk.scratch));
                    self.go_on(table, slot, said);
                }
                State::Opening => self.release(client),
                _ => {}
            }
        }
    }

    /// Says what the clients heard and when they were away; once, before the first of them leaves.
    fn testify(&self, table: &mut Table) {
        if !std::mem::replace(&mut table.testified, true) {
            let absences = std::mem::take(&mut table.absences);
            let people = &self.shared.scenario.people;
            let heard = |(user, client): (u32, &Client)| client.heard(people.product(user));
            let heard = (self.first..).zip(&table.clients).map(heard);
            self.shared.testify(absences, heard);
        }
    }

    /// Acknowledges what waited long enough.
    fn acknowledge(&self, table: &mut Table, now: u64) {
        if self.shared.scenario.ack_after == 0 {
            return;
        }
        for slot in 0..table.opened {
            let (client, mut desk) = table.desk(self, slot);
            if client.state == State::Online && !client.acknowledges_later(&self.shared, now) {
                let said = client.acknowledge(&mut desk);
                self.go_on(table, slot, said);
            }
        }
    }

    /// Looks at the heartbeats of as many clients as fall into the time since the last tick.
    fn sweep(&self, table: &mut Table, since: u64) {
        let clients = u64::try_from(table.clients.len()).unwrap_or(u64::MAX);
        let share = (clients * since.min(ROUND)).div_ceil(ROUND);
        for _ in 0..share {
            table.swept = if table.swept + 1 < table.opened { table.swept + 1 } else { 0 };
            let slot = table.swept;
            let (client, mut desk) = table.desk(self, slot);
            if matches!(client.state, State::Online | State::Leaving) {
                let said = client.tick(&mut desk);
                self.go_on(table, slot, said);
            }
        }
    }

    /// Ends what is left, and adds up for the last time.
    fn stop(&self) {
        let table = &mut *self.table.borrow_mut();
        // Where nobody was connected any more, no tick saw the leaving.
        self.testify(table);
        for client in &mut table.clients {
            self.release(client);
            client.state = State::Over;
        }
        self.shared.absorb(&mut table.tally);
    }
}
