//! What the load generator itself costs, beside the gateway that it loads: one core of it has to
//! keep one core of gateway busy, and its clients must fit where the gateway's connections do.

use std::fs;

use serde_json::{Value, json};

use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::process::Running;
use crate::shell::{Result, target};

/// 1.5 times the gateway's throughput for each core.
const RATIO: f64 = 0.667;
/// The generator's core.
const CORE: usize = 1;

pub(super) const PUSH: Figure = Figure {
    name: "generator_push",
    what: "generator CPU per pushed message at the gateway's peak, as a ratio to the gateway's",
    unit: "",
    at_most: RATIO,
    runs_max: 99,
    run: |io| run(io, 10_000, "--rate 100000 --size 256 --duration 6 --drain 60", to_gateway),
};

pub(super) const ECHO: Figure = Figure {
    name: "generator_echo",
    what: "generator CPU per ping and pong of 1,000 clients, as a ratio to the gateway's",
    unit: "",
    at_most: RATIO,
    runs_max: 99,
    run: |io| run(io, 1_000, "--rate 0 --pings 50000 --duration 10", to_gateway),
};

pub(super) const MEMORY: Figure = Figure {
    name: "generator_memory",
    what: "generator's user-space memory per client, 18,000 clients",
    unit: " B",
    at_most: 1024.0,
    runs_max: 99,
    run: |io| {
        run(io, 18_000, "--rate 0 --duration 1", |report| {
            report["memory"]["client_anonymous_per_connection"].as_f64()
        })
    },
};

/// Loads a gateway with what `line` says; `value` is found in the report.
fn run(io: Io, clients: u32, line: &str, value: fn(&Value) -> Option<f64>) -> Result<Run> {
    let gateway = Subject::gateway(io, clients, false)?;
    let folder = target().join("bench");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let path = folder.join("generator.report.json");
    let line = format!(
        "run --io {} --connections {clients} --gateway 127.0.0.1:{} --api 127.0.0.1:{} --product \
         {} --server-pid {} --broadcasts 0 --quiet --json {} {line}",
        io.name(),
        gateway.client_port,
        gateway.api_ports[0],
        Subject::PRODUCT,
        gateway.process.pid(),
        path.display()
    );
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    Running::start(&Subject::driver_binary(), &words, Some(CORE))?.finish()?;
    let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| unreadable(&error))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
    let value = value(&report).ok_or_else(|| unreadable(&"a figure is missing"))?;
    let raw =
        json!({ "cpu": report["cpu"], "memory": report["memory"], "counts": report["counts"] });
    Ok(Run { value, raw })
}

/// CPU time of the generator while it offered the load, to that of the gateway.
fn to_gateway(report: &Value) -> Option<f64> {
    let stage = report["cpu"].as_array()?.iter().find(|stage| stage["stage"] == "push")?;
    Some(stage["client_ms"].as_f64()? / stage["server_ms"].as_f64()?)
}
