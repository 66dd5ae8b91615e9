//! Agents and a real gateway: what the run says that was pushed is what the gateway counted, of
//! every class and while clients come and go.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/agents.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod agents;
#[path = "support/gateway.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod gateway;
#[path = "support/holdfast.rs"]
mod holdfast;

use agents::{Agent, Key, Ran, started, until};
use holdfast::Holdfast;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The sum of a metric over the gateway's shards.
fn counted(gateway: &Holdfast, metric: &str) -> u64 {
    let mut stream = TcpStream::connect(gateway.admin).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let values = page.lines().filter(|line| line.starts_with(metric));
    values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

#[test]
fn what_agents_offer_is_what_a_real_gateway_counts() {
    let (key, gateway) = (Key::new("a key of the agents' own"), Holdfast::serve(&[]));
    let agents = Agent::three(&key);
    let to = (gateway.clients, gateway.api);
    let load = ["--connections", "60", "--rate", "300", "--duration", "2", "--broadcasts", "2"];
    let classes = ["--durable", "0.5", "--receipts", "--churn", "0.1"];
    let admin = gateway.admin.to_string();
    let all = [&load[..], &classes, &["--admin", &admin]].concat();
    let ran = started("run", (&agents, &key), to, &all);
    let ran = Ran::of(ran.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!((ran.number("/pushes/offered"), ran.sum("offered")), (600, 600));
    assert_eq!(counted(&gateway, "holdfast_push_body_bytes_count"), 600);
    let version = ran.report["gateway"].as_str().unwrap();
    assert!(version.starts_with(concat!(env!("CARGO_PKG_VERSION"), ", commit ")), "{version}");
    let stored = ran.number("/durable/stored");
    assert!(stored > 0 && ran.number("/durable/receipts") == stored, "{}", ran.report["durable"]);
    assert_eq!((ran.number("/broadcasts/started"), ran.number("/broadcasts/offered")), (2, 120));
    let dropped = ran.number("/counts/churned");
    assert!(dropped > 0 && ran.number("/counts/logins") == 60 + dropped, "{dropped}");
    // Nothing is left of the load.
    until("the end", || counted(&gateway, "holdfast_connections{") == 0);
    // But the gateway has its memory, of which another run cannot say what is its own.
    let again = started("run", (&agents, &key), to, &all);
    let again = Ran::of(again.wait_with_output().unwrap());
    let before = [&ran, &again].map(|ran| ran.report["memory"]["server_served_before"].as_bool());
    assert_eq!((again.code, before), (0, [Some(false), Some(true)]), "{}", again.stderr);
}
