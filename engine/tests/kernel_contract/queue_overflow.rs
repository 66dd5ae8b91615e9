//! `io_uring` only: completions beyond the queue are late, not lost.

use std::io::{Read, Write};
use std::net::TcpStream;

use holdfast::io::socket::{Socket, SocketOptions};
use holdfast::io::uring::{Uring, UringOptions};
use holdfast::io::{Io, Sent};

use crate::harness::{Bench, has_uring};

const TINY: UringOptions = UringOptions { submissions: 4, completions: 8 };

fn tiny() -> Bench<Uring> {
    let make = |listeners, wake| Uring::new(TINY, listeners, wake).unwrap();
    let mut bench = Bench::with(&SocketOptions::default(), make);
    bench.client_buffer = Some(8 * 1024);
    bench
}

#[test]
fn the_ring_is_held_to_its_operations() {
    if has_uring() {
        assert!(tiny().world.is_restricted());
    }
}

#[test]
fn reports_beyond_the_queue_all_come() {
    if !has_uring() {
        return;
    }
    let mut bench = tiny();
    let mut pairs: Vec<(Socket, TcpStream)> = (0..200).map(|_| bench.pair()).collect();
    for (slot, (socket, client)) in (0..).zip(&mut pairs) {
        client.write_all(b"x").unwrap();
        bench.watch(slot, socket);
    }
    let mut slots: Vec<u32> = (0..200).map(|_| bench.ready().0.slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, (0..200).collect::<Vec<u32>>());
    bench.quiet();
    assert!(bench.world.overflows() > 0);
}

#[test]
fn outcomes_of_sends_beyond_the_queue_are_exact() {
    if !has_uring() {
        return;
    }
    let mut bench = tiny();
    let mut pairs: Vec<(Socket, TcpStream)> = (0..100).map(|_| bench.pair()).collect();
    let fills = |index: usize| !index.is_multiple_of(3);
    let mut expected: Vec<usize> = pairs
        .iter()
        .enumerate()
        .map(|(index, (socket, _))| if fills(index) { bench.fill(socket) } else { 0 })
        .collect();
    for (slot, (socket, client)) in (0..).zip(&mut pairs) {
        client.write_all(b"x").unwrap();
        bench.watch(slot, socket);
    }
    let batch: Vec<(&Socket, &[u8])> =
        pairs.iter().map(|(socket, _)| (socket, &b"abc"[..])).collect();
    let outcomes = bench.send_all(&batch);
    // A client's byte brings an acknowledgement, which may make room; most stay full.
    assert!(outcomes.iter().filter(|sent| **sent == Sent::Part(0)).count() > 30);
    for (count, sent) in expected.iter_mut().zip(outcomes) {
        match sent {
            Sent::All => *count += 3,
            Sent::Part(part) => *count += part,
            Sent::Broken => panic!("a broken connection"),
        }
    }
    let mut slots: Vec<u32> = (0..100).map(|_| bench.ready().0.slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, (0..100).collect::<Vec<u32>>());
    for ((socket, mut client), count) in pairs.into_iter().zip(expected) {
        bench.drain(&socket);
        drop(socket);
        let mut arrived = Vec::new();
        client.read_to_end(&mut arrived).unwrap();
        assert_eq!(arrived.len(), count);
    }
}

#[test]
fn a_storm_of_connections_beyond_the_queue_is_accepted_whole() {
    if !has_uring() {
        return;
    }
    let mut bench = tiny();
    let clients: Vec<TcpStream> = (0..300).map(|_| bench.connect()).collect();
    for _ in &clients {
        let event = bench.next();
        assert!(matches!(event, holdfast::io::Event::Accepted(..)), "{event:?}");
    }
    bench.quiet();
}
