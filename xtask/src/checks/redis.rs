//! The store in Redis is tested against a real server.

use super::debian;
use crate::shell::{Result, output};

/// Sees to it that there is a `redis-server`.
pub(super) fn ensure() -> Result {
    debian::ensure("redis-server", "redis-server")
}

/// Where that program is.
pub(super) fn path() -> Result<String> {
    output("sh", &["-c", "command -v redis-server"]).ok_or_else(|| "no redis-server".into())
}
