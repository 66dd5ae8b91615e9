//! A directory of real files, locked against a second process. Nobody but their owner may read what
//! is made here: it holds users' messages. (What is there already keeps the rights that it has.)

use super::{Disk, DiskFile, write_all};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a file that was removed gives back at a time, in bytes.
const PIECE: u64 = 1 << 20;

/// The file that whoever has the store open holds a lock on.
const LOCK: &str = "lock";

/// The rights to a directory, and to a file, that is made here.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A directory.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    /// Whether this is the process that writes; else files are opened for reading alone.
    writes: bool,
    /// Held as long as this lives; `None` where there is none to hold.
    _lock: Option<File>,
}

impl Files {
    /// Makes the directory if it is not there, and locks it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] where another process has it open.
    pub fn open(directory: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(|error| unmade(&error))?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(FILE_MODE);
        let lock = options.open(directory.join(LOCK))?;
        lock.try_lock().map_err(held)?;
        Ok(Self { directory: directory.to_owned(), writes: true, _lock: Some(lock) })
    }

    /// Removes a directory that was made for a store that came to nothing, as far as that can be
    /// done: one with more than a lock in it stays.
    pub(crate) fn discard(directory: &Path) {
        // Where something else is in it, who has that open is to find the lock.
        let others =
            |entry: io::Result<fs::DirEntry>| entry.map_or(true, |it| it.file_name() != LOCK);
        if fs::read_dir(directory).is_ok_and(|mut entries| !entries.any(others)) {
            let _ = fs::remove_file(directory.join(LOCK));
            let _ = fs::remove_dir(directory);
        }
    }

    /// A directory that is there, for reading only. Nobody opens it to write meanwhile, unless
    /// nobody ever has.
    ///
    /// # Errors
    ///
    /// Where there is no such directory; [`io::ErrorKind::ResourceBusy`] where another process has
    /// it open.
    pub fn look(directory: &Path) -> io::Result<Self> {
        fs::read_dir(directory)?;
        let lock = match File::open(directory.join(LOCK)) {
            Ok(lock) => {
                lock.try_lock_shared().map_err(held)?;
                Some(lock)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { directory: directory.to_owned(), writes: false, _lock: lock })
    }
}

/// Why there is no directory, in words that say that it is the directory.
fn unmade(error: &io::Error) -> io::Error {
    let what = match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "not a directory",
        _ => "the directory could not be made",
    };
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Why a lock was not to be had.
fn held(error: TryLockError) -> io::Error {
    match error {
        TryLockError::WouldBlock => {
            io::Error::new(io::ErrorKind::ResourceBusy, "another process has this store open")
        }
        TryLockError::Error(error) => error,
    }
}

impl Disk for Files {
    fn describe(&self) -> String {
        self.directory.display().to_string()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.directory)?.map(|entry| Ok(entry?.file_name()));
        let names: io::Result<Vec<_>> = names.collect();
        Ok(names?.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true).mode(FILE_MODE);
        Ok(Box::new(options.open(self.directory.join(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.directory.join(name);
        Ok(Box::new(OpenOptions::new().read(true).write(self.writes).open(path)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn reuses(&self) -> bool {
        true
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.directory.join(name);
        let file = File::options().write(true).open(&path)?;
        fs::remove_file(&path)?;
        // It has gone by name. What the kernel still has to do for a large file it does in one go,
        // and on one core with a shard that would hold up its clients: so a piece at a time.
        let mut left = file.metadata().map_or(0, |metadata| metadata.len());
        while left > 0 {
            left = left.saturating_sub(PIECE);
            if file.set_len(left).is_err() {
                // Closing it gives back the rest.
                break;
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

impl DiskFile for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn allocate(&mut self, length: u64) -> io::Result<()> {
        let asked = rustix::io::retry_on_intr(|| {
            rustix::fs::fallocate(&*self, FallocateFlags::empty(), 0, length)
        });
        match asked {
            // Some file systems only give room for bytes.
            Err(Errno::OPNOTSUPP) => fill(self, length),
            other => Ok(other?),
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Writes zeros behind the file's end up to this length.
fn fill(file: &mut File, length: u64) -> io::Result<()> {
    let mut at = file.metadata()?.len();
    let zeros = vec![0; 64 << 10];
    while at < length {
        let left = usize::try_from(length - at).unwrap_or(usize::MAX);
        let count = left.min(zeros.len());
        write_all(file, at, &zeros[..count])?;
        at += count as u64;
    }
    Ok(())
}
