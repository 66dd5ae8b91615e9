//! How late single messages come while broadcasts to everybody run, against how late without.

use serde_json::json;

use super::broadcast::CLIENTS;
use super::driver::Driver;
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "unicast_p99",
    what: "p99 of single messages while broadcasts to 19,000 run, as a ratio to p99 without",
    unit: "",
    at_most: 3.0,
    runs_max: 99,
    run,
};

fn run(io: Io) -> Result<Run> {
    let mut driver = Driver::start(Subject::gateway(io, CLIENTS, false)?)?;
    driver.phase(&format!("login {CLIENTS}"))?;
    driver.phase("probe 500 1 0")?;
    let without = driver.phase("probe 1000 5 0")?;
    let with = driver.phase("probe 1000 5 1")?;
    let value = with.number("p99_us")? / without.number("p99_us")?;
    Ok(Run { value, raw: json!({ "without": without.0, "with": with.0 }) })
}
