//! Whether the store works, and who hears of it.

use crate::letter::{Event, Trouble};
use crate::port::Ear;
use crate::redis::counters::{Counters, count};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Notify;

/// The state that all tasks of the store share.
pub(super) struct Health {
    ears: Vec<Ear>,
    trouble: Cell<Option<Trouble>>,
    pub(super) counters: Arc<Counters>,
    /// Rung when trouble begins, or when a server goes away.
    pub(super) alarm: Notify,
}

impl Health {
    pub(super) fn new(ears: Vec<Ear>, counters: Arc<Counters>) -> Self {
        Self { ears, trouble: Cell::new(None), counters, alarm: Notify::new() }
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
}
