//! The host's files, below a root.

use crate::card;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Before what a card says by `ethtool(8)` alone, such as `ethtool:eth0:combined`. Below another
/// root than `/`, where there are no cards, it is a file.
pub(crate) const CARD: &str = "ethtool:";
/// What every kernel shows, and every command here reads.
const NEEDED: [&str; 2] = ["/proc/sys", "/proc/meminfo"];

/// A host: `/` for this one, any folder for an image or a test.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// This host.
    pub fn here() -> Self {
        Self::below("/")
    }

    /// The host whose files are below `root`.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The same, where a host's files are there indeed.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn found(root: &Path) -> Result<Self, String> {
        let host = Self::below(root);
        let missing = NEEDED.iter().find(|path| !host.has(path));
        missing.map_or(Ok(host), |path| {
            Err(format!(
                "{} is no host's root: it has no {path} (an image that is being built needs /proc \
                 and /sys mounted; `holdfast-tuning plan` needs no host)",
                root.display()
            ))
        })
    }

    /// Whether this program runs on it.
    pub fn is_this_one(&self) -> bool {
        self.root.canonicalize().is_ok_and(|root| root == Path::new("/"))
    }

    /// Where a file of the host is; `path` begins with `/`.
    pub fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A setting's text without white space around it. Of a choice such as `always [madvise] never`
    /// it is the word that holds.
    ///
    /// # Errors
    /// Those of reading; `NotFound` where this kernel has no such setting.
    pub fn read(&self, path: &str) -> io::Result<String> {
        if let Some(name) = self.of_a_card(path) {
            return card::read(name);
        }
        let text = self.text(path)?;
        Ok(chosen(text.trim()).to_owned())
    }

    /// What a setting is called by its card, where it is one of a card of this host.
    fn of_a_card<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(CARD).filter(|_| self.is_this_one())
    }

    /// A file's whole text.
    ///
    /// # Errors
    /// Those of reading.
    pub fn text(&self, path: &str) -> io::Result<String> {
        fs::read_to_string(self.place(path))
    }

    /// What can be read of a file; of one that cannot be read, nothing. What is no UTF-8 is
    /// replaced.
    pub fn words(&self, path: &str) -> String {
        let bytes = fs::read(self.place(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A file's text; `None` where there is no such file.
    ///
    /// # Errors
    /// Those of reading, but for `NotFound`.
    pub fn text_if_there(&self, path: &str) -> io::Result<Option<String>> {
        match self.text(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets a setting. The kernel takes one write or none.
    ///
    /// # Errors
    /// Those of writing: `InvalidInput` where the kernel does not take the value,
    /// `PermissionDenied` where the caller is not root or a container forbids it.
    pub fn set(&self, path: &str, value: &str) -> io::Result<()> {
        if let Some(name) = self.of_a_card(path) {
            return card::set(name, value);
        }
        let mut file = OpenOptions::new().write(true).truncate(true).open(self.place(path))?;
        file.write_all(format!("{value}\n").as_bytes())
    }

    /// Puts a file in place, whole or not at all, also over a loss of power; makes its folders.
    /// What is there keeps its owner and its mode; a new one can be read by all, or by its owner
    /// alone if it is `private`.
    ///
    /// # Errors
    /// Those of writing, and where a symbolic link is there; the file is then as it was.
    pub fn put(&self, path: &str, text: &str, private: bool) -> io::Result<()> {
        let place = self.place(path);
        let folder = place.parent().unwrap_or(Path::new("/"));
        self.is_within(folder)?;
        fs::create_dir_all(folder)?;
        if self.is_link(path) {
            return Err(io::Error::other(
                "it is a symbolic link, and left alone: put a file in its place, or remove it",
            ));
        }
        let new = self.place(&unfinished(path));
        // Nobody else looks into it before it is known who may.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written =
            options.open(&new).and_then(|file| fill(file, text, &place, private)).and_then(|()| {
                fs::rename(&new, &place)?;
                File::open(folder)?.sync_all()
            });
        if written.is_err() {
            // On a full disk its room is needed; where it cannot be removed it does no harm.
            let _ = fs::remove_file(&new);
        }
        written
    }

    /// Whether a folder, or what there is above it, is of this host: a link in an image that is
    /// being built may lead to the files of the host that builds it.
    fn is_within(&self, folder: &Path) -> io::Result<()> {
        let there = folder.ancestors().find(|above| above.exists()).unwrap_or(folder);
        if there.canonicalize()?.starts_with(self.root.canonicalize()?) {
            return Ok(());
        }
        Err(io::Error::other(format!("a symbolic link leads out of {}", self.root.display())))
    }

    /// Whether a symbolic link is there. Somebody manages that file elsewhere.
    pub fn is_link(&self, path: &str) -> bool {
        fs::symlink_metadata(self.place(path)).is_ok_and(|found| found.is_symlink())
    }

    /// Whether anybody at all may write a file; the kernel's own say so by their mode.
    pub fn is_writable(&self, path: &str) -> bool {
        fs::metadata(self.place(path)).is_ok_and(|found| found.mode() & 0o222 != 0)
    }

    /// Removes a file, and what an interrupted [`Host::put`] has left of it; what is not there is
    /// removed already.
    ///
    /// # Errors
    /// Those of removing.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        for path in [&unfinished(path), path] {
            match fs::remove_file(self.place(path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The folders above a file that are not there, outermost first.
    pub fn missing_folders(&self, path: &str) -> Vec<String> {
        let above = Path::new(path).ancestors().skip(1);
        let missing = above.filter_map(Path::to_str).take_while(|path| !self.place(path).exists());
        let mut missing: Vec<String> = missing.map(str::to_owned).collect();
        missing.reverse();
        missing
    }

    /// Removes a folder if nothing is in it.
    pub fn remove_if_empty(&self, folder: &str) {
        // What is not empty has got another user since.
        let _ = fs::remove_dir(self.place(folder));
    }

    /// The names in a folder, in order; none where there is no such folder.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.place(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &str) -> bool {
        self.place(path).exists()
    }
}

/// Writes a file that will take the place of another, and its owner and mode.
fn fill(mut file: File, text: &str, place: &Path, private: bool) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    let mode = match fs::metadata(place) {
        Ok(before) => {
            let now = file.metadata()?;
            if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
                fchown(&file, Some(before.uid()), Some(before.gid()))?;
            }
            before.mode() & 0o7777
        }
        Err(_) if private => 0o600,
        Err(_) => 0o644,
    };
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// What a file is called until all of it is written.
fn unfinished(path: &str) -> String {
    format!("{path}.new")
}

/// The word in brackets, if there is one.
fn chosen(text: &str) -> &str {
    let in_brackets = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    in_brackets.map_or(text, |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_choice_the_word_that_holds_is_read() {
        assert_eq!(chosen("always [madvise] never"), "madvise");
        assert_eq!(chosen("4096 16384"), "4096 16384");
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::below(folder.path());
        fs::create_dir_all(host.place("/etc/file")).unwrap();
        host.put("/etc/file", "text\n", false).unwrap_err();
        assert_eq!(host.names("/etc"), ["file"]);
    }

    #[test]
    fn a_link_that_leads_out_of_an_image_is_not_followed() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = Host::below(folder.path());
        fs::create_dir(host.place("/etc")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), host.place("/etc/a")).unwrap();
        for path in ["/etc/a/file", "/etc/a/b/file"] {
            let refused = host.put(path, "text\n", false).unwrap_err().to_string();
            assert!(refused.contains("leads out of"), "{refused}");
        }
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        std::os::unix::fs::symlink("../etc", host.place("/etc/b")).unwrap();
        host.put("/etc/b/file", "text\n", false).unwrap();
        assert_eq!(host.text("/etc/file").unwrap(), "text\n");
    }

    #[test]
    fn folders_that_must_be_made_are_named_outermost_first() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::below(folder.path());
        fs::create_dir(host.place("/etc")).unwrap();
        assert_eq!(host.missing_folders("/etc/a/b/file"), ["/etc/a", "/etc/a/b"]);
        host.put("/etc/a/b/file", "text\n", false).unwrap();
        assert_eq!(host.text("/etc/a/b/file").unwrap(), "text\n");
        assert_eq!(host.names("/etc/a/b"), ["file"]);
    }
}
