//! How much dearer a delivery is with 1,000,000 connections than with 19,000, against the same of
//! the floor.

use serde_json::json;

use super::driver::{Answer, Driver};
use super::million::CLIENTS as MANY;
use super::subject::Subject;
use super::{Figure, Io, Run, broadcast};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "growth",
    what: "cost of a delivery at 1,000,000 clients to 19,000, as a ratio to the floor's own",
    unit: "",
    at_most: 1.3,
    runs_max: 1,
    run,
};

fn run(io: Io) -> Result<Run> {
    let few = broadcast::CLIENTS;
    let floor = [
        broadcast::cost(Subject::floor(io, few, true)?)?,
        with_many(Subject::floor(io, MANY, true)?, "open")?,
    ];
    let gateway = [
        broadcast::cost(Subject::gateway(io, few, false)?)?,
        with_many(Subject::gateway(io, MANY, false)?, "login")?,
    ];
    let grown = |[few, many]: &[Answer; 2]| Ok::<_, String>(many.micros()? / few.micros()?);
    let value = grown(&gateway)? / grown(&floor)?;
    let of = |[few, many]: [Answer; 2]| json!({ "few": few.0, "many": many.0 });
    Ok(Run { value, raw: json!({ "floor": of(floor), "gateway": of(gateway) }) })
}

/// Three broadcasts after one that warms.
fn with_many(subject: Subject, phase: &str) -> Result<Answer> {
    let mut driver = Driver::start(subject)?;
    driver.phase(&format!("{phase} {MANY}"))?;
    driver.phase("broadcast 1 1")?;
    driver.phase("broadcast 1 3")
}
