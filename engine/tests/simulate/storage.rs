//! The store below the gateway: it works when the world's clock says so, its disk fails at times,
//! and it outlives the gateway.

use std::sync::Arc;

use holdfast::directory::place::{Placer, shard_of};
use holdfast::io::sim::Chance;
use holdfast_store::disk::Disk;
use holdfast_store::disk::memory::{Faults, Memory};
use holdfast_store::embedded::{Figures, Stepped};
use holdfast_store::keeper::Settings;
use holdfast_store::{Bell, Homes, Port, Recovered};

use crate::ledger::Ledger;
use crate::plan::{IDEMPOTENCY_WINDOW, Keeping, PRODUCTS, Plan, SECOND, Trouble};
use crate::seat::unix_seconds;

/// After the disk is well again it takes the store so long to find out, in microseconds.
const RECOVERY: u64 = 4 * SECOND;

/// The longest that a group waits for its turn on a disk that is tired, in microseconds: longer
/// than a gateway that is told to stop waits for its store.
const TIRED: u64 = 8 * SECOND;

/// Segments that may be left when nothing is needed.
const SEGMENTS: u64 = 2;

/// Rings nowhere.
struct NoBell;

impl Bell for NoBell {
    fn ring(&self) {}
}

/// Who is at home where.
#[derive(Debug)]
struct Placing {
    names: Vec<String>,
    shards: u16,
}

impl Homes for Placing {
    fn products(&self) -> &[String] {
        &self.names
    }

    fn hash(&self, product: u16, user: &str) -> u64 {
        Placer::new(&self.names[usize::from(product)]).hash(user)
    }

    fn shard(&self, hash: u64) -> u16 {
        shard_of(hash, self.shards)
    }

    fn shards(&self) -> u16 {
        self.shards
    }
}

/// A disk, and the store of the gateway that lives.
pub(crate) struct Storage {
    disk: Memory,
    stepped: Option<Stepped>,
    chance: Chance,
    keeping: Keeping,
    shards: u16,
    lives: u64,
    /// The longest that a group waits for its turn, in microseconds.
    sync: u64,
    writes_at: u64,
    reads_at: u64,
    ticks_at: u64,
    /// When the disk gets well.
    heals_at: u64,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Storage").field("lives", &self.lives).finish_non_exhaustive()
    }
}

impl Storage {
    /// An empty disk, where the plan has one.
    pub(crate) fn new(plan: &Plan) -> Option<Self> {
        let keeping = plan.keeping.clone()?;
        Some(Self {
            disk: disk(plan.seed),
            stepped: None,
            sync: keeping.sync,
            chance: Chance::new(plan.seed, "storage"),
            keeping,
            shards: u16::try_from(plan.shards).expect("a run has few shards"),
            lives: 0,
            writes_at: u64::MAX,
            reads_at: u64::MAX,
            ticks_at: u64::MAX,
            heals_at: u64::MAX,
        })
    }

    /// Another gateway begins at `now` microseconds; each shard's end and what it gets.
    pub(crate) fn open(
        &mut self,
        bells: Vec<Arc<dyn Bell>>,
        now: u64,
    ) -> Result<Vec<(Port, Recovered)>, String> {
        self.lives += 1;
        self.sync = self.keeping.sync;
        let settings = Settings {
            segment_bytes: self.keeping.segment_bytes,
            idempotency_window: IDEMPOTENCY_WINDOW,
            seed: self.chance.next(),
        };
        let names = PRODUCTS.map(str::to_owned).to_vec();
        let homes = Placing { names, shards: self.shards };
        self.damage(&settings, &homes, now);
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let opened = Stepped::open(disk, settings, &homes, bells, clock(now));
        let (stepped, ports, recovered) = opened.map_err(|error| format!("not opened: {error}"))?;
        self.stepped = Some(stepped);
        self.ticks_at = now + SECOND;
        Ok(ports.into_iter().zip(recovered).collect())
    }

    /// A bit of what was safe turns over, at times. A store that does not open says so, and its
    /// operator puts the old disk in; one that opens may have lost nothing.
    fn damage(&mut self, settings: &Settings, homes: &Placing, now: u64) {
        let mut names = self.disk.list().unwrap_or_default();
        names.retain(|name| name.ends_with(".segment"));
        names.sort();
        // What was written last cannot be told from what was not written whole; and the last
        // segment may have no beginning yet.
        names.truncate(names.len().saturating_sub(2));
        if names.is_empty() || !self.chance.happens(300) {
            return;
        }
        let name = self.chance.pick(&names).clone();
        let bits = 8 * self.disk.length(&name).unwrap_or(0) as u64;
        if bits == 0 {
            return;
        }
        let damaged = self.disk.copy();
        damaged.flip(&name, self.chance.below(bits));
        let trial: Arc<dyn Disk> = Arc::new(damaged.copy());
        if Stepped::open(trial, *settings, homes, self.no_bells(), clock(now)).is_ok() {
            self.disk = damaged;
        }
    }

    /// For a store that nobody hears.
    fn no_bells(&self) -> Vec<Arc<dyn Bell>> {
        let bell: Arc<dyn Bell> = Arc::new(NoBell);
        vec![bell; usize::from(self.shards)]
    }

    /// When it has something to do.
    pub(crate) fn next_time(&self) -> u64 {
        let own = [self.writes_at, self.reads_at, self.ticks_at, self.heals_at];
        own.into_iter().min().unwrap_or(u64::MAX)
    }

    /// Does what is due at `now`.
    pub(crate) fn step(&mut self, now: u64) {
        if self.heals_at <= now {
            self.heal();
        }
        let Some(stepped) = &mut self.stepped else { return };
        // What is done once in a second waits for the disk like everything else.
        let waits = self.sync == TIRED && (now + 1..u64::MAX).contains(&self.writes_at);
        let ticks = self.ticks_at <= now;
        if ticks {
            self.ticks_at = (now / SECOND + 1) * SECOND;
        }
        if self.writes_at <= now || (ticks && !waits) {
            stepped.write(clock(now));
            self.writes_at = u64::MAX;
        }
        if self.reads_at <= now {
            let limit = 1 + self.chance.index(64);
            stepped.read(limit, clock(now));
            self.reads_at = u64::MAX;
        }
    }

    /// Looks whether shards want something.
    pub(crate) fn notice(&mut self, now: u64) {
        let Some(stepped) = &self.stepped else { return };
        if self.writes_at == u64::MAX && stepped.has_to_write() {
            self.writes_at = now + 1 + self.chance.below(self.sync);
        }
        if self.reads_at == u64::MAX && stepped.has_to_read() {
            self.reads_at = now + 1 + self.chance.below(self.keeping.read);
        }
    }

    /// The gateway is to stop soon: most disks are slow from now on; whether this is one.
    pub(crate) fn tires(&mut self) -> bool {
        let tires = self.chance.happens(700);
        if tires {
            self.sync = TIRED;
        }
        tires
    }

    /// The disk begins to fail.
    pub(crate) fn ail(&mut self, trouble: Trouble, now: u64, ledger: &mut Ledger) {
        let length = self.chance.between(SECOND / 10, 3 * SECOND);
        let (room, some) = (self.bytes() + self.chance.below(4096), self.chance.below(3) + 1);
        let count = u32::try_from(some).unwrap_or(1);
        self.disk.fail(|faults| match trouble {
            Trouble::Full => faults.room = Some(room),
            Trouble::Sync => faults.failing_syncs = count,
            Trouble::Write => faults.failing_writes = count,
            Trouble::Short => faults.short = Some(100),
            Trouble::Read => faults.failing_reads = 5 * count,
        });
        self.heals_at = now + length;
        ledger.durables.trouble(now, self.heals_at + RECOVERY);
        ledger.broadcasts.trouble(now, self.heals_at + RECOVERY);
    }

    /// The disk gets well.
    pub(crate) fn heal(&mut self) {
        self.heals_at = u64::MAX;
        self.disk.fail(|faults| *faults = Faults::default());
    }

    fn bytes(&self) -> u64 {
        let names = self.disk.list().unwrap_or_default();
        names.iter().filter_map(|name| self.disk.length(name)).map(|length| length as u64).sum()
    }

    /// The process ends in order: what shards gave the store is written.
    pub(crate) fn stop(&mut self, now: u64) {
        if let Some(stepped) = self.stepped.take() {
            stepped.stop(clock(now));
        }
        (self.writes_at, self.reads_at, self.ticks_at) = (u64::MAX, u64::MAX, u64::MAX);
        self.heal();
    }

    /// The process ends at once; with the power, if `power`. Perhaps in the middle of a write.
    pub(crate) fn crash(&mut self, power: bool, now: u64) {
        if self.chance.happens(400) {
            let calls = u32::try_from(self.chance.below(4)).unwrap_or(0);
            self.disk.fail(|faults| faults.calls_left = Some(calls));
            if let Some(stepped) = &mut self.stepped {
                stepped.write(clock(now));
            }
        }
        self.stepped = None;
        (self.writes_at, self.reads_at, self.ticks_at) = (u64::MAX, u64::MAX, u64::MAX);
        if power {
            let chance = &mut self.chance;
            self.disk.crash(&mut |end| chance.below(end));
        }
        self.heal();
    }

    /// The store's numbers.
    pub(crate) fn figures(&self) -> Figures {
        self.stepped.as_ref().map(|stepped| stepped.stats().read()).unwrap_or_default()
    }

    /// Whether it holds no more than what is needed may take: durable broadcasts are, until their
    /// time is over.
    pub(crate) fn is_small(&self) -> bool {
        let figures = self.figures();
        let segment = u64::from(self.keeping.segment_bytes);
        figures.segments <= SEGMENTS
            || figures.disk_bytes <= 2 * figures.needed_bytes + SEGMENTS * segment
    }
}

fn clock(now: u64) -> u32 {
    u32::try_from(unix_seconds(now)).unwrap_or(u32::MAX)
}

/// A disk whose stores write over old files, or do not.
fn disk(seed: u64) -> Memory {
    let disk = Memory::new();
    disk.set_reuses(!seed.is_multiple_of(4));
    disk
}
