//! What 100,000 clients cost that only heartbeat.

use serde_json::json;

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

const CLIENTS: u32 = 100_000;
/// Heartbeats a second: 100,000 clients, one in 300 seconds each.
const PHASE: &str = "beat 333.33 30";

fn run(io: Io) -> Result<Run> {
    let floor = percent(Subject::floor(io, CLIENTS, true)?)?;
    let gateway = percent(Subject::gateway(io, CLIENTS, false)?)?;
    Ok(Run { value: gateway, raw: json!({ "gateway": gateway, "floor": floor }) })
}

/// What the clients cost, of one core.
fn percent(subject: Subject) -> Result<f64> {
    let mut driver = Driver::start(subject)?;
    driver.phase(&format!("login {CLIENTS}"))?;
    let beat = driver.phase(PHASE)?;
    let cpu = beat.number("cpu_ns")? + beat.number("softirq_ns")?;
    Ok(100.0 * cpu / 1e9 / beat.number("wall_s")?)
}
