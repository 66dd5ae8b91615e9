//! How long a gateway takes to be ready again that has a million messages for users who are away.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::counts::Counts;
use super::disk::Folder;
use super::driver::Driver;
use super::mailbox::{EACH, USERS};
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "pending_start",
    what: "start with 1,000,000 pending messages of 512 B for 200,000 users, stopped or killed",
    unit: " s",
    at_most: 5.0,
    runs_max: 1,
    run,
};

/// How long a gateway that is ready may take to say what it holds.
const PATIENCE: Duration = Duration::from_secs(5);

fn run(io: Io) -> Result<Run> {
    let folder = Folder::new()?;
    let subject = Subject::gateway_with_store(io, 1, folder.path())?;
    let mut driver = Driver::start(subject)?;
    driver.phase(&format!("store 0 {USERS} {EACH} 512"))?;
    // Killed: the handle of a process does that.
    drop(driver.into_subject());
    let (killed, subject) = start(io, &folder)?;
    let (stopped, subject) = stop_and_start(io, &folder, subject)?;
    drop(subject);
    folder.cool()?;
    let (cold, subject) = start(io, &folder)?;
    drop(subject);
    let seconds = |took: Duration| took.as_secs_f64();
    let (files, bytes) = folder.segments()?;
    let raw = json!({
        "killed_s": seconds(killed),
        "stopped_s": seconds(stopped),
        "not_cached_s": seconds(cold),
        "segments": files,
        "disk_bytes": bytes,
    });
    Ok(Run { value: seconds(killed.max(stopped).max(cold)), raw })
}

fn stop_and_start(io: Io, folder: &Folder, mut subject: Subject) -> Result<(Duration, Subject)> {
    if !subject.process.stop() {
        return Err("the gateway did not stop in order".into());
    }
    start(io, folder)
}

/// How long it takes until it says that it is ready; it must have every message.
fn start(io: Io, folder: &Folder) -> Result<(Duration, Subject)> {
    let begin = Instant::now();
    let subject = Subject::gateway_with_store(io, 1, folder.path())?;
    let took = begin.elapsed();
    let all = f64::from(USERS * EACH);
    // A shard says what it holds a moment after it has begun to serve.
    let end = Instant::now() + PATIENCE;
    loop {
        let counts = Counts::read(subject.admin.ok_or("no admin port")?)?;
        let messages = counts.of("mailbox_messages")?;
        if messages >= all {
            return Ok((took, subject));
        }
        if Instant::now() > end {
            return Err(format!("{messages} of {all} messages are there after a start"));
        }
        sleep(Duration::from_millis(50));
    }
}
