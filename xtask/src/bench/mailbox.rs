//! What a message costs in memory whose user is away, and what is left once it is gone.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::disk::Folder;
use super::driver::{Answer, Driver};
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "mailbox",
    what: "memory per offline message, 1,000,000 of 64 B for 200,000 users, bodies on disk",
    unit: " B",
    at_most: 64.0,
    runs_max: 1,
    run,
};

/// Users who are away.
pub(super) const USERS: u32 = 200_000;
/// Messages of each.
pub(super) const EACH: u32 = 5;

/// A gateway that has written everything has nothing left to do after so long.
const REST: Duration = Duration::from_secs(3);

fn run(io: Io) -> Result<Run> {
    let folder = Folder::new()?;
    // One shard: nobody is there.
    let mut driver = Driver::start(Subject::gateway_with_store(io, 1, folder.path())?)?;
    driver.phase("mark")?;
    let full = filled(&mut driver, 0)?;
    let purged = driver.phase(&format!("purge 0 {USERS}"))?;
    let empty = rested(&mut driver)?;
    // Other users: what was given up is theirs now, or it was not given up.
    let again = filled(&mut driver, USERS)?;
    let value = full.number("user")?;
    let raw = json!({ "full": full.0, "purged": purged.0, "empty": empty.0, "again": again.0 });
    Ok(Run { value, raw })
}

fn filled(driver: &mut Driver, from: u32) -> Result<Answer> {
    driver.phase(&format!("store {from} {USERS} {EACH} 64"))?;
    rested(driver)
}

/// What the gateway has grown by for each message, and what it counts.
fn rested(driver: &mut Driver) -> Result<Answer> {
    sleep(REST);
    let grown = driver.phase(&format!("grown {}", USERS * EACH))?;
    let counts = driver.counts()?;
    let told = |name: &str| Ok::<_, String>(Value::from(counts.of(name)?));
    let mut all = json!({ "user": grown.number("user")? });
    for name in ["mailboxes", "mailbox_messages", "mailbox_bytes", "users"] {
        all[name] = told(name)?;
    }
    Ok(Answer(all))
}
