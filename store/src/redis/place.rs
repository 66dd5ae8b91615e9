//! Where keys live: one primary, or the primaries of a Cluster by slot.

use crate::redis::link::{Dialer, Link, Node};
use crate::redis::names::SLOTS;
use crate::redis::options::{Mode, OpenError, Options};
use crate::redis::reply;
use redis::Value;
use std::collections::{BTreeMap, VecDeque};

/// Which slots are whose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Map {
    /// First slot, last slot, primary.
    ranges: Vec<(u16, u16, Node)>,
}

impl Map {
    /// Who has this slot.
    pub(super) fn node(&self, slot: u16) -> Option<&Node> {
        let range = self.ranges.iter().find(|(from, to, _)| (*from..=*to).contains(&slot));
        range.map(|(_, _, node)| node)
    }

    /// Every primary, once, with all ranges of its slots.
    pub(super) fn primaries(&self) -> Vec<(Node, Vec<(u16, u16)>)> {
        let mut found: Vec<(Node, Vec<(u16, u16)>)> = Vec::new();
        for (from, to, node) in &self.ranges {
            match found.iter_mut().find(|(known, _)| known == node) {
                Some((_, ranges)) => ranges.push((*from, *to)),
                None => found.push((node.clone(), vec![(*from, *to)])),
            }
        }
        found
    }

    /// Whether this is one of the primaries.
    pub(super) fn has(&self, node: &Node) -> bool {
        self.ranges.iter().any(|(_, _, primary)| primary == node)
    }

    /// Whether there are primaries, and all of them are among these.
    pub(super) fn is_covered_by(&self, nodes: &BTreeMap<Node, String>) -> bool {
        !self.ranges.is_empty() && self.ranges.iter().all(|(_, _, it)| nodes.contains_key(it))
    }

    /// The first slot that nobody has.
    fn gap(&self) -> Option<u16> {
        let mut ranges: Vec<_> = self.ranges.iter().map(|(from, to, _)| (*from, *to)).collect();
        ranges.sort_unstable();
        let mut next = 0;
        for (from, to) in ranges {
            if from > next {
                break;
            }
            next = to + 1;
        }
        (next < SLOTS).then_some(next)
    }
}

/// Finds out who has what.
pub(super) struct Guide {
    mode: Mode,
    /// As the options have them.
    seeds: Vec<Node>,
    /// Whom to ask, in turn.
    known: VecDeque<Node>,
}

impl Guide {
    /// Reads the addresses.
    pub(super) fn new(options: &Options) -> Result<Self, OpenError> {
        // A password that stands in it by mistake is not for the log.
        let bare = |address: &String| match address.rsplit_once('@') {
            Some((_, host)) => format!("...@{host}"),
            None => address.clone(),
        };
        let wrong = |address| OpenError::Settings(format!("{}: not an address", bare(address)));
        let mut seeds = Vec::new();
        for address in &options.addresses {
            let (node, secure) = Node::parse(address).ok_or_else(|| wrong(address))?;
            if secure && options.tls.is_none() {
                let why = format!("{}: rediss without TLS settings", bare(address));
                return Err(OpenError::Settings(why));
            }
            seeds.push(node);
        }
        let known = seeds.iter().cloned().collect();
        Ok(Self { mode: options.mode.clone(), seeds, known })
    }

    /// Whether the answer may change.
    pub(super) fn moves(&self) -> bool {
        self.mode != Mode::Single
    }

    /// Asks one after the other of those it knows until one answers, those that are away last. Each
    /// time another one is first: one that is cut off from the rest answers too, with what was once
    /// right.
    pub(super) async fn find(
        &mut self,
        dialer: &Dialer,
        away: &BTreeMap<Node, String>,
    ) -> Result<Map, String> {
        let mut why = String::new();
        self.known.make_contiguous().sort_by_key(|node| away.contains_key(node));
        for _ in 0..self.known.len() {
            let Some(node) = self.known.pop_front() else { break };
            let answer = self.ask(dialer, &node).await;
            self.known.push_back(node);
            match answer {
                Ok(map) => {
                    self.learn(&map);
                    return Ok(map);
                }
                Err(new) => why = new,
            }
        }
        Err(why)
    }

    async fn ask(&self, dialer: &Dialer, node: &Node) -> Result<Map, String> {
        match &self.mode {
            Mode::Single => Ok(Map { ranges: vec![(0, SLOTS - 1, node.clone())] }),
            Mode::Sentinel(name) => sentinel(&dialer.guide(node).await?, node, name).await,
            Mode::Cluster => cluster(&dialer.guide(node).await?, node).await,
        }
    }

    /// A Cluster's nodes may all be replaced in time, so those of the last map are asked as well.
    fn learn(&mut self, map: &Map) {
        if self.mode == Mode::Cluster {
            let current: Vec<_> = map.ranges.iter().map(|(_, _, node)| node).collect();
            self.known.retain(|node| current.contains(&node) || self.seeds.contains(node));
            for node in current {
                if !self.known.contains(node) {
                    self.known.push_back(node.clone());
                }
            }
        }
    }
}

async fn sentinel(link: &Link, asked: &Node, name: &str) -> Result<Map, String> {
    let question = redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).to_owned();
    let answer = link.ask(question).await.map_err(|why| {
        format!(
            "{asked}: {why}: is that a Sentinel (port 26379 by default)? For a server alone, mode \
             \"single\""
        )
    })?;
    let [host, port] = reply::list(&answer) else {
        return Err(format!("Sentinel knows no primary \"{name}\""));
    };
    let host = reply::text(host).ok_or("Sentinel: no host")?;
    let port = reply::integer(port).and_then(|port| port.try_into().ok());
    let port = port.ok_or("Sentinel: no port")?;
    Ok(Map { ranges: vec![(0, SLOTS - 1, Node { host, port })] })
}

async fn cluster(link: &Link, asked: &Node) -> Result<Map, String> {
    let answer = link.ask(redis::cmd("CLUSTER").arg("SLOTS").to_owned()).await;
    let answer = answer.map_err(|why| {
        format!("{asked}: {why}: is that a node of a Cluster? For a server alone, mode \"single\"")
    })?;
    let ranges = reply::list(&answer).iter().map(|range| range_of(range, asked));
    let map = Map { ranges: ranges.collect::<Option<_>>().ok_or("CLUSTER SLOTS: not understood")? };
    match map.gap() {
        None => Ok(map),
        Some(slot) => Err(format!("{asked}: nobody has slot {slot}")),
    }
}

fn range_of(range: &Value, asked: &Node) -> Option<(u16, u16, Node)> {
    let [from, to, primary, ..] = reply::list(range) else { return None };
    let slot = |value| reply::integer(value).and_then(|slot| slot.try_into().ok());
    let [host, port, ..] = reply::list(primary) else { return None };
    // A node that does not know its own address says nothing: it is the one that was asked.
    let host = reply::text(host).filter(|host| !host.is_empty() && host != "?");
    let host = host.unwrap_or_else(|| asked.host.clone());
    let port = reply::integer(port)?.try_into().ok()?;
    Some((slot(from)?, slot(to)?, Node { host, port }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> Node {
        Node { host: "h".into(), port }
    }

    #[test]
    fn a_slot_that_nobody_has_is_found() {
        let whole = Map { ranges: vec![(9000, 16383, node(2)), (0, 8999, node(1))] };
        assert_eq!(whole.gap(), None);
        assert_eq!(whole.node(9000), Some(&node(2)));
        assert_eq!(Map { ranges: vec![(0, 8, node(1)), (10, 16383, node(1))] }.gap(), Some(9));
        assert_eq!(Map { ranges: vec![(0, 16382, node(1))] }.gap(), Some(16383));
        assert_eq!(Map::default().gap(), Some(0));
    }

    #[test]
    fn each_primary_is_told_once_with_all_that_it_has() {
        let ranges = vec![(0, 8, node(1)), (9, 20, node(2)), (21, 16383, node(1))];
        let primaries = Map { ranges }.primaries();
        let all = [(node(1), vec![(0, 8), (21, 16383)]), (node(2), vec![(9, 20)])];
        assert_eq!(primaries, all);
    }
}
