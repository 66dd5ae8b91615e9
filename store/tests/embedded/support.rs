//! A shard's part played by hand: homes, an index of what is kept, and chance from a seed.

use compact_str::CompactString;
use holdfast_store::disk::Disk;
use holdfast_store::disk::memory::Memory;
use holdfast_store::embedded::{OpenError, Settings, Stepped};
use holdfast_store::{
    Append, Ask, Batch, Bell, Command, Event, Freed, Homes, Loaded, Place, Port, Recovered, Span,
    Wanted,
};
use std::sync::Arc;

/// Small segments, so that tests cross many.
pub(crate) const SEGMENT: u32 = 4096;
/// The window of idempotency keys, in seconds.
pub(crate) const WINDOW: u32 = 600;
/// A second at which tests begin.
pub(crate) const NOW: u32 = 1_800_000_000;

/// Chance numbers from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Users `u0`, `u1`, ... of some products; the number decides the shard.
pub(crate) struct Two {
    pub(crate) products: Vec<String>,
    pub(crate) shards: u16,
}

impl Two {
    pub(crate) fn new(products: &[&str]) -> Self {
        Self { products: products.iter().map(|name| (*name).to_owned()).collect(), shards: 2 }
    }
}

impl Homes for Two {
    fn products(&self) -> &[String] {
        &self.products
    }

    fn hash(&self, product: u16, user: &str) -> u64 {
        let number: u64 = user[1..].parse().unwrap();
        let name: u64 = self.products[usize::from(product)].bytes().map(u64::from).sum();
        number + (name << 32)
    }

    fn shard(&self, hash: u64) -> u16 {
        u16::try_from(hash % u64::from(self.shards)).unwrap()
    }

    fn shards(&self) -> u16 {
        self.shards
    }
}

struct Silent;

impl Bell for Silent {
    fn ring(&self) {}
}

pub(crate) fn bells(count: u16) -> Vec<Arc<dyn Bell>> {
    (0..count).map(|_| Arc::new(Silent) as Arc<dyn Bell>).collect()
}

/// One life of a store with its shards' ports.
pub(crate) struct Life {
    pub(crate) store: Stepped,
    pub(crate) ports: Vec<Port>,
    pub(crate) now: u32,
}

impl Life {
    pub(crate) fn open(disk: &Memory, seed: u64) -> (Self, Vec<Recovered>) {
        Self::at(disk, &Two::new(&["a", "b"]), seed, NOW).unwrap()
    }

    pub(crate) fn at(
        disk: &Memory,
        homes: &Two,
        seed: u64,
        now: u32,
    ) -> Result<(Self, Vec<Recovered>), OpenError> {
        let settings = Settings { segment_bytes: SEGMENT, idempotency_window: WINDOW, seed };
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let bells = bells(homes.shards);
        let (store, ports, recovered) = Stepped::open(disk, settings, homes, bells, now)?;
        Ok((Self { store, ports, now }, recovered))
    }

    /// Sends a batch, commits it alone, and hears everything.
    pub(crate) fn batch(&mut self, shard: u16, commands: Vec<Command>) -> Vec<Event> {
        self.batch_freeing(shard, commands, Vec::new())
    }

    pub(crate) fn batch_freeing(
        &mut self,
        shard: u16,
        commands: Vec<Command>,
        freed: Vec<Freed>,
    ) -> Vec<Event> {
        self.ports[usize::from(shard)].send(Batch { shard, commands, freed });
        self.store.write(self.now);
        self.hear(shard)
    }

    pub(crate) fn hear(&mut self, shard: u16) -> Vec<Event> {
        std::iter::from_fn(|| self.ports[usize::from(shard)].hear()).collect()
    }

    /// Sends a batch that must succeed; says the places.
    pub(crate) fn written(&mut self, shard: u16, commands: Vec<Command>) -> Vec<Place> {
        let events = self.batch(shard, commands);
        let written = events.into_iter().find_map(|event| match event {
            Event::Written(places) => Some(places),
            _ => None,
        });
        written.expect("the batch is written")
    }

    /// Seconds pass, without anything to do.
    pub(crate) fn pass(&mut self, seconds: u32) {
        self.now += seconds;
        self.store.write(self.now);
    }

    pub(crate) fn load(&mut self, user: &str, wanted: Vec<Wanted>) -> Event {
        self.load_of(0, user, wanted)
    }

    pub(crate) fn load_of(&mut self, product: u16, user: &str, wanted: Vec<Wanted>) -> Event {
        self.ports[0].ask(Ask { shard: 0, token: 7, product, user: user.into(), wanted });
        self.store.read(1, self.now);
        self.hear(0).into_iter().next_back().expect("an answer")
    }

    /// The body of one stored message; `None` where it is not handed out.
    pub(crate) fn body(&mut self, product: u16, user: &str, wanted: Wanted) -> Option<Vec<u8>> {
        match self.load_of(product, user, vec![wanted]) {
            Event::Loaded { messages, .. } => {
                let Loaded { bytes, body, .. } = &messages[0];
                Some(body.of(bytes).to_vec()).filter(|body| !body.is_empty())
            }
            _ => None,
        }
    }
}

/// A message to a user.
pub(crate) fn message(user: &str, sequence: u64, body: &[u8]) -> Append {
    keyed(user, sequence, b"", body)
}

/// A message with an idempotency key.
pub(crate) fn keyed(user: &str, sequence: u64, key: &[u8], body: &[u8]) -> Append {
    let span = |at: usize, length: usize| Span { at: to_u32(at), length: to_u32(length) };
    let bytes: Arc<[u8]> = [user.as_bytes(), key, body].concat().into();
    Append {
        product: 0,
        sequence,
        behind: 0,
        chained: false,
        at: NOW,
        expires: NOW + 1_000_000,
        user: span(0, user.len()),
        key: span(user.len(), key.len()),
        body: span(user.len() + key.len(), body.len()),
        receipt: None,
        bytes,
    }
}

pub(crate) fn trim(user: &str, upto: u64) -> Command {
    Command::Trim { product: 0, user: CompactString::from(user), upto }
}

pub(crate) fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap()
}

/// Names of the segments on a disk, oldest first.
pub(crate) fn segments(disk: &Memory) -> Vec<String> {
    let mut names = disk.list().unwrap();
    // One that is made ahead of its time takes nothing.
    names.retain(|name| name.ends_with(".segment") && disk.length(name) > Some(0));
    names.sort();
    names
}

/// What the mailboxes of all shards hold: user, sequence and place.
pub(crate) fn mailboxes(recovered: &[Recovered]) -> Vec<(String, u64, Place, u32)> {
    let boxes = recovered.iter().flat_map(|shard| &shard.mailboxes);
    let mut all: Vec<_> = boxes
        .flat_map(|mailbox| {
            let of = |kept: &holdfast_store::Kept| {
                (mailbox.user.to_string(), kept.sequence, kept.place, kept.length)
            };
            mailbox.messages.iter().map(of).collect::<Vec<_>>()
        })
        .collect();
    all.sort();
    all
}
