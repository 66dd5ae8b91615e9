//! How late durable messages come at half of what the gateway can take, and how that stands to the
//! disk.
//!
//! Single messages, each counted from when it was due, go to clients of their own while everybody
//! else gets durable messages at half of the rate of full load, both in requests of 16 users. The
//! disk's own syncs are timed between, in the same folder, as often a second as the store syncs and
//! as many bytes each time.

use std::time::Duration;

use serde_json::{Value, json};

use super::disk::{Appends, Folder};
use super::driver::{Answer, Driver};
use super::durable::{by_the_clock, full_load, warm};
use super::turns::{median, raw};
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "durable_p99",
    what: "p99 of durable messages from the API to the client, at half of the peak rate",
    unit: " ms",
    at_most: 10.0,
    runs_max: 3,
    run: |io| measured(io).map(|both| Run { value: both.gateway / 1e3, raw: both.raw }),
};

pub(super) const TO_DISK: Figure = Figure {
    name: "durable_p99_disk",
    what: "p99 of durable messages at half of the peak rate, as a ratio to the disk's own sync",
    unit: "",
    at_most: 3.0,
    runs_max: 3,
    run: |io| measured(io).map(|both| Run { value: both.gateway / both.disk, raw: both.raw }),
};

/// Single messages a second.
const SINGLES: u32 = 500;
/// Turns of disk and gateway.
const ROUNDS: usize = 5;
const DISK_TIME: Duration = Duration::from_secs(2);
const GATEWAY_SECONDS: u32 = 4;

/// The middle p99 of both, in microseconds.
struct Both {
    gateway: f64,
    disk: f64,
    raw: Value,
}

fn measured(io: Io) -> Result<Both> {
    let folder = Folder::new()?;
    let mut driver = warm(io, &folder)?;
    let peak = by_the_clock(&driver.phase(&full_load(16))?)?;
    let phase = format!("paced {:.0} {SINGLES} {GATEWAY_SECONDS}", peak / 2.0);
    let appends = as_the_store_does(&mut driver, &phase)?;
    let (mut disk, mut gateway, mut work) = (Vec::new(), Vec::new(), Vec::new());
    disk.push(Answer(folder.syncs(appends, DISK_TIME)?));
    for _ in 0..ROUNDS {
        let answer = driver.phase(&phase)?;
        gateway.push(answer.part("singles"));
        work.push(answer.part("work"));
        disk.push(Answer(folder.syncs(appends, DISK_TIME)?));
    }
    let raw = json!({
        "peak_per_second": peak,
        "groups_per_second": appends.rate,
        "bytes_per_group": appends.bytes,
        "gateway": raw(&gateway),
        "beside": raw(&work),
        "disk": raw(&disk),
    });
    Ok(Both { gateway: median(&gateway, "p99_us")?, disk: median(&disk, "p99_us")?, raw })
}

/// How often, and how much at a time, the store writes and syncs in such a phase.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of one write")]
fn as_the_store_does(driver: &mut Driver, phase: &str) -> Result<Appends> {
    let before = driver.counts()?;
    driver.phase(phase)?;
    let after = driver.counts()?;
    let grown = |name: &str| Ok::<_, String>(after.of(name)? - before.of(name)?);
    let (syncs, bytes) = (grown("store_syncs_total")?, grown("store_written_bytes_total")?);
    let rate = syncs / f64::from(GATEWAY_SECONDS);
    Ok(Appends { rate, bytes: (bytes / syncs.max(1.0)) as usize })
}
