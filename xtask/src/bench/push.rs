//! Server CPU time of one message that is pushed through the pipelined API.
//!
//! The floor is a server that receives a request of the same length and sends to as many sockets.

use serde_json::json;

use super::broadcast::CLIENTS;
use super::driver::Driver;
use super::subject::Subject;
use super::turns::{in_turns, ratio, raw};
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "push",
    what: "server CPU per pushed message, 64 random users a request, as a ratio to the floor",
    unit: "",
    at_most: 1.5,
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

const PHASE: &str = "push 64 600 1";

fn warm(subject: Subject) -> Result<Driver> {
    let mut driver = Driver::start(subject)?;
    driver.phase(&format!("login {CLIENTS}"))?;
    driver.phase("push 64 300 1")?;
    Ok(driver)
}
