//! A million logged-in clients: every heartbeat answered, one broadcast received by every one.

use serde_json::json;

use super::driver::Driver;
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const CLIENTS: u32 = 1_000_000;

pub(super) const FIGURE: Figure = Figure {
    name: "million",
    what: "logins, heartbeats and broadcast deliveries of 1,000,000 clients that are missing",
    unit: "",
    at_most: 0.0,
    runs_max: 1,
    run,
};

fn run(io: Io) -> Result<Run> {
    let mut driver = Driver::start(Subject::gateway(io, CLIENTS, false)?)?;
    driver.phase("mark")?;
    // Each phase fails when a single answer is missing.
    let login = driver.phase(&format!("login {CLIENTS}"))?;
    let memory = driver.phase(&format!("grown {CLIENTS}"))?;
    let heartbeats = driver.phase("echo 1")?;
    let broadcast = driver.phase("broadcast 1 1")?;
    let wanted = 3.0 * f64::from(CLIENTS);
    let came = login.number("units")? + heartbeats.number("units")? + broadcast.number("units")?;
    let raw = json!({
        "login": login.0,
        "memory": memory.0,
        "heartbeats": heartbeats.0,
        "broadcast": broadcast.0,
    });
    Ok(Run { value: wanted - came, raw })
}
