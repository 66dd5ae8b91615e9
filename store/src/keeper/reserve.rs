//! Room that is kept back, so that a full disk does not stop what makes room: a file that holds
//! nothing.
//!
//! It is given up when the disk is full, and what is then free is for trims, for the header of a
//! new segment and for copies out of old ones; nothing new is taken meanwhile. It is taken back
//! where there is as much room again besides: so a store that is well has room for more than a
//! message, and does not go to and fro.
//!
//! Its size is a quarter of a segment. A round of cleaning writes at most three quarters of that
//! (see `clean.rs`). The marks of idempotency keys, which stay when everything else of a segment is
//! acknowledged, take less than a fifth of a segment with bodies of 100 bytes.

use crate::disk::{Disk, DiskFile};
use crate::log::RESERVE;
use std::io;
use std::sync::Arc;

/// The part of a segment that is kept back.
const PART: u32 = 4;

/// The file, or that there is none.
pub(super) struct Reserve {
    disk: Arc<dyn Disk>,
    bytes: u64,
    file: Option<Box<dyn DiskFile>>,
    is_held: bool,
}

impl Reserve {
    /// What an earlier life left of it.
    pub(super) fn find(disk: Arc<dyn Disk>, segment_bytes: u32) -> io::Result<Self> {
        let bytes = u64::from(segment_bytes / PART);
        let mut file = match disk.open(RESERVE) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut is_held = false;
        if let Some(file) = &mut file
            && file.length()? >= bytes
        {
            // A copy of the directory may have no room behind its length.
            is_held = file.truncate(bytes).and_then(|()| file.allocate(bytes)).is_ok();
        }
        Ok(Self { disk, bytes, file, is_held })
    }

    /// Its size in bytes, held or not.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) const fn is_held(&self) -> bool {
        self.is_held
    }

    /// Takes it, unless it is held, if there is room for it twice and for so many bytes more.
    pub(super) fn take(&mut self, more: u64) -> io::Result<()> {
        if self.is_held {
            return Ok(());
        }
        let taken = self.claim(2 * self.bytes + more);
        self.is_held = true;
        if taken.is_err() {
            self.give_up();
        }
        taken
    }

    fn claim(&mut self, room: u64) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.disk.create(RESERVE)?,
        };
        let claimed = file.allocate(room).and_then(|()| file.truncate(self.bytes));
        let synced = claimed.and_then(|()| file.sync_data());
        self.file = Some(file);
        synced.and_then(|()| self.disk.sync_directory())
    }

    /// Gives it up.
    pub(super) fn give_up(&mut self) {
        if !std::mem::take(&mut self.is_held) {
            return;
        }
        if let Some(file) = &mut self.file
            && let Err(error) = file.truncate(0)
        {
            tracing::warn!(%error, "the room that was kept back could not be given up");
        }
    }
}
