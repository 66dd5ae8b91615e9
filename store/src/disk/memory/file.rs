//! One file in memory: its bytes, and what of them would be there after a power cut.

use super::{DiskFile, Faults, Memory, locked};
use std::io;
use std::sync::{Arc, Mutex};

/// What survives a power cut survives in pieces of so many bytes.
const PAGE: usize = 512;

/// A file's bytes. After a power cut surely there: `bytes[..stable]`, then `lost`.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) bytes: Vec<u8>,
    /// So much of `bytes` is synced and unchanged since.
    stable: usize,
    /// What was synced behind `stable` and has been cut off since.
    lost: Vec<u8>,
    /// The file has room up to this length, in bytes, whether or not something was written there.
    given: u64,
}

impl Node {
    /// What the file takes of its disk, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.given.max(self.bytes.len() as u64)
    }

    /// Cuts; says how many bytes that gave back.
    pub(super) fn truncate(&mut self, length: usize) -> u64 {
        if length < self.stable {
            let cut = self.bytes[length..self.stable].iter().copied();
            self.lost = cut.chain(self.lost.iter().copied()).collect();
            self.stable = length;
        }
        let before = self.size();
        self.bytes.truncate(length);
        self.given = self.given.min(length as u64);
        before - self.size()
    }

    pub(super) fn cut_for_good(&mut self, length: usize) {
        self.truncate(length);
        self.sync();
    }

    fn sync(&mut self) {
        self.stable = self.bytes.len();
        self.lost.clear();
    }

    /// What a power cut leaves.
    pub(super) fn after_crash(&self, below: &mut dyn FnMut(u64) -> u64) -> Self {
        let safe = [&self.bytes[..self.stable], &self.lost].concat();
        let (short, long) = (safe.len().min(self.bytes.len()), safe.len().max(self.bytes.len()));
        // The length survives as the one, the other, or torn between the two.
        let length = match below(3) {
            0 => safe.len(),
            1 => self.bytes.len(),
            _ => short + usize::try_from(below((long - short) as u64 + 1)).unwrap_or(0),
        };
        let mut left = vec![0; length];
        for (index, page) in left.chunks_mut(PAGE).enumerate() {
            let source = if below(2) == 0 { &safe } else { &self.bytes };
            let found = source.get(index * PAGE..).unwrap_or_default();
            let count = found.len().min(page.len());
            page[..count].copy_from_slice(&found[..count]);
        }
        // Of a page that was synced and has not changed, both sources say the same; but the one
        // that is cut short must not blank what the other still has for sure.
        let sure = self.stable.min(length);
        left[..sure].copy_from_slice(&self.bytes[..sure]);
        let given = if self.given > 0 && below(2) == 0 { self.given } else { 0 };
        Self { stable: length, bytes: left, lost: Vec::new(), given }
    }
}

/// A file that a process has open.
pub(super) struct Open {
    pub(super) node: Arc<Mutex<Node>>,
    pub(super) disk: Memory,
}

/// Counts a fault down; `true` if it strikes.
fn strikes(left: &mut u32) -> bool {
    let struck = *left > 0;
    *left = left.saturating_sub(1);
    struck
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl Open {
    fn struck(&self, which: impl FnOnce(&mut Faults) -> &mut u32) -> bool {
        strikes(which(&mut locked(&self.disk.inside).faults))
    }
}

impl DiskFile for Open {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        locked(&self.disk.inside).faults.call()?;
        if self.struck(|faults| &mut faults.failing_writes) {
            return Err(broken());
        }
        let mut inside = locked(&self.disk.inside);
        let mut node = locked(&self.node);
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let (before, given) = (node.size(), node.given);
        // What lies in the file already, or has its room, takes no more.
        let room = inside.room().saturating_add(before.saturating_sub(offset as u64));
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let most = inside.faults.file_size.unwrap_or(u64::MAX).saturating_sub(offset as u64);
        if most == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let room = room.min(usize::try_from(most).unwrap_or(usize::MAX));
        let count = bytes.len().min(inside.faults.short.unwrap_or(usize::MAX)).min(room);
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let behind = node.bytes.get(offset + count..).unwrap_or_default().to_vec();
        node.truncate(offset);
        node.bytes.resize(offset, 0);
        node.bytes.extend_from_slice(&bytes[..count]);
        node.bytes.extend_from_slice(&behind);
        node.given = given;
        inside.bytes += node.size().saturating_sub(before);
        Ok(count)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if self.struck(|faults| &mut faults.failing_reads) {
            return Err(broken());
        }
        let node = locked(&self.node);
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let found = node.bytes.get(offset..).unwrap_or_default();
        let count = found.len().min(buffer.len());
        buffer[..count].copy_from_slice(&found[..count]);
        Ok(count)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        locked(&self.disk.inside).faults.call()?;
        if self.struck(|faults| &mut faults.failing_syncs) {
            return Err(broken());
        }
        locked(&self.node).sync();
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        locked(&self.disk.inside).faults.call()?;
        if self.struck(|faults| &mut faults.failing_cuts) {
            return Err(broken());
        }
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let freed = locked(&self.node).truncate(length);
        let mut inside = locked(&self.disk.inside);
        inside.bytes = inside.bytes.saturating_sub(freed);
        Ok(())
    }

    fn allocate(&mut self, length: u64) -> io::Result<()> {
        let mut inside = locked(&self.disk.inside);
        inside.faults.call()?;
        if inside.faults.file_size.is_some_and(|most| length > most) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut node = locked(&self.node);
        let more = length.saturating_sub(node.size());
        if more > inside.room() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        node.given = node.given.max(length);
        inside.bytes += more;
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(locked(&self.node).size())
    }
}
