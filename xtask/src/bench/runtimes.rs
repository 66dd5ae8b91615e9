//! The gateway against the same small push server in the idiom of two runtimes: the raw loop must
//! stay ahead of the better of them, although the gateway does more.

use serde_json::json;

use super::broadcast::{self, CLIENTS};
use super::driver::{Answer, Driver};
use super::subject::Subject;
use super::turns::{in_turns, ratio, raw};
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
    run: |io| compare(io, echo, "echo 10"),
};

pub(super) const BROADCAST: Figure = Figure {
    name: "runtime_broadcast",
    what: "server CPU per delivery, broadcast of 256 B, as a ratio to the better runtime",
    unit: "",
    at_most: 1.0,
    runs_max: 99,
    run: |io| compare(io, broadcast::warm, broadcast::PHASE),
};

pub(super) const MEMORY: Figure = Figure {
    name: "runtime_memory",
    what: "user-space memory per idle connection, as a ratio to the better runtime",
    unit: "",
    at_most: 1.0,
    runs_max: 99,
    run: memory,
};

/// CPU time in turns; the ratio to the runtime that did best beside the gateway.
fn compare(io: Io, warm: fn(Subject) -> Result<Driver>, phase: &str) -> Result<Run> {
    let mut gateway = warm(Subject::gateway(io, CLIENTS, false)?)?;
    let mut all = json!({});
    let mut value = 0.0_f64;
    for runtime in RUNTIMES {
        let mut baseline = warm(Subject::baseline(runtime)?)?;
        let answers = in_turns(&mut [(&mut gateway, phase), (&mut baseline, phase)])?;
        value = value.max(ratio(&answers[0], &answers[1], "us")?);
        all[runtime] = json!({ "gateway": raw(&answers[0]), "baseline": raw(&answers[1]) });
    }
    Ok(Run { value, raw: all })
}

fn echo(subject: Subject) -> Result<Driver> {
    let mut driver = Driver::start(subject)?;
    driver.phase("login 1000")?;
    driver.phase("echo 5")?;
    Ok(driver)
}

fn memory(io: Io) -> Result<Run> {
    let gateway = grown(Subject::gateway(io, CLIENTS, false)?)?;
    let mut raw = json!({ "gateway": gateway.0 });
    let mut best = f64::INFINITY;
    for runtime in RUNTIMES {
        let answer = grown(Subject::baseline(runtime)?)?;
        best = best.min(answer.number("user")?);
        raw[runtime] = answer.0;
    }
    Ok(Run { value: gateway.number("user")? / best, raw })
}

fn grown(subject: Subject) -> Result<Answer> {
    let mut driver = Driver::start(subject)?;
    driver.phase("mark")?;
    driver.phase(&format!("login {CLIENTS}"))?;
    driver.phase(&format!("grown {CLIENTS}"))
}
