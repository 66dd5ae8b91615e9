//! Without a descriptor left a gateway goes on serving whom it has, does not spin over whom it
//! cannot take, counts it, and takes them when it can.

use crate::support::client::hello;
use crate::support::process::Process;
use crate::support::{Client, Peer, Said, Which, until};
use std::time::Duration;

on_both! {
    and_goes_on_when_there_are_some_again,
}

/// Descriptors of the process. A limit that is lowered while it serves would not do: an accept on
/// `io_uring` that stays armed has the limit of when it was armed.
const FEW: &str = "-n 220";
/// Listeners take descriptors that the gateway's own limit does not foresee: so it runs out before
/// that limit.
const LISTENERS: usize = 100;
/// Of those who come when there are few, so many are let in; they come first.
const FIRST: usize = 50;

fn and_goes_on_when_there_are_some_again(io: Which) {
    let listeners = vec!["\"127.0.0.1:0\""; LISTENERS].join(",");
    let listeners = format!("client.listen=[{listeners}]");
    let few = "backend.connections_max=1";
    let settings = ["shards=1", "client.connections_max=0", few, &listeners];
    let process = Process::serve_with_limit(io, &settings, FEW);
    let mut backend = process.backend();
    let mut inside: Vec<_> =
        (0..20).map(|n| Client::at(process.clients, &format!("user-{n}"))).collect();
    // The kernel connects them all; the gateway cannot accept them all.
    let mut outside: Vec<_> = (0..120).map(|_| Peer::connect(process.clients)).collect();
    until("accepting pauses", || backend.counters()["accept_paused"] == 1);
    let before = backend.counters();
    assert!(before["accepted_connections"] < 140, "there were enough: {before:?}");
    std::thread::sleep(Duration::from_secs(1));
    let after = backend.counters();
    let more = |name: &str| after[name] - before[name];
    // It tries twice a second; what spins does thousands of turns.
    assert!(more("accept_pauses") < 20 && more("turns") < 200, "it spins: {after:?}");
    until("it tries again", || backend.counters()["accept_pauses"] > after["accept_pauses"]);
    assert_eq!(after["refused_connections.clients_full"], 0);
    for client in &mut inside {
        client.hears_nothing_else();
    }
    drop(inside);
    drop(outside.drain(..FIRST));
    for (n, peer) in outside.iter_mut().enumerate() {
        peer.send(&hello(&format!("late-{n}")));
        assert!(matches!(peer.said(), Said::Welcome(_)));
    }
    until("accepting goes on", || backend.counters()["accept_paused"] == 0);
}
