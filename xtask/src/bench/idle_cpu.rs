//! What 100,000 clients cost that only heartbeat.

use super::driver::Driver;
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "idle_cpu",
    what: "CPU of 100,000 idle clients with a heartbeat of 300 s, of one core",
    unit: " %",
    at_most: 1.0,
    runs_max: 99,
    run,
};

/// Heartbeats a second: 100,000 clients, one in 300 seconds each.
const PHASE: &str = "beat 333.33 30";

fn run(io: Io) -> Result<Run> {
    let mut driver = Driver::start(Subject::gateway(io, 100_000, false)?)?;
    driver.phase("login 100000")?;
    let beat = driver.phase(PHASE)?;
    let cpu = beat.number("cpu_ns")? + beat.number("softirq_ns")?;
    Ok(Run { value: 100.0 * cpu / 1e9 / beat.number("wall_s")?, raw: beat.0 })
}
