//! Carries commands to the servers that have their keys, each server's in one pipeline, and says of
//! each what came of it.
//!
//! Invariants: commands of one slot keep their order; a command is sent again only where the server
//! said that it did not carry it out; nothing is called safe whose own connection did not say so.
//!
//! A server that fails, or has a history of writes that is new ([`super::lineage`]), is *away*:
//! nobody waits for it again before the watcher ([`super::desk::watch`]) found that it serves, so
//! the slots of the others go on.

use crate::redis::counters::{Counters, count, discount};
use crate::redis::lineage::Lineages;
use crate::redis::link::{Dialer, Link, Node};
use crate::redis::owed::Owed;
use crate::redis::place::{Guide, Map};
use crate::redis::reply::{Fault, Remedy, remedy};
use crate::redis::script::Hashes;
use redis::{Cmd, Pipeline, Value};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often a command is sent on to where it belongs.
const ROUNDS: usize = 6;
/// How long to wait for a slot that is just being moved.
const MOVING: Duration = Duration::from_millis(20);

/// A command and where its key lives.
#[derive(Debug, Clone)]
pub(super) struct Op {
    pub(super) slot: u16,
    pub(super) command: Cmd,
}

/// Where everything is, of the whole store.
pub(super) struct Atlas {
    pub(super) dialer: Dialer,
    pub(super) hashes: RefCell<Hashes>,
    /// What servers did not take.
    pub(super) owed: Owed,
    /// Which histories of writes are known.
    pub(super) lineages: Lineages,
    map: RefCell<Rc<Map>>,
    stale: Cell<bool>,
    guide: tokio::sync::Mutex<Guide>,
    /// Servers that do not serve, and why.
    away: RefCell<BTreeMap<Node, String>>,
    counters: Arc<Counters>,
}

impl Atlas {
    pub(super) fn new(dialer: Dialer, guide: Guide, counters: Arc<Counters>) -> Self {
        Self {
            away: RefCell::default(),
            owed: Owed::new(Arc::clone(&counters)),
            counters,
            dialer,
            hashes: RefCell::default(),
            lineages: Lineages::default(),
            map: RefCell::default(),
            stale: Cell::new(true),
            guide: tokio::sync::Mutex::new(guide),
        }
    }

    /// The map is not to be relied on.
    pub(super) fn doubt(&self) {
        self.stale.set(true);
    }

    /// The map; asked for anew where there is doubt. One asks, and those who come meanwhile take
    /// what it found.
    pub(super) async fn map(&self) -> Result<Rc<Map>, String> {
        if self.stale.get() {
            let mut guide = self.guide.lock().await;
            if self.stale.get() {
                let away = self.away.borrow().clone();
                let found = guide.find(&self.dialer, &away).await?;
                *self.map.borrow_mut() = Rc::new(found);
                self.stale.set(false);
            }
        }
        Ok(Rc::clone(&self.map.borrow()))
    }

    /// Asks for the map anew, where it can change, while others go on with the one they have.
    pub(super) async fn look_again(&self) {
        let mut guide = self.guide.lock().await;
        let away = self.away.borrow().clone();
        if guide.moves()
            && let Ok(found) = guide.find(&self.dialer, &away).await
        {
            *self.map.borrow_mut() = Rc::new(found);
        }
    }

    /// Whether somebody is away.
    pub(super) fn is_torn(&self) -> bool {
        !self.away.borrow().is_empty()
    }

    /// Whether nobody serves.
    pub(super) fn is_dark(&self) -> bool {
        self.map.borrow().is_covered_by(&self.away.borrow())
    }

    /// A server does not serve.
    fn leave(&self, node: &Node, why: &str) {
        if self.away.borrow_mut().insert(node.clone(), why.to_owned()).is_none() {
            count(&self.counters.aways, 1);
            tracing::warn!(server = %node, why, "a server of the store in Redis is away");
        }
        self.count_away();
    }

    /// A server serves again.
    pub(super) fn come_back(&self, node: &Node) {
        if self.away.borrow_mut().remove(node).is_some() {
            tracing::info!(server = %node, "a server of the store in Redis is back");
        }
        self.count_away();
    }

    /// Forgets those that are no primaries any more.
    pub(super) fn forget_replaced(&self) {
        let map = Rc::clone(&self.map.borrow());
        self.away.borrow_mut().retain(|node, _| map.has(node));
        self.count_away();
    }

    fn count_away(&self) {
        self.counters.away.store(self.away.borrow().len() as u64, Relaxed);
    }
}

/// Somebody with connections of its own.
pub(super) struct Caller {
    atlas: Rc<Atlas>,
    links: HashMap<Node, Link>,
    /// Whether it finds out who has come back, and carries out what is owed: those who are away, or
    /// not known yet, are asked too, and what is owed does not hold it up.
    insists: bool,
}

/// What one pipeline is made of.
struct Load {
    node: Node,
    ops: Vec<usize>,
    pipe: Pipeline,
    /// Which answers are `ops`'; an `ASKING` before one has an answer of its own.
    answers: Vec<usize>,
    link: Link,
    fenced: bool,
}

type Outcome = Result<Value, Fault>;

impl Caller {
    pub(super) fn new(atlas: Rc<Atlas>) -> Self {
        Self { atlas, links: HashMap::new(), insists: false }
    }

    /// One that finds out whether those who are away have come back, and carries out what is owed.
    pub(super) fn insisting(atlas: Rc<Atlas>) -> Self {
        Self { insists: true, ..Self::new(atlas) }
    }

    /// Carries these out. `safe`: a command has succeeded when its write is as safe as the options
    /// want it.
    pub(super) async fn carry(&mut self, ops: &[Op], safe: bool) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; ops.len()];
        let mut asking = HashMap::new();
        // What was put together before this is not for servers that came to be known after it.
        let known = self.atlas.lineages.count();
        if !self.insists {
            self.hold_back(ops, &mut outcomes);
        }
        for _ in 0..ROUNDS {
            let open: Vec<_> = (0..ops.len()).filter(|at| outcomes[*at].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let mut groups = match self.group(ops, &open, &mut asking).await {
                Ok(groups) => groups,
                Err(why) => {
                    self.fail(&mut outcomes, &open, &Fault::Down(why));
                    break;
                }
            };
            if !self.insists {
                groups.retain(|node, group| !self.turn_away(node, group, &mut outcomes));
            }
            self.round(ops, groups, (safe, known), &mut (&mut outcomes, &mut asking)).await;
        }
        let lost = || Err(Fault::Down("sent from server to server without end".to_owned()));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect()
    }

    /// What must not overtake what is owed waits for that.
    fn hold_back(&self, ops: &[Op], outcomes: &mut [Option<Outcome>]) {
        let held = |at: &usize| self.atlas.owed.holds(ops[*at].slot);
        let held: Vec<_> = (0..ops.len()).filter(held).collect();
        if !held.is_empty() {
            let why = "what came before is owed still".to_owned();
            self.fail(outcomes, &held, &Fault::Away(why));
        }
    }

    /// Whether a server is away, and with it what is for it.
    fn turn_away(
        &self,
        node: &Node,
        group: &[(usize, bool)],
        outcomes: &mut [Option<Outcome>],
    ) -> bool {
        let why = self.atlas.away.borrow().get(node).map(|why| format!("{node} is away: {why}"));
        let Some(why) = why else { return false };
        let which: Vec<_> = group.iter().map(|(at, _)| *at).collect();
        self.fail(outcomes, &which, &Fault::Away(why));
        true
    }

    /// Which command goes where, and whether with `ASKING`.
    async fn group(
        &self,
        ops: &[Op],
        open: &[usize],
        asking: &mut HashMap<usize, Node>,
    ) -> Result<BTreeMap<Node, Vec<(usize, bool)>>, String> {
        let map = self.atlas.map().await?;
        let mut groups: BTreeMap<Node, Vec<(usize, bool)>> = BTreeMap::new();
        for &at in open {
            let asked = asking.remove(&at);
            let node = asked.as_ref().or_else(|| map.node(ops[at].slot));
            let node = node.ok_or("a slot that nobody has")?.clone();
            groups.entry(node).or_default().push((at, asked.is_some()));
        }
        Ok(groups)
    }

    /// Sends every group at once and takes what comes back.
    async fn round(
        &mut self,
        ops: &[Op],
        groups: BTreeMap<Node, Vec<(usize, bool)>>,
        (safe, known): (bool, u64),
        (outcomes, asking): &mut (&mut Vec<Option<Outcome>>, &mut HashMap<usize, Node>),
    ) {
        let mut flying = JoinSet::new();
        for (node, group) in groups {
            let indices: Vec<_> = group.iter().map(|(at, _)| *at).collect();
            match self.link(&node, known).await {
                Ok(link) => {
                    let load = load(ops, node, &group, (link, safe));
                    let counters = Arc::clone(&self.atlas.counters);
                    count(&counters.commands, load.pipe.len());
                    count(&counters.in_flight, load.pipe.len());
                    flying.spawn_local(async move {
                        let answers = load.link.run(&load.pipe).await;
                        discount(&counters.in_flight, load.pipe.len());
                        (load, answers)
                    });
                }
                Err(why) => {
                    self.lose(&node, &why);
                    self.fail(outcomes, &indices, &Fault::Away(why));
                }
            }
        }
        let mut again = false;
        while let Some(landed) = flying.join_next().await {
            // A task that panicked or was aborted: its commands are not settled, and go again.
            let Ok((load, answers)) = landed else { continue };
            match answers {
                Ok(answers) => again |= self.take(&load, answers, outcomes, asking),
                Err(why) => {
                    let why = format!("{}: {why}", load.node);
                    self.lose(&load.node, &why);
                    self.fail(outcomes, &load.ops, &Fault::Away(why));
                }
            }
        }
        if again {
            tokio::time::sleep(MOVING).await;
        }
    }

    /// Settles what was answered; says whether something needs a moment.
    fn take(
        &mut self,
        load: &Load,
        mut answers: Vec<Value>,
        outcomes: &mut [Option<Outcome>],
        asking: &mut HashMap<usize, Node>,
    ) -> bool {
        let fence = if load.fenced { answers.pop() } else { None };
        let held = fence.map_or(Ok(()), |answer| load.link.fence.holds(&answer));
        if let Err(why) = &held {
            count(&self.atlas.counters.waits_failed, 1);
            self.lose(&load.node, why);
        }
        let mut again = false;
        for (&at, &answer) in load.ops.iter().zip(&load.answers) {
            let answer = answers.get_mut(answer).map_or(Value::Nil, std::mem::take);
            let Value::ServerError(error) = answer else {
                let unsafe_why = held.as_ref().err();
                let unsafe_why = unsafe_why.map(|why| Fault::Away(format!("{}: {why}", load.node)));
                outcomes[at] = Some(unsafe_why.map_or(Ok(answer), Err));
                continue;
            };
            match remedy(&error) {
                Remedy::Fail(fault) => {
                    count(&self.atlas.counters.errors, 1);
                    if let Fault::Away(why) = &fault {
                        self.lose(&load.node, why);
                    }
                    outcomes[at] = Some(Err(fault));
                }
                Remedy::Moved => self.atlas.doubt(),
                Remedy::Ask(place) => {
                    let there = Node::parse(&place).map(|(node, _)| node);
                    let near = || place.strip_prefix(':').and_then(|port| port.parse().ok());
                    let same = |port| Node { host: load.node.host.clone(), port };
                    asking.extend(there.or_else(|| near().map(same)).map(|node| (at, node)));
                }
                Remedy::Again => again = true,
                Remedy::Reload => drop(self.links.remove(&load.node)),
            }
        }
        again
    }

    /// A connection that failed is given up, and with it the belief that this is the place.
    fn lose(&mut self, node: &Node, why: &str) {
        count(&self.atlas.counters.connections_lost, 1);
        self.links.remove(node);
        self.atlas.leave(node, why);
        self.atlas.doubt();
    }

    /// These were not carried out.
    fn fail(&self, outcomes: &mut [Option<Outcome>], which: &[usize], fault: &Fault) {
        count(&self.atlas.counters.errors, which.len());
        for &at in which {
            outcomes[at] = Some(Err(fault.clone()));
        }
    }

    /// The connection to a server, for what was put together when so many histories were known.
    async fn link(&mut self, node: &Node, known: u64) -> Result<Link, String> {
        let lineages = &self.atlas.lineages;
        let link = self.links.get(node).filter(|link| lineages.is_of(node, &link.lineage));
        if let Some(link) = link {
            return Ok(link.clone());
        }
        let (link, hashes) = self.atlas.dialer.server(node).await?;
        count(&self.atlas.counters.connections, 1);
        lineages.find(node, &link.lineage);
        if !self.insists && !lineages.knew(node, known) {
            return Err(format!("{node}: a new history of writes"));
        }
        *self.atlas.hashes.borrow_mut() = hashes;
        self.links.insert(node.clone(), link.clone());
        Ok(link)
    }

    /// Gives up connections to those that are no primaries now: they may be once more, with another
    /// history.
    pub(super) async fn forget_replaced(&mut self) {
        if let Ok(map) = self.atlas.map().await {
            self.links.retain(|node, _| map.has(node));
        }
    }

    /// Gives up every connection.
    pub(super) fn hang_up(&mut self) {
        self.links.clear();
    }
}

fn load(ops: &[Op], node: Node, group: &[(usize, bool)], (link, safe): (Link, bool)) -> Load {
    let mut pipe = Pipeline::with_capacity(group.len() + 1);
    let mut answers = Vec::with_capacity(group.len());
    for &(at, asked) in group {
        if asked {
            pipe.add_command(redis::cmd("ASKING"));
        }
        answers.push(pipe.len());
        pipe.add_command(ops[at].command.clone());
    }
    let fence = link.fence.command().filter(|_| safe);
    let fenced = fence.is_some();
    if let Some(fence) = fence {
        pipe.add_command(fence);
    }
    let ops = group.iter().map(|(at, _)| *at).collect();
    Load { node, ops, pipe, answers, link, fenced }
}
