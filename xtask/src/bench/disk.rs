//! The disk that a store lies on: a folder of its own, and what a sync costs there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::report::share;
use crate::shell::{Result, target};

/// What the bare disk appends and syncs in place of a store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Appends {
    /// How often a second.
    pub(super) rate: f64,
    /// How much each time.
    pub(super) bytes: usize,
}

/// A folder on the disk that is built on, gone with its handle.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("store-{}-{number}", std::process::id());
        let path = target().join("bench").join(name);
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let folder = Self(path);
        if folder.is_memory()? {
            return Err(format!("{} is in memory, not on a disk", folder.0.display()));
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn is_memory(&self) -> Result<bool> {
        const TMPFS: rustix::fs::FsWord = 0x0102_1994;
        let found = rustix::fs::statfs(&self.0).map_err(|error| error.to_string())?;
        Ok(found.f_type == TMPFS)
    }

    /// Files of a store, but for its lock, and their bytes.
    pub(super) fn segments(&self) -> Result<(u32, u64)> {
        let failed = |error: std::io::Error| error.to_string();
        let (mut files, mut bytes) = (0, 0);
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name() != "lock" {
                files += 1;
                // One that is given back meanwhile has no bytes left.
                bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        Ok((files, bytes))
    }

    /// Has the kernel forget what it holds of the files in memory.
    pub(super) fn cool(&self) -> Result {
        let failed = |error: std::io::Error| error.to_string();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let file = File::open(entry.map_err(failed)?.path()).map_err(failed)?;
            file.sync_all().map_err(failed)?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// How long the disk takes for each of these, for so long.
    pub(super) fn syncs(&self, appends: Appends, time: Duration) -> Result<Value> {
        let Appends { rate, bytes } = appends;
        let (path, block) = (self.0.join("bare"), vec![0x5a; bytes]);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = File::create(&path).map_err(failed)?;
        let (start, gap) = (Instant::now(), Duration::from_secs_f64(1.0 / rate.max(1.0)));
        let mut micros = Vec::new();
        let mut due = start;
        while start.elapsed() < time {
            sleep(due.saturating_duration_since(Instant::now()));
            due += gap;
            let begin = Instant::now();
            file.write_all(&block).and_then(|()| file.sync_data()).map_err(failed)?;
            micros.push(begin.elapsed().as_secs_f64() * 1e6);
        }
        drop(file);
        fs::remove_file(&path).map_err(failed)?;
        micros.sort_by(f64::total_cmp);
        let at = |part| share(&micros, part).unwrap_or(f64::NAN);
        let (count, p50, p99) = (micros.len(), at(0.5), at(0.99));
        Ok(json!({ "syncs": count, "p50_us": p50, "p99_us": p99 }))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is under `target` and in nobody's way.
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_counts_its_files_but_not_the_lock_and_goes() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("lock"), "x").unwrap();
        fs::write(path.join("0000000001"), "four").unwrap();
        assert_eq!(folder.segments(), Ok((1, 4)));
        let appends = Appends { rate: 1e6, bytes: 4096 };
        folder.syncs(appends, Duration::from_millis(1)).unwrap();
        assert_eq!(folder.segments(), Ok((1, 4)));
        drop(folder);
        assert!(!path.exists());
    }
}
