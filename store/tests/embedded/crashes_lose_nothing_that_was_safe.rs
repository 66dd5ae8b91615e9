//! Two shards append, trim, move and clean at random over a disk that fails now and then; the
//! power goes at a random moment, or the store is stopped in order before, and it is opened again,
//! over and over. After each crash: all that was called written and not trimmed is there with its
//! body, what was trimmed for sure is not, and no sequence is given out twice. After an orderly
//! stop a log that has lost some of its end is refused.
//!
//! `STORE_SEEDS=FROM..TO` runs other seeds.

use crate::support::{Chance, Life, NOW, Two, message, segments, to_u32, trim};
use holdfast_store::disk::Disk;
use holdfast_store::disk::memory::{Faults, Memory};
use holdfast_store::embedded::OpenError;
use holdfast_store::{Batch, Command, Event, Freed, Place, Recovered, Trouble, Wanted};
use std::collections::BTreeMap;

/// What a shard knows of one message.
#[derive(Debug, Clone)]
struct Known {
    place: Place,
    body: Vec<u8>,
}

type Key = (String, u64);

/// A shard, and what it may rightly expect of the store.
#[derive(Default)]
struct Shard {
    /// Called written, and not trimmed.
    kept: BTreeMap<Key, Known>,
    /// On the way, in the order of what is answered.
    on_the_way: Vec<(Key, Vec<u8>)>,
    /// Trims on the way.
    trimming: BTreeMap<String, u64>,
    /// Trims of batches that failed: they wait, and while the disk is full others may go first.
    waiting: BTreeMap<String, u64>,
    /// The store is full.
    full: bool,
    /// Trims that a batch was said to hold safely.
    trimmed: BTreeMap<String, u64>,
    /// Messages that may be there or not: failed, or on the way when the power went.
    perhaps: BTreeMap<Key, Vec<u8>>,
    freed: BTreeMap<u32, Freed>,
    busy: bool,
    clean: Option<u32>,
    /// The store was full as it opened: no sequence is given out until it says that it is well.
    shut: bool,
    /// Moves on the way are the last before `Cleaned`.
    cleaning: Option<u32>,
}

impl Shard {
    fn free(&mut self, place: Place, length: usize) {
        let Place { segment, .. } = place;
        let freed = self.freed.entry(segment).or_insert(Freed { segment, records: 0, bytes: 0 });
        freed.records += 1;
        freed.bytes += length as u64;
    }
}

struct World {
    chance: Chance,
    disk: Memory,
    shards: [Shard; 2],
    /// The greatest sequence ever given out.
    sequence: u64,
    seed: u64,
    /// Questions to clean.
    asked: u64,
    /// Batches that failed.
    failed: u64,
    /// Times that shards heard that the disk is full, as a store opened and later, and that all is
    /// well again.
    full: [u64; 3],
    /// Lives that ended in order.
    ended: u64,
    /// Steps in which a file was there to be written over.
    spare: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let shards = [Shard::default(), Shard::default()];
        let disk = Memory::new();
        disk.set_reuses(!seed.is_multiple_of(4));
        Self {
            chance: Chance::new(seed),
            disk,
            shards,
            sequence: 0,
            seed,
            asked: 0,
            failed: 0,
            full: [0; 3],
            ended: 0,
            spare: 0,
        }
    }

    fn batch(&mut self, number: u16) -> Batch {
        let mut commands = Vec::new();
        let shard = &mut self.shards[usize::from(number)];
        if let Some(upto) = shard.clean.take() {
            for (key, known) in &shard.kept {
                if known.place.segment <= upto {
                    commands.push(Command::Move(known.place));
                    shard.on_the_way.push((key.clone(), known.body.clone()));
                }
            }
            shard.cleaning = Some(upto);
            // In one batch with the moves, or in one of its own: both are allowed.
            if commands.is_empty() || self.chance.one_in(2) {
                commands.push(Command::Cleaned(upto));
                shard.cleaning = None;
            }
        } else {
            if let Some(upto) = shard.cleaning.take() {
                commands.push(Command::Cleaned(upto));
            }
            for _ in 0..self.chance.below(6) {
                let user = format!("u{}", self.chance.below(4) * 2 + u64::from(number));
                // Some seeds keep much, some little, so that segments have to be cleaned.
                if self.chance.below(8) < self.seed % 7 {
                    let mine = shard.kept.keys().filter(|(owner, _)| *owner == user);
                    let mine: Vec<u64> = mine.map(|(_, sequence)| *sequence).collect();
                    let chosen = self.chance.below(mine.len() as u64);
                    let Some(upto) = mine.get(usize::try_from(chosen).unwrap()) else { continue };
                    commands.push(trim(&user, *upto));
                    for sequence in mine.iter().filter(|sequence| *sequence <= upto) {
                        let key = (user.clone(), *sequence);
                        let known = shard.kept.remove(&key).unwrap();
                        shard.free(known.place, known.body.len());
                        shard.perhaps.insert(key, known.body);
                    }
                    shard.trimming.insert(user, *upto);
                } else if !shard.shut {
                    self.sequence += 1;
                    let length = 1 + usize::try_from(self.chance.below(700)).unwrap();
                    let fill = u8::try_from(self.sequence % 251).unwrap();
                    let body = vec![fill; length];
                    commands.push(Command::Append(message(&user, self.sequence, &body)));
                    shard.on_the_way.push(((user, self.sequence), body));
                }
            }
        }
        shard.busy = true;
        let freed = std::mem::take(&mut shard.freed).into_values().collect();
        Batch { shard: number, commands, freed }
    }

    fn hear(&mut self, number: u16, event: Event) {
        let shard = &mut self.shards[usize::from(number)];
        match event {
            Event::Written(places) => {
                shard.busy = false;
                assert_eq!(places.len(), shard.on_the_way.len(), "seed {}", self.seed);
                for ((key, body), place) in
                    std::mem::take(&mut shard.on_the_way).into_iter().zip(places)
                {
                    let length = body.len();
                    if let Some(old) = shard.kept.insert(key, Known { place, body }) {
                        assert_ne!(old.place, place, "seed {}: not moved", self.seed);
                        shard.free(old.place, length);
                    }
                }
                if !shard.full {
                    shard.trimmed.append(&mut shard.waiting);
                }
                shard.trimmed.append(&mut shard.trimming);
            }
            Event::Failed(_) => {
                self.failed += 1;
                shard.busy = false;
                shard.waiting.append(&mut shard.trimming);
                shard.cleaning = None;
                for (key, body) in std::mem::take(&mut shard.on_the_way) {
                    if !shard.kept.contains_key(&key) {
                        shard.perhaps.insert(key, body);
                    }
                }
            }
            Event::Clean(upto) => {
                shard.clean = Some(upto);
                self.asked += 1;
            }
            Event::State(Some(Trouble::Full)) => {
                shard.full = true;
                self.full[1] += 1;
            }
            Event::State(None) => {
                shard.full = false;
                shard.shut = false;
                self.full[2] += 1;
            }
            Event::State(Some(Trouble::Down)) => {}
            other => panic!("seed {}: {other:?}", self.seed),
        }
    }

    fn disturb(&mut self) {
        let disk = self.disk.clone();
        match self.chance.below(40) {
            0 => disk.fail(|faults| faults.failing_writes = 1),
            1 => disk.fail(|faults| faults.failing_syncs = 1),
            2 => disk.fail(|faults| faults.failing_cuts = 1),
            3 => disk.fail(|faults| faults.short = Some(100)),
            // The disk ends where it is about full, or is large again. The power changes nothing
            // of that.
            4 | 5 => {
                let names = disk.list().unwrap();
                let lengths = names.iter().filter_map(|name| disk.length(name));
                let taken: usize = lengths.sum();
                disk.set_size(Some(taken as u64 + self.chance.below(6000)));
            }
            6 | 7 => disk.set_size(None),
            8 => disk.fail(|faults| (faults.failing_writes, faults.failing_cuts) = (1, 1)),
            _ => {}
        }
    }

    /// One life, up to a crash.
    fn live(&mut self, life: u64) {
        let seed = self.seed * 1000 + life;
        // The power goes behind some call: within a write and its sync, while a segment is begun or
        // removed, or while the store is opened.
        let calls = u32::try_from(self.chance.below(160)).unwrap();
        self.disk.fail(|faults| faults.calls_left = Some(calls));
        let Ok((mut store, recovered)) = Life::at(&self.disk, &homes(), seed, NOW) else {
            assert!(self.disk.is_dead(), "seed {}: it does not open", self.seed);
            return self.crash();
        };
        let first: Vec<_> = (0..2).map(|number| store.hear(number)).collect();
        self.verify(&mut store, &recovered);
        for (shard, events) in self.shards.iter_mut().zip(first) {
            for event in events {
                assert!(matches!(event, Event::State(Some(Trouble::Full))), "{event:?}");
                (shard.shut, shard.full) = (true, true);
                self.full[0] += 1;
            }
        }
        while !self.disk.is_dead() && !self.chance.one_in(60) {
            self.disturb();
            for number in 0..2 {
                if !self.shards[usize::from(number)].busy && self.chance.below(4) > 0 {
                    let batch = self.batch(number);
                    store.ports[usize::from(number)].send(batch);
                }
            }
            store.now += u32::try_from(self.chance.below(2)).unwrap();
            store.store.write(store.now);
            let is_spare = self.disk.length("spare").is_some();
            self.spare += u64::from(is_spare);
            let is_full = store.store.stats().read().trouble == 1;
            assert!(!is_spare || !is_full || self.disk.is_dead(), "a full disk keeps no room");
            for number in 0..2 {
                // A crash may come before the answer is heard, never before it is given.
                for event in store.hear(number) {
                    self.hear(number, event);
                }
            }
        }
        if self.chance.one_in(4) {
            self.stop(store);
        } else {
            drop(store);
        }
        self.crash();
    }

    /// A life that ends in order, if the disk lets it: then no end of its log may go unnoticed.
    fn stop(&mut self, life: Life) {
        let Life { store, ports, now } = life;
        store.stop(now);
        for (number, port) in (0..).zip(&ports) {
            while let Some(event) = port.hear() {
                self.hear(number, event);
            }
        }
        let Some((newest, length)) = witness(&self.disk) else { return };
        // A disk that lets nothing be written at the end leaves what was said before.
        let is_said = segments(&self.disk).pop().is_some_and(|last| last == newest);
        if self.disk.is_dead() || !is_said {
            return;
        }
        self.ended += 1;
        let less = self.disk.copy();
        less.fail(|faults| *faults = Faults::default());
        match self.chance.below(length + 1) {
            all if all == length => less.remove(&newest).unwrap(),
            some => less.cut(&newest, usize::try_from(some).unwrap()),
        }
        let refused = Life::at(&less, &homes(), 1, NOW).err();
        let is_told = matches!(&refused, Some(OpenError::Corrupt { file, .. }) if *file == newest);
        assert!(is_told, "seed {}: {refused:?}", self.seed);
    }

    fn crash(&mut self) {
        let mut chance = Chance::new(self.chance.below(u64::MAX));
        self.disk.crash(&mut |limit| chance.below(limit));
    }

    /// With room again, the store takes what is new after a moment.
    fn gets_well(&mut self, store: &mut Life) {
        self.disk.set_size(None);
        store.pass(1);
        store.hear(0);
        self.sequence += 1;
        store.written(0, vec![Command::Append(message("u0", self.sequence, b"well"))]);
    }

    /// What was found is what was promised, and the shards begin again with it.
    fn verify(&mut self, store: &mut Life, recovered: &[Recovered]) {
        let seed = self.seed;
        for (number, found) in recovered.iter().enumerate() {
            let shard = std::mem::take(&mut self.shards[number]);
            assert!(found.sequence >= self.sequence, "seed {seed}: sequences are given out twice");
            let mut missing = shard.kept.clone();
            let mut perhaps = shard.perhaps;
            perhaps.extend(shard.on_the_way);
            let mut fresh = Shard::default();
            for mailbox in &found.mailboxes {
                for kept in &mailbox.messages {
                    let key = (mailbox.user.to_string(), kept.sequence);
                    let safe = shard.trimmed.get(&key.0).copied().unwrap_or_default();
                    assert!(kept.sequence > safe, "seed {seed}: {key:?} was trimmed and is back");
                    let known = missing.remove(&key).map(|known| known.body);
                    let body = known.or_else(|| perhaps.get(&key).cloned());
                    let body = body.unwrap_or_else(|| panic!("seed {seed}: {key:?} is a stranger"));
                    let length = to_u32(body.len());
                    assert_eq!(kept.length, length, "seed {seed}: {key:?}");
                    let wanted = Wanted { sequence: kept.sequence, place: kept.place, length };
                    let read = store.body(0, &mailbox.user, wanted);
                    assert_eq!(read.as_ref(), Some(&body), "seed {seed}: the body of {key:?}");
                    fresh.kept.insert(key, Known { place: kept.place, body });
                }
            }
            assert!(missing.is_empty(), "seed {seed}: lost {:?}", missing.keys());
            fresh.trimmed = shard.trimmed;
            self.shards[number] = fresh;
            self.sequence = self.sequence.max(found.sequence);
        }
    }
}

/// The newest segment and how much of it was synced, as is said beside the log.
fn witness(disk: &Memory) -> Option<(String, u64)> {
    let mut bytes = [0; 29];
    if disk.open("end").ok()?.read_at(0, &mut bytes).ok()? != 28 {
        return None;
    }
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    Some((format!("{:010}-{:08x}.segment", number(12), number(16)), u64::from(number(20))))
}

fn homes() -> Two {
    Two::new(&["a", "b"])
}

fn seeds() -> std::ops::Range<u64> {
    let given = std::env::var("STORE_SEEDS").unwrap_or_else(|_| "0..300".to_owned());
    let (from, to) = given.split_once("..").expect("FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn crashes_lose_nothing_that_was_safe() {
    let (mut asked, mut failed, mut full, mut spare, mut ended) = (0, 0, [0; 3], 0, 0);
    for seed in seeds() {
        let mut world = World::new(seed);
        for life in 0..8 {
            world.live(life);
        }
        let (mut store, recovered) = Life::open(&world.disk, seed * 1000 + 999);
        world.verify(&mut store, &recovered);
        world.gets_well(&mut store);
        asked += world.asked;
        failed += world.failed;
        spare += world.spare;
        ended += world.ended;
        for (sum, more) in full.iter_mut().zip(world.full) {
            *sum += more;
        }
    }
    let shown = [&[asked, failed, spare, ended][..], &full].concat();
    println!("cleaned, failed, spare, ended, full (start, later), well again: {shown:?}");
    assert!(!shown.contains(&0), "{shown:?}");
}
