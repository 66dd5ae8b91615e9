//! `floor` alone: a server and its driver together, a fresh pair for each run, back ends
//! interleaved, and the gateway after the bare server where one is to be compared.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::driver::{Driver, Manner, script};
use super::machine;
use super::report::{self, Line, Whose};
use super::started::{bare, gateway};
use super::{Backend, ExperimentArgs};

/// Connections of the echo measurement: few enough for hot caches.
const ECHOING: u32 = 1000;
/// Clients in one table of a server with several; room is left for an uneven spread over listeners.
const PER_SHARD: u32 = 18_000;

pub(super) fn main(args: &ExperimentArgs) -> ExitCode {
    match run(args) {
        Ok(lines) => {
            report::print(&lines, args);
            match args.json.as_ref().map(|path| report::write(path, &lines)) {
                None | Some(Ok(())) => ExitCode::SUCCESS,
                Some(Err(error)) => fail(&error.to_string()),
            }
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("floor: {error}");
    ExitCode::FAILURE
}

fn run(args: &ExperimentArgs) -> Result<Vec<Line>, String> {
    machine::pin_to(args.core + 1).map_err(|error| {
        format!("the driver needs core {}, beside the server's: {error}", args.core + 1)
    })?;
    let mut lines = Vec::new();
    for run in 1..=args.runs {
        for backend in args.io.each() {
            eprintln!("floor: run {run} of {} on {}", args.runs, backend.name());
            one_run(args, *backend, &mut lines)?;
        }
    }
    if let Some(connections) = args.grow {
        for backend in args.io.each() {
            eprintln!("floor: {connections} connections on {}", backend.name());
            grow(args, *backend, connections, &mut lines)?;
        }
    }
    Ok(lines)
}

fn one_run(args: &ExperimentArgs, backend: Backend, lines: &mut Vec<Line>) -> Result<(), String> {
    let unwatched = unwatched_memory(args.core, args.connections, backend)?;
    {
        // The driver is dropped first, so that the server closes connections while it lives.
        let (mut driver, _server) = bare(args.core, backend, &[])?;
        figures(args, backend, &mut driver, &unwatched, lines)?;
    }
    let Some(program) = &args.gateway else { return Ok(()) };
    let (mut driver, _server) = gateway(args.core, backend, program)?;
    figures(args, backend, &mut driver, &unwatched, lines)
}

fn figures(
    args: &ExperimentArgs,
    backend: Backend,
    driver: &mut Driver,
    unwatched: &Value,
    lines: &mut Vec<Line>,
) -> Result<(), String> {
    // A gateway's clients always greet it: who has not logged in is not served.
    let greet = driver.greets();
    let of = if greet { Whose::Gateway } else { Whose::Floor };
    let mut note = |name, value, unit, raw| {
        lines.push(Line { name, backend: backend.name(), of, value, unit, raw });
    };
    let echoing = ECHOING.min(args.connections / 4);
    let greeting = args.connections / 6;
    driver.open(echoing, if greet { Manner::POLITE } else { Manner::SILENT })?;
    let echo = driver.echo(30)?;
    note("echo 64 B, 1,000 connections", echo.micros(), "µs", script::to_json(&echo));
    let mark = script::memory(driver)?;
    let rest = args.connections - echoing - greeting;
    let accept = driver.open(rest, Manner::storm(driver.pid(), greet))?;
    if !greet {
        note("accept", accept.micros(), "µs", script::to_json(&accept));
    }
    let grown = script::grown(driver, &mark, u64::from(rest))?;
    let of = |grown: &Value, key: &str| grown[key].as_f64().unwrap_or(0.0);
    let watch = of(&grown, "both_ends") - of(unwatched, "both_ends");
    note("idle memory, user", of(&grown, "user"), "B", grown.clone());
    note("idle memory, kernel", of(&grown, "one_socket") + watch, "B", grown.clone());
    note("  of which the watch", watch, "B", unwatched.clone());
    let greeted = driver.open(greeting, Manner::storm(driver.pid(), true))?;
    note("accept and echo (a login)", greeted.micros(), "µs", script::to_json(&greeted));
    let send = driver.broadcast(1, 5)?;
    note("send 256 B to each", send.micros(), "µs", script::to_json(&send));
    // A gateway's broadcasts are eight jobs; what it joins is what comes for one user at once.
    let joined = if greet { driver.push(1, 5000, 8)? } else { driver.broadcast(8, 2)? };
    note("8 messages in one send, each", joined.micros(), "µs", script::to_json(&joined));
    let asked = driver.push(64, 500, 1)?;
    note("send 256 B, 64 to a request", asked.micros(), "µs", script::to_json(&asked));
    Ok(())
}

/// Kernel memory of bare connections: bytes of both ends, the client's being watched, and of one
/// socket and file. `None` where the kernel does not say.
pub(crate) fn bare_sockets(core: usize, connections: u32) -> Result<Option<[f64; 2]>, String> {
    let grown = unwatched_memory(core, connections, Backend::Epoll)?;
    let bytes = ["both_ends", "one_socket"].map(|key| grown[key].as_f64().unwrap_or(0.0));
    Ok((bytes[1] > 0.0).then_some(bytes))
}

/// Memory of connections that nobody watches.
fn unwatched_memory(core: usize, connections: u32, backend: Backend) -> Result<Value, String> {
    let (mut driver, _server) = bare(core, backend, &["--unwatched"])?;
    let silent = Manner::SILENT;
    driver.open(connections / 10, silent)?;
    let mark = script::memory(&driver)?;
    let count = connections - connections / 10;
    driver.open(count, silent)?;
    script::grown(&driver, &mark, u64::from(count))
}

fn grow(
    args: &ExperimentArgs,
    backend: Backend,
    connections: u32,
    lines: &mut Vec<Line>,
) -> Result<(), String> {
    let shards = connections.div_ceil(PER_SHARD).to_string();
    let (mut driver, _server) = bare(args.core, backend, &["--shards", &shards])?;
    let opened = driver.open(connections, Manner::SILENT)?;
    eprintln!("floor: connected in {:.1} s", opened.wall.as_secs_f64());
    for _ in 0..args.runs {
        let send = driver.broadcast(1, 1)?;
        let raw = json!({ "connections": connections, "sample": script::to_json(&send) });
        let (name, value) = ("send 256 B to each of many", send.micros());
        let (of, backend) = (Whose::Floor, backend.name());
        lines.push(Line { name, backend, of, value, unit: "µs", raw });
    }
    Ok(())
}
