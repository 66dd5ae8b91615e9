//! Keys and secrets: typed, or kept in a file so that they are not in the list of processes.

use std::fs;
use std::path::Path;

/// The bytes of `file` without one line end at its end, or else those of `typed`.
///
/// # Errors
/// The file cannot be read; the text names it.
pub(crate) fn read(typed: &str, file: Option<&Path>) -> Result<Vec<u8>, String> {
    let Some(file) = file else { return Ok(typed.as_bytes().to_vec()) };
    let bytes =
        fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(text.strip_suffix(b"\r").unwrap_or(text).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_of_a_file_is_no_part_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for (written, key) in [("k", "k"), ("k\n", "k"), ("k\r\n", "k"), ("k\n\n", "k\n")] {
            fs::write(&file, written).unwrap();
            assert_eq!(read("typed", Some(&file)).unwrap(), key.as_bytes());
        }
        assert_eq!(read("typed", None).unwrap(), b"typed");
        let missing = folder.path().join("none");
        assert!(read("", Some(&missing)).unwrap_err().contains("none"));
    }
}
