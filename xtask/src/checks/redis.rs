//! The store in Redis is tested against a real server.

use std::process::{Command, Stdio};

use crate::shell::{Result, output, run};

/// Sees to it that there is a `redis-server`, by Debian's package where there is none.
pub(super) fn ensure() -> Result {
    let mut version = Command::new("redis-server");
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let root = rustix::process::geteuid().is_root();
    let apt = |words: &[&str]| {
        let mut command = Command::new(if root { "apt-get" } else { "sudo" });
        if !root {
            command.arg("apt-get");
        }
        command.args(words);
        run(&mut command)
    };
    apt(&["update", "-q"])?;
    apt(&["install", "-qy", "--no-install-recommends", "redis-server"])
}

/// Where that program is.
pub(super) fn path() -> Result<String> {
    output("sh", &["-c", "command -v redis-server"]).ok_or_else(|| "no redis-server".into())
}
