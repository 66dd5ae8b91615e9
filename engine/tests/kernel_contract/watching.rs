//! Watches: each ends once, whatever ends it, and nothing that waits is missed.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use holdfast::io::{How, Interest, Key, Received};
use rustix::net::sockopt;

use crate::harness::{Bench, World, key, read};

pub(crate) fn a_watch_is_reported_once<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut client) = bench.pair();
    bench.watch(4, &socket);
    bench.quiet();
    client.write_all(b"one").unwrap();
    assert_eq!(bench.ready(), (key(4), true, false));
    client.write_all(b"two").unwrap();
    bench.quiet();
}

pub(crate) fn bytes_before_the_watch_are_reported<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut client) = bench.pair();
    client.write_all(b"early").unwrap();
    bench.quiet();
    bench.watch(4, &socket);
    assert_eq!(bench.ready(), (key(4), true, false));
    assert_eq!(bench.drain(&socket), b"early");
}

pub(crate) fn bytes_between_two_watches_are_reported<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut client) = bench.pair();
    bench.watch(4, &socket);
    client.write_all(b"one").unwrap();
    bench.ready();
    assert_eq!(bench.drain(&socket), b"one");
    client.write_all(b"two").unwrap();
    bench.quiet();
    bench.watch(4, &socket);
    assert_eq!(bench.ready(), (key(4), true, false));
    assert_eq!(bench.drain(&socket), b"two");
    bench.watch(4, &socket);
    bench.quiet();
}

pub(crate) fn an_end_behind_bytes_is_reported<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut client) = bench.pair();
    bench.watch(4, &socket);
    client.write_all(b"last words").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    bench.ready();
    // Less than was asked for: the caller may arm again, though an end waits behind the bytes.
    assert_eq!(bench.drain(&socket), b"last words");
    bench.watch(4, &socket);
    assert_eq!(bench.ready(), (key(4), true, false));
    assert_eq!(bench.world.receive(&socket, &mut [0; 8]), Received::End);
}

pub(crate) fn a_reset_is_reported<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, client) = bench.pair();
    bench.watch(4, &socket);
    reset(client);
    let (_, readable, _) = bench.ready();
    assert!(readable);
    assert_eq!(bench.world.receive(&socket, &mut [0; 8]), Received::Broken);
}

pub(crate) fn shutting_both_down_ends_an_armed_watch<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, client) = bench.pair();
    bench.watch(4, &socket);
    bench.quiet();
    bench.world.shutdown(&socket, How::Both);
    let (found, readable, _) = bench.ready();
    assert_eq!((found, readable), (key(4), true));
    bench.quiet();
    drop((socket, client));
    bench.quiet();
}

pub(crate) fn shutting_down_between_watches_is_reported<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut client) = bench.pair();
    bench.watch(4, &socket);
    client.write_all(b"one").unwrap();
    bench.ready();
    bench.drain(&socket);
    bench.world.shutdown(&socket, How::Both);
    bench.quiet();
    bench.watch(4, &socket);
    let (found, readable, _) = bench.ready();
    assert_eq!((found, readable), (key(4), true));
}

pub(crate) fn room_to_send_is_reported_where_asked<W: World>() {
    let mut bench = Bench::<W>::narrow();
    let (socket, client) = bench.pair();
    let filled = bench.fill(&socket);
    bench.world.watch(key(4), &socket, Interest::ReadWrite);
    bench.quiet();
    read(&client, filled);
    assert_eq!(bench.ready(), (key(4), false, true));
    // And not where it is not asked.
    bench.watch(4, &socket);
    bench.quiet();
    let filled = bench.fill(&socket);
    read(&client, filled);
    bench.quiet();
}

pub(crate) fn an_armed_watch_can_be_widened<W: World>() {
    let mut bench = Bench::<W>::narrow();
    let (socket, mut client) = bench.pair();
    for _ in 0..3 {
        bench.watch(4, &socket);
        bench.quiet();
        let filled = bench.fill(&socket);
        bench.world.watch_writable_too(key(4), &socket);
        bench.quiet();
        read(&client, filled);
        assert_eq!(bench.ready(), (key(4), false, true));
        bench.quiet();
    }
    // What was to be read still ends a widened watch.
    bench.watch(4, &socket);
    bench.fill(&socket);
    bench.world.watch_writable_too(key(4), &socket);
    bench.quiet();
    client.write_all(b"hello").unwrap();
    // The client's acknowledgement came along and may have made room as well.
    let (found, readable, _) = bench.ready();
    assert_eq!((found, readable), (key(4), true));
}

pub(crate) fn widening_too_late_is_harmless<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut client) = bench.pair();
    bench.watch(4, &socket);
    client.write_all(b"hello").unwrap();
    bench.ready();
    bench.world.watch_writable_too(key(4), &socket);
    bench.quiet();
    bench.drain(&socket);
    bench.world.watch(key(4), &socket, Interest::ReadWrite);
    assert_eq!(bench.ready(), (key(4), false, true));
    bench.quiet();
}

pub(crate) fn what_comes_after_room_to_send_is_not_lost<W: World>() {
    let mut bench = Bench::<W>::narrow();
    let (socket, mut client) = bench.pair();
    bench.watch(4, &socket);
    let filled = bench.fill(&socket);
    bench.world.watch_writable_too(key(4), &socket);
    bench.quiet();
    read(&client, filled);
    assert_eq!(bench.ready(), (key(4), false, true));
    // No watch stands now, so this is for the next one to say.
    client.write_all(b"hello").unwrap();
    bench.quiet();
    bench.watch(4, &socket);
    assert_eq!(bench.ready(), (key(4), true, false));
    assert_eq!(bench.drain(&socket), b"hello");
    bench.watch(4, &socket);
    bench.quiet();
}

pub(crate) fn dropping_closes_whatever_the_kernel_still_watches<W: World>() {
    let mut bench = Bench::<W>::narrow();
    let (socket, mut client) = bench.pair();
    bench.watch(4, &socket);
    let filled = bench.fill(&socket);
    bench.world.watch_writable_too(key(4), &socket);
    bench.quiet();
    read(&client, filled);
    bench.ready();
    drop(socket);
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    // The slot's next connection hears nothing of it.
    let (next, mut client) = bench.pair();
    let new = Key { slot: 4, generation: 2 };
    bench.world.watch(new, &next, Interest::Read);
    bench.quiet();
    client.write_all(b"hello").unwrap();
    assert_eq!(bench.ready(), (new, true, false));
}

pub(crate) fn a_late_event_carries_the_old_generation<W: World>() {
    let mut bench = Bench::<W>::new();
    let (old, mut old_client) = bench.pair();
    let (new, mut new_client) = bench.pair();
    let of = |generation| Key { slot: 4, generation };
    bench.world.watch(of(0x0200_0007), &old, Interest::Read);
    old_client.write_all(b"late").unwrap();
    // Submits the watch; its event waits in the kernel or in the queue.
    assert_eq!(bench.send(&new, b"!"), holdfast::io::Sent::All);
    drop(old);
    bench.world.watch(of(0x0200_0008), &new, Interest::Read);
    new_client.write_all(b"mine").unwrap();
    let mut found = bench.ready().0;
    if found == of(7) {
        found = bench.ready().0;
    }
    assert_eq!(found, of(8));
    assert_eq!(of(0x0200_0008).travelling(), found);
    bench.quiet();
}

pub(crate) fn many_watches_each_come_once<W: World>() {
    // More than one wait takes.
    const COUNT: u32 = 1500;
    let mut bench = Bench::<W>::new();
    let mut pairs: Vec<_> = (0..COUNT).map(|_| bench.pair()).collect();
    for round in 0..3 {
        for (slot, (socket, client)) in (0..).zip(&mut pairs) {
            bench.watch(slot, socket);
            client.write_all(&[round]).unwrap();
        }
        let ready: HashSet<u32> = (0..COUNT).map(|_| bench.ready().0.slot).collect();
        assert_eq!(ready.len(), pairs.len());
        for (socket, _) in &pairs {
            assert_eq!(bench.drain(socket), [round]);
        }
    }
    bench.quiet();
}

/// Ends a connection with a reset.
pub(crate) fn reset(client: TcpStream) {
    sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
}
