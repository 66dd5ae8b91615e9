//! The key that agents and their controller share: a file that nobody else may read.

use crate::secret;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Shortest key in bytes: one that can be typed in passing can be guessed.
const LEAST: usize = 16;
/// What others may not have.
const OTHERS: u32 = 0o077;

/// Reads the key.
///
/// # Errors
/// The file cannot be read, others may read it, or it is too short to be a key.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let shown = file.display();
    let about = fs::metadata(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    if about.mode() & OTHERS != 0 {
        return Err(format!(
            "{shown} holds the agents' key and others may read it: `chmod 600 {shown}`"
        ));
    }
    let key = secret::read("", Some(file))?;
    if key.len() < LEAST {
        return Err(format!(
            "{shown} has {} bytes; a key has {LEAST} or more: `openssl rand -hex 32 > {shown}`",
            key.len()
        ));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_that_others_may_read_or_guess_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "0123456789abcdef\n").unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&file).is_ok(), good, "{mode:o}");
        }
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&file).unwrap(), b"0123456789abcdef");
        fs::write(&file, "0123456789\n").unwrap();
        assert!(read(&file).unwrap_err().contains("10 bytes"));
        assert!(read(&folder.path().join("none")).unwrap_err().contains("none"));
    }
}
