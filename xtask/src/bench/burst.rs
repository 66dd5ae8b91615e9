//! Eight messages to one user at one moment, against eight messages to eight users: what coalescing
//! saves.

use serde_json::json;

use super::broadcast::CLIENTS;
use super::driver::Driver;
use super::subject::Subject;
use super::turns::{ROUNDS, ratio, raw};
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "burst",
    what: "server CPU of 8 messages to one user in one burst, as a ratio to 8 to eight users",
    unit: "",
    at_most: 0.3,
    runs_max: 99,
    run,
};

fn run(io: Io) -> Result<Run> {
    let mut driver = Driver::start(Subject::gateway(io, CLIENTS, false)?)?;
    driver.phase(&format!("login {CLIENTS}"))?;
    driver.phase("push 8 1000 1")?;
    let (mut one, mut eight) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(driver.phase("push 1 1000 8")?);
        eight.push(driver.phase("push 8 1000 1")?);
    }
    let value = ratio(&one, &eight, "us")?;
    Ok(Run { value, raw: json!({ "one_user": raw(&one), "eight_users": raw(&eight) }) })
}
