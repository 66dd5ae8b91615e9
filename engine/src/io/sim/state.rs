//! The simulated world's clock, agenda and connections.
//!
//! Owns when things happen: everything that takes time is an entry of the agenda, and equal times
//! keep the order of their making, so that a seed gives one run. What the gateway does is in
//! [`super::near`], what scripts do in [`super::peer`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::chance::Chance;
use super::faults::Faults;
use super::link::{Far, Link, Near, Stage};
use super::pipe::Pipe;
use super::{LinkId, Plant};
use crate::io::Port;

/// Everything outside the gateway's own memory.
#[derive(Debug)]
pub(super) struct State {
    pub(super) now: u64,
    entries: u64,
    agenda: BinaryHeap<Reverse<Entry>>,
    pub(super) chance: Chance,
    pub(super) faults: Faults,
    pub(super) plant: Option<Plant>,
    /// No connection is harmed any more.
    pub(super) calm: bool,
    /// What the gateway sent since it was last taken, where the world records.
    pub(super) recorded: Option<Vec<(LinkId, Vec<u8>)>>,
    pub(super) shards: Vec<Shard>,
    pub(super) links: Vec<Link>,
    pub(super) touched: Vec<LinkId>,
    pub(super) violations: Vec<String>,
    pub(super) digest: u64,
}

/// One shard's part of the world.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) alive: bool,
    pub(super) accepting: [bool; 2],
    /// Who connects is refused.
    pub(super) closed: [bool; 2],
    pub(super) backlog: [VecDeque<LinkId>; 2],
    pub(super) pending: VecDeque<Pending>,
    pub(super) wake: Arc<AtomicBool>,
    /// A wake-up is on the agenda or pending.
    pub(super) waking: bool,
}

/// What the shard's next wait reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    Accepted(Port, LinkId),
    AcceptFailed(Port),
    Ready { link: LinkId, serial: u64, spurious: bool },
    Woken,
}

/// What is going to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Connect(LinkId),
    /// Something arrives at the gateway.
    Up(LinkId),
    /// Something arrives at the peer.
    Down(LinkId),
    /// The send buffer may have room again.
    Room(LinkId),
    Report {
        link: LinkId,
        serial: u64,
        spurious: bool,
    },
    BreakNear(LinkId),
    BreakFar(LinkId),
    Cut(LinkId),
    Silence(LinkId),
    Unacknowledged(LinkId),
    Wake(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: u64,
    number: u64,
    due: Due,
}

/// The place of a port in arrays of two.
pub(super) fn place(port: Port) -> usize {
    match port {
        Port::Client => 0,
        Port::Backend => 1,
    }
}

impl State {
    pub(super) fn new(seed: u64, shards: usize, faults: Faults) -> Self {
        Self {
            now: 0,
            entries: 0,
            agenda: BinaryHeap::new(),
            chance: Chance::new(seed, "network"),
            faults,
            plant: None,
            calm: false,
            recorded: None,
            shards: (0..shards).map(|_| Shard { alive: true, ..Shard::default() }).collect(),
            links: Vec::new(),
            touched: Vec::new(),
            violations: Vec::new(),
            digest: seed,
        }
    }

    pub(super) fn at(&mut self, at: u64, due: Due) {
        self.entries += 1;
        self.agenda.push(Reverse(Entry { at: at.max(self.now), number: self.entries, due }));
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        self.agenda.peek().map(|Reverse(entry)| entry.at)
    }

    /// Lets everything happen that is due until `to`, and sets the clock to it.
    pub(super) fn advance(&mut self, to: u64) {
        while let Some(&Reverse(entry)) = self.agenda.peek()
            && entry.at <= to
        {
            self.agenda.pop();
            self.now = self.now.max(entry.at);
            self.happen(entry.due);
        }
        self.now = self.now.max(to);
    }

    /// Notes what happened, so that two runs can be compared.
    pub(super) fn note(&mut self, what: u64) {
        self.digest = (self.digest ^ what ^ self.now.rotate_left(32))
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(23);
    }

    /// How long the next thing travels.
    pub(super) fn latency(&mut self) -> u64 {
        let (least, most) = self.faults.latency;
        let spike = self.chance.happens(self.faults.spike_permille);
        self.chance.between(least, most) + if spike { self.faults.spike } else { 0 }
    }

    /// How late a report or a wake-up comes; mostly not at all.
    pub(super) fn lateness(&mut self) -> u64 {
        let late = self.chance.happens(self.faults.late_permille);
        if late { self.chance.below(self.faults.delay) } else { 0 }
    }

    pub(super) fn connect(&mut self, port: Port, shard: usize) -> LinkId {
        let (least, most) = self.faults.pipe_bytes;
        let mut pipe = || Pipe::new(usize::try_from(self.chance.between(least, most)).unwrap_or(1));
        let (up, down) = (pipe(), pipe());
        let link = self.links.len();
        self.links.push(Link {
            shard,
            port,
            stage: Stage::Connecting,
            up,
            down,
            near: Near::default(),
            far: Far::default(),
        });
        let arrival = self.now + self.latency();
        self.at(arrival, Due::Connect(link));
        self.plan_harm(link);
        link
    }

    fn plan_harm(&mut self, link: LinkId) {
        let at = self.now + self.chance.below(self.faults.harm_within);
        if self.chance.happens(self.faults.cut_permille) {
            self.at(at, Due::Cut(link));
        } else if self.chance.happens(self.faults.silence_permille) {
            self.at(at, Due::Silence(link));
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Connect(link) => self.arrive_at_listener(link),
            Due::Up(link) => self.arrive_at_gateway(link),
            Due::Down(link) => self.arrive_at_peer(link),
            Due::Room(link) => self.poke(link),
            Due::Report { link, serial, spurious } => self.report(link, serial, spurious),
            Due::BreakFar(link) => self.break_far(link),
            Due::Cut(_) | Due::Silence(_) if self.calm => {}
            Due::Cut(link) => {
                self.links[link].far.harmed = true;
                self.break_near(link);
                self.break_far(link);
            }
            Due::Silence(link) => self.silence(link),
            Due::BreakNear(link) | Due::Unacknowledged(link) => self.break_near(link),
            Due::Wake(shard) => self.shards[shard].pending.push_back(Pending::Woken),
        }
    }

    fn arrive_at_listener(&mut self, link: LinkId) {
        let Link { shard, port, .. } = self.links[link];
        if !self.shards[shard].alive || self.shards[shard].closed[place(port)] {
            self.break_far(link);
            return;
        }
        self.links[link].stage = Stage::Waiting;
        self.touch(link);
        self.shards[shard].backlog[place(port)].push_back(link);
        self.offer(shard, port);
    }

    /// Reports what waits in the backlog while the shard accepts.
    pub(super) fn offer(&mut self, shard: usize, port: Port) {
        let place = place(port);
        while self.shards[shard].accepting[place] {
            let Some(link) = self.shards[shard].backlog[place].pop_front() else { return };
            if self.chance.happens(self.faults.accept_failure_permille) {
                let shard = &mut self.shards[shard];
                shard.backlog[place].push_front(link);
                shard.accepting[place] = false;
                shard.pending.push_back(Pending::AcceptFailed(port));
            } else {
                self.shards[shard].pending.push_back(Pending::Accepted(port, link));
            }
        }
    }

    fn arrive_at_gateway(&mut self, link: LinkId) {
        let now = self.now;
        let state = &mut self.links[link];
        if !state.up.arrive(now) || state.near.broken {
            return;
        }
        if state.near.closed {
            // A closed socket answers bytes with a reset.
            let answers = state.up.readable() > 0;
            state.up.clear();
            if answers {
                let arrival = now + self.latency();
                self.at(arrival, Due::BreakFar(link));
            }
            return;
        }
        state.near.changed = true;
        self.poke(link);
    }

    fn arrive_at_peer(&mut self, link: LinkId) {
        let now = self.now;
        let state = &mut self.links[link];
        if state.far.silent || state.far.broken || !state.down.arrive(now) {
            return;
        }
        if state.far.closed {
            let answers = state.down.readable() > 0;
            state.down.clear();
            if answers {
                let arrival = now + self.latency();
                self.at(arrival, Due::BreakNear(link));
            }
            return;
        }
        self.touch(link);
    }

    /// Puts a report on the agenda if an armed watch has something to report.
    pub(super) fn poke(&mut self, link: LinkId) {
        let now = self.now;
        let state = &mut self.links[link];
        let reportable = state.reportable(now);
        let Some(watch) = state.near.watch.as_mut() else { return };
        if !reportable || watch.reported {
            return;
        }
        watch.reported = true;
        let serial = watch.serial;
        let at = now + self.lateness();
        self.at(at, Due::Report { link, serial, spurious: false });
    }

    fn report(&mut self, link: LinkId, serial: u64, spurious: bool) {
        let state = &self.links[link];
        if state.near.watch.is_some_and(|watch| watch.serial == serial) {
            let pending = Pending::Ready { link, serial, spurious };
            self.shards[state.shard].pending.push_back(pending);
        }
    }

    pub(super) fn is_urgent(&self, pending: &Pending) -> bool {
        match *pending {
            Pending::Ready { link, .. } => self.links[link].near.hurried,
            Pending::Accepted(..) | Pending::AcceptFailed(_) | Pending::Woken => true,
        }
    }

    fn break_near(&mut self, link: LinkId) {
        let keeps_unread = self.chance.happens(500);
        let state = &mut self.links[link];
        if state.near.closed || state.near.broken {
            return;
        }
        state.near.broken = true;
        state.near.changed = true;
        if !keeps_unread {
            state.up.clear();
        }
        self.poke(link);
    }

    fn break_far(&mut self, link: LinkId) {
        let keeps_unread = self.chance.happens(500);
        let state = &mut self.links[link];
        if state.far.closed || state.far.broken || state.far.silent {
            return;
        }
        state.far.broken = true;
        if !keeps_unread {
            state.down.clear();
        }
        self.touch(link);
    }

    pub(super) fn silence(&mut self, link: LinkId) {
        let far = &mut self.links[link].far;
        far.harmed = true;
        far.silent = true;
        if self.links[link].down.in_flight() {
            self.lose_patience(link);
        }
    }

    /// The gateway's kernel gives up on a peer that does not acknowledge.
    pub(super) fn lose_patience(&mut self, link: LinkId) {
        let near = &mut self.links[link].near;
        if !std::mem::replace(&mut near.impatient, true) {
            let at = self.now + self.faults.user_timeout;
            self.at(at, Due::Unacknowledged(link));
        }
    }

    pub(super) fn touch(&mut self, link: LinkId) {
        if !std::mem::replace(&mut self.links[link].far.touched, true) {
            self.touched.push(link);
        }
    }

    /// Puts the wake-ups that were asked for since the last call on the agenda.
    pub(super) fn collect_wakes(&mut self) {
        for shard in 0..self.shards.len() {
            let asked = self.shards[shard].wake.swap(false, Ordering::Relaxed);
            if !asked || self.shards[shard].waking {
                continue;
            }
            if self.plant == Some(Plant::LostWake) && self.chance.happens(20) {
                continue;
            }
            self.shards[shard].waking = true;
            let at = self.now + self.lateness();
            self.at(at, Due::Wake(shard));
        }
    }
}
