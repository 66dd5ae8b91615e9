//! The gateway against the same small push server in the idiom of two runtimes: the raw loop must
//! stay ahead of the better of them, although the gateway does more.

use serde_json::json;

use super::broadcast::{self, CLIENTS};
use super::driver::{Answer, Driver};
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

/// Runtimes whose idiom the baseline is written in.
const RUNTIMES: [&str; 2] = ["monoio", "glommio"];

pub(super) const ECHO: Figure = Figure {
    name: "runtime_echo",
    what: "server CPU per heartbeat of 1,000 clients, as a ratio to the better runtime",
    unit: "",
    at_most: 1.0,
    runs_max: 99,
    run: |io| compare(io, echo, "us"),
};

pub(super) const BROADCAST: Figure = Figure {
    name: "runtime_broadcast",
    what: "server CPU per delivery, broadcast of 256 B, as a ratio to the better runtime",
    unit: "",
    at_most: 1.0,
    runs_max: 99,
    run: |io| compare(io, broadcast::cost, "us"),
};

pub(super) const MEMORY: Figure = Figure {
    name: "runtime_memory",
    what: "user-space memory per idle connection, as a ratio to the better runtime",
    unit: "",
    at_most: 1.0,
    runs_max: 99,
    run: |io| compare(io, memory, "user"),
};

fn compare(io: Io, measure: fn(Subject) -> Result<Answer>, number: &str) -> Result<Run> {
    let gateway = measure(Subject::gateway(io, CLIENTS, false)?)?;
    let mut raw = json!({ "gateway": gateway.0 });
    let mut best = f64::INFINITY;
    for runtime in RUNTIMES {
        let answer = measure(Subject::baseline(runtime)?)?;
        best = best.min(answer.number(number)?);
        raw[runtime] = answer.0;
    }
    Ok(Run { value: gateway.number(number)? / best, raw })
}

fn echo(subject: Subject) -> Result<Answer> {
    let mut driver = Driver::start(subject)?;
    driver.phase("login 1000")?;
    driver.phase("echo 5")?;
    driver.phase("echo 50")
}

fn memory(subject: Subject) -> Result<Answer> {
    let mut driver = Driver::start(subject)?;
    driver.phase("mark")?;
    driver.phase(&format!("login {CLIENTS}"))?;
    driver.phase(&format!("grown {CLIENTS}"))
}
