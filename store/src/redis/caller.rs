//! Carries commands to the servers that have their keys, each server's in one pipeline, and says of
//! each what came of it.
//!
//! Invariants: commands of one slot keep their order; a command is sent again only where the server
//! said that it did not carry it out; nothing is called safe whose own connection did not say so.

use crate::redis::link::{Dialer, Link, Node};
use crate::redis::place::{Guide, Map};
use crate::redis::reply::{Fault, Remedy, remedy};
use crate::redis::script::Hashes;
use redis::{Cmd, Pipeline, Value};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
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
    map: RefCell<Rc<Map>>,
    stale: Cell<bool>,
    guide: tokio::sync::Mutex<Guide>,
}

impl Atlas {
    pub(super) fn new(dialer: Dialer, guide: Guide) -> Self {
        Self {
            dialer,
            hashes: RefCell::default(),
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
                let found = guide.find(&self.dialer).await?;
                *self.map.borrow_mut() = Rc::new(found);
                self.stale.set(false);
            }
        }
        Ok(Rc::clone(&self.map.borrow()))
    }

    /// Asks for the map anew, where it can change, while others go on with the one they have.
    pub(super) async fn look_again(&self) {
        let mut guide = self.guide.lock().await;
        if guide.moves()
            && let Ok(found) = guide.find(&self.dialer).await
        {
            *self.map.borrow_mut() = Rc::new(found);
        }
    }
}

/// Somebody with connections of its own.
pub(super) struct Caller {
    atlas: Rc<Atlas>,
    links: HashMap<Node, Link>,
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
        Self { atlas, links: HashMap::new() }
    }

    /// Carries these out. `safe`: a command has succeeded when its write is as safe as the options
    /// want it.
    pub(super) async fn carry(&mut self, ops: &[Op], safe: bool) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; ops.len()];
        let mut asking = HashMap::new();
        for _ in 0..ROUNDS {
            let open: Vec<_> = (0..ops.len()).filter(|at| outcomes[*at].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let groups = match self.group(ops, &open, &mut asking).await {
                Ok(groups) => groups,
                Err(why) => {
                    fail(&mut outcomes, &open, &why);
                    break;
                }
            };
            self.round(ops, groups, safe, &mut (&mut outcomes, &mut asking)).await;
        }
        let lost = || Err(Fault::Down("sent from server to server without end".to_owned()));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect()
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
        safe: bool,
        (outcomes, asking): &mut (&mut Vec<Option<Outcome>>, &mut HashMap<usize, Node>),
    ) {
        let mut flying = JoinSet::new();
        for (node, group) in groups {
            let indices: Vec<_> = group.iter().map(|(at, _)| *at).collect();
            match self.link(&node).await {
                Ok(link) => {
                    let load = load(ops, node, &group, (link, safe));
                    flying.spawn_local(async move {
                        let answers = load.link.run(&load.pipe).await;
                        (load, answers)
                    });
                }
                Err(why) => {
                    self.atlas.doubt();
                    fail(outcomes, &indices, &why);
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
                    self.lose(&load.node);
                    fail(outcomes, &load.ops, &format!("{}: {why}", load.node));
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
        let mut again = false;
        for (&at, &answer) in load.ops.iter().zip(&load.answers) {
            let answer = answers.get_mut(answer).map_or(Value::Nil, std::mem::take);
            let Value::ServerError(error) = answer else {
                let unsafe_why = held.as_ref().err();
                let unsafe_why = unsafe_why.map(|why| Fault::Down(format!("{}: {why}", load.node)));
                outcomes[at] = Some(unsafe_why.map_or(Ok(answer), Err));
                continue;
            };
            match remedy(&error) {
                Remedy::Fail(fault) => {
                    if matches!(fault, Fault::Down(_)) {
                        self.lose(&load.node);
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
    fn lose(&mut self, node: &Node) {
        self.links.remove(node);
        self.atlas.doubt();
    }

    async fn link(&mut self, node: &Node) -> Result<Link, String> {
        if let Some(link) = self.links.get(node) {
            return Ok(link.clone());
        }
        let (link, hashes) = self.atlas.dialer.server(node).await?;
        *self.atlas.hashes.borrow_mut() = hashes;
        self.links.insert(node.clone(), link.clone());
        Ok(link)
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

fn fail(outcomes: &mut [Option<Outcome>], which: &[usize], why: &str) {
    for &at in which {
        outcomes[at] = Some(Err(Fault::Down(why.to_owned())));
    }
}
