//! Without a descriptor left a gateway goes on serving whom it has, does not spin over whom it cannot take,
//! counts it, and takes them when it can.

use crate::support::client::hello;
use crate::support::process::Process;
use crate::support::{Client, Peer, Said, Which, until};
use std::time::Duration;

on_both! {
    and_goes_on_when_there_are_some_again,
}

/// Descriptors of the process at first.
const FEW: u32 = 220;
/// Listeners take descriptors that the gateway's own limit does not foresee: so it runs out before that limit.
const LISTENERS: usize = 100;

fn and_goes_on_when_there_are_some_again(io: Which) {
    let listeners = vec!["\"127.0.0.1:0\""; LISTENERS].join(",");
    let listeners = format!("client.listen=[{listeners}]");
    let settings = ["shards=1", "client.connections_max=0", &listeners];
    let process = Process::serve_with_descriptors(io, &settings, FEW);
    let mut backend = process.backend();
    let mut inside: Vec<_> =
        (0..20).map(|n| Client::at(process.clients, &format!("user-{n}"))).collect();
    // The kernel connects them all; the gateway cannot accept them all.
    let mut outside: Vec<_> = (0..120).map(|_| Peer::connect(process.clients)).collect();
    let before = backend.counters();
    let (mut after, mut asked) = (before.clone(), 0);
    until("accepting paused several times", || {
        std::thread::sleep(Duration::from_millis(20));
        asked += 1;
        after = backend.counters();
        after["accept_pauses"] >= 4
    });
    assert!(after["accepted_connections"] < 140, "there were enough: {after:?}");
    assert_eq!(after["refused_connections.clients_full"], 0);
    let turns = after["turns"] - before["turns"];
    assert!(turns < 50 * (asked + after["accept_pauses"]), "it spins: {turns} turns");
    for client in &mut inside {
        client.hears_nothing_else();
    }
    process.limit_descriptors(2000);
    for (n, peer) in outside.iter_mut().enumerate() {
        peer.send(&hello(&format!("late-{n}")));
        assert!(matches!(peer.said(), Said::Welcome(_)));
    }
    until("accepting goes on", || backend.counters()["accept_paused"] == 0);
}
