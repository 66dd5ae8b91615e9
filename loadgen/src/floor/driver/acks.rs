//! What a fleet's clients owe the server: an acknowledgement of their durable messages.
//!
//! A client says how far it came at most a moment ([`Acks::wait`]) after the first message that it
//! has not acknowledged yet, in one word for all of them. Pure: the fleet sends, this says what and
//! when.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long an acknowledgement may wait for more messages to speak of, unless told otherwise.
const LATE: Duration = Duration::from_millis(100);

/// How far one client came.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    /// The greatest sequence that came.
    last: u64,
    /// The greatest that was acknowledged.
    acked: u64,
}

/// The clients of a fleet, by index.
#[derive(Debug)]
pub(super) struct Acks {
    clients: Vec<Reached>,
    /// How long an acknowledgement may wait for more messages to speak of.
    late: Duration,
    /// Clients that owe something, in the order in which it came.
    owing: VecDeque<(Instant, usize)>,
    /// Durable messages that came since [`Acks::count_from_here`], each once.
    came: usize,
}

/// A durable message as a client hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::floor) struct Durable {
    /// Its place in the user's order.
    pub(in crate::floor) sequence: u64,
    /// Whether it may have come before.
    pub(in crate::floor) again: bool,
}

impl Default for Acks {
    fn default() -> Self {
        Self { clients: Vec::new(), late: LATE, owing: VecDeque::new(), came: 0 }
    }
}

impl Acks {
    /// From now on an acknowledgement may wait so long for more messages to speak of.
    pub(super) fn wait(&mut self, late: Duration) {
        self.late = late;
    }

    /// One client more.
    pub(super) fn add(&mut self) {
        self.clients.push(Reached::default());
    }

    /// A message came at `now`; gives whether it is new.
    ///
    /// # Errors
    /// It came before and does not say so, or after one that follows it.
    pub(super) fn heard(
        &mut self,
        client: usize,
        message: Durable,
        now: Instant,
    ) -> Result<bool, String> {
        let reached = &mut self.clients[client];
        if message.sequence <= reached.last {
            let Reached { last, .. } = reached;
            let Durable { sequence, again } = message;
            let why = || format!("client {client}: message {sequence} came after {last}");
            return if again { Ok(false) } else { Err(why()) };
        }
        if reached.last == reached.acked {
            self.owing.push_back((now, client));
        }
        reached.last = message.sequence;
        self.came += 1;
        Ok(true)
    }

    /// How many new messages came.
    pub(super) fn came(&self) -> usize {
        self.came
    }

    /// Counts from zero again.
    pub(super) fn count_from_here(&mut self) {
        self.came = 0;
    }

    /// How long until somebody must be told.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let (first, _) = self.owing.front()?;
        Some((*first + self.late).saturating_duration_since(now))
    }

    /// The next client whose time has come at `now`, and how far it came.
    pub(super) fn due(&mut self, now: Instant) -> Option<(usize, u64)> {
        if self.pause(now)?.is_zero() { self.next() } else { None }
    }

    /// The next client that owes something, whether or not its time has come.
    pub(super) fn next(&mut self) -> Option<(usize, u64)> {
        let (_, client) = self.owing.pop_front()?;
        let reached = &mut self.clients[client];
        reached.acked = reached.last;
        Some((client, reached.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence: u64) -> Durable {
        Durable { sequence, again: false }
    }

    fn of(clients: usize) -> Acks {
        let mut acks = Acks::default();
        (0..clients).for_each(|_| acks.add());
        acks
    }

    #[test]
    fn one_word_speaks_of_all_that_came_in_time() {
        let (mut acks, start) = (of(2), Instant::now());
        for (client, sequence, after) in [(1, 7, 0), (0, 3, 40), (1, 9, 90)] {
            let now = start + Duration::from_millis(after);
            assert_eq!(acks.heard(client, message(sequence), now), Ok(true));
        }
        assert_eq!(acks.due(start + Duration::from_millis(99)), None);
        assert_eq!(acks.due(start + LATE), Some((1, 9)));
        assert_eq!(acks.due(start + LATE), None);
        assert_eq!(acks.pause(start + LATE), Some(Duration::from_millis(40)));
        assert_eq!((acks.next(), acks.next()), (Some((0, 3)), None));
        assert_eq!(acks.came(), 3);
    }

    #[test]
    fn what_comes_again_must_say_so_and_is_not_counted() {
        let (mut acks, now) = (of(1), Instant::now());
        acks.heard(0, message(5), now).unwrap();
        assert_eq!(acks.heard(0, Durable { sequence: 5, again: true }, now), Ok(false));
        assert!(acks.heard(0, message(4), now).is_err());
        assert_eq!(acks.came(), 1);
        acks.count_from_here();
        assert_eq!(acks.came(), 0);
    }
}
