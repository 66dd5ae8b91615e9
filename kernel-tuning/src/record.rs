//! What was there before the first change, on disk before that change is made.
//!
//! Whatever interrupts a change, the record says how to undo it. It keeps what was there first: a
//! second change adds to it and overwrites nothing, so undo goes back to before all of them.

use crate::host::{CARD, Host};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;

/// Where it is.
pub const PATH: &str = "/var/lib/holdfast-tuning/before.json";
const FOLDER: &str = "/var/lib/holdfast-tuning";
/// Who changes the host holds a lock on this folder: no file of ours stays behind.
const LOCKED: &str = "/run";

/// What was there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Settings of the kernel, in the order in which they were changed.
    pub settings: Vec<Setting>,
    /// Files that were written.
    pub files: Vec<Written>,
    /// Folders that were made for them, outermost first.
    pub folders: Vec<String>,
    /// Settings that the kernel would not have changed: they are its own, or a driver's.
    #[serde(default)]
    pub managed: Vec<String>,
    /// The start of the host in which it was written last; empty where that is not known.
    #[serde(default)]
    pub boot: String,
}

/// A setting of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its file.
    pub path: String,
    /// What it was.
    pub before: String,
    /// What it was when the last change was done; `None` from before a change until it is done, and
    /// so after one that was interrupted.
    #[serde(default)]
    pub after: Option<String>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Where it is.
    pub path: String,
    /// What was there; `None` if nothing was.
    pub before: Option<String>,
    /// What was there when the last change was done, as for a [`Setting`].
    #[serde(default)]
    pub after: Option<String>,
}

impl Setting {
    /// What it is now, if somebody else has set it since the change was done: neither what it was
    /// then, nor what was there before.
    pub fn set_since(&self, host: &Host) -> Option<String> {
        let after = self.after.as_ref()?;
        host.read(&self.path).ok().filter(|now| now != after && *now != self.before)
    }
}

impl Written {
    /// Whether somebody else has written or removed it since the change was done.
    pub fn written_since(&self, host: &Host) -> bool {
        let Some(after) = &self.after else { return false };
        let now = host.text_if_there(&self.path);
        now.is_ok_and(|now| now.as_ref() != Some(after) && now != self.before)
    }
}

impl Record {
    /// What is recorded on this host; nothing where there is no record.
    ///
    /// # Errors
    /// Those of reading; `InvalidData` where it is no record, with the reason.
    pub fn load(host: &Host) -> io::Result<Self> {
        let text = host.text_if_there(PATH).map_err(|error| at(PATH, &error))?;
        let Some(text) = text else { return Ok(Self::default()) };
        let wrong = |error| {
            let told =
                format!("{error}; move it away to go on, and keep it: it says what was there");
            io::Error::new(io::ErrorKind::InvalidData, told)
        };
        serde_json::from_str(&text).map_err(|error| at(PATH, &wrong(error)))
    }

    /// The same without what another start of the host has made its own: interrupts, which are
    /// numbered anew, and settings that are not as they were set, with which nobody has to bother.
    #[must_use]
    pub fn of_this_boot(mut self, host: &Host) -> Self {
        let boot = host.read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        if boot != self.boot {
            self.settings.retain(|setting| {
                !is_interrupt(&setting.path) && setting.set_since(host).is_none()
            });
            self.managed.clear();
            self.boot = boot;
        }
        self
    }

    /// Puts it on disk.
    ///
    /// # Errors
    /// Those of writing; what was recorded before is then still there.
    pub fn save(&self, host: &Host) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        host.put(PATH, &(text + "\n"), true).map_err(|error| at(PATH, &error))
    }

    /// Forgets everything: what was there is there again.
    ///
    /// # Errors
    /// Those of removing.
    pub fn forget(host: &Host) -> io::Result<()> {
        host.remove(PATH).map_err(|error| at(PATH, &error))?;
        host.remove_if_empty(FOLDER);
        Ok(())
    }

    /// Notes what a setting is before a change, unless it is noted what it was earlier.
    pub fn note_setting(&mut self, path: &str, before: &str) {
        if let Some(noted) = self.settings.iter_mut().find(|one| one.path == path) {
            noted.after = None;
            return;
        }
        let (path, before) = (path.to_owned(), before.to_owned());
        self.settings.push(Setting { path, before, after: None });
    }

    /// Notes of what was changed what it is now: the kernel may have taken it in other words.
    pub fn note_after(&mut self, host: &Host) {
        for setting in self.settings.iter_mut().filter(|one| one.after.is_none()) {
            setting.after = host.read(&setting.path).ok();
        }
        for file in self.files.iter_mut().filter(|one| one.after.is_none()) {
            file.after = host.text(&file.path).ok();
        }
    }

    /// Notes what the kernel manages, which was not changed.
    pub fn note_managed(&mut self, paths: &[String]) {
        self.settings.retain(|setting| !paths.contains(&setting.path));
        self.managed.extend_from_slice(paths);
        self.managed.sort_unstable();
        self.managed.dedup();
    }

    /// Notes what a file is, unless it is noted what it was earlier, and which folders it needs. A
    /// symbolic link is never written through, so there is nothing to note.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn note_file(&mut self, host: &Host, path: &str) -> io::Result<()> {
        if host.is_link(path) {
            return Ok(());
        }
        if let Some(noted) = self.files.iter_mut().find(|one| one.path == path) {
            noted.after = None;
            return Ok(());
        }
        let before = host.text_if_there(path).map_err(|error| at(path, &error))?;
        self.files.push(Written { path: path.to_owned(), before, after: None });
        for folder in host.missing_folders(path) {
            if !self.folders.contains(&folder) {
                self.folders.push(folder);
            }
        }
        Ok(())
    }
}

/// The same error with the file that it is about.
fn at(path: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

/// Whether a setting is of an interrupt.
pub(crate) fn is_interrupt(path: &str) -> bool {
    path.starts_with("/proc/irq/")
}

/// Whether a setting is of a card, which may set it anew when its queues are made.
pub(crate) fn is_of_a_card(path: &str) -> bool {
    is_interrupt(path) || path.starts_with("/sys/class/net/") || path.starts_with(CARD)
}

/// Keeps every other change of this host away until it is dropped.
#[derive(Debug)]
pub struct Turn {
    file: File,
}

impl Turn {
    /// Takes the turn.
    ///
    /// # Errors
    /// `WouldBlock` where somebody else changes this host now; those of opening the folder.
    pub fn take(host: &Host) -> io::Result<Self> {
        let place = host.place(LOCKED);
        fs::create_dir_all(&place)?;
        let file = File::open(place)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { file })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Closing is not enough where a child that was just forked still has it open.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}
