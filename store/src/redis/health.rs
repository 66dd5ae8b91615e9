//! Whether the store works, what it owes, and what it has done.

use crate::letter::{Command, Event, Trouble};
use crate::port::Ear;
use crate::redis::counters::{Counters, count};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Notify;

/// How many commands without an answer are kept while the servers do not take them. Beyond that the
/// oldest trims go first: their messages are delivered once more, or expire.
const OWED: usize = 100_000;

/// The state that all tasks of the store share.
pub(super) struct Health {
    ears: Vec<Ear>,
    trouble: Cell<Option<Trouble>>,
    owed: RefCell<VecDeque<Command>>,
    pub(super) counters: Arc<Counters>,
    /// Rung when trouble begins, or when a server goes away.
    pub(super) alarm: Notify,
}

impl Health {
    pub(super) fn new(ears: Vec<Ear>, counters: Arc<Counters>) -> Self {
        let (trouble, owed) = (Cell::new(None), RefCell::default());
        Self { ears, trouble, owed, counters, alarm: Notify::new() }
    }

    /// How it stands.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble.get()
    }

    /// Tells one shard.
    pub(super) fn tell(&self, shard: u16, event: Event) {
        if let Some(ear) = self.ears.get(usize::from(shard)) {
            ear.tell(event);
        }
    }

    /// Something is wrong. Shards, and the log, hear of a change.
    pub(super) fn worsen(&self, trouble: Trouble, why: &str) {
        if self.trouble.replace(Some(trouble)) != Some(trouble) {
            tracing::error!(?trouble, why, "the store in Redis takes no messages");
            count(&self.counters.troubles, 1);
            let number = if trouble == Trouble::Full { 1 } else { 2 };
            self.counters.trouble.store(number, Ordering::Relaxed);
            self.tell_all(|| Event::State(Some(trouble)));
            self.alarm.notify_one();
        }
    }

    /// It works again.
    pub(super) fn mend(&self) {
        if self.trouble.take().is_some() {
            tracing::info!("the store in Redis takes messages again");
            self.counters.trouble.store(0, Ordering::Relaxed);
            self.tell_all(|| Event::State(None));
        }
    }

    /// Tells every shard.
    pub(super) fn tell_all(&self, event: impl Fn() -> Event) {
        for ear in &self.ears {
            ear.tell(event());
        }
    }

    /// Keeps what is to be carried out later.
    pub(super) fn owe(&self, commands: impl IntoIterator<Item = Command>) {
        let mut owed = self.owed.borrow_mut();
        owed.extend(commands);
        if owed.len() > OWED {
            let mut excess = owed.len() - OWED;
            count(&self.counters.dropped, excess);
            owed.retain(|command| {
                let goes = excess > 0 && matches!(command, Command::Trim { .. });
                excess -= usize::from(goes);
                !goes
            });
            // Without enough trims, the oldest of what is left.
            owed.drain(..excess);
        }
        self.counters.owed.store(owed.len() as u64, Ordering::Relaxed);
    }

    /// Whether something is owed.
    pub(super) fn owes(&self) -> bool {
        !self.owed.borrow().is_empty()
    }

    /// The oldest of what is owed.
    pub(super) fn take_owed(&self, most: usize) -> Vec<Command> {
        let mut owed = self.owed.borrow_mut();
        let many = owed.len().min(most);
        let taken = owed.drain(..many).collect();
        self.counters.owed.store(owed.len() as u64, Ordering::Relaxed);
        taken
    }

    /// Puts back what [`take_owed`](Self::take_owed) gave, before the rest.
    pub(super) fn owe_first(&self, commands: Vec<Command>) {
        let rest: Vec<_> = self.owed.borrow_mut().drain(..).collect();
        self.owe(commands.into_iter().chain(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::BroadcastState;

    #[test]
    fn the_oldest_trims_go_first() {
        let health = Health::new(Vec::new(), Arc::default());
        let state = BroadcastState::Paused;
        health.owe([Command::Steer { product: 0, number: 1, state }]);
        let trim = |upto| Command::Trim { product: 0, user: "u".into(), upto };
        health.owe((0..OWED as u64 + 9).map(trim));
        let mut owed = health.take_owed(2).into_iter();
        assert!(matches!(owed.next(), Some(Command::Steer { .. })), "it is not a trim");
        assert!(matches!(owed.next(), Some(Command::Trim { upto: 10, .. })), "0 to 9 are dropped");
        assert_eq!(health.counters.dropped.load(Ordering::Relaxed), 10);
    }
}
