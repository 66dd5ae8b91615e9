//! A connection may break at any moment: nobody else notices, and everything of it is given back.

use crate::support::backend::{everybody, target};
use crate::support::client::hello;
use crate::support::{Backend, Client, Gateway, Peer, Which, until};
use holdfast_protocol::backend::{Outcome, request};

on_both! {
    clients_that_reset,
    clients_that_end,
    backends_that_reset_with_requests_in_flight,
}

const LIMITS: [&str; 2] = ["socket.send_buffer=16384", "client.outbox_bytes=262144"];

/// A client that broke up to the given stage, and a pause in which the gateway comes as far or does
/// not.
fn at_stage(gateway: &Gateway, stage: usize, backend: &mut Backend) -> Peer {
    let bytes = hello("ann");
    let mut peer = Peer::with_small_buffer(gateway.clients);
    match stage {
        0 => {}
        1 => peer.send(&bytes[..1]),
        2 => peer.send(&bytes[..bytes.len() - 1]),
        3 => peer.send(&bytes),
        4 => peer = Client::log_in(peer, &bytes).peer,
        5 => {
            peer = Client::log_in(peer, &bytes).peer;
            peer.send(&[0x03]);
        }
        6 => {
            peer = Client::log_in(peer, &bytes).peer;
            let body = vec![1; 32 << 10];
            for _ in 0..6 {
                backend.send_push(&[target("ann", &body)]);
            }
        }
        7 => {
            peer = Client::log_in(peer, &bytes).peer;
            peer.send(&[0x04, 0]);
        }
        _ => {
            peer = Client::log_in(peer, &bytes).peer;
            peer.send(&[0x00, 0]);
        }
    }
    peer
}

const STAGES: usize = 9;

fn expect_nothing_left(gateway: &Gateway) {
    let states = ["opening", "logging_in", "online", "closing"];
    for gauge in states.map(|state| format!("connections.{state}")) {
        until(&gauge, || gateway.count(&gauge) == 0);
    }
    until("users", || gateway.count("users") == 0);
    until("outbox", || gateway.count("outbox") == 0);
}

fn clients_that_reset(io: Which) {
    let gateway = Gateway::start(io, &LIMITS);
    let mut backend = gateway.backend();
    for round in 0..3 {
        for stage in 0..STAGES {
            let peer = at_stage(&gateway, stage, &mut backend);
            if round > 0 {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            peer.reset();
        }
    }
    expect_nothing_left(&gateway);
    let mut client = gateway.client("ann");
    assert!(matches!(gateway.backend().push_one("ann", b"x"), Outcome::Delivered(_)));
    assert_eq!(client.push().1, b"x");
}

fn clients_that_end(io: Which) {
    let gateway = Gateway::start(io, &LIMITS);
    let mut backend = gateway.backend();
    for stage in 0..STAGES {
        let peer = at_stage(&gateway, stage, &mut backend);
        peer.finish();
        drop(peer);
    }
    expect_nothing_left(&gateway);
}

fn backends_that_reset_with_requests_in_flight(io: Which) {
    let gateway = Gateway::start(io, &LIMITS);
    let mut client = gateway.client("ann");
    for cut in 0..20 {
        let mut backend = gateway.backend();
        let mut requests = Vec::new();
        request::put_push(1, "demo", &vec![target("ann", b"x"); 100], &mut requests);
        request::put_broadcast(2, &everybody(b"y"), &mut requests);
        request::put_online(3, "demo", &["ann"; 100], &mut requests);
        let whole = requests.len();
        backend.peer.send(&requests[..whole - cut]);
        backend.peer.reset();
    }
    until("they are gone", || gateway.count("backends") == 0);
    let pushed = client.rest();
    let sequences = pushed.iter().filter(|(_, body)| body == b"x").map(|(sequence, _)| *sequence);
    assert!(sequences.eq(1..=pushed.iter().filter(|(_, body)| body == b"x").count() as u64));
    let mut backend = gateway.backend();
    assert_eq!(backend.online(&["ann"]), [1]);
}
