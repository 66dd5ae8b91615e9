//! More happens at one moment than the completion queue holds, or than one wait takes: nothing of
//! it is lost. Every heartbeat and every push is answered, and who connects meanwhile is let in.

use crate::support::backend::{everybody, target};
use crate::support::client::hello;
use crate::support::held::Held;
use crate::support::{Client, Peer, Said, Which};
use holdfast_protocol::backend::request::put_broadcast;
use holdfast_protocol::backend::{Outcome, Target};
use holdfast_protocol::client::from_client::PING;

on_both! {
    heartbeats_pushes_and_newcomers,
    a_broadcast_in_parts_arrives_whole,
}

/// Two waits and more.
const CLIENTS: usize = 1300;
/// Connections that come at the same moment.
const NEWCOMERS: usize = 400;
/// Clients of which each takes little at a time.
const SLOW: u64 = 300;
/// Targets of one request.
const BATCH: usize = 500;
/// The most events that one wait takes, on either back end.
const WAIT: u64 = 512;

fn users() -> Vec<String> {
    (0..CLIENTS).map(|number| format!("user-{number}")).collect()
}

/// A pong and a push, in whatever order.
fn hears_both(client: &mut Client, broadcast: bool, body: &[u8]) {
    let said = [client.hear(), client.hear()];
    let body = body.to_vec();
    let pushed = Said::Push { durable: false, broadcast, again: false, sequence: 1, body };
    assert!(said.contains(&Said::Pong) && said.contains(&pushed), "{said:?}");
}

fn heartbeats_pushes_and_newcomers(io: Which) {
    let gateway = Held::start(io);
    let users = users();
    let mut clients: Vec<_> = users.iter().map(|user| gateway.client(user)).collect();
    let mut backend = gateway.backend();
    let before = (gateway.count("turns"), gateway.count("cq_overflows"));
    let still = gateway.hold();
    for client in &mut clients {
        client.peer.send(&PING);
    }
    let mut newcomers: Vec<_> = (0..NEWCOMERS).map(|_| Peer::connect(gateway.clients)).collect();
    for (number, peer) in newcomers.iter_mut().enumerate() {
        peer.send(&hello(&format!("new-{number}")));
    }
    let targets: Vec<Target<'_>> = users.iter().map(|user| target(user, b"now")).collect();
    let asked: Vec<_> = targets.chunks(BATCH).map(|batch| backend.send_push(batch)).collect();
    drop(still);
    for client in &mut clients {
        hears_both(client, false, b"now");
    }
    for peer in &mut newcomers {
        assert!(matches!(peer.said(), Said::Welcome(_)));
    }
    let told: Vec<_> = asked.iter().flat_map(|_| backend.any_outcomes().1).collect();
    assert_eq!(told, vec![Outcome::Delivered(1); CLIENTS]);
    // It was more than fits, or this shows nothing.
    assert!(gateway.count("turns") - before.0 > CLIENTS as u64 / WAIT);
    if io == Which::Uring {
        assert!(gateway.count("cq_overflows") > before.1, "the queue never overflowed");
    }
    for client in clients.iter_mut().step_by(50) {
        client.hears_nothing_else();
    }
}

/// Sends find the queue full of others' completions, and their own outcomes behind those.
fn a_broadcast_in_parts_arrives_whole(io: Which) {
    const BODY: [u8; 16 << 10] = [9; 16 << 10];
    let gateway = Held::start(io);
    // Of each copy the kernel takes a part at first, so that the send has an outcome to be told.
    let slow = |number| {
        let peer = Peer::with_small_buffer(gateway.clients);
        Client::log_in(peer, &hello(&format!("slow-{number}")))
    };
    let mut clients: Vec<_> = (0..SLOW).map(slow).collect();
    let mut backend = gateway.backend();
    let before = gateway.count("cq_overflows");
    let still = gateway.hold();
    for client in &mut clients {
        client.peer.send(&PING);
    }
    let job = backend.ask(|id, out| put_broadcast(id, &everybody(&BODY), out));
    drop(still);
    for client in &mut clients {
        hears_both(client, true, &BODY);
    }
    let job = backend.job(job).id;
    assert_eq!(backend.end_of(job).delivered, SLOW);
    assert!(gateway.count("short_sends") > 0, "every send was whole");
    if io == Which::Uring {
        assert!(gateway.count("cq_overflows") > before, "the queue never overflowed");
    }
}
