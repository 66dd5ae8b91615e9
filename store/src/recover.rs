//! From the segments that an earlier life left to what this one begins with.
//!
//! Where a record ends wrongly, it is either a torn tail, which is what a power cut leaves of bytes
//! that nobody was told are safe, or damage, which is refused with its place. The difference: of
//! every segment but the last, the next one's header says how much had been synced; of the last,
//! what is written beside it does ([`Witness`]): after an orderly stop of all of it, else of its
//! beginning, and of the rest a mark behind the place. (What cannot be told from a torn tail: a
//! last segment that was cut short behind its beginning, marks and all, after a kill.)
//!
//! Where the last segment was written over an older one's file and has not grown beyond it, what
//! lies behind its records is taken for the older one's. A torn tail there, which nobody was told
//! is safe either, is cut off without a word.

mod index;

pub(crate) use index::Index;

use crate::disk::Disk;
use crate::log::scan::Found;
use crate::log::segment::{Id, Segment, Tally};
use crate::log::witness::Witness;
use crate::own::Own;
use crate::record::{Header, OLDEST, VERSION};
use crate::{Homes, Recovered};
use std::io;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Bytes that had been safe are not what was written.
    #[error(
        "the store in {directory} is damaged: {file}, offset {offset}: {what}. \
         `holdfast store check {directory}` says more, `holdfast store salvage {directory} NEW` \
         saves what can be read into the directory NEW"
    )]
    Corrupt {
        /// The store.
        directory: String,
        /// The segment.
        file: String,
        /// Where in it.
        offset: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// It was written by a later version of this program.
    #[error("{file} has format {version}, and this program reads {OLDEST} to {VERSION}")]
    Version {
        /// The segment.
        file: String,
        /// Its format.
        version: u16,
    },
    /// A product's name is too long to be kept with its messages.
    #[error("the product name {0} has over 65,535 bytes")]
    Product(String),
    /// The disk fails, or another process has the store open.
    #[error("{directory}: {error}")]
    Disk {
        /// The store.
        directory: String,
        /// How.
        error: io::Error,
    },
}

/// What a recovery needs to know.
pub(crate) struct Terms<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) homes: &'a dyn Homes,
    /// Seconds since 1970 UTC.
    pub(crate) now: u32,
    /// How long an idempotency key counts, in seconds.
    pub(crate) window: u32,
}

/// What an earlier life left.
pub(crate) struct Past {
    pub(crate) segments: Vec<Segment>,
    pub(crate) reserved: u64,
    pub(crate) recovered: Vec<Recovered>,
    pub(crate) own: Own,
    /// Messages whose time to live ended while they were stored.
    pub(crate) expired: u64,
}

/// Where a segment's good records end, and whether that is because of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As it was written.
    Whole(u32),
    /// A tail of unsynced bytes begins here.
    Torn(u32),
    /// What had been synced is damaged here.
    Damaged(u32, &'static str),
}

/// How much of a segment counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// So many bytes: the next one's header says it.
    Exactly(u32),
    /// What is found by reading, and not less than this: what was said beside it, or 0.
    AtLeast(u32),
}

impl Reach {
    /// The bytes that were certainly synced.
    pub(crate) const fn least(self) -> u32 {
        let (Self::Exactly(bytes) | Self::AtLeast(bytes)) = self;
        bytes
    }

    /// Where to stop reading a file of this length.
    pub(crate) fn end(self, length: u32) -> u32 {
        match self {
            Self::Exactly(bytes) => bytes.min(length),
            Self::AtLeast(_) => length,
        }
    }
}

/// The segments of a directory with their headers.
pub(crate) struct Chain {
    /// By number; the header is `None` where it is damaged.
    pub(crate) links: Vec<(Id, Option<Header>)>,
    /// A segment whose beginning was never synced, so nothing is in it.
    pub(crate) unborn: Option<Id>,
    /// How far the log reached at least.
    witness: Option<Witness>,
}

impl Chain {
    pub(crate) fn read(disk: &dyn Disk) -> io::Result<Self> {
        let mut links = Vec::new();
        for id in Id::sorted(&disk.list()?) {
            links.push((id, Found::head(disk, id)?.header()));
        }
        let mut chain = Self { links, unborn: None, witness: Witness::read(disk)? };
        if let Some((id, None)) = chain.links.last().copied()
            && chain.witness.is_none_or(|witness| witness.id != id)
            && !Found::read(disk, id, Vec::new())?.is_marked_behind(0)
        {
            chain.links.pop();
            chain.unborn = Some(id);
        }
        Ok(chain)
    }

    /// How far the segment at this index reaches.
    pub(crate) fn reach(&self, index: usize) -> Reach {
        let Some((id, _)) = self.links.get(index) else { return Reach::AtLeast(0) };
        if let Some((next, Some(header))) = self.links.get(index + 1)
            && next.number == id.number + 1
        {
            return Reach::Exactly(header.before);
        }
        let witness = self.witness.filter(|witness| witness.id == *id);
        Reach::AtLeast(witness.map_or(0, |witness| witness.length))
    }

    /// The first thing that is wrong with the chain as such.
    pub(crate) fn flaw(&self) -> Option<(String, &'static str)> {
        let headless = self.links.iter().find(|(_, header)| header.is_none());
        if let Some((id, _)) = headless {
            return Some((id.name(), "its header is damaged"));
        }
        let gap = self.links.windows(2).find(|pair| pair[1].0.number != pair[0].0.number + 1);
        let gap = gap.map(|pair| (pair[1].0.name(), "the segment before it is missing"));
        gap.or_else(|| self.missing_end().map(|id| (id.name(), "this newest segment is missing")))
    }

    /// The newest segment that surely counted, if it is not there. (One with a greater number says
    /// by itself how much of those before it counts.)
    pub(crate) fn missing_end(&self) -> Option<Id> {
        let Witness { id, .. } = self.witness?;
        let last = self.links.last().map(|(id, _)| *id);
        last.is_none_or(|last| last != id && last.number <= id.number).then_some(id)
    }
}

/// Where the good records of a segment end, handing each to `take`.
pub(crate) fn follow<'a>(
    found: &'a Found,
    reach: Reach,
    take: impl FnMut(crate::log::scan::Lying<'a>),
) -> End {
    const NO_RECORD: &str = "there is no record where one was written";
    let (length, least) = (found.length(), reach.least());
    let end = reach.end(length);
    let reached = found.each(end, take);
    if length < least {
        End::Damaged(reached, "it is cut short")
    } else if reached < least {
        End::Damaged(reached, NO_RECORD)
    } else if reached == end {
        End::Whole(reached)
    } else if found.is_marked_behind(reached) {
        End::Damaged(reached, NO_RECORD)
    } else if found.is_within_room() {
        End::Whole(reached)
    } else {
        End::Torn(reached)
    }
}

/// Reads everything. `progress` hears how many bytes of how many are read.
pub(crate) fn recover(
    terms: &Terms<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Past, OpenError> {
    let directory = || terms.disk.describe();
    let failed = |error| OpenError::Disk { directory: directory(), error };
    let chain = Chain::read(terms.disk).map_err(failed)?;
    if let Some((file, what)) = chain.flaw() {
        return Err(OpenError::Corrupt { directory: directory(), file, offset: 0, what });
    }
    if let Some(id) = chain.unborn {
        // Before anything else: another segment may get the same number.
        terms.disk.remove(&id.name()).map_err(failed)?;
        terms.disk.sync_directory().map_err(failed)?;
    }
    let total = total(terms.disk, &chain).map_err(failed)?;
    let mut index = Index::new(terms);
    let (mut segments, mut done, mut reserved) = (Vec::new(), 0, 0);
    let mut buffer = Vec::new();
    for (position, (id, header)) in chain.links.iter().enumerate() {
        let (version, promised) = header.map_or((0, 0), |it| (it.version, it.reserved));
        if !(OLDEST..=VERSION).contains(&version) {
            return Err(OpenError::Version { file: id.name(), version });
        }
        reserved = promised.max(reserved);
        let found = Found::read(terms.disk, *id, buffer).map_err(failed)?;
        let mut tally = Tally::default();
        let end = follow(&found, chain.reach(position), |lying| index.take(&lying, &mut tally));
        let is_last = position + 1 == chain.links.len();
        let length = settle(terms.disk, &found, end, is_last)?;
        segments.push(Segment { id: *id, length, tally });
        done += u64::from(found.length());
        progress(done, total);
        buffer = found.into_bytes();
    }
    drop(buffer);
    Ok(index.finish(segments, reserved))
}

fn total(disk: &dyn Disk, chain: &Chain) -> io::Result<u64> {
    chain.links.iter().map(|(id, _)| disk.open(&id.name())?.length()).sum()
}

/// Refuses a damaged segment, cuts a torn one; and makes sure that what was read of the last one is
/// safe, since the life before may have ended between writing and syncing it.
fn settle(disk: &dyn Disk, found: &Found, end: End, last: bool) -> Result<u32, OpenError> {
    let (directory, name) = (disk.describe(), found.id.name());
    let failed = |error| OpenError::Disk { directory: disk.describe(), error };
    let length = match end {
        End::Whole(length) | End::Torn(length) => length,
        End::Damaged(offset, what) => {
            return Err(OpenError::Corrupt { directory, file: name, offset, what });
        }
    };
    if matches!(end, End::Torn(_)) {
        let bytes = found.length() - length;
        tracing::warn!(file = name, offset = length, bytes, "cut off a torn end");
    }
    if last {
        let mut file = disk.open(&name).map_err(failed)?;
        file.truncate(u64::from(length)).map_err(failed)?;
        file.sync_data().map_err(failed)?;
    }
    Ok(length)
}
