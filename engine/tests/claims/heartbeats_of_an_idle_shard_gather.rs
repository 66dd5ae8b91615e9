//! A shard that does nothing but answer heartbeats is not woken for each of them; every one is
//! answered, and nobody else waits for it.

use crate::support::backend::target;
use crate::support::{Client, Gateway, Said, Which};
use holdfast_protocol::client::from_client::PING;
use std::time::Duration;

on_both! {
    it_wakes_less_often_than_they_come,
    others_do_not_wait_for_it,
}

const SETTINGS: [&str; 2] = ["shards=1", "client.pong_delay=1s"];
const PAUSE: Duration = Duration::from_millis(20);

/// One after the other, fifty in a second.
fn beat(clients: &mut [Client], rounds: usize) {
    for _ in 0..rounds {
        for client in &mut *clients {
            client.peer.send(&PING);
            std::thread::sleep(PAUSE);
        }
    }
}

#[track_caller]
fn all_are_answered(clients: &mut [Client], rounds: usize) {
    for client in clients {
        for _ in 0..rounds {
            assert_eq!(client.hear(), Said::Pong);
        }
    }
}

fn it_wakes_less_often_than_they_come(io: Which) {
    let gateway = Gateway::start(io, &SETTINGS);
    let mut clients: Vec<_> = (0..25).map(|n| gateway.client(&format!("user-{n}"))).collect();
    // So that it knows how often they come.
    beat(&mut clients, 5);
    let before = gateway.count("turns");
    beat(&mut clients, 4);
    let turns = gateway.count("turns") - before;
    assert!(turns < 50, "{turns} turns for a hundred heartbeats");
    all_are_answered(&mut clients, 9);
}

fn others_do_not_wait_for_it(io: Which) {
    let gateway = Gateway::start(io, &SETTINGS);
    let mut clients: Vec<_> = (0..25).map(|n| gateway.client(&format!("user-{n}"))).collect();
    let mut listener = gateway.client("listener");
    let mut backend = gateway.backend();
    beat(&mut clients, 3);
    for sequence in 1..=25 {
        clients[0].peer.send(&PING);
        backend.send_push(&[target("listener", b"now")]);
        assert_eq!(listener.push(), (sequence, b"now".to_vec()));
        drop(gateway.client("newcomer"));
    }
    all_are_answered(&mut clients[1..], 3);
    all_are_answered(&mut clients[..1], 28);
}
