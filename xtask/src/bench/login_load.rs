//! What other clients notice while 100,000 users log in at once, for each of whom ten messages
//! wait.
//!
//! It is held against the same logins with empty mailboxes, on another gateway: 100,000 logins take
//! all of a core by themselves, and what others notice of that is not the loading's doing. How
//! both stand to a gateway at rest is beside it.

use serde_json::{Value, json};

use super::disk::Folder;
use super::driver::{Answer, Driver};
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "login_load",
    what: "p99 of others' messages while 100,000 log in and load 1,000,000, to p99 of bare logins",
    unit: "",
    at_most: 2.0,
    runs_max: 1,
    run,
};

const USERS: u32 = 100_000;
/// Messages that wait for each.
const EACH: u32 = 10;
/// Single messages to the others, a second.
const SINGLES: u32 = 500;

fn run(io: Io) -> Result<Run> {
    let plain = storm(io, 0)?;
    let loaded = storm(io, EACH)?;
    let p99 = |answer: &Answer| answer.number("p99_us");
    let value = p99(&loaded.during)? / p99(&plain.during)?;
    let raw = json!({
        "p99_to_rest": p99(&loaded.during)? / p99(&loaded.before)?,
        "p99_of_bare_logins_to_rest": p99(&plain.during)? / p99(&plain.before)?,
        "empty_mailboxes": plain.json(),
        "messages_wait": loaded.json(),
    });
    Ok(Run { value, raw })
}

/// A storm of logins, and what others noticed.
struct Storm {
    before: Answer,
    during: Answer,
    work: Answer,
}

impl Storm {
    fn json(&self) -> Value {
        json!({ "before": self.before.0, "during": self.during.0, "work": self.work.0 })
    }
}

fn storm(io: Io, each: u32) -> Result<Storm> {
    let folder = Folder::new()?;
    let mut driver = Driver::start(Subject::gateway_with_store(io, USERS, folder.path())?)?;
    if each > 0 {
        driver.phase(&format!("store 0 {USERS} {each} 256"))?;
    }
    driver.phase(&format!("probe {SINGLES} 2 0"))?;
    let before = driver.phase(&format!("probe {SINGLES} 10 0"))?;
    let load = driver.phase(&format!("load {USERS} {each} {SINGLES}"))?;
    Ok(Storm { before, during: load.part("singles"), work: load.part("work") })
}
