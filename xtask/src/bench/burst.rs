//! Eight messages to one user at one moment, against eight messages to eight users: what coalescing
//! saves.

use serde_json::json;

use super::broadcast::CLIENTS;
use super::driver::{Answer, Driver};
use super::subject::Subject;
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
    let floor = costs(Subject::floor(io, CLIENTS, true)?)?;
    let gateway = costs(Subject::gateway(io, CLIENTS, false)?)?;
    let value = gateway[0].micros()? / gateway[1].micros()?;
    let of = |[one, eight]: [Answer; 2]| json!({ "one_user": one.0, "eight_users": eight.0 });
    Ok(Run { value, raw: json!({ "floor": of(floor), "gateway": of(gateway) }) })
}

fn costs(subject: Subject) -> Result<[Answer; 2]> {
    let mut driver = Driver::start(subject)?;
    driver.phase(&format!("login {CLIENTS}"))?;
    driver.phase("push 8 1000 1")?;
    let one = driver.phase("push 1 5000 8")?;
    let eight = driver.phase("push 8 5000 1")?;
    Ok([one, eight])
}
