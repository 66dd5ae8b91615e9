//! What an orderly stop leaves: a small file that says how the log ended, so that a start after it
//! notices when less is there.
//!
//! ```text
//! "holdfast end", 12 bytes | number | salt | length | crc32c of all before
//! ```
//!
//! The number and the salt are the newest segment's, the length says how many of its bytes count;
//! numbers are little-endian, 4 bytes each. It is written once everything is synced, and taken away
//! for good before a later life changes anything: so where it lies, the log is as it says, or is
//! damaged. After a kill there is none, and the end of the log is found by reading, as ever. One
//! that is not whole was never finished, and says nothing.

use super::segment::Id;
use crate::disk::{Disk, read_full, write_all};
use std::io;

/// The name of the file. It is no part of the log.
const END: &str = "end";

const MAGIC: &[u8; 12] = b"holdfast end";

const LENGTH: usize = MAGIC.len() + 16;

/// How a log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Farewell {
    /// The newest segment.
    pub(crate) id: Id,
    /// How many of its bytes count.
    pub(crate) length: u32,
}

impl Farewell {
    /// What the life before said, if it ended in order.
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

    /// Writes it and makes it safe.
    pub(super) fn write(self, disk: &dyn Disk) -> io::Result<()> {
        let mut file = disk.create(END)?;
        write_all(file.as_mut(), 0, &self.bytes())?;
        file.sync_data()?;
        disk.sync_directory()
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
        let farewell = Farewell { id: Id { number: 7, salt: 0xdead_beef }, length: 4711 };
        let mut bytes = farewell.bytes();
        assert_eq!(Farewell::of(&bytes), Some(farewell));
        for bit in 0..LENGTH * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Farewell::of(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
