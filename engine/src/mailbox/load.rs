//! What the store was asked for, until it answers.

use super::Entry;
use crate::connection::id::ConnectionId;
use crate::directory::homes::HomeId;
use slab::Slab;

/// A question.
#[derive(Debug)]
pub struct Load {
    /// Whose mailbox.
    pub home: HomeId,
    /// For whom; `None` where the mailbox itself was asked for.
    pub connection: Option<ConnectionId>,
    /// What of it.
    pub wanted: Vec<Entry>,
}

/// The questions of one shard. Each is answered once.
#[derive(Debug, Default)]
pub struct Loads(Slab<Load>);

impl Loads {
    /// Notes a question; gives its number.
    pub fn ask(&mut self, load: Load) -> u32 {
        u32::try_from(self.0.insert(load)).unwrap_or(u32::MAX)
    }

    /// Takes the question of this number.
    pub fn answered(&mut self, token: u64) -> Option<Load> {
        usize::try_from(token).ok().and_then(|token| self.0.try_remove(token))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
