//! Why a configuration is refused, in words that say what to change.

use std::fmt;
use std::path::PathBuf;

/// Every reason why a configuration is refused, so that one look is enough to correct it.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub Vec<Problem>);

/// One reason why a configuration is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// A file could not be read.
    Unreadable {
        /// The setting that names the file; empty for the configuration file itself.
        key: String,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: String,
    },
    /// The file, or a `--set`, is not TOML.
    Syntax {
        /// Where: a path or the text of the `--set`.
        place: String,
        /// What is wrong with it; for a file with line and column.
        error: String,
    },
    /// There is no such setting.
    UnknownKey {
        /// Where: a path with a line, or `--set`.
        place: String,
        /// The key as it was written.
        key: String,
        /// The setting that was probably meant.
        near: Option<String>,
    },
    /// A value that the setting does not take.
    WrongValue {
        /// Where: a path with a line, or `--set`.
        place: String,
        /// The setting.
        key: String,
        /// The value as it was written; never that of a secret.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// Settings that do not go together.
    Conflict(
        /// Which, why, and what to change.
        String,
    ),
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { key, path, error } if key.is_empty() => {
                write!(out, "cannot read {}: {error}", path.display())
            }
            Self::Unreadable { key, path, error } => {
                write!(out, "{key}: cannot read {}: {error}", path.display())
            }
            Self::Syntax { place, error } => write!(out, "{place}: {}", error.trim()),
            Self::UnknownKey { place, key, near: Some(near) } => {
                write!(out, "{place}: {key}: no such setting; did you mean {near}?")
            }
            Self::UnknownKey { place, key, near: None } => {
                write!(out, "{place}: {key}: no such setting; `holdfast config` prints them all")
            }
            Self::WrongValue { place, key, value, allowed } => {
                write!(out, "{place}: {key} = {value} is not allowed; allowed: {allowed}")
            }
            Self::Conflict(text) => out.write_str(text),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}
