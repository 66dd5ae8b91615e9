//! `floor` alone: bare server and driver together, a fresh pair for each run, back ends
//! interleaved.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use super::driver::{Driver, Manner, Subject, script};
use super::language::Language;
use super::machine;
use super::report::{self, Line};
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

/// A bare server in a child process; ends with it.
struct Server {
    child: Child,
    subject: Subject,
}

impl Server {
    fn start(options: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["floor", "serve"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let mut ports = line.split_whitespace().map_while(|word| word.parse().ok());
        let subject = Subject {
            language: Language::Bare,
            pid: child.id(),
            client_port: ports.next().ok_or_else(|| io::Error::other("no server"))?,
            api_ports: ports.collect(),
            api_key: String::new(),
        };
        Ok(Self { child, subject })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to stop.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn started(core: usize, io: Backend, options: &[&str]) -> Result<(Driver, Server), String> {
    let core = core.to_string();
    let common = ["--io", io.name(), "--core", &core];
    let server = Server::start(&[&common, options].concat())
        .map_err(|error| format!("the bare server did not start: {error}"))?;
    let driver = Driver::new(server.subject.clone(), Arc::new(|_| Vec::new()))?;
    Ok((driver, server))
}

fn one_run(args: &ExperimentArgs, backend: Backend, lines: &mut Vec<Line>) -> Result<(), String> {
    let unwatched = unwatched_memory(args, backend)?;
    // The driver is dropped first, so that the server closes connections while it lives.
    let (mut driver, _server) = started(args.core, backend, &[])?;
    let echoing = ECHOING.min(args.connections / 4);
    let greeting = args.connections / 6;
    let mut note = |name, value: f64, unit, raw: Value| {
        lines.push(Line { name, backend: backend.name(), value, unit, raw });
    };
    driver.open(echoing, Manner { greet: false, held: None })?;
    let echo = driver.echo(30)?;
    note("echo 64 B, 1,000 connections", echo.micros(), "µs", script::to_json(&echo));
    let mark = script::memory(&driver)?;
    let rest = args.connections - echoing - greeting;
    let accept = driver.open(rest, Manner { greet: false, held: Some(driver.pid()) })?;
    note("accept", accept.micros(), "µs", script::to_json(&accept));
    let grown = script::grown(&driver, &mark, u64::from(rest))?;
    let of = |grown: &Value, key: &str| grown[key].as_f64().unwrap_or(0.0);
    let watch = of(&grown, "both_ends") - of(&unwatched, "both_ends");
    note("idle memory, user", of(&grown, "user"), "B", grown.clone());
    note("idle memory, kernel", of(&grown, "one_socket") + watch, "B", grown.clone());
    note("  of which the watch", watch, "B", unwatched);
    let greet = driver.open(greeting, Manner { greet: true, held: Some(driver.pid()) })?;
    note("accept and echo", greet.micros(), "µs", script::to_json(&greet));
    let send = driver.broadcast(1, 5)?;
    note("send 256 B to each", send.micros(), "µs", script::to_json(&send));
    let joined = driver.broadcast(8, 2)?;
    note("8 messages in one send, each", joined.micros(), "µs", script::to_json(&joined));
    let asked = driver.push(64, 500, 1)?;
    note("send 256 B, 64 to a request", asked.micros(), "µs", script::to_json(&asked));
    Ok(())
}

/// Memory of connections that nobody watches.
fn unwatched_memory(args: &ExperimentArgs, backend: Backend) -> Result<Value, String> {
    let (mut driver, _server) = started(args.core, backend, &["--unwatched"])?;
    let silent = Manner { greet: false, held: None };
    driver.open(args.connections / 10, silent)?;
    let mark = script::memory(&driver)?;
    let count = args.connections - args.connections / 10;
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
    let (mut driver, _server) = started(args.core, backend, &["--shards", &shards])?;
    let opened = driver.open(connections, Manner { greet: false, held: None })?;
    eprintln!("floor: connected in {:.1} s", opened.wall.as_secs_f64());
    for _ in 0..args.runs {
        let send = driver.broadcast(1, 1)?;
        let raw = json!({ "connections": connections, "sample": script::to_json(&send) });
        let (name, value) = ("send 256 B to each of many", send.micros());
        lines.push(Line { name, backend: backend.name(), value, unit: "µs", raw });
    }
    Ok(())
}
