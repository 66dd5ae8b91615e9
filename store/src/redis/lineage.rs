//! Which histories of writes the servers have, so that none is taken for another.
//!
//! A replica that takes its primary's place may lack the last writes, and so may a server that
//! starts again. Two messages of a user could then have one sequence: one that was lost, and one
//! that was stored in its place by another process. An acknowledgement of the first would have the
//! second forgotten. So a process that finds a history which it does not know takes a new block of
//! sequences before it stores anything there: a sequence is never of two messages.
//!
//! A server says which history it has (`master_replid` of `INFO replication`): a new one with each
//! start, and with each promotion of a replica.

use crate::letter::Event;
use crate::redis::caller::Caller;
use crate::redis::desk::Desk;
use crate::redis::link::Node;
use crate::redis::reply::{Fault, integer};
use crate::redis::write::{BLOCK, op};
use redis::Value;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// The histories that a process knows.
#[derive(Debug, Default)]
pub(super) struct Lineages {
    /// Since which count each is known, and those that are found and not known yet.
    found: RefCell<HashMap<String, Option<u64>>>,
    /// What each server had at the last connection.
    at: RefCell<HashMap<Node, String>>,
    /// How often new ones came to be known.
    count: Cell<u64>,
}

impl Lineages {
    /// A connection was made to a server that has this one.
    pub(super) fn find(&self, node: &Node, lineage: &str) {
        self.found.borrow_mut().entry(lineage.to_owned()).or_default();
        self.at.borrow_mut().insert(node.clone(), lineage.to_owned());
    }

    /// Whether the server had this one at its last connection: it may have gone and come back.
    pub(super) fn is_of(&self, node: &Node, lineage: &str) -> bool {
        self.at.borrow().get(node).is_some_and(|it| it == lineage)
    }

    /// Whether what this server has was known already at this count.
    pub(super) fn knew(&self, node: &Node, count: u64) -> bool {
        let (at, found) = (self.at.borrow(), self.found.borrow());
        let since = at.get(node).and_then(|lineage| *found.get(lineage)?);
        since.is_some_and(|since| since <= count)
    }

    /// How often new ones came to be known.
    pub(super) fn count(&self) -> u64 {
        self.count.get()
    }

    /// Those that were found and are not known.
    fn unknown(&self) -> Vec<String> {
        let found = self.found.borrow();
        found.iter().filter(|(_, since)| since.is_none()).map(|(it, _)| it.clone()).collect()
    }

    /// From now on these are known.
    fn learn(&self, lineages: Vec<String>) {
        self.count.set(self.count.get() + 1);
        let since = Some(self.count.get());
        self.found.borrow_mut().extend(lineages.into_iter().map(|it| (it, since)));
    }
}

impl Desk {
    /// Takes a block for what was found, if it is not known; all shards hear of it before anything
    /// is stored there, and what they numbered before that is refused.
    pub(super) async fn meet(&self, caller: &mut Caller) -> Result<(), Fault> {
        loop {
            // The connection for the block may find another one.
            let unknown = self.atlas.lineages.unknown();
            if unknown.is_empty() {
                return Ok(());
            }
            let first = self.reserved.get() == 0;
            let behind = self.take_block(caller).await?;
            if !first {
                tracing::info!(behind, "a server of the store in Redis has a new history");
                self.floor.set(behind);
                self.health.tell_all(|| Event::Block(behind));
            }
            self.atlas.lineages.learn(unknown);
        }
    }

    /// Takes the next block, behind all that this process ever had; gives what it begins behind.
    /// Its end is what every later process begins behind.
    async fn take_block(&self, caller: &mut Caller) -> Result<u64, Fault> {
        let key = self.names.sequence();
        let mut more = BLOCK;
        loop {
            let mut take = redis::cmd("INCRBY");
            take.arg(&key.name).arg(more);
            let end = caller.carry(&[op(&key, take)], true).await.pop();
            let end = integer(&end.unwrap_or(Ok(Value::Nil))?);
            let behind = end.and_then(|end| u64::try_from(end).ok()?.checked_sub(BLOCK));
            let not = || Fault::Down("the sequence is not a number".to_owned());
            let behind = behind.ok_or_else(not)?;
            if behind >= self.reserved.get() {
                self.reserved.set(behind + BLOCK);
                return Ok(behind);
            }
            more = self.reserved.get() - behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_found_a_history_before_it_was_known_may_not_use_it() {
        let lineages = Lineages::default();
        let node = Node { host: "h".into(), port: 1 };
        let before = lineages.count();
        lineages.find(&node, "a");
        assert!(!lineages.knew(&node, before), "nobody knows it");
        lineages.learn(lineages.unknown());
        assert!(!lineages.knew(&node, before), "what was numbered before that");
        assert!(lineages.knew(&node, lineages.count()));
        lineages.find(&node, "b");
        assert!(!lineages.is_of(&node, "a") && !lineages.knew(&node, lineages.count()));
        lineages.find(&node, "a");
        assert!(lineages.knew(&node, lineages.count()), "and it is not forgotten");
        assert_eq!(lineages.unknown(), ["b"]);
    }
}
