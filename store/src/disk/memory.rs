//! A disk without a kernel: for `memory` stores, for tests, and for the simulator.
//!
//! What was synced is kept apart from what was not. [`Memory::crash`] is a power cut: of everything
//! unsynced some survives, by chance, page by page. [`Faults`] makes calls fail. Clones are the
//! same disk, so it outlives the "process" that used it.

mod file;

use self::file::{Node, Open};
use super::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong, until it is set otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Bytes that all files together may hold; `None` is without end.
    pub room: Option<u64>,
    /// Bytes that one file may have; `None` is without end.
    pub file_size: Option<u64>,
    /// Each write does at most so much of what it is given.
    pub short: Option<usize>,
    /// Writes that fail, counted down.
    pub failing_writes: u32,
    /// Syncs that fail, counted down. What they were to sync stays unsynced.
    pub failing_syncs: u32,
    /// Reads that fail, counted down.
    pub failing_reads: u32,
    /// Truncations that fail, counted down.
    pub failing_cuts: u32,
    /// Calls that still change anything: behind the last one every call fails and the disk stays
    /// as it is, as if the power had gone there. `None` is without end.
    pub calls_left: Option<u32>,
}

impl Faults {
    /// Counts one call that changes something.
    fn call(&mut self) -> io::Result<()> {
        match &mut self.calls_left {
            None => Ok(()),
            Some(0) => Err(io::Error::from_raw_os_error(5)),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

/// A disk in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    inside: Arc<Mutex<Inside>>,
}

/// What clones share.
#[derive(Debug, Default)]
struct Inside {
    /// Names as a process sees them.
    names: BTreeMap<String, Arc<Mutex<Node>>>,
    /// Names as they would be after a power cut.
    synced: BTreeMap<String, Arc<Mutex<Node>>>,
    faults: Faults,
    /// What all files together may take, in bytes.
    size: Option<u64>,
    /// What they take.
    bytes: u64,
    /// Whether files are to be written over.
    reuses: bool,
}

impl Inside {
    /// Bytes that files may still take.
    fn room(&self) -> u64 {
        let whole = self.size.unwrap_or(u64::MAX).min(self.faults.room.unwrap_or(u64::MAX));
        whole.saturating_sub(self.bytes)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes what goes wrong.
    pub fn fail(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut locked(&self.inside).faults);
    }

    /// From now on all files together may take so many bytes; `None` is without end. What they take
    /// beyond it stays. A power cut does not change it.
    pub fn set_size(&self, bytes: Option<u64>) {
        locked(&self.inside).size = bytes;
    }

    /// Has stores here write over files that they need no more, as on a real disk. (Here that is
    /// dearer than to grow another.)
    pub fn set_reuses(&self, reuses: bool) {
        locked(&self.inside).reuses = reuses;
    }

    /// Whether [`Faults::calls_left`] has run out.
    pub fn is_dead(&self) -> bool {
        locked(&self.inside).faults.calls_left == Some(0)
    }

    /// The power goes: names and bytes that were not synced survive or not, each 512 bytes by
    /// themselves. `below(n)` is a chance number from 0 to `n - 1`. Faults are over.
    pub fn crash(&self, below: &mut dyn FnMut(u64) -> u64) {
        let mut inside = locked(&self.inside);
        let mut survivors = inside.synced.clone();
        let changed: Vec<String> =
            inside.names.keys().chain(inside.synced.keys()).cloned().collect();
        for name in changed {
            if below(2) == 1 {
                continue;
            }
            match inside.names.get(&name) {
                Some(node) => drop(survivors.insert(name, node.clone())),
                None => drop(survivors.remove(&name)),
            }
        }
        let fresh = |(name, node): (String, Arc<Mutex<Node>>)| {
            let left = locked(&node).after_crash(below);
            (name, Arc::new(Mutex::new(left)))
        };
        inside.names = survivors.into_iter().map(fresh).collect();
        inside.synced = inside.names.clone();
        inside.bytes = inside.names.values().map(|node| locked(node).size()).sum();
        inside.faults = Faults::default();
    }

    /// Turns one bit of a file over; `false` where there is no such bit.
    pub fn flip(&self, name: &str, bit: u64) -> bool {
        let Some(node) = locked(&self.inside).names.get(name).cloned() else { return false };
        let mut node = locked(&node);
        let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        let Some(byte) = node.bytes.get_mut(at) else { return false };
        *byte ^= 1 << (bit % 8);
        true
    }

    /// Cuts a file as a broken file system would: nobody asked, and it lasts.
    pub fn cut(&self, name: &str, length: usize) {
        if let Some(node) = locked(&self.inside).names.get(name) {
            locked(node).cut_for_good(length);
        }
    }

    /// A copy that shares nothing: the same directory on another disk.
    #[must_use]
    pub fn copy(&self) -> Self {
        let inside = locked(&self.inside);
        let copied = |(name, node): (&String, &Arc<Mutex<Node>>)| {
            (name.clone(), Arc::new(Mutex::new(locked(node).clone())))
        };
        let names: BTreeMap<_, _> = inside.names.iter().map(copied).collect();
        let Inside { faults, size, bytes, reuses, .. } = *inside;
        let copy = Inside { synced: names.clone(), names, faults, size, bytes, reuses };
        Self { inside: Arc::new(Mutex::new(copy)) }
    }

    /// The length of a file in bytes, with room that it was given; `None` where it is not there.
    pub fn length(&self, name: &str) -> Option<usize> {
        let size = locked(&self.inside).names.get(name).map(|node| locked(node).size())?;
        usize::try_from(size).ok()
    }
}

impl Disk for Memory {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(locked(&self.inside).names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut inside = locked(&self.inside);
        inside.faults.call()?;
        if inside.room() == 0 && !inside.names.contains_key(name) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let node = inside.names.entry(name.to_owned()).or_default().clone();
        let freed = locked(&node).truncate(0);
        inside.bytes = inside.bytes.saturating_sub(freed);
        Ok(Box::new(Open { node, disk: self.clone() }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let node = locked(&self.inside).names.get(name).cloned();
        let node = node.ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Open { node, disk: self.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inside = locked(&self.inside);
        inside.faults.call()?;
        let node = inside.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inside.names.insert(to.to_owned(), node);
        Ok(())
    }

    fn reuses(&self) -> bool {
        locked(&self.inside).reuses
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inside = locked(&self.inside);
        inside.faults.call()?;
        let node = inside.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        let length = locked(&node).size();
        inside.bytes = inside.bytes.saturating_sub(length);
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut inside = locked(&self.inside);
        inside.faults.call()?;
        inside.synced = inside.names.clone();
        Ok(())
    }
}
