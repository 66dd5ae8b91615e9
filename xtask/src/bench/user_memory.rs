//! User-space memory of an idle logged-in connection, every structure of the gateway included.

use serde_json::json;

use super::driver::Driver;
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "user_memory",
    what: "user-space memory per idle logged-in connection, 100,000 clients, ids of 16 bytes",
    unit: " B",
    at_most: 256.0,
    runs_max: 99,
    run,
};

const CLIENTS: u32 = 100_000;

fn run(io: Io) -> Result<Run> {
    let mut driver = Driver::start(Subject::gateway(io, CLIENTS, false)?)?;
    // From the empty gateway on: tables that grew for these clients are their memory.
    let before = driver.phase("mark")?;
    driver.phase(&format!("login {CLIENTS}"))?;
    let grown = driver.phase(&format!("grown {CLIENTS}"))?;
    let raw = json!({ "before": before.0, "grown": grown.0 });
    Ok(Run { value: grown.number("user")?, raw })
}
