//! Server CPU time of one login: accept, hello, check of a signed token, welcome.
//!
//! Clients come in bursts that meet the server at once, as after an outage; one by one, each would
//! also cost a wake-up, which is the kernel's on both sides and would hide the difference.

use serde_json::json;

use super::driver::Driver;
use super::subject::Subject;
use super::turns::{in_turns, ratio, raw};
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "login",
    what: "server CPU per login with an HMAC token, as a ratio to the floor's accept and echo",
    unit: "",
    at_most: 1.6,
    runs_max: 99,
    run,
};

/// Clients of one round; those of all rounds stay, and fit in one shard.
const PHASE: &str = "storm 1800";

fn run(io: Io) -> Result<Run> {
    let mut floor = warm(Subject::floor(io, 18_000, true)?)?;
    let mut gateway = warm(Subject::gateway(io, 18_000, true)?)?;
    let answers = in_turns(&mut [(&mut floor, PHASE), (&mut gateway, PHASE)])?;
    let value = ratio(&answers[1], &answers[0], "us")?;
    Ok(Run { value, raw: json!({ "floor": raw(&answers[0]), "gateway": raw(&answers[1]) }) })
}

fn warm(subject: Subject) -> Result<Driver> {
    let mut driver = Driver::start(subject)?;
    driver.phase(PHASE)?;
    Ok(driver)
}
