//! The Debian packages on a Debian with systemd: from installation to purge, with the gateway in
//! the sandbox of its unit between, where it serves clients on `io_uring`.

use super::{guest, prepare, watch};
use crate::checks::debian;
use crate::package;
use crate::shell::{Result, run as run_command};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Boots systemd.
const SCRIPT: &str = include_str!("service.sh");
/// Runs under it.
const INSIDE: &str = include_str!("inside.sh");
/// The release whose kernel the guest has.
const RELEASE: &str = "bookworm";
/// What that Debian has beside what every one has.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,procps,man-db";
/// Megabytes of the guest: the files of that Debian are in its memory twice for a moment.
const MEMORY: &str = "3500";

/// Makes the packages and shows that they do as they should.
pub(super) fn run(tool: &Path, limit: u32) -> Result {
    let (folder, script) = prepare(SCRIPT)?;
    let root = debian(&folder)?;
    let inside = folder.join("inside.sh");
    fs::write(&inside, INSIDE).map_err(|error| format!("{}: {error}", inside.display()))?;
    let mut guest = guest(tool, limit);
    guest.args(["-m", MEMORY]).arg("-a").arg(root).arg("-a").arg(inside);
    for deb in package::make(&folder)? {
        guest.arg("-a").arg(deb);
    }
    let (summary, ended) = watch(guest.arg(script))?;
    eprint!("\n{summary}");
    ended?;
    summary.judge(1)
}

/// The files of a small Debian, kept for the next time.
fn debian(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("debian.tar");
    if !root.exists() {
        debian::ensure(&[("mmdebstrap", "mmdebstrap")])?;
        let unfinished = folder.join("unfinished.tar");
        let mut bootstrap = Command::new("mmdebstrap");
        bootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}")]);
        run_command(bootstrap.arg(RELEASE).arg(&unfinished))?;
        fs::rename(&unfinished, &root).map_err(|error| error.to_string())?;
    }
    Ok(root)
}
