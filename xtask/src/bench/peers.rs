//! The same work for other servers, side by side. It has no bound: it is a table to be read.
//!
//! Other servers are Debian's packages, unpacked under `target/bench/`; the load generator starts
//! and ends them.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::noise;
use crate::checks::debian;
use crate::shell::{self, Result, cargo, target};

/// What it is called on the command line.
pub(super) const NAME: &str = "peers";
/// What it says.
pub(super) const WHAT: &str = "the same work for mosquitto, nats-server and nginx with nchan";

/// The servers, and what they need.
const PACKAGES: [&str; 4] = ["mosquitto", "nats-server", "nginx", "libnginx-mod-nchan"];
/// Most rounds: each takes four minutes.
const ROUNDS_MAX: u32 = 3;

fn folder() -> PathBuf {
    target().join("bench")
}

/// Where the other servers' programs are, which are fetched the first time.
pub(crate) fn unpacked() -> Result<PathBuf> {
    let root = folder().join("peers");
    debian::unpack(&PACKAGES, &root)?;
    Ok(root)
}

/// Measures, prints the table and keeps it; gives whether every message of every server came.
pub(super) fn run(rounds: u32) -> Result<bool> {
    let (folder, root) = (folder(), unpacked()?);
    let packages = ["--package", "holdfast", "--package", "holdfast-loadgen"];
    shell::run(&mut cargo(&[&["build", "--release"], &packages[..]].concat()))?;
    noise::warn_before();
    let mut command = Command::new(target().join("release").join("holdfast-loadgen"));
    command.arg(NAME).arg("--root").arg(&root).arg("--folder").arg(&folder);
    command.arg("--json").arg(folder.join("peers.json"));
    command.arg("--rounds").arg(rounds.min(ROUNDS_MAX).to_string());
    eprintln!("\n$ {}", shell::shown(&command));
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    let table = String::from_utf8_lossy(&output.stdout);
    print!("{table}");
    let path = folder.join("peers.md");
    fs::write(&path, table.as_bytes()).map_err(|error| format!("{}: {error}", path.display()))?;
    match output.status.code() {
        Some(code @ (0 | 1)) => Ok(code == 0),
        _ => Err(format!("the comparison failed: {}", output.status)),
    }
}

/// Prints the last table.
pub(super) fn table() {
    if let Ok(table) = fs::read_to_string(folder().join("peers.md")) {
        print!("\n{table}");
    }
}
