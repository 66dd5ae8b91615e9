//! What a log had at least: a small file beside the segments, so that a start notices when less is
//! there.
//!
//! ```text
//! "holdfast end", 12 bytes | number | salt | length | crc32c of all before
//! ```
//!
//! The number and the salt are a segment's, the length says how many of its bytes were synced;
//! numbers are little-endian, 4 bytes each. It is written when a segment counts that did not
//! before, and at an orderly stop, always after what it speaks of is synced. So the log reaches at
//! least as far, or goes on in later segments, or is damaged; after an orderly stop it is all of
//! the log. One that is not whole was not finished, and says nothing.

use super::segment::Id;
use crate::disk::{Disk, read_full, write_all};
use std::io;

/// The name of the file. It is no part of the log.
const END: &str = "end";

const MAGIC: &[u8; 12] = b"holdfast end";

const LENGTH: usize = MAGIC.len() + 16;

/// How far a log reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Witness {
    /// The newest segment that counted.
    pub(crate) id: Id,
    /// How many of its bytes were synced.
    pub(crate) length: u32,
}

impl Witness {
    /// What the life before said, if it said anything.
    pub(crate) fn read(disk: &dyn Disk) -> io::Result<Option<Self>> {
        let file = match disk.open(END) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = [0; LENGTH];
        let count = read_full(file.as_ref(), 0, &mut bytes)?;
        Ok(if count == LENGTH { Self::of(&bytes) } else { None })
    }

    /// Writes it over the one before, and makes it safe. That needs no room after the first time.
    pub(super) fn write(self, disk: &dyn Disk) -> io::Result<()> {
        let (mut file, is_new) = match disk.open(END) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (disk.create(END)?, true),
            opened => (opened?, false),
        };
        write_all(file.as_mut(), 0, &self.bytes())?;
        file.sync_data()?;
        if is_new { disk.sync_directory() } else { Ok(()) }
    }

    /// Takes it away for good, if there is one.
    pub(crate) fn remove(disk: &dyn Disk) -> io::Result<()> {
        match disk.remove(END) {
            Ok(()) => disk.sync_directory(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..12].copy_from_slice(MAGIC);
        bytes[12..16].copy_from_slice(&self.id.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.id.salt.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.length.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..24]);
        bytes[24..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn of(bytes: &[u8; LENGTH]) -> Option<Self> {
        let (magic, numbers) = bytes.split_first_chunk::<12>()?;
        let (numbers, []) = numbers.as_chunks::<4>() else { return None };
        let [number, salt, length, sum] = *numbers else { return None };
        let is_whole = magic == MAGIC && crc32c::crc32c(&bytes[..24]) == u32::from_le_bytes(sum);
        let id = Id { number: u32::from_le_bytes(number), salt: u32::from_le_bytes(salt) };
        is_whole.then(|| Self { id, length: u32::from_le_bytes(length) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_says_nothing() {
        let witness = Witness { id: Id { number: 7, salt: 0xdead_beef }, length: 4711 };
        let mut bytes = witness.bytes();
        assert_eq!(Witness::of(&bytes), Some(witness));
        for bit in 0..LENGTH * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Witness::of(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
