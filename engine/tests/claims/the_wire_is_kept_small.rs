//! What stands on the wire is what `SPEC.md` promises: two bytes a heartbeat, kinds of later
//! versions are passed over, counters can be asked for, and both families of addresses serve.

use crate::support::backend::target;
use crate::support::client::hello;
use crate::support::peer::Heard;
use crate::support::{Backend, Client, Gateway, Peer, Told, Which};
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::frame::put;

on_both! {
    a_heartbeat_is_two_bytes_each_way,
    later_kinds_are_passed_over,
    an_acknowledgement_of_what_came_is_taken,
    counters_can_be_asked_for,
    both_families_serve,
    a_full_gateway_says_so,
}

fn a_heartbeat_is_two_bytes_each_way(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut client = gateway.client("ann");
    let mut welcome = Vec::new();
    holdfast_protocol::client::from_server::put_welcome(&client.welcome, &mut welcome);
    let before = (hello("ann").len() as u64, welcome.len() as u64);
    client.peer.send(&[0x02, 0x00]);
    assert_eq!(client.peer.hear(), Heard::Frame(0x42, vec![]));
    // The answer was heard, so it was counted, or is about to be.
    let bytes = || (gateway.count("client_received"), gateway.count("client_sent"));
    crate::support::until("the bytes are counted", || bytes() == (before.0 + 2, before.1 + 2));
}

/// A frame of a later version.
fn later(kind: u8, payload: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put(kind, &mut out, |out| out.resize(out.len() + payload, 0xff));
    out
}

fn later_kinds_are_passed_over(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut peer = gateway.stranger();
    peer.send(&[later(0x80, 0), later(0xff, 4096), later(0xa5, 1)].concat());
    let mut client = Client::log_in(peer, &hello("ann"));
    client.peer.send(&later(0x80, 4096));
    client.hears_nothing_else();

    let mut stranger = Peer::connect(gateway.backends);
    let mut bytes = later(0x80, 300);
    holdfast_protocol::backend::request::put_hello("test", b"", &mut bytes);
    bytes.extend(later(0x99, 1 << 20));
    holdfast_protocol::backend::request::put_ping(&mut bytes);
    stranger.send(&bytes);
    assert!(matches!(stranger.told(), Told::Welcome(_)));
    assert_eq!(stranger.told(), Told::Pong);
}

fn an_acknowledgement_of_what_came_is_taken(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut client = gateway.client("ann");
    let mut backend = gateway.backend();
    backend.push(&[target("ann", b"x"); 3]);
    assert_eq!(client.rest().len(), 3);
    for sequence in [0, 1, 3, 2] {
        let mut ack = Vec::new();
        holdfast_protocol::client::from_client::put_ack(sequence, &mut ack);
        client.peer.send(&ack);
    }
    client.hears_nothing_else();
    // What was acknowledged on an earlier connection is no message from the future.
    let mut again = gateway.client("ann");
    assert_eq!(again.welcome.next_sequence, 4);
    again.peer.send(&[0x03, 1, 3]);
    again.hears_nothing_else();
}

fn counters_can_be_asked_for(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let _client = gateway.client("ann");
    let counters = gateway.backend().counters();
    assert_eq!((counters["logins"], counters["connections.online"]), (1, 1));
    assert!(counters.len() > 50);
}

fn both_families_serve(io: Which) {
    let both = [
        "client.listen=[\"127.0.0.1:0\", \"[::1]:0\"]",
        "backend.listen=[\"[::1]:0\", \"127.0.0.1:0\"]",
    ];
    let gateway = Gateway::start(io, &both);
    let mut backends: Vec<_> =
        gateway.inner().backend_addresses.iter().map(|&at| Backend::at(at, b"")).collect();
    let addresses = &gateway.inner().client_addresses;
    assert!(addresses[0].is_ipv4() && addresses[1].is_ipv6());
    for (n, address) in addresses.iter().enumerate() {
        let user = format!("user-{n}");
        let mut client = Client::at(*address, &user);
        for (backend, sequence) in backends.iter_mut().zip(1..) {
            assert_eq!(backend.push_one(&user, b"x"), Outcome::Delivered(sequence));
            assert_eq!(client.push().0, sequence);
        }
    }
}

fn a_full_gateway_says_so(io: Which) {
    let gateway = Gateway::start(io, &["client.connections_max=8", "backend.connections_max=8"]);
    let mut kept: Vec<_> = (0..8).map(|n| gateway.client(&format!("user-{n}"))).collect();
    let mut late = gateway.stranger();
    late.expect_close(holdfast_protocol::close::Code::Overloaded);
    assert_eq!(gateway.count("refused_connections.clients_full"), 1);
    // Backends have places of their own.
    assert_eq!(gateway.backend().push_one("user-0", b"x"), Outcome::Delivered(1));
    kept.pop();
    crate::support::until("a place is free", || gateway.count("connections.online") == 7);
    gateway.client("ann").hears_nothing_else();
}
