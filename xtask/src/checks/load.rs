//! A gateway under load for some seconds, on ports of its own: every message must be accounted for.

use std::process::Command;

use crate::process::{Running, await_ready, free_port};
use crate::shell::{Result, cargo, run as run_command, target};

/// Clients: enough for every code path, few enough for any machine.
const CLIENTS: &str = "3000";

/// Builds, starts, loads and stops it, on each back end.
pub(crate) fn run() -> Result {
    run_command(&mut cargo(&["build", "--package", "holdfast", "--package", "holdfast-loadgen"]))?;
    ["uring", "epoll"].iter().try_for_each(|io| load(io))
}

fn load(io: &str) -> Result {
    let (clients, backends, admin) = (free_port()?, free_port()?, free_port()?);
    let sets = [
        format!("io={io}"),
        "shards=2".to_owned(),
        format!("client.listen=127.0.0.1:{clients}"),
        format!("backend.listen=127.0.0.1:{backends}"),
        format!("admin.listen=127.0.0.1:{admin}"),
        "log.level=error".to_owned(),
    ];
    let mut words = vec!["serve".to_owned()];
    words.extend(sets.into_iter().flat_map(|set| ["--set".to_owned(), set]));
    let binaries = target().join("debug");
    let mut gateway = Running::start(&binaries.join("holdfast"), &words, None)?;
    await_ready(&mut gateway, admin)?;
    let mut generator = Command::new(binaries.join("holdfast-loadgen"));
    generator.args(["run", "--connections", CLIENTS, "--gateway", &format!("127.0.0.1:{clients}")]);
    generator.args(["--api", &format!("127.0.0.1:{backends}"), "--rate", "1000"]);
    generator.args(["--duration", "5", "--churn", "0.01", "--broadcasts", "2"]);
    run_command(&mut generator)?;
    if gateway.stop() { Ok(()) } else { Err("the gateway did not end in order".into()) }
}
