//! Server CPU time of one delivery of a broadcast.

use serde_json::json;

use super::driver::{Answer, Driver};
use super::subject::Subject;
use super::turns::{in_turns, ratio, raw};
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
    let mut floor = warm(Subject::floor(io, CLIENTS, true)?)?;
    let mut gateway = warm(Subject::gateway(io, CLIENTS, false)?)?;
    let answers = in_turns(&mut [(&mut floor, PHASE), (&mut gateway, PHASE)])?;
    let value = ratio(&answers[1], &answers[0], "us")?;
    Ok(Run { value, raw: json!({ "floor": raw(&answers[0]), "gateway": raw(&answers[1]) }) })
}

/// Two broadcasts.
pub(super) const PHASE: &str = "broadcast 1 2";

/// All clients are there, and have received a broadcast.
pub(super) fn warm(subject: Subject) -> Result<Driver> {
    let mut driver = Driver::start(subject)?;
    driver.phase(&format!("login {CLIENTS}"))?;
    driver.phase("broadcast 1 1")?;
    Ok(driver)
}

/// What one delivery costs a subject that is measured alone.
pub(super) fn cost(subject: Subject) -> Result<Answer> {
    warm(subject)?.phase("broadcast 1 10")
}
