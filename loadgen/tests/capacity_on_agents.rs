//! `capacity --agents` finds what `capacity` finds: what the gateway does not take is the gateway's
//! bound, and an agent that dies is nobody's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/agents.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod agents;
#[path = "support/gateway.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod gateway;

use agents::{Agent, Key, Ran, started, until};
use gateway::{Gateway, Script};
use std::process::Child;
use std::time::Duration;

const SEARCH: [&str; 10] = [
    "--find",
    "clients",
    "--connections",
    "16",
    "--confirm",
    "2",
    "--resolution",
    "1",
    "--slo",
    "p99 < 60s, lost = 0",
];

fn begun(agents: &[Agent], key: &Key, gateway: &Gateway) -> Child {
    let load = ["--rate", "20", "--duration", "1", "--broadcasts", "0"];
    let to = (gateway.clients, gateway.api);
    started("capacity", (agents, key), to, &[&SEARCH[..], &load].concat())
}

#[test]
fn the_most_clients_that_a_gateway_takes_are_found_by_agents() {
    // So slow that a generator that has to wait for a core is not held for the cause.
    let delay = Duration::from_millis(500);
    let gateway = Gateway::start(Script { users_most: 23, delay, ..Script::default() });
    let key = Key::new("a key of the agents' own");
    let ran = Ran::of(begun(&Agent::three(&key), &key, &gateway).wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!((ran.number("/found"), ran.number("/bound/load")), (23, 24), "{}", ran.stderr);
    assert_eq!(ran.report["bound"]["verdict"], "missed");
    let why = ran.report["bound"]["why"][0].as_str().unwrap();
    assert!(why.starts_with("the agent 127.0.0.1:") && why.contains("7 of 8 clients"), "{why}");
    let points = ran.report["points"].as_array().unwrap();
    assert!(points[..2].iter().map(|point| &point["load"]).eq([16, 32]), "{points:?}");
    let last = &points[points.len() - 2..];
    assert!(last.iter().all(|point| point["load"] == 23 && point["verdict"] == "met"));
}

#[test]
fn an_agent_that_dies_ends_the_search_and_is_not_called_a_bound() {
    let (key, gateway) = (Key::new("a key of the agents' own"), Gateway::start(Script::default()));
    let mut agents = Agent::three(&key);
    let child = begun(&agents, &key, &gateway);
    // The first try has sixteen clients.
    until("the second try", || gateway.seen().hellos > 16);
    agents[2].kill();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains(&agents[2].address), "{}", ran.stderr);
    // What was tried before is kept, and nothing is said of the load at which it died.
    let points = ran.report["points"].as_array().unwrap();
    assert!(points.len() == 1 && points[0]["load"] == 16, "{points:?}");
    assert_eq!(ran.report["interrupted"], true);
}
