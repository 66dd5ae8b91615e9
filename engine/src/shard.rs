//! One shard: everything that one core owns, as one struct.
//!
//! Its behaviour is in [`crate::path`], in the order in which a message travels; [`turn`] says what
//! happens when. Nothing here is shared but the rings of [`crate::mesh`] and the counters, which
//! only this shard writes.

pub mod drain;
pub mod parting;
pub mod settings;
pub mod turn;
mod wait;

use crate::broadcast::late::Lates;
use crate::broadcast::notices::Notices;
use crate::broadcast::owner::{Owner, Place};
use crate::broadcast::part::Part;
use crate::broadcast::{PartStart, owner_of};
use crate::clock::Now;
use crate::connection::Connection;
use crate::connection::id::{Address, ConnectionId};
use crate::connection::outbox::Staging;
use crate::connection::table::Table;
use crate::connection::timers::Wheel;
use crate::directory::homes::{HomeId, Homes, UserKey};
use crate::directory::place::FixedState;
use crate::directory::roster::{ListId, Roster};
use crate::io::{self, Io, Key, Sent};
use crate::logs::gate::{Gate, Pass};
use crate::mailbox::Mailbox;
use crate::mailbox::room::{Mailroom, RESERVE};
use crate::mesh::{Ends, ToHome, ToOrigin, ToSession};
use crate::metrics::{Counter, Gauge, ShardMetrics};
use compact_str::CompactString;
use drain::Drain;
use holdfast_store::{Port, Recovered, Seen};
use settings::Settings;
use slab::Slab;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// The bytes that one receive may bring.
const BUFFER_BYTES: usize = 128 << 10;
/// What the frames of one batch of sends are gathered in.
pub(crate) const ARENA_BYTES: usize = 256 << 10;

/// One core's share of the gateway.
#[derive(Debug)]
pub struct Shard<I: Io> {
    pub(crate) number: u16,
    pub(crate) settings: Arc<Settings>,
    pub(crate) io: I,
    pub(crate) now: Now,
    pub(crate) turns: usize,
    /// Heartbeats answered in this turn, in this second, and in the second before.
    pub(crate) pongs: usize,
    pub(crate) pongs_this_second: u32,
    pub(crate) pongs_last_second: u32,
    /// Whether this turn had nothing to do but answer heartbeats.
    pub(crate) at_ease: bool,
    pub(crate) connections: Table<Connection<I::Socket>>,
    /// Connections of backends, in no order.
    pub(crate) backends: Vec<Key>,
    /// How much of all backends' windows is used.
    pub(crate) in_flight: u64,
    pub(crate) wheel: Wheel,
    pub(crate) homes: Homes,
    /// What is kept for users; `None` without a store.
    pub(crate) mailroom: Option<Box<Mailroom>>,
    /// Sessions that dropped, in the order in which they are given up: the second, and which.
    pub(crate) lingering: VecDeque<(u32, HomeId, ConnectionId)>,
    pub(crate) roster: Roster,
    /// The members of each product, by its number.
    pub(crate) members: Vec<ListId>,
    /// Those with a tag, while there are any.
    pub(crate) tagged: BTreeMap<(u16, CompactString), ListId>,
    /// The way back: which tag a list is for.
    pub(crate) tag_of: BTreeMap<ListId, (u16, CompactString)>,
    pub(crate) owner: Owner,
    /// Durable broadcasts, for those who come later.
    pub(crate) notices: Notices,
    /// Sessions that are behind with them.
    pub(crate) late: Lates,
    /// Broadcasts that sessions may have had, of whose users nothing could be asked, and the
    /// greatest that each client said it has had.
    pub(crate) withheld: HashMap<Key, (Arc<[u64]>, u64), FixedState>,
    /// Sessions that left their home, and may have been written more of them: product and user.
    pub(crate) parting: HashMap<ConnectionId, (u16, u64), FixedState>,
    /// Who had which of them in this turn, for the store.
    pub(crate) seen: Vec<Seen>,
    /// Durable broadcasts of this owner that the store does not have yet.
    pub(crate) unkept: Vec<PartStart>,
    pub(crate) parts: Slab<Part>,
    pub(crate) ends: Ends<I::Waker>,
    pub(crate) inbox: Inbox,
    pub(crate) staging: Staging,
    pub(crate) buffer: Vec<u8>,
    pub(crate) arena: Vec<u8>,
    pub(crate) sent: Vec<Sent>,
    /// Connections whose last receive filled the buffer: more may wait.
    pub(crate) again: VecDeque<Key>,
    /// Backends that are not read until there is room for what they ask.
    pub(crate) held: Vec<Key>,
    /// When to accept again on a port that ran out of something, in microseconds.
    pub(crate) accept_at: [Option<u64>; 2],
    pub(crate) drain: Option<Drain>,
    /// Dead connections whose last frames the flush has to settle.
    pub(crate) dying: Vec<Key>,
    /// Bytes that wait for slow readers.
    pub(crate) outbox_bytes: usize,
    pub(crate) metrics: Own,
    /// The second in which memory was last shown.
    pub(crate) shown: u32,
    gates: Gates,
}

/// The counters of all shards, of which this one writes its own.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) all: Arc<[ShardMetrics]>,
    index: usize,
}

impl std::ops::Deref for Own {
    type Target = ShardMetrics;

    fn deref(&self) -> &ShardMetrics {
        &self.all[self.index]
    }
}

/// What a flood of bad peers can make a shard say: so many lines of each kind in a second.
#[derive(Debug)]
pub(crate) struct Gates {
    pub(crate) refused: Gate,
    pub(crate) accept: Gate,
    pub(crate) violation: Gate,
    pub(crate) login: Gate,
    pub(crate) backend: Gate,
    pub(crate) quarantine: Gate,
}

/// Lines of one kind in a second.
const LINES: u32 = 5;

impl Default for Gates {
    fn default() -> Self {
        let gate = Gate::new(LINES);
        let [refused, accept, violation, login, backend, quarantine] =
            std::array::from_fn(|_| gate.clone());
        Self { refused, accept, violation, login, backend, quarantine }
    }
}

/// Letters taken from the mesh and not dealt with yet; empty between turns.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) home: Vec<ToHome>,
    pub(crate) session: Vec<ToSession>,
    pub(crate) origin: Vec<ToOrigin>,
}

impl<I: Io> Shard<I> {
    /// The shard of this number, with its world and its ends of the mesh. It accepts nothing before
    /// [`Shard::open`].
    ///
    /// # Panics
    /// If `metrics` has no part for this shard.
    pub fn new(
        number: u16,
        settings: Arc<Settings>,
        io: I,
        ends: Ends<I::Waker>,
        metrics: Arc<[ShardMetrics]>,
    ) -> Self {
        let capacity = settings.clients_max + settings.backends_max;
        let mut roster = Roster::new(capacity);
        let members = settings.products.iter().map(|_| roster.open()).collect();
        let (products, jobs) = (settings.products.len(), settings.jobs_max);
        let Settings { host, shards, incarnation, .. } = *settings;
        let place = Place { host, shard: number, shards, incarnation };
        let owner = Owner::new(place, products, jobs);
        let metrics = Own { all: metrics, index: usize::from(number) };
        debug_assert!(metrics.index < metrics.all.len(), "shard {number} has nothing to count in");
        metrics.set(Gauge::ConnectionsLimit, settings.clients_share(number));
        Self {
            number,
            io,
            now: Now::default(),
            turns: 0,
            pongs: 0,
            pongs_this_second: 0,
            pongs_last_second: 0,
            at_ease: false,
            connections: Table::new(capacity),
            backends: Vec::new(),
            in_flight: 0,
            wheel: Wheel::new(capacity, 0),
            homes: Homes::new(capacity),
            mailroom: None,
            lingering: VecDeque::new(),
            roster,
            members,
            tagged: BTreeMap::new(),
            tag_of: BTreeMap::new(),
            owner,
            notices: Notices::new(products),
            late: Lates::default(),
            withheld: HashMap::default(),
            parting: HashMap::default(),
            seen: Vec::new(),
            unkept: Vec::new(),
            parts: Slab::new(),
            ends,
            inbox: Inbox::default(),
            staging: Staging::default(),
            buffer: vec![0; BUFFER_BYTES],
            arena: Vec::with_capacity(ARENA_BYTES),
            sent: Vec::new(),
            again: VecDeque::new(),
            held: Vec::new(),
            accept_at: [None; 2],
            drain: None,
            dying: Vec::new(),
            outbox_bytes: 0,
            metrics,
            shown: 0,
            gates: Gates::default(),
            settings,
        }
    }

    /// Gives it a store, and takes over what that had kept for its users. Before [`Shard::open`].
    pub fn keep_with(&mut self, port: Port, recovered: Recovered) {
        let Recovered { mailboxes, keys, sequence, broadcasts, seen } = recovered;
        self.owner.begin_behind(sequence);
        for broadcast in broadcasts {
            if owner_of(broadcast.job, self.settings.host, self.settings.shards)
                == Some(self.number)
            {
                self.owner.recover(&broadcast);
            }
            self.notices.recover(broadcast);
        }
        for Seen { product, number, users, .. } in seen {
            for user in users {
                self.notices.saw(product, number, user);
            }
        }
        let mut room = Mailroom::new(self.number, port, self.settings.rules, sequence);
        self.homes.with_store(sequence, mailboxes.len());
        if room.shared {
            self.homes.own_block(sequence, RESERVE);
        }
        for kept in mailboxes {
            let product = &self.settings.products[usize::from(kept.product)];
            let hash = product.placer.hash(&kept.user);
            let home = self.homes.open(UserKey { product: kept.product, user: &kept.user, hash });
            kept.messages.iter().for_each(|message| room.journal.holds(message.place));
            let mailbox = Mailbox::recovered(home, kept.messages);
            self.homes.begin_behind(home, mailbox.last());
            let place = room.insert(mailbox);
            if let Some(home) = self.homes.get_mut(home) {
                home.set_mailbox(Some(place));
            }
        }
        for mark in keys {
            room.remember(mark);
        }
        self.mailroom = Some(Box::new(room));
    }

    /// Starts to accept on both ports.
    pub fn open(&mut self) {
        // Who asks at once sees what was kept.
        self.show_mailboxes();
        self.io.accept(io::Port::Client);
        self.io.accept(io::Port::Backend);
    }

    /// The world, for the runner's wait.
    pub fn io(&mut self) -> &mut I {
        &mut self.io
    }

    /// Plants a fault for the simulator to find: connections are found whatever their generation.
    #[cfg(feature = "planted-bugs")]
    pub fn forget_generations(&mut self) {
        self.connections.forget_generations = true;
    }

    /// How many connections are open, of clients and backends.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Whether a line of this kind may be logged now, and how many were kept back before it.
    pub(crate) fn may_log(&mut self, gate: fn(&mut Gates) -> &mut Gate) -> Option<u64> {
        match gate(&mut self.gates).ask(u64::from(self.now.seconds())) {
            Pass::Log { suppressed } => Some(suppressed),
            Pass::Suppress => {
                self.metrics.count(Counter::LogSuppressed);
                None
            }
        }
    }

    /// The name of one of this shard's connections.
    pub(crate) fn id(&self, key: Key) -> ConnectionId {
        ConnectionId { shard: self.number, slot: key.slot, generation: key.generation }
    }

    /// The name of one of this shard's connections in the whole cluster.
    pub(crate) fn address(&self, key: Key) -> Address {
        let Settings { host, incarnation, .. } = *self.settings;
        Address { host, incarnation, connection: self.id(key) }
    }
}

/// The key of a connection of this shard.
pub(crate) fn key(id: ConnectionId) -> Key {
    Key { slot: id.slot, generation: id.generation }
}

/// The index of a port in [`Shard::accept_at`].
pub(crate) fn port_index(port: io::Port) -> usize {
    match port {
        io::Port::Client => 0,
        io::Port::Backend => 1,
    }
}
