//! The store below the gateway: it works when the world's clock says so, its disk fails at times,
//! and it outlives the gateway.

use std::sync::Arc;

use holdfast::directory::place::{Placer, shard_of};
use holdfast::io::sim::Chance;
use holdfast_store::disk::Disk;
use holdfast_store::disk::memory::{Faults, Memory};
use holdfast_store::embedded::Stepped;
use holdfast_store::keeper::Settings;
use holdfast_store::{Bell, Homes, Port, Recovered};

use crate::durable::Durables;
use crate::plan::{IDEMPOTENCY_WINDOW, Keeping, PRODUCTS, Plan, SECOND, Trouble};
use crate::seat::unix_seconds;

/// After the disk is well again it takes the store so long to find out, in microseconds.
const RECOVERY: u64 = 4 * SECOND;

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
            disk: Memory::new(),
            stepped: None,
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
        let settings = Settings {
            segment_bytes: self.keeping.segment_bytes,
            idempotency_window: IDEMPOTENCY_WINDOW,
            seed: self.chance.next(),
        };
        let names = PRODUCTS.map(str::to_owned).to_vec();
        let homes = Placing { names, shards: self.shards };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let opened = Stepped::open(disk, settings, &homes, bells, clock(now));
        let (stepped, ports, recovered) = opened.map_err(|error| format!("not opened: {error}"))?;
        self.stepped = Some(stepped);
        self.ticks_at = now + SECOND;
        Ok(ports.into_iter().zip(recovered).collect())
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
        if self.writes_at <= now || self.ticks_at <= now {
            stepped.write(clock(now));
            self.writes_at = u64::MAX;
            self.ticks_at = (now / SECOND + 1) * SECOND;
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
            self.writes_at = now + 1 + self.chance.below(self.keeping.sync);
        }
        if self.reads_at == u64::MAX && stepped.has_to_read() {
            self.reads_at = now + 1 + self.chance.below(self.keeping.read);
        }
    }

    /// The disk begins to fail.
    pub(crate) fn ail(&mut self, trouble: Trouble, now: u64, durables: &mut Durables) {
        let length = self.chance.between(SECOND / 10, 3 * SECOND);
        let (room, some) = (self.bytes() + self.chance.below(4096), self.chance.below(3) + 1);
        let count = u32::try_from(some).unwrap_or(1);
        self.disk.fail(|faults| match trouble {
            Trouble::Full => faults.room = Some(room),
            Trouble::Sync => faults.failing_syncs = count,
            Trouble::Write => faults.failing_writes = count,
            Trouble::Short => faults.short = Some(100),
        });
        self.heals_at = now + length;
        durables.trouble(now, self.heals_at + RECOVERY);
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

    /// Segments on the disk.
    pub(crate) fn segments(&self) -> u64 {
        self.stepped.as_ref().map_or(0, |stepped| stepped.stats().read().segments)
    }
}

fn clock(now: u64) -> u32 {
    u32::try_from(unix_seconds(now)).unwrap_or(u32::MAX)
}
