//! Server CPU time of one delivery of a broadcast.

use serde_json::json;

use super::driver::{Answer, Driver};
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

/// Clients of one shard.
pub(super) const CLIENTS: u32 = 19_000;

pub(super) const FIGURE: Figure = Figure {
    name: "broadcast",
    what: "server CPU per delivery, broadcast of 256 B to 19,000 clients, as a ratio to the floor",
    unit: "",
    at_most: 1.10,
    runs_max: 99,
    run,
};

fn run(io: Io) -> Result<Run> {
    let floor = cost(Subject::floor(io, CLIENTS, true)?)?;
    let gateway = cost(Subject::gateway(io, CLIENTS, false)?)?;
    let value = gateway.micros()? / floor.micros()?;
    Ok(Run { value, raw: json!({ "floor": floor.0, "gateway": gateway.0 }) })
}

/// Ten broadcasts, after one that warms.
pub(super) fn cost(subject: Subject) -> Result<Answer> {
    let mut driver = Driver::start(subject)?;
    driver.phase(&format!("login {CLIENTS}"))?;
    driver.phase("broadcast 1 1")?;
    driver.phase("broadcast 1 10")
}
