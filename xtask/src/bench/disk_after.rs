//! What is left on disk once every message was taken and acknowledged.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::broadcast::CLIENTS;
use super::disk::Folder;
use super::driver::Driver;
use super::durable::full_load;
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "disk_after",
    what: "segments on disk after everything was acknowledged, of at least 4 that were written",
    unit: "",
    at_most: 2.0,
    runs_max: 3,
    run,
};

/// Messages that wait for each user, of 1 KiB: about 300 MB.
const EACH: u32 = 15;
/// How long giving back may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn run(io: Io) -> Result<Run> {
    let folder = Folder::new()?;
    let mut driver = Driver::start(Subject::gateway_with_store(io, CLIENTS, folder.path())?)?;
    driver.phase(&format!("store 0 {CLIENTS} {EACH} 1024"))?;
    let (full, full_bytes) = folder.segments()?;
    if full < 4 {
        return Err(format!("only {full} segments were written"));
    }
    driver.phase(&format!("load {CLIENTS} {EACH} 1"))?;
    driver.phase(&full_load(64))?;
    let begin = Instant::now();
    let (mut left, mut bytes) = folder.segments()?;
    while f64::from(left) > FIGURE.at_most && begin.elapsed() < PATIENCE {
        sleep(Duration::from_millis(100));
        (left, bytes) = folder.segments()?;
    }
    let counts = driver.counts()?;
    let raw = json!({
        "segments_before": full,
        "bytes_before": full_bytes,
        "segments_after": left,
        "bytes_after": bytes,
        "seconds": begin.elapsed().as_secs_f64(),
        "mailboxes": counts.of("mailboxes")?,
        "copied": counts.of("store_copied_total")?,
    });
    Ok(Run { value: f64::from(left), raw })
}
