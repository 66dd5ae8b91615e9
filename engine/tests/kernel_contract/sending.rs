//! Sends: outcomes are exact, bytes arrive as they were, nothing is borrowed afterwards.

use std::io::{Read, Write};
use std::net::TcpStream;

use holdfast::io::socket::Socket;
use holdfast::io::{How, Interest, Received, Sent};

use crate::harness::{Bench, World, key, pattern, read};
use crate::watching::reset;

pub(crate) fn a_short_send_says_how_much_went<W: World>() {
    let mut bench = Bench::<W>::narrow();
    let (socket, mut client) = bench.pair();
    let bytes = pattern(1 << 20);
    let Sent::Part(taken) = bench.send(&socket, &bytes) else { panic!("it went whole") };
    assert!(taken > 0 && taken < bytes.len());
    bench.world.shutdown(&socket, How::Write);
    let mut arrived = Vec::new();
    client.read_to_end(&mut arrived).unwrap();
    assert_eq!(arrived.len(), taken);
    assert_eq!(arrived, bytes[..taken]);
}

pub(crate) fn the_stream_is_intact_across_short_sends<W: World>() {
    let mut bench = Bench::<W>::narrow();
    let (socket, client) = bench.pair();
    let bytes = pattern(2 << 20);
    let length = bytes.len();
    let reader = std::thread::spawn(move || read(&client, length));
    let mut left = &bytes[..];
    while !left.is_empty() {
        match bench.send(&socket, left) {
            Sent::All => break,
            Sent::Part(count) => left = &left[count..],
            Sent::Broken => panic!("a broken connection"),
        }
        bench.world.watch(key(4), &socket, Interest::ReadWrite);
        assert_eq!(bench.ready(), (key(4), false, true));
    }
    assert_eq!(reader.join().unwrap(), bytes);
}

pub(crate) fn a_batch_reaches_everybody_intact<W: World>() {
    let mut bench = Bench::<W>::new();
    let pairs: Vec<(Socket, TcpStream)> = (0..300).map(|_| bench.pair()).collect();
    for round in 0..20 {
        let bodies: Vec<Vec<u8>> =
            (0..pairs.len()).map(|index| pattern(round * 7 + index + 1)).collect();
        let batch: Vec<(&Socket, &[u8])> =
            pairs.iter().zip(&bodies).map(|((socket, _), body)| (socket, &body[..])).collect();
        assert!(bench.send_all(&batch).iter().all(|sent| *sent == Sent::All));
        for ((_, client), body) in pairs.iter().zip(&bodies) {
            assert_eq!(&read(client, body.len()), body);
        }
    }
}

pub(crate) fn full_and_broken_ones_do_not_disturb_a_batch<W: World>() {
    let mut bench = Bench::<W>::narrow();
    let full = bench.pair();
    let broken = bench.pair();
    let (well, also_well) = (bench.pair(), bench.pair());
    bench.fill(&full.0);
    bench.watch(4, &broken.0);
    reset(broken.1);
    bench.ready();
    let batch: Vec<(&Socket, &[u8])> =
        [&full.0, &well.0, &broken.0, &also_well.0].map(|socket| (socket, &b"abc"[..])).to_vec();
    assert_eq!(bench.send_all(&batch), [Sent::Part(0), Sent::All, Sent::Broken, Sent::All]);
    assert_eq!(read(&well.1, 3), b"abc");
    assert_eq!(read(&also_well.1, 3), b"abc");
}

pub(crate) fn buffers_are_free_on_return<W: World>() {
    let mut bench = Bench::<W>::new();
    let pairs: Vec<(Socket, TcpStream)> = (0..200).map(|_| bench.pair()).collect();
    let mut bytes = vec![0; 3000];
    for round in 0..10 {
        bytes.fill(round);
        let batch: Vec<(&Socket, &[u8])> =
            pairs.iter().map(|(socket, _)| (socket, &bytes[..])).collect();
        assert!(bench.send_all(&batch).iter().all(|sent| *sent == Sent::All));
        bytes.fill(0xff);
        for (_, client) in &pairs {
            assert!(read(client, 3000).iter().all(|byte| *byte == round));
        }
    }
}

pub(crate) fn a_broken_peer_is_broken<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, client) = bench.pair();
    bench.watch(4, &socket);
    reset(client);
    bench.ready();
    // The first call takes the error, the next finds a closed connection.
    assert_eq!(bench.send(&socket, b"hello"), Sent::Broken);
    assert_eq!(bench.send(&socket, b"hello"), Sent::Broken);
    let received = bench.world.receive(&socket, &mut [0; 8]);
    assert!(matches!(received, Received::Broken | Received::End), "{received:?}");
}

pub(crate) fn sending_keeps_what_it_finds_of_others<W: World>() {
    let mut bench = Bench::<W>::new();
    let mut pairs: Vec<(Socket, TcpStream)> = (0..100).map(|_| bench.pair()).collect();
    for (slot, (socket, client)) in (0..).zip(&mut pairs) {
        client.write_all(b"waits").unwrap();
        bench.watch(slot, socket);
    }
    // Submits the watches, which all end at once.
    let batch: Vec<(&Socket, &[u8])> =
        pairs.iter().map(|(socket, _)| (socket, &b"out"[..])).collect();
    assert!(bench.send_all(&batch).iter().all(|sent| *sent == Sent::All));
    let mut slots: Vec<u32> = (0..100).map(|_| bench.ready().0.slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, (0..100).collect::<Vec<u32>>());
    bench.quiet();
}

pub(crate) fn shutting_down_the_write_side_ends_the_stream_in_order<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, mut client) = bench.pair();
    bench.watch(4, &socket);
    assert_eq!(bench.send(&socket, b"farewell"), Sent::All);
    bench.world.shutdown(&socket, How::Write);
    let mut arrived = Vec::new();
    client.read_to_end(&mut arrived).unwrap();
    assert_eq!(arrived, b"farewell");
    // The other direction still lives.
    bench.quiet();
    client.write_all(b"bye").unwrap();
    assert_eq!(bench.ready(), (key(4), true, false));
    assert_eq!(bench.drain(&socket), b"bye");
}
