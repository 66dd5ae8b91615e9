//! Server CPU time of one login: accept, hello, check of a signed token, welcome.
//!
//! Clients come in bursts that meet the server at once, as after an outage; one by one, each would
//! also cost a wake-up, which is the kernel's on both sides and would hide the difference.

use serde_json::json;

use super::driver::{Answer, Driver};
use super::subject::Subject;
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

/// Clients that warm, and clients that are counted.
const PHASES: [&str; 2] = ["storm 2000", "storm 16000"];

fn run(io: Io) -> Result<Run> {
    let floor = cost(Subject::floor(io, 18_000, true)?)?;
    let gateway = cost(Subject::gateway(io, 18_000, true)?)?;
    let value = gateway.micros()? / floor.micros()?;
    Ok(Run { value, raw: json!({ "floor": floor.0, "gateway": gateway.0 }) })
}

fn cost(subject: Subject) -> Result<Answer> {
    let mut driver = Driver::start(subject)?;
    driver.phase(PHASES[0])?;
    driver.phase(PHASES[1])
}
