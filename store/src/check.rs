//! Looking at a store that nobody has open, and saving what can be read of a damaged one.
//!
//! Nothing here changes the store that it reads.

mod salvage;
mod trace;

pub use salvage::{Loss, Salvage, SalvageError, salvage, salvage_disk};
pub use trace::Trace;

use crate::disk::Disk;
use crate::disk::files::Files;
use crate::log::RESERVE;
use crate::log::scan::Found;
use crate::log::segment::Tally;
use crate::record::Kind;
use crate::recover::{Chain, End, Index, Terms, follow};
use crate::{Homes, own::Own};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What was found in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Each segment, oldest first.
    pub segments: Vec<SegmentReport>,
    /// What is wrong with the row of segments as such: a file and what is wrong.
    pub flaw: Option<(String, &'static str)>,
    /// The bytes that are kept back for a full disk; 0 where they were given up on one.
    pub reserve: u64,
}

/// What was found in one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its file's name.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Good records before the first bad place, by kind.
    pub records: BTreeMap<&'static str, u64>,
    /// Messages and broadcasts in it that still wait for somebody.
    pub live: u64,
    /// How it ends.
    pub state: State,
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it was written.
    Whole,
    /// A tail that was never safe begins at this offset. Starting the store cuts it off.
    Torn(u32),
    /// Something that was safe is damaged at this offset. The store does not start.
    Damaged(u32, &'static str),
}

impl Report {
    /// Whether the store would be opened.
    pub fn is_sound(&self) -> bool {
        let damaged = |segment: &SegmentReport| matches!(segment.state, State::Damaged(..));
        self.flaw.is_none() && !self.segments.iter().any(damaged)
    }
}

/// Looks at the store in this directory, at `now` seconds since 1970 UTC. No process opens it
/// meanwhile.
///
/// # Errors
///
/// Where the directory or a file cannot be read, or another process has the store open.
pub fn check(directory: &Path, now: u32) -> io::Result<Report> {
    check_disk(&Files::look(directory)?, now)
}

/// Looks at the store on this disk.
///
/// # Errors
///
/// Where a file cannot be read.
pub fn check_disk(disk: &dyn Disk, now: u32) -> io::Result<Report> {
    let chain = Chain::read(disk)?;
    let mut index = Index::new(&Terms { disk, homes: &NoHomes, now, window: 0 });
    let mut segments = Vec::new();
    for (position, (id, header)) in chain.links.iter().enumerate() {
        let found = Found::read(disk, *id, Vec::new())?;
        let mut records: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut tally = Tally::default();
        let end = follow(&found, chain.reach(position), |lying| {
            *records.entry(Kind::of_record(&lying.record).name()).or_default() += 1;
            index.take(&lying, &mut tally);
        });
        let state = match end {
            _ if header.is_none() => State::Damaged(0, "its header is damaged"),
            End::Whole(_) => State::Whole,
            End::Torn(offset) => State::Torn(offset),
            End::Damaged(offset, what) => State::Damaged(offset, what),
        };
        let bytes = u64::from(found.length());
        segments.push(SegmentReport { file: id.name(), bytes, records, live: 0, state });
    }
    if let Some(id) = chain.unborn {
        let bytes = disk.open(&id.name())?.length()?;
        // It was made ahead of its time, empty or of an older one's file.
        let is_blank = bytes == 0 || Found::head(disk, id)?.is_blank();
        let state = if is_blank { State::Whole } else { State::Torn(0) };
        let records = BTreeMap::new();
        segments.push(SegmentReport { file: id.name(), bytes, records, live: 0, state });
    }
    count_live(&mut segments, &chain, &index.finish(Vec::new(), 0).own);
    Ok(Report { segments, flaw: chain.flaw(), reserve: reserve(disk)? })
}

fn reserve(disk: &dyn Disk) -> io::Result<u64> {
    match disk.open(RESERVE) {
        Ok(file) => file.length(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// With no product configured, all that waits is the store's own to carry.
fn count_live(segments: &mut [SegmentReport], chain: &Chain, own: &Own) {
    for (_, held) in own.within(u32::MAX, usize::MAX) {
        let at = chain.links.iter().position(|(id, _)| id.number == held.place.segment);
        if let Some(segment) = at.and_then(|at| segments.get_mut(at)) {
            segment.live += 1;
        }
    }
}

/// A process that serves nobody.
struct NoHomes;

impl Homes for NoHomes {
    fn products(&self) -> &[String] {
        &[]
    }

    fn hash(&self, _: u16, _: &str) -> u64 {
        0
    }

    fn shard(&self, _: u64) -> u16 {
        0
    }

    fn shards(&self) -> u16 {
        1
    }
}
