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

/// Questions for bodies that one shard has open at a time. What is loaded is held in memory, and a
/// reader with thousands of questions before it would not let go of a core that it shares.
const BODIES: usize = 16;

/// The questions of one shard. Each is answered once.
#[derive(Debug, Default)]
pub struct Loads {
    open: Slab<Load>,
    /// Those of them that ask for bodies.
    bodies: usize,
}

impl Loads {
    /// Notes a question; gives its number.
    pub fn ask(&mut self, load: Load) -> u32 {
        self.bodies += usize::from(load.connection.is_some());
        u32::try_from(self.open.insert(load)).unwrap_or(u32::MAX)
    }

    /// Takes the question of this number.
    pub fn answered(&mut self, token: u64) -> Option<Load> {
        let load = usize::try_from(token).ok().and_then(|token| self.open.try_remove(token))?;
        self.bodies -= usize::from(load.connection.is_some());
        Some(load)
    }

    /// Whether bodies may be asked for now.
    pub fn has_room(&self) -> bool {
        self.bodies < BODIES
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::id::ConnectionId;

    fn load(bodies: bool) -> Load {
        let session = ConnectionId { shard: 0, slot: 0, generation: 0 };
        let home = HomeId { slot: 0, generation: 0 };
        Load { home, connection: bodies.then_some(session), wanted: Vec::new() }
    }

    #[test]
    fn bodies_are_asked_for_a_few_at_a_time() {
        let mut loads = Loads::default();
        let tokens: Vec<_> = (0..BODIES).map(|_| loads.ask(load(true))).collect();
        assert!(!loads.has_room());
        assert!(loads.answered(u64::from(tokens[3])).is_some());
        assert!(loads.has_room());
        assert!(loads.answered(u64::from(tokens[3])).is_none(), "each is answered once");
        loads.ask(load(true));
        assert!(!loads.has_room(), "an answer that was none makes no room");
    }

    #[test]
    fn whole_mailboxes_take_no_room_from_bodies() {
        let mut loads = Loads::default();
        for _ in 0..BODIES {
            loads.ask(load(false));
        }
        assert!(loads.has_room());
    }
}
