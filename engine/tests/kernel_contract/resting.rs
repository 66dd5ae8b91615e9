//! What ends a rest and what does not, and that nothing is missed by one.

use std::io::Write;
use std::time::{Duration, Instant};

use holdfast::io::{Event, Port, Received, Wake};

use crate::harness::{Bench, World, key};

/// Far longer than what ends a rest takes to come.
const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(30);

/// Rests, and fails where only the limit ended it.
fn rest_is_ended<W: World>(bench: &mut Bench<W>) {
    let before = Instant::now();
    bench.world.rest(LONG);
    assert!(before.elapsed() < LONG, "nothing ended the rest");
}

/// What went on before it may end a rest at once; the next has its full time.
fn rest_lasts<W: World>(bench: &mut Bench<W>, limit: Duration) {
    let before = Instant::now();
    for _ in 0..8 {
        bench.world.rest(limit);
        if before.elapsed() >= limit {
            return;
        }
    }
    panic!("eight rests lasted {:?} of {limit:?}", before.elapsed());
}

pub(crate) fn a_client_does_not_end_a_rest_and_is_heard_after_it<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut client) = bench.pair();
    bench.watch(1, &socket);
    for round in 0..5 {
        client.write_all(b"ping").unwrap();
        rest_lasts(&mut bench, SHORT);
        client.write_all(b"ping").unwrap();
        rest_lasts(&mut bench, SHORT);
        assert_eq!(bench.ready(), (key(1), true, false), "round {round}");
        assert_eq!(bench.drain(&socket), b"pingping");
        bench.watch(1, &socket);
    }
    drop(client);
    rest_lasts(&mut bench, SHORT);
    assert_eq!(bench.ready(), (key(1), true, false));
    assert_eq!(bench.world.receive(&socket, &mut [0; 8]), Received::End);
}

pub(crate) fn a_wake_up_ends_a_rest<W: World>() {
    let mut bench = Bench::<W>::new();
    for _ in 0..3 {
        bench.world.waker().wake();
        rest_is_ended(&mut bench);
        assert!(matches!(bench.next(), Event::Woken));
    }
    let waker = bench.world.waker();
    let waking = std::thread::spawn(move || {
        std::thread::sleep(SHORT);
        waker.wake();
    });
    rest_is_ended(&mut bench);
    assert!(matches!(bench.next(), Event::Woken));
    waking.join().unwrap();
}

pub(crate) fn who_connects_ends_a_rest<W: World>() {
    let mut bench = Bench::<W>::new();
    for _ in 0..3 {
        let _client = bench.connect();
        rest_is_ended(&mut bench);
        assert!(matches!(bench.next(), Event::Accepted(Port::Client, _)));
    }
}

pub(crate) fn a_hurried_socket_ends_a_rest<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut backend) = bench.pair();
    bench.world.hurry(&socket);
    bench.watch(1, &socket);
    for _ in 0..3 {
        backend.write_all(b"push").unwrap();
        rest_is_ended(&mut bench);
        assert_eq!(bench.ready(), (key(1), true, false));
        assert_eq!(bench.drain(&socket), b"push");
        bench.watch(1, &socket);
    }
    drop(backend);
    rest_is_ended(&mut bench);
    assert_eq!(bench.ready(), (key(1), true, false));
}

pub(crate) fn what_is_not_dealt_with_does_not_end_every_rest<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut backend) = bench.pair();
    bench.world.hurry(&socket);
    bench.world.stop_accepting(Port::Client);
    bench.world.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
    let _waits_in_the_backlog = bench.connect();
    backend.write_all(b"not read").unwrap();
    rest_lasts(&mut bench, SHORT);
}

pub(crate) fn a_closed_socket_ends_no_rest<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut backend) = bench.pair();
    bench.world.hurry(&socket);
    drop(socket);
    let _ = backend.write_all(b"to nobody");
    rest_lasts(&mut bench, SHORT);
    // The next socket has its number.
    let (socket, mut backend) = bench.pair();
    bench.world.hurry(&socket);
    bench.watch(2, &socket);
    backend.write_all(b"push").unwrap();
    rest_is_ended(&mut bench);
    assert_eq!(bench.ready(), (key(2), true, false));
}
