//! Server CPU time of one message that is pushed through the pipelined API.
//!
//! The floor is a server that receives a request of the same length and sends to as many sockets.

use serde_json::json;

use super::broadcast::CLIENTS;
use super::driver::{Answer, Driver};
use super::subject::Subject;
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
    let floor = cost(Subject::floor(io, CLIENTS, true)?)?;
    let gateway = cost(Subject::gateway(io, CLIENTS, false)?)?;
    let value = gateway.micros()? / floor.micros()?;
    Ok(Run { value, raw: json!({ "floor": floor.0, "gateway": gateway.0 }) })
}

fn cost(subject: Subject) -> Result<Answer> {
    let mut driver = Driver::start(subject)?;
    driver.phase(&format!("login {CLIENTS}"))?;
    driver.phase("push 64 300 1")?;
    driver.phase("push 64 3000 1")
}
