//! One file of the log: its name, and the sums that say when it may go.

use crate::letter::Freed;

/// The number and the salt of a segment; its name says both, so that neither is lost with a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) number: u32,
    pub(crate) salt: u32,
}

const ENDING: &str = ".segment";

impl Id {
    pub(crate) fn name(self) -> String {
        format!("{:010}-{:08x}{ENDING}", self.number, self.salt)
    }

    /// `None` where the name is not a segment's.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let (number, salt) = name.strip_suffix(ENDING)?.split_once('-')?;
        let id = Self { number: number.parse().ok()?, salt: u32::from_str_radix(salt, 16).ok()? };
        (id.name() == name).then_some(id)
    }

    /// All segments among these names, by number.
    pub(crate) fn sorted(names: &[String]) -> Vec<Self> {
        let mut ids: Vec<_> = names.iter().filter_map(|name| Self::of(name)).collect();
        ids.sort_unstable();
        ids
    }
}

/// What some records add to a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records whose place a shard knows, that were ever written here.
    pub(crate) answered: u64,
    /// Their bytes less their bodies.
    pub(crate) overhead: u64,
    /// Of them, those that are still needed.
    pub(crate) live: u64,
    /// The bodies of those, in bytes.
    pub(crate) bodies: u64,
    /// The second until which something here matters that is not counted as live.
    pub(crate) soft_until: u32,
    /// The bytes that this would take if it were said again.
    pub(crate) soft: u64,
}

impl Tally {
    /// Counts one record whose place a shard knows.
    pub(crate) const fn live(&mut self, record: usize, body: usize) {
        self.answered += 1;
        self.live += 1;
        self.bodies += body as u64;
        self.overhead += record.saturating_sub(body) as u64;
    }

    /// Counts something that matters until then.
    pub(crate) fn soft(&mut self, until: u32, bytes: usize) {
        self.soft_until = self.soft_until.max(until);
        self.soft += bytes as u64;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.overhead += other.overhead;
        self.live += other.live;
        self.bodies += other.bodies;
        self.soft(other.soft_until, 0);
        self.soft += other.soft;
    }
}

/// A segment that is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) id: Id,
    /// Its bytes on disk.
    pub(crate) length: u32,
    pub(crate) tally: Tally,
}

impl Segment {
    pub(crate) fn free(&mut self, freed: Freed) {
        let tally = &mut self.tally;
        tally.live = tally.live.saturating_sub(u64::from(freed.records));
        tally.bodies = tally.bodies.saturating_sub(freed.bytes);
    }

    /// The bytes that would be written if all that is needed here were moved.
    pub(crate) fn needed(&self, now: u32) -> u64 {
        let tally = &self.tally;
        let overhead = tally.overhead * tally.live / tally.answered.max(1);
        let soft = if tally.soft_until >= now { tally.soft } else { 0 };
        let bodies = if tally.live == 0 { 0 } else { tally.bodies };
        bodies + overhead + soft
    }

    /// Whether shards need nothing here, and nothing here matters by itself.
    pub(crate) const fn is_dead(&self, now: u32) -> bool {
        self.tally.live == 0 && self.tally.soft_until < now
    }
}
