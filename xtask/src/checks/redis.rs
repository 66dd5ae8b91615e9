//! The store in Redis is tested against a real server.

use super::debian;
use std::path::PathBuf;

use crate::shell::Result;

/// The program, and its package.
const PROGRAM: &str = "redis-server";

/// Sees to it that there is a `redis-server`.
pub(super) fn ensure() -> Result {
    debian::ensure(&[(PROGRAM, PROGRAM)])
}

/// Where that program is.
pub(super) fn path() -> Result<PathBuf> {
    debian::path(PROGRAM).ok_or_else(|| format!("no {PROGRAM}"))
}
