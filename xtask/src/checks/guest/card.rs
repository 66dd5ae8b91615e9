//! `holdfast-tuning` and a network card with several queues: it gets one for each shard, and is
//! undone as it was, also when that was killed amid.
//!
//! The tool boots a kernel without a card. It looks for that kernel in `$GUEST_CACHE/k` and for the
//! emulator in `$PATH`, so both are put there: the kernel with the modules of a card's driver, and
//! an emulator that has such a card beside what the tool asks for.

use super::{NEEDS, Program, build, guest, prepare, watch};
use crate::checks::debian;
use crate::shell::{Result, cargo, output};
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const SCRIPT: &str = concat!(include_str!("must.sh"), include_str!("card.sh"));
/// Of a card of virtio, in the order in which they are loaded.
const MODULES: [&str; 8] = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
];
/// A card has as many queues as the kernel's end of it: an interface that is there for it alone.
/// Interrupts: two for each queue, and two for the card.
const CARD: &str = "-netdev tap,id=card,queues=4,script=no,downscript=no \
    -device virtio-net-pci,netdev=card,mq=on,rss=on,vectors=10";
const EMULATOR: &str = "qemu-system-x86_64";

pub(super) fn run(tool: &Path, limit: u32) -> Result {
    debian::ensure(&NEEDS)?;
    debian::ensure(&[("ethtool", "ethtool")])?;
    let command = cargo(&["build", "--bin", "holdfast-tuning"]);
    let built = build(command, &["holdfast-tuning"])?;
    let (folder, script) = prepare(SCRIPT)?;
    let kernel = kernel(&folder)?;
    let mut guest = guest(tool, limit);
    guest.args(["-c", "4"]).env("PATH", with_a_card(&folder)?).env("GUEST_CACHE", &kernel);
    for module in MODULES {
        guest.arg("-a").arg(modules(&kernel)?.join(format!("{module}.ko")));
    }
    for program in built {
        guest.arg("-a").arg(Program { in_place: false, ..program }.pack(&folder)?);
    }
    let names = MODULES.iter().filter_map(|module| module.rsplit('/').next());
    let (summary, ended) = watch(guest.arg(script).args(names))?;
    eprint!("\n{summary}");
    ended?;
    summary.judge(1)
}

/// A folder with Debian's kernel, unpacked into `k`; kept for the next time.
fn kernel(folder: &Path) -> Result<PathBuf> {
    let place = folder.join("kernel");
    if modules(&place).is_err() {
        debian::ensure_known("linux-image-amd64")?;
        let said = output("apt-cache", &["depends", "linux-image-amd64"]).unwrap_or_default();
        let mut depends = said.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let image = depends.next().ok_or("apt-cache knows no kernel")?.to_owned();
        debian::unpack_these(&[image], &place.join("k"))?;
    }
    Ok(place)
}

/// Where the modules of the kernel are that was unpacked there.
fn modules(kernel: &Path) -> Result<PathBuf> {
    let versions = kernel.join("k/lib/modules");
    let failed = |error: std::io::Error| format!("{}: {error}", versions.display());
    let first = fs::read_dir(&versions).map_err(failed)?.next();
    let first = first.ok_or_else(|| format!("{}: no kernel's", versions.display()))?;
    Ok(first.map_err(failed)?.path().join("kernel"))
}

/// A search path on which the emulator is one with a card.
fn with_a_card(folder: &Path) -> Result<String> {
    let usual = debian::path(EMULATOR).ok_or_else(|| format!("there is no {EMULATOR}"))?;
    let programs = folder.join("card");
    let script = programs.join(EMULATOR);
    let text = format!("#!/bin/sh\nexec {} \"$@\" {CARD}\n", usual.display());
    let made = fs::create_dir_all(&programs)
        .and_then(|()| fs::write(&script, text))
        .and_then(|()| fs::set_permissions(&script, fs::Permissions::from_mode(0o755)));
    made.map_err(|error| format!("{}: {error}", script.display()))?;
    let others = env::var("PATH").unwrap_or_default();
    Ok(format!("{}:{others}", programs.display()))
}
