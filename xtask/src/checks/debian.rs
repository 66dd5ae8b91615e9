//! Programs that the checks need, by Debian's packages where they are not there.

use std::process::{Command, Stdio};

use crate::shell::{Result, run};

/// Sees to it that there is a `program`, which knows `--version`; else installs `package`.
pub(super) fn ensure(program: &str, package: &str) -> Result {
    let mut version = Command::new(program);
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
    apt(&["install", "-qy", "--no-install-recommends", package])
}
