//! Saving what can be read of a damaged store into a new one.
//!
//! Behind bad bytes it looks for the next whole record and goes on there. Each segment becomes one
//! new segment, so what follows what stays as it was; what is lost is said by file and offsets.

use super::Trace;
use crate::disk::files::Files;
use crate::disk::{Disk, write_all};
use crate::keeper::RESERVED_AHEAD;
use crate::log::scan::{Found, Lying};
use crate::log::segment::Id;
use crate::log::witness::Witness;
use crate::record::{Header, Kind, Pen, Record, VERSION, shape};
use crate::recover::{Chain, Reach};
use std::io;
use std::path::Path;

/// What salvaging did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Salvage {
    /// Records that are in the new store.
    pub saved: u64,
    /// Bytes that are not.
    pub losses: Vec<Loss>,
    /// Numbers of segments that were not there.
    pub missing: Vec<u32>,
}

/// Bytes of which nothing could be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The segment.
    pub file: String,
    /// The first of them.
    pub from: u32,
    /// The first behind them.
    pub to: u32,
    /// What they still read as, although no sum says that it was written so: at most the first 16
    /// records. Empty where nothing can be told.
    pub reads: Vec<Trace>,
    /// The last whole record before them in this segment that belongs to a product.
    pub before: Option<Trace>,
    /// The first one behind them.
    pub behind: Option<Trace>,
}

/// Why nothing was saved, by the directory that it is about.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// The damaged store is in use or cannot be read.
    #[error("{0}")]
    From(io::Error),
    /// The new directory holds a store, is the damaged one's, or cannot be written.
    #[error("{0}")]
    To(io::Error),
}

/// Copies every whole record of the store in `from` into a new one in `to`. After an error nothing
/// of that is left in `to`, as far as it can be removed.
///
/// # Errors
///
/// Where `from` is in use or cannot be read, or `to` holds a store, is `from`, or cannot be
/// written.
pub fn salvage(from: &Path, to: &Path) -> Result<Salvage, SalvageError> {
    use SalvageError::{From, To};
    // A name that is mistyped is not made a store.
    Files::look(from).map_err(From)?;
    if let (Ok(from), Ok(to)) = (from.canonicalize(), to.canonicalize())
        && from == to
    {
        let what = "the new directory is the damaged store's; it must be another one";
        return Err(To(io::Error::new(io::ErrorKind::AlreadyExists, what)));
    }
    // What is mounted for reading only is what one has of a disk that dies; nobody writes there.
    let from = match Files::open(from) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Files::look(from),
        opened => opened,
    };
    let from = from.map_err(From)?;
    let is_new = !to.exists();
    let done = Files::open(to).map_err(To).and_then(|to| salvage_disk(&from, &to));
    if done.is_err() && is_new {
        Files::discard(to);
    }
    done
}

/// Copies every whole record of one disk to another.
///
/// # Errors
///
/// As of [`salvage`].
pub fn salvage_disk(from: &dyn Disk, to: &dyn Disk) -> Result<Salvage, SalvageError> {
    if !Id::sorted(&to.list().map_err(SalvageError::To)?).is_empty() {
        let error = io::Error::new(io::ErrorKind::AlreadyExists, "there is a store already");
        return Err(SalvageError::To(error));
    }
    // What was said beside an earlier log there is not of this one.
    Witness::remove(to).map_err(SalvageError::To)?;
    let done = copy_all(from, to);
    if done.is_err() {
        // Half a store would be served as a whole one, and would refuse the next try.
        take_back(to);
    }
    done
}

/// Removes all segments, as far as that can be done.
fn take_back(to: &dyn Disk) {
    for id in Id::sorted(&to.list().unwrap_or_default()) {
        let _ = to.remove(&id.name());
    }
    let _ = to.sync_directory();
}

fn copy_all(from: &dyn Disk, to: &dyn Disk) -> Result<Salvage, SalvageError> {
    let chain = Chain::read(from).map_err(SalvageError::From)?;
    let mut result = Salvage::default();
    let mut before = 0;
    let mut number = chain.links.first().map_or(1, |(id, _)| id.number);
    let mut expected = number;
    let mut reserved: u64 = 0;
    for (position, (id, header)) in chain.links.iter().enumerate() {
        result.missing.extend(expected..id.number);
        expected = id.number.saturating_add(1);
        let found = Found::read(from, *id, Vec::new()).map_err(SalvageError::From)?;
        // What a lost header said is not over what the life before it may have given out by far.
        let guess = reserved.saturating_add(2 * RESERVED_AHEAD);
        reserved = header.map_or(guess, |header| header.reserved).max(reserved);
        let target = Id { number, salt: !id.salt };
        let mut pen = begun(target, before, reserved);
        copy(&found, chain.reach(position), &mut pen, &mut result);
        before = write(to, target, pen.bytes()).map_err(SalvageError::To)?;
        number = number.saturating_add(1);
    }
    if let Some(end) = chain.missing_end() {
        let from = if chain.links.is_empty() { end.number } else { expected };
        result.missing.extend(from..=end.number);
        // An empty segment that says what those which are lost may have given out.
        let lost = u64::from(end.number.saturating_sub(from)) + 1;
        let reserved = reserved.saturating_add(2 * RESERVED_AHEAD * lost);
        let target = Id { number, salt: !end.salt };
        write(to, target, begun(target, before, reserved).bytes()).map_err(SalvageError::To)?;
    }
    to.sync_directory().map_err(SalvageError::To)?;
    Ok(result)
}

/// The beginning of a segment.
fn begun(id: Id, before: u32, reserved: u64) -> Pen {
    let mut pen = Pen::default();
    pen.begin(id.salt);
    pen.header(Header { version: VERSION, number: id.number, before, reserved, room: 0 });
    pen
}

fn write(to: &dyn Disk, id: Id, bytes: &[u8]) -> io::Result<u32> {
    let mut file = to.create(&id.name())?;
    write_all(file.as_mut(), 0, bytes)?;
    file.sync_data()?;
    u32::try_from(bytes.len()).map_err(io::Error::other)
}

fn copy(found: &Found, reach: Reach, pen: &mut Pen, result: &mut Salvage) {
    let (length, least) = (found.length(), reach.least());
    let end = reach.end(length);
    let is_exact = matches!(reach, Reach::Exactly(_));
    let (mut offset, mut before) = (0, None);
    while offset < end {
        if let Some(lying) = found.record(offset) {
            take(found, &lying, pen, result);
            before = if lying.record.product().is_some() { Some(offset) } else { before };
            offset = offset.saturating_add(u32::try_from(lying.length).unwrap_or(u32::MAX));
            continue;
        }
        let next = found.next_record(offset);
        // Behind all of it, an older segment's bytes, which nobody misses.
        let is_room = next.is_none() && !is_exact && found.is_within_room();
        if is_room && offset >= least {
            break;
        }
        let to = if is_room { least } else { next.unwrap_or(end) }.min(end);
        result.losses.push(Loss::between(found, before, (offset, to)));
        offset = to;
    }
    if least > length {
        result.losses.push(Loss::between(found, before, (length, least)));
    }
}

impl Loss {
    /// These offsets, with what can be told of them; `before` is where a record lies before them.
    fn between(found: &Found, before: Option<u32>, (from, to): (u32, u32)) -> Self {
        Self {
            file: found.id.name(),
            from,
            to,
            reads: Trace::within(found, from, to),
            before: before.and_then(|offset| Trace::behind(found, offset)),
            behind: Trace::behind(found, to),
        }
    }
}

fn take(found: &Found, lying: &Lying<'_>, pen: &mut Pen, result: &mut Salvage) {
    // What they say is of the old segment; the new one has its own.
    if matches!(lying.record, Record::Header(_) | Record::Mark(_)) {
        return;
    }
    if let Ok((kind, payload)) = found.payload(lying) {
        pen.again(kind, payload);
        result.saved += 1;
    }
}

impl Found {
    fn payload(&self, lying: &Lying<'_>) -> Result<(Kind, &[u8]), crate::record::Bad> {
        shape(self.from(lying.place.offset), self.id.salt)
    }
}
