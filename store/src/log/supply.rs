//! Where the files of new segments come from.
//!
//! A segment that goes leaves its file, and the next but one is written over what lies there: so
//! the file system has nothing to note in its journal, and a sync takes about half as long as where
//! the file grows. Nothing of the older segment is taken for anything, since records are summed
//! with the salt of their segment, and the header says how much of the file was there before. At
//! most one file is kept, while writing goes on and the disk is not full.

use super::segment::{Id, Segment};
use crate::disk::{Disk, DiskFile};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::io;
use std::sync::Arc;

/// The name of the file that is kept. It is no part of the log.
const SPARE: &str = "spare";

/// Files for segments.
pub(super) struct Supply {
    disk: Arc<dyn Disk>,
    /// What salts are made from: chance, new with each life.
    seed: u64,
    /// The file of the next segment; its name is safe.
    prepared: Option<Blank>,
    /// How long the file is that is kept, in bytes.
    spare: Option<u32>,
}

/// A file for a segment, with nothing in it that means anything.
pub(super) struct Blank {
    pub(super) id: Id,
    pub(super) file: Box<dyn DiskFile>,
    /// How long it is already, in bytes.
    pub(super) length: u32,
}

impl Supply {
    pub(super) fn new(disk: Arc<dyn Disk>, seed: u64) -> Self {
        Self { disk, seed, prepared: None, spare: None }
    }

    /// A file for the segment of this number.
    pub(super) fn blank(&mut self, number: u32) -> io::Result<Blank> {
        self.prepared.take().map_or_else(|| self.make(number), Ok)
    }

    /// Has that file before it is needed.
    pub(super) fn prepare(&mut self, number: u32) -> io::Result<()> {
        if self.prepared.is_none() {
            self.prepared = Some(self.make(number)?);
        }
        Ok(())
    }

    fn make(&mut self, number: u32) -> io::Result<Blank> {
        let mut hasher = SipHasher13::new_with_keys(self.seed, u64::from(number));
        hasher.write_u32(number);
        let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
        let id = Id { number, salt: u32::from_le_bytes([a, b, c, d]) };
        let file = if self.spare.take().is_some() {
            self.disk.rename(SPARE, &id.name())?;
            self.disk.open(&id.name())?
        } else {
            self.disk.create(&id.name())?
        };
        // Longer than the segment that it was, where that was not cut at its end.
        let length = u32::try_from(file.length()?).unwrap_or(u32::MAX);
        // Before anything is written over: a name that comes back has what belongs to it.
        self.disk.sync_directory()?;
        Ok(Blank { id, file, length })
    }

    /// Takes the name of a segment that goes; `keep` is whether its file is worth keeping. The
    /// directory is to be synced.
    pub(super) fn take(&mut self, segment: &Segment, keep: bool) -> io::Result<()> {
        let name = segment.id.name();
        if !keep || self.spare.is_some() || !self.disk.reuses() {
            return self.disk.remove(&name);
        }
        self.disk.rename(&name, SPARE)?;
        self.spare = Some(segment.length);
        Ok(())
    }

    /// Takes what an earlier life kept.
    pub(super) fn inherit(&mut self) {
        let length = self.disk.open(SPARE).and_then(|file| file.length());
        self.spare = length.ok().map(|length| u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// Gives back the file that is kept.
    fn give_up(&mut self) {
        if self.spare.take().is_some()
            && let Err(error) = self.disk.remove(SPARE)
        {
            tracing::warn!(%error, "a file that was kept for a segment could not be removed");
        }
    }

    /// Gives back the room of all files that nothing was written to.
    pub(super) fn empty(&mut self) {
        self.give_up();
        let blank = self.prepared.as_mut().filter(|blank| blank.length > 0);
        if let Some(blank) = blank
            && blank.file.truncate(0).is_ok()
        {
            blank.length = 0;
        }
    }

    /// What the files take of the disk, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let prepared = self.prepared.as_ref().map_or(0, |blank| blank.length);
        u64::from(prepared) + u64::from(self.spare.unwrap_or_default())
    }
}
