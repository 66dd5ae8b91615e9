//! What the embedded store asks of a disk, and nothing more: files of one directory that are
//! written from their start on, synced, cut, renamed and removed.
//!
//! Two implementations: [`files`], the product's, and [`memory`], which keeps what was synced apart
//! from what was not, so that a power cut can be played. What is written is safe only after
//! [`DiskFile::sync_data`], and a new or removed name only after [`Disk::sync_directory`].

pub mod files;
pub mod memory;

use std::io;

/// One directory of files. Names are plain file names.
pub trait Disk: Send + Sync + 'static {
    /// How a person finds it: a path, for log lines and errors.
    fn describe(&self) -> String;
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes a file, empty, for writing; what had the name before is cut to nothing.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file that is there, for reading and cutting.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, which no other has; files open under the old one stay what they
    /// are.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Whether writing over a file that is there is cheaper than having another one grow.
    fn reuses(&self) -> bool;
    /// Takes the name away; files open under it can still be read.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names that were made or removed survive a power cut.
    fn sync_directory(&self) -> io::Result<()>;
}

/// One file.
pub trait DiskFile: Send {
    /// Writes at this offset, perhaps less than all; says how much.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Reads from this offset, perhaps less than fits; 0 is the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Makes what was written survive a power cut. After an error nothing unsynced can be trusted,
    /// nor can a second try be believed.
    fn sync_data(&mut self) -> io::Result<()>;
    /// Cuts the file to this length, in bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Has room given to the file up to this length, in bytes, and makes it that long if it is
    /// shorter. After an error some of it may be given.
    fn allocate(&mut self, length: u64) -> io::Result<()>;
    /// How long the file is, in bytes.
    fn length(&self) -> io::Result<u64>;
}

/// Writes all of it, or says why not; some may be written then.
pub(crate) fn write_all(file: &mut dyn DiskFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(offset + done as u64, &bytes[done..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends; says how much.
pub(crate) fn read_full(file: &dyn DiskFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(offset + done as u64, &mut buffer[done..]) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
