//! Open segments, for reading single records where they lie.
//!
//! Handles are the shelf's own, so a read never waits for whoever writes or syncs.

use super::segment::Id;
use crate::disk::{Disk, DiskFile, read_full};
use crate::letter::Place;
use crate::record::{Bad, Kind, shape};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Segments that are kept open at most.
const OPEN: usize = 64;
/// The record of a message without its body, nearly always.
const USUAL: usize = 512;

/// Some open segments.
pub(crate) struct Shelf {
    disk: Arc<dyn Disk>,
    open: BTreeMap<u32, (Id, Box<dyn DiskFile>)>,
    bytes: Vec<u8>,
}

/// Why a record cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Missing {
    /// Its segment is gone.
    #[error("the segment is gone")]
    Gone,
    /// What lies there is no record.
    #[error("{file}, offset {offset}: what was stored there is damaged")]
    Damaged {
        /// Its segment.
        file: String,
        /// Where in it.
        offset: u32,
    },
    /// The disk fails.
    #[error("{file}, offset {offset}: {error}")]
    Disk {
        /// The segment.
        file: String,
        /// Where in it.
        offset: u32,
        /// How it fails.
        error: io::Error,
    },
}

impl Shelf {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, open: BTreeMap::new(), bytes: Vec::new() }
    }

    /// Closes segments older than this one, so that their bytes can go.
    pub(crate) fn forget_before(&mut self, number: u32) {
        while self.open.first_key_value().is_some_and(|(oldest, _)| *oldest < number) {
            self.open.pop_first();
        }
    }

    /// The record at this place, of about so many bytes besides the usual.
    pub(crate) fn fetch(&mut self, place: Place, guess: usize) -> Result<(Kind, &[u8]), Missing> {
        if !self.open.contains_key(&place.segment) {
            self.open_up(place)?;
        }
        match self.take(place, guess) {
            Err(Missing::Damaged { .. }) if self.is_gone(place) => Err(Missing::Gone),
            // What was read before lies in the buffer.
            Ok(id) => shape(&self.bytes, id.salt)
                .map_err(|_| Missing::Damaged { file: id.name(), offset: place.offset }),
            Err(missing) => Err(missing),
        }
    }

    /// Whether a segment was removed while it is open here: the disk may take its bytes back under
    /// whoever reads.
    fn is_gone(&self, place: Place) -> bool {
        let is_it = |name: &String| Id::of(name).is_some_and(|id| id.number == place.segment);
        self.disk.list().is_ok_and(|names| !names.iter().any(is_it))
    }

    /// Reads a whole record into the buffer; gives its segment.
    fn take(&mut self, place: Place, guess: usize) -> Result<Id, Missing> {
        let Some((id, file)) = self.open.get(&place.segment) else { return Err(Missing::Gone) };
        let (offset, mut wanted) = (place.offset, guess + USUAL);
        let failed = |error| Missing::Disk { file: id.name(), offset, error };
        loop {
            self.bytes.resize(wanted, 0);
            let at = u64::from(offset);
            let count = read_full(file.as_ref(), at, &mut self.bytes).map_err(failed)?;
            self.bytes.truncate(count);
            match shape(&self.bytes, id.salt) {
                Ok(_) => return Ok(*id),
                // A damaged length may claim anything: only what the file can hold is read.
                Err(Bad::Short(need)) if need > count && count == wanted => {
                    let length = file.length().map_err(failed)?;
                    if length < at + need as u64 {
                        return Err(Missing::Damaged { file: id.name(), offset });
                    }
                    wanted = need;
                }
                Err(_) => return Err(Missing::Damaged { file: id.name(), offset }),
            }
        }
    }

    fn open_up(&mut self, place: Place) -> Result<(), Missing> {
        let failed =
            |error| Missing::Disk { file: place.segment.to_string(), offset: place.offset, error };
        let names = self.disk.list().map_err(failed)?;
        let mut ids = Id::sorted(&names).into_iter();
        let Some(id) = ids.find(|id| id.number == place.segment) else {
            return Err(Missing::Gone);
        };
        let file = match self.disk.open(&id.name()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Missing::Gone),
            Err(error) => return Err(failed(error)),
        };
        if self.open.len() >= OPEN {
            self.open.pop_first();
        }
        self.open.insert(place.segment, (id, file));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::files::Files;
    use crate::log::Log;

    #[test]
    fn what_is_removed_while_it_is_open_is_gone_and_not_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(Files::open(directory.path()).unwrap());
        let mut log = Log::new(disk.clone(), 1 << 20, 7);
        log.begin().unwrap();
        let segment = log.oldest();
        let header = Place { segment, offset: 0 };
        let mut shelf = Shelf::new(disk.clone());
        assert!(shelf.fetch(header, 0).is_ok());
        log.seal();
        log.remove_oldest(true).unwrap();
        assert!(matches!(shelf.fetch(header, 0), Err(Missing::Gone)));
        let beyond = Place { segment, offset: 1 << 19 };
        assert!(matches!(shelf.fetch(beyond, 0), Err(Missing::Gone)));
    }
}
