//! A weak network between some clients and the gateway does what the scenario says, and no more:
//! its delay is told apart from the gateway's, what it swallows is no loss of the gateway's, and
//! what is durable arrives all the same.
//!
//! Shown by running the program as a person would, against gateways that follow a script and
//! against a real one. Times are only bounded from below, by what the scenario imposes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/gateway.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod gateway;
#[path = "support/holdfast.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod holdfast;

use gateway::{Fate, Gateway, Script};
use holdfast::Holdfast;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;

struct Run {
    code: i32,
    report: Value,
    stderr: String,
}

impl Run {
    /// A number of the report; 0 where there is none.
    fn number(&self, pointer: &str) -> u64 {
        self.report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }

    /// The sum of the accounts of pushes, and whether nothing is lost in them.
    #[track_caller]
    fn closes(&self, offered: u64) {
        let of = |class: &str| {
            let reasons = self.report["pushes"][class].as_object().unwrap();
            reasons.values().map(|count| count.as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(self.code, 0, "{}\n{:#}", self.stderr, self.report["pushes"]);
        assert_eq!((self.number("/pushes/offered"), of("lost")), (offered, 0));
        assert_eq!(self.number("/pushes/delivered") + of("refused") + of("gone"), offered);
    }
}

/// A run of 40 clients over this network, then these phases.
fn run((clients, api): (SocketAddr, SocketAddr), network: &str, phases: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weak.toml");
    let text = format!(
        "about = \"for a test\"\ndrain = \"30 s\"\n\
         [clients]\ncount = 40\nconnect_rate = 2000\nheartbeat = \"1 s\"\n\
         [network.weak]\n{network}\n[[phase]]\nkind = \"ramp\"\n{phases}"
    );
    std::fs::write(&file, text).unwrap();
    let (clients, api) = (clients.to_string(), api.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
    command.args(["run", "--quiet", "--json", "-", "--gateway", &clients, "--api", &api]);
    let output = command.arg("--scenario").arg(&file).output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        report: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn of(gateway: &Gateway) -> (SocketAddr, SocketAddr) {
    (gateway.clients, gateway.api)
}

fn push(seconds: u32, more: &str) -> String {
    format!("[[phase]]\nkind = \"push\"\nduration = {seconds}\nrate = 400\n{more}\n")
}

const SLOW: &str = "share = 0.5\ndelay = \"80 ms\"\njitter = \"30 ms\"";

#[test]
fn the_delay_is_the_networks_and_everything_arrives() {
    let gateway = Gateway::start(Script::default());
    let run = run(of(&gateway), SLOW, &push(1, "broadcasts = 2"));
    run.closes(400);
    assert_eq!(run.number("/pushes/delivered"), 400);
    assert_eq!(run.number("/broadcasts/delivered"), 80);
    let count = |name: &str| run.number(&format!("/latencies/{name}/count"));
    let least = |name: &str| run.number(&format!("/latencies/{name}/min_us"));
    assert!(count("weak_network_push") > 50 && count("push") > 50);
    assert_eq!(count("weak_network_push") + count("push"), 400);
    assert_eq!(count("weak_network_broadcast") + count("broadcast_spread"), 80);
    assert_eq!(count("weak_network_login") + count("connect_and_login"), 40);
    // A value is at most 0.1 % off; a login goes there and back.
    for (name, us) in
        [("push", 49_900), ("broadcast", 49_900), ("itself", 49_900), ("login", 99_800)]
    {
        let name = format!("weak_network_{name}");
        assert!(least(&name) >= us, "{name}: {}", least(&name));
    }
    // Each gets what is asked of it, or the network would be in it.
    assert!(least("push") < 50_000);
    let plan = run.report["plan"].as_str().unwrap();
    assert!(plan.contains("50 % of the clients over a weak network: 80ms +- 30ms each"), "{plan}");
}

#[test]
fn a_loss_of_the_gateways_is_a_loss_behind_a_weak_network_too() {
    let fate = |number| if number % 100 == 0 { Fate::Lose } else { Fate::Deliver };
    let gateway = Gateway::start(Script { fate, ..Script::default() });
    let run = run(of(&gateway), SLOW, &push(1, ""));
    assert_eq!(run.code, 1);
    assert_eq!(run.number("/pushes/lost/answered_delivered"), 4);
}

#[test]
fn connections_that_the_network_cuts_are_its_own_doing_and_come_back() {
    let gateway = Gateway::start(Script::default());
    let cut = format!("{SLOW}\ncut = 1.0\nloss = 0.05\nstall = {{ every = 1, for = \"200 ms\" }}");
    let run = run(of(&gateway), &cut, &push(3, ""));
    run.closes(1_200);
    assert!(run.number("/counts/network_ends") > 5, "{:#}", run.report["counts"]);
    assert_eq!(run.number("/counts/unasked_ends"), 0);
    assert!(run.number("/counts/returns") > 5);
    assert!(run.number("/connection_reasons/broken by the weak network") > 5);
}

#[test]
fn what_is_durable_arrives_over_cuts_and_silence_at_a_real_gateway() {
    let gateway = Holdfast::serve(&[]);
    let bad = format!("{SLOW}\ncut = 0.3\nsilent = 0.3\nloss = 0.02");
    let phases = push(4, "class = \"durable\"\n[pushes]\nreceipts = true");
    let run = run((gateway.clients, gateway.api), &bad, &phases);
    run.closes(1_600);
    assert_eq!(run.number("/pushes/delivered"), 1_600, "{:#}", run.report["pushes"]);
    assert_eq!(run.number("/durable/missing"), 0);
    let stored = run.number("/durable/stored");
    assert_eq!(stored + run.number("/durable/acked"), 1_600);
    assert_eq!(run.number("/durable/receipts"), stored);
    assert!(run.number("/counts/network_ends") > 3, "{:#}", run.report["counts"]);
}

#[test]
fn online_messages_over_silence_are_delivered_or_explained_at_a_real_gateway() {
    let gateway = Holdfast::serve(&["store.kind=none"]);
    let bad = format!("{SLOW}\ncut = 0.2\nsilent = 0.4\nloss = 0.02");
    let run = run((gateway.clients, gateway.api), &bad, &push(4, "broadcasts = 3"));
    run.closes(1_600);
    let gone = run.report["pushes"]["gone"].as_object().unwrap();
    assert!(gone.contains_key("network_broke"), "{gone:?}");
    assert_eq!(run.number("/broadcasts/lost"), 0);
}
