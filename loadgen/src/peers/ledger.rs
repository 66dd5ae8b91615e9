//! What became of the messages of one phase: each is to come once, to whom it was for.
//!
//! Pure: told what was published and what came. A message of another phase, one that comes twice,
//! and one that comes to somebody else are counted as strays.

use crate::histogram::Latency;
use crate::verify::body::{self, Number};

/// The account of one phase.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Names the phase in each body.
    pub(super) phase: u32,
    /// For each single message, whom it is for, and whether it came.
    singles: Vec<(u32, bool)>,
    /// For each client, the next broadcast that it is to get.
    rounds: Vec<u64>,
    /// Broadcasts that were published.
    broadcasts: u64,
    /// Messages that came to whom they were for, each once.
    pub(super) came: u64,
    /// What came beside that.
    pub(super) strays: u64,
    /// How late messages came, counted from when each was due.
    pub(super) latency: Latency,
}

impl Ledger {
    /// Of a phase with so many clients.
    pub(super) fn new(phase: u32, clients: u32) -> Self {
        Self {
            phase,
            singles: Vec::new(),
            rounds: vec![0; clients as usize],
            broadcasts: 0,
            came: 0,
            strays: 0,
            latency: Latency::new(),
        }
    }

    /// The number of one more message, to this client.
    pub(super) fn single(&mut self, client: u32) -> Number {
        self.singles.push((client, false));
        Number::Push(self.singles.len() as u64 - 1)
    }

    /// The number of one more message, to everybody.
    pub(super) fn broadcast(&mut self) -> Number {
        self.broadcasts += 1;
        Number::Broadcast(self.broadcasts - 1)
    }

    /// Messages that are to come in all.
    pub(super) fn due(&self) -> u64 {
        self.singles.len() as u64 + self.broadcasts * self.rounds.len() as u64
    }

    /// Messages that have not come.
    pub(super) fn missing(&self) -> u64 {
        self.due().saturating_sub(self.came)
    }

    /// A client got a message at `now`, on the clock that bodies are stamped with.
    pub(super) fn heard(&mut self, client: u32, body: &[u8], now: u64) {
        let header = body::read(body).filter(|header| header.run == self.phase);
        let wanted = header.is_some_and(|header| match header.number {
            Number::Push(number) => self.heard_single(client, number),
            Number::Broadcast(number) => self.heard_broadcast(client, number),
        });
        match header.filter(|_| wanted) {
            Some(header) => {
                self.came += 1;
                self.latency.record(now.saturating_sub(header.due));
            }
            None => self.strays += 1,
        }
    }

    fn heard_single(&mut self, client: u32, number: u64) -> bool {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let Some((target, came)) = self.singles.get_mut(index) else { return false };
        let wanted = *target == client && !*came;
        *came |= wanted;
        wanted
    }

    /// Broadcasts come in order, since the next one waits until the last has come to everybody or
    /// is given up.
    fn heard_broadcast(&mut self, client: u32, number: u64) -> bool {
        let Some(next) = self.rounds.get_mut(client as usize) else { return false };
        let wanted = (*next..self.broadcasts).contains(&number);
        if wanted {
            *next = number + 1;
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::body::Header;

    fn body(run: u32, number: Number) -> Vec<u8> {
        let mut body = Vec::new();
        body::write(Header { run, number, due: 1_000 }, 64, &mut body);
        body
    }

    #[test]
    fn a_single_message_counts_once_and_for_its_client_alone() {
        let mut ledger = Ledger::new(3, 2);
        let first = ledger.single(1);
        let message = body(3, first);
        ledger.heard(0, &message, 5_000);
        assert_eq!((ledger.came, ledger.strays, ledger.missing()), (0, 1, 1));
        ledger.heard(1, &message, 5_000);
        ledger.heard(1, &message, 5_000);
        assert_eq!((ledger.came, ledger.strays, ledger.missing()), (1, 2, 0));
        assert_eq!(ledger.latency.summary().max_us, 4);
    }

    #[test]
    fn a_broadcast_counts_once_for_each_client_and_a_lost_one_stays_missing() {
        let mut ledger = Ledger::new(3, 2);
        let [first, second] = [ledger.broadcast(), ledger.broadcast()];
        for (client, number) in [(0, first), (0, first), (1, second), (0, second)] {
            ledger.heard(client, &body(3, number), 0);
        }
        assert_eq!((ledger.due(), ledger.came, ledger.strays), (4, 3, 1));
        assert_eq!(ledger.missing(), 1);
    }

    #[test]
    fn a_message_of_another_phase_or_a_torn_one_is_a_stray() {
        let mut ledger = Ledger::new(3, 1);
        let number = ledger.single(0);
        ledger.heard(0, &body(2, number), 0);
        let mut torn = body(3, number);
        torn[30] ^= 1;
        ledger.heard(0, &torn, 0);
        ledger.heard(0, &body(3, Number::Push(9)), 0);
        assert_eq!((ledger.came, ledger.strays), (0, 3));
    }
}
