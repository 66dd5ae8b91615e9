//! How late single messages come while broadcasts to everybody run, against how late without.

use serde_json::json;

use super::broadcast::CLIENTS;
use super::driver::Driver;
use super::subject::Subject;
use super::turns::{ROUNDS, median, raw};
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
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(driver.phase("probe 1000 1 0")?);
        with.push(driver.phase("probe 1000 1 1")?);
    }
    let value = median(&with, "p99_us")? / median(&without, "p99_us")?;
    Ok(Run { value, raw: json!({ "without": raw(&without), "with": raw(&with) }) })
}
