//! A gateway that drains takes nobody new, tells everybody, writes what is queued, and ends within
//! its time; whoever does not listen is cut off and counted.

use crate::support::backend::target;
use crate::support::client::hello;
use crate::support::{Client, Gateway, Peer, Said, Told, Which, until};
use holdfast::shard::drain::Left;
use holdfast_protocol::close::Code;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

on_both! {
    everybody_is_told,
    what_was_accepted_is_answered_and_nothing_more,
    who_does_not_listen_is_cut_off_and_counted,
    nobody_new_connects_meanwhile,
    many_are_told_first_and_closed_one_after_the_other,
    who_waits_for_the_end_is_served,
}

const LONG: Duration = Duration::from_mins(1);

fn everybody_is_told(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut clients: Vec<_> = (0..50).map(|n| gateway.client(&format!("user-{n}"))).collect();
    let mut strangers: Vec<_> = (0..5).map(|_| gateway.stranger()).collect();
    let mut backend = gateway.backend();
    until("all are accepted", || gateway.count("accepted_connections") == 55);
    let ended = std::thread::spawn(move || gateway.drain(LONG));
    for peer in clients.iter_mut().map(|client| &mut client.peer).chain(&mut strangers) {
        peer.expect_leaving();
    }
    assert_eq!(backend.peer.told(), Told::Drain);
    assert_eq!(backend.peer.told(), Told::Close { code: Code::GoingAway.number() });
    assert_eq!(backend.peer.told(), Told::End);
    // Those who were told need not close by themselves.
    assert_eq!(ended.join().unwrap(), Left { closed: 56, cut: 0 });
    drop((clients, strangers));
}

fn what_was_accepted_is_answered_and_nothing_more(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut client = gateway.client("ann");
    let mut backend = gateway.backend();
    let before = backend.send_push(&[target("ann", b"x"); 100]);
    assert_eq!(backend.outcomes(before).len(), 100);
    let ended = std::thread::spawn(move || gateway.drain(LONG));
    assert_eq!(backend.peer.told(), Told::Drain);
    let late = backend.send_push(&[target("ann", b"late")]);
    assert_eq!(backend.peer.told(), Told::Error { id: late, code: 9 });
    for sequence in 1..=100 {
        assert_eq!(client.push(), (sequence, b"x".to_vec()));
    }
    client.peer.expect_leaving();
    ended.join().unwrap();
}

fn who_does_not_listen_is_cut_off_and_counted(io: Which) {
    let limits = ["client.outbox_bytes=1048576", "socket.send_buffer=16384"];
    let gateway = Gateway::start(io, &limits);
    let _deaf = Client::log_in(Peer::with_small_buffer(gateway.clients), &hello("deaf"));
    let mut backend = gateway.backend();
    let body = vec![1; 64 << 10];
    for _ in 0..4 {
        backend.send_push(&[target("deaf", &body)]);
    }
    until("much waits for it", || gateway.count("outbox") > 100_000);
    let ended = std::thread::spawn(move || gateway.drain(Duration::from_millis(100)));
    assert_eq!(backend.peer.told(), Told::Drain);
    assert!(ended.join().unwrap().cut >= 1);
}

fn nobody_new_connects_meanwhile(io: Which) {
    let gateway = Gateway::start(io, &["shards=2"]);
    let (clients, backends) = (gateway.clients, gateway.backends);
    // It does not close its side, so the gateway waits for it.
    let mut client = gateway.client("ann");
    let ended = std::thread::spawn(move || gateway.drain(LONG));
    client.peer.expect_leaving();
    for address in [clients, backends] {
        until("the kernel refuses newcomers", || {
            let refused = TcpStream::connect(address).map_err(|error| error.kind());
            matches!(refused, Err(ErrorKind::ConnectionRefused))
        });
    }
    assert!(!ended.is_finished(), "the gateway is still there");
    drop(client);
    ended.join().unwrap();
}

fn many_are_told_first_and_closed_one_after_the_other(io: Which) {
    let gateway = Gateway::start(io, &["shards=1", "drain.clients_per_second=25"]);
    let mut clients: Vec<_> = (0..50).map(|n| gateway.client(&format!("user-{n}"))).collect();
    let ended = std::thread::spawn(move || gateway.drain(LONG));
    for client in &mut clients {
        assert_eq!(client.peer.said(), Said::Drain(2000));
    }
    for client in &mut clients {
        client.peer.expect_close(Code::GoingAway);
    }
    drop(clients);
    assert_eq!(ended.join().unwrap(), Left { closed: 50, cut: 0 });
}

fn who_waits_for_the_end_is_served(io: Which) {
    // Closing all would take longer than any wait of a claim.
    let gateway = Gateway::start(io, &["shards=1", "drain.clients_per_second=1"]);
    let mut clients: Vec<_> = (0..50).map(|n| gateway.client(&format!("user-{n}"))).collect();
    let mut backend = gateway.backend();
    let ended = std::thread::spawn(move || gateway.drain(LONG));
    for client in &mut clients {
        assert_eq!(client.peer.said(), Said::Drain(48_000));
    }
    assert_eq!(backend.peer.told(), Told::Drain);
    let id = backend.send_push(&[target("user-49", b"still here")]);
    assert_eq!(clients[49].push(), (1, b"still here".to_vec()));
    assert_eq!(backend.outcomes(id).len(), 1);
    drop((clients, backend));
    assert_eq!(ended.join().unwrap().cut, 0);
}
