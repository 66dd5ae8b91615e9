//! All mailboxes of one shard, and what belongs to them.

use super::journal::Journal;
use super::keys::{Keys, Known};
use super::load::Loads;
use super::merge::{Answer, Merged};
use super::unopened::Unopened;
use super::{Bounds, Entry, Mailbox, Redelivery};
use crate::broadcast::steered::Steered;
use crate::connection::id::ConnectionId;
use crate::directory::homes::HomeId;
use crate::directory::place::FixedState;
use crate::mesh::ToHome;
use holdfast_store::{KeyMark, Port, Trouble};
use slab::Slab;
use std::collections::{HashMap, VecDeque};

/// How far a shard's clearing of old segments has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clearing {
    /// The newest segment that is to go.
    pub upto: u32,
    /// The mailbox to look at next.
    pub next: usize,
    /// Copies that the store has not answered yet.
    pub moving: usize,
}

/// A mailbox that the store was asked for.
#[derive(Debug, Default)]
pub struct Opening {
    /// What waits for it, in order.
    pub letters: Vec<ToHome>,
    /// What was known of it then, see [`Mailbox::known`].
    pub asked: u64,
    /// Messages that the store had no body of before it was asked.
    pub missing: Vec<u64>,
}

/// What a shard keeps for its users.
#[derive(Debug)]
pub struct Mailroom {
    /// The store.
    pub port: Port,
    /// The way to it.
    pub journal: Journal,
    /// Those that are not empty.
    pub boxes: Slab<Mailbox>,
    /// One more than the greatest place in `boxes` that was ever used.
    pub high: usize,
    /// Idempotency keys.
    pub keys: Keys,
    /// What the store was asked for.
    pub loads: Loads,
    /// Sessions that ask when others have been answered, the first one first.
    pub queue: VecDeque<(HomeId, ConnectionId)>,
    /// Sessions whose question the store could not answer.
    pub stalled: Vec<(HomeId, ConnectionId)>,
    /// Whether other hosts use the store too, so that a mailbox is fetched before it is used.
    pub shared: bool,
    /// Mailboxes that were asked for, and what waits for them.
    pub opening: HashMap<HomeId, Opening, FixedState>,
    /// How often in a row a shared store has refused what a home wanted to keep.
    pub refusals: HashMap<HomeId, u32, FixedState>,
    /// Homes whose mailbox could not be fetched and is still wanted.
    pub unopened: Unopened,
    /// Homes whose users have gone: let go once the store has answered so many batches.
    pub leaving: VecDeque<(u64, HomeId)>,
    /// Durable jobs that were steered, until the store has it.
    pub steered: Steered,
    /// Why what steers them in the batch that is answered next is not safe.
    pub unsteered: Option<Trouble>,
    /// Old segments that are to go.
    pub clearing: Option<Clearing>,
    /// The mailbox that the sweep looks at next.
    pub sweep: usize,
    /// How many it may still look at in this second.
    pub sweep_left: usize,
    /// Sequences up to this were reserved.
    pub reserved: u64,
    /// Messages in all mailboxes.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Mailboxes in quarantine.
    pub quarantined: u64,
    /// A fault for the simulator to find.
    #[cfg(feature = "planted-bugs")]
    pub planted: Option<Planted>,
}

/// A fault for the simulator to find.
#[cfg(feature = "planted-bugs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A push is answered before the store has the message.
    EarlyAnswer,
    /// An acknowledgement takes the message behind it too.
    LongTrim,
    /// Every fourth broadcast is not made up for to those who missed it.
    ForgottenBroadcast,
}

/// How durable messages are treated, the same for all products. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// When what was sent is sent again.
    pub redelivery: Redelivery,
    /// How long an idempotency key is remembered.
    pub key_window: u32,
    /// Most keys of one shard.
    pub keys_max: usize,
    /// Bytes of messages of one shard that may wait for the store.
    pub queue_bytes: usize,
    /// The time to live of a message that asks for none.
    pub ttl: u32,
    /// Whether other hosts use the store too.
    pub shared_store: bool,
}

/// What happens when a mailbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The new message is refused.
    Reject,
    /// The oldest make room for it.
    DropOldest,
}

/// How the mailboxes of one product are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxPolicy {
    /// How much each may hold.
    pub bounds: Bounds,
    /// What happens when one is full.
    pub when_full: WhenFull,
}

/// How far ahead sequences are reserved.
pub const RESERVE: u64 = 1 << 30;

impl Mailroom {
    /// Of the shard of this number, before anything was kept. `sequence` is the greatest that
    /// anybody may have been given.
    pub fn new(shard: u16, port: Port, rules: Rules, sequence: u64) -> Self {
        Self {
            port,
            journal: Journal::new(shard, rules.queue_bytes),
            boxes: Slab::new(),
            high: 0,
            keys: Keys::new(rules.key_window, rules.keys_max),
            loads: Loads::default(),
            queue: VecDeque::new(),
            stalled: Vec::new(),
            shared: rules.shared_store,
            opening: HashMap::default(),
            refusals: HashMap::default(),
            unopened: Unopened::default(),
            leaving: VecDeque::new(),
            steered: Steered::default(),
            unsteered: None,
            clearing: None,
            sweep: 0,
            sweep_left: 0,
            // The store itself has reserved as many behind what it recovered.
            reserved: sequence + RESERVE,
            messages: 0,
            bytes: 0,
            quarantined: 0,
            #[cfg(feature = "planted-bugs")]
            planted: None,
        }
    }

    /// Takes a mailbox; gives its place.
    pub fn insert(&mut self, mailbox: Mailbox) -> u32 {
        self.messages += mailbox.entries().len() as u64;
        self.bytes += mailbox.bytes();
        let place = self.boxes.insert(mailbox);
        self.high = self.high.max(place + 1);
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Makes a mailbox equal to what the store has, see [`Mailbox::merge`].
    pub fn merge(&mut self, place: u32, answer: Answer, unix: u32) -> Merged {
        let Some(mailbox) = self.boxes.get_mut(place as usize) else { return Merged::default() };
        self.messages -= mailbox.entries().len() as u64;
        self.bytes -= mailbox.bytes();
        let merged = mailbox.merge(answer, unix);
        self.messages += mailbox.entries().len() as u64;
        self.bytes += mailbox.bytes();
        merged
    }

    /// Lets go of a mailbox.
    pub fn remove(&mut self, place: u32) {
        if let Some(mailbox) = self.boxes.try_remove(place as usize) {
            self.messages -= mailbox.entries().len() as u64;
            self.bytes -= mailbox.bytes();
            self.quarantined -= u64::from(mailbox.is_quarantined());
        }
        if self.boxes.is_empty() && self.high > SPARE {
            // What a flood took is given back once it has ebbed away.
            self.boxes = Slab::new();
            (self.high, self.sweep, self.sweep_left) = (0, 0, 0);
        }
    }

    /// The mailbox of this place.
    pub fn get(&mut self, place: u32) -> Option<&mut Mailbox> {
        self.boxes.get_mut(place as usize)
    }

    /// Takes over a key that an earlier life or another host had used.
    pub fn remember(&mut self, mark: KeyMark) {
        let known = Known::Stored(mark.sequence);
        self.keys.insert((mark.user, mark.key), known, mark.at, 0);
    }

    /// About how much memory mailboxes and keys take: to look at each would take too long.
    pub fn memory(&self) -> usize {
        let messages = usize::try_from(self.messages).unwrap_or(usize::MAX);
        self.boxes.capacity() * size_of::<Mailbox>()
            + messages * size_of::<Entry>()
            + self.keys.len() * KEY_BYTES
    }
}

/// Places for mailboxes that are kept although nobody needs them.
const SPARE: usize = 4096;
/// A remembered key, with the emptiness of its table.
const KEY_BYTES: usize = 48;
