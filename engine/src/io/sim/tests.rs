//! The contract of [`crate::io::Io`] on the simulated back end, claim by claim.

use std::time::Duration;

use super::*;

const KEY: Key = Key { slot: 3, generation: 0x0200_0005 };

/// One shard, one accepted connection.
struct Pair {
    world: World,
    io: SimIo,
    peer: Peer,
    socket: SimSocket,
}

fn pair(faults: Faults) -> Pair {
    let world = World::new(1, 1, faults);
    let mut io = world.io(0);
    io.accept(Port::Client);
    let peer = world.connect(Port::Client);
    let mut events = wait(&mut io);
    let Some(Event::Accepted(Port::Client, socket)) = events.pop() else {
        panic!("no connection but {events:?}");
    };
    Pair { world, io, peer, socket }
}

fn wait(io: &mut SimIo) -> Vec<Event<SimSocket>> {
    let mut events = Vec::new();
    io.wait(Some(Duration::from_mins(1)), &mut events).unwrap();
    events
}

/// The flags of the one report that the next wait gives; `None` where it gives nothing.
fn ready(io: &mut SimIo) -> Option<(bool, bool)> {
    match wait(io).as_slice() {
        [] => None,
        [Event::Ready { key, readable, writable }] if *key == KEY.travelling() => {
            Some((*readable, *writable))
        }
        other => panic!("{other:?} is not one report of the watch"),
    }
}

fn send(pair: &mut Pair, bytes: &[u8]) -> Sent {
    let mut outcomes = Vec::new();
    pair.io.send(&[Outgoing { socket: &pair.socket, bytes }], &mut outcomes);
    outcomes[0]
}

fn small() -> Faults {
    Faults { pipe_bytes: (90, 90), ..Faults::none() }
}

#[test]
fn bytes_are_reported_once_and_only_to_an_armed_watch() {
    let mut pair = pair(Faults::none());
    assert_eq!(pair.peer.send(b"hello"), 5);
    assert_eq!(ready(&mut pair.io), None);
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    assert_eq!(ready(&mut pair.io), Some((true, false)));
    pair.peer.send(b"more");
    assert_eq!(ready(&mut pair.io), None);
    let mut buffer = [0; 64];
    assert_eq!(pair.io.receive(&pair.socket, &mut buffer), Received::Bytes(9));
    assert_eq!(pair.io.receive(&pair.socket, &mut buffer), Received::Empty);
}

#[test]
fn where_only_changes_are_told_unread_bytes_are_not() {
    let mut pair = pair(Faults { edges_only: true, ..Faults::none() });
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    pair.peer.send(b"abcd");
    assert_eq!(ready(&mut pair.io), Some((true, false)));
    assert_eq!(pair.io.receive(&pair.socket, &mut [0; 2]), Received::Bytes(2));
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    assert_eq!(ready(&mut pair.io), None);
    pair.peer.send(b"e");
    assert_eq!(ready(&mut pair.io), Some((true, false)));
}

#[test]
fn a_change_between_two_watches_is_told_at_the_second() {
    let mut pair = pair(Faults { edges_only: true, ..Faults::none() });
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    pair.peer.send(b"a");
    assert!(ready(&mut pair.io).is_some());
    assert_eq!(pair.io.receive(&pair.socket, &mut [0; 2]), Received::Bytes(1));
    pair.peer.send(b"b");
    pair.world.advance(pair.world.now() + 1_000_000);
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    assert_eq!(ready(&mut pair.io), Some((true, false)));
}

#[test]
fn the_peers_end_comes_behind_its_bytes() {
    let mut pair = pair(Faults::none());
    pair.peer.send(b"last");
    pair.peer.finish();
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    assert_eq!(ready(&mut pair.io), Some((true, false)));
    pair.world.advance(pair.world.now() + 1_000_000);
    let mut buffer = [0; 64];
    assert_eq!(pair.io.receive(&pair.socket, &mut buffer), Received::Bytes(4));
    assert_eq!(pair.io.receive(&pair.socket, &mut buffer), Received::End);
    assert_eq!(send(&mut pair, b"reply"), Sent::All);
}

#[test]
fn a_reset_is_reported_and_breaks_both_directions() {
    let mut pair = pair(Faults::none());
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    pair.peer.reset();
    assert_eq!(ready(&mut pair.io), Some((true, false)));
    assert_eq!(pair.io.receive(&pair.socket, &mut [0; 8]), Received::Broken);
    assert_eq!(send(&mut pair, b"x"), Sent::Broken);
}

#[test]
fn a_full_buffer_takes_a_part_and_tells_of_room_where_asked() {
    let mut pair = pair(small());
    assert_eq!(send(&mut pair, &[7; 100]), Sent::Part(90));
    assert_eq!(send(&mut pair, &[7; 10]), Sent::Part(0));
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    assert_eq!(ready(&mut pair.io), None);
    pair.io.watch_writable_too(KEY, &pair.socket);
    assert_eq!(ready(&mut pair.io), None);
    assert_eq!(pair.peer.receive(&mut [0; 60]), Received::Bytes(60));
    assert_eq!(ready(&mut pair.io), Some((false, true)));
    assert_eq!(send(&mut pair, &[7; 60]), Sent::All);
}

#[test]
fn room_that_is_there_is_told_at_once() {
    let mut pair = pair(small());
    pair.io.watch(KEY, &pair.socket, Interest::ReadWrite);
    assert_eq!(ready(&mut pair.io), Some((false, true)));
}

#[test]
fn a_short_send_tells_of_room_later() {
    let mut pair = pair(Faults { short_send_permille: 1000, delay: 500, ..Faults::none() });
    let Sent::Part(taken) = send(&mut pair, &[7; 100]) else { panic!("not short") };
    assert!(taken < 100);
    assert_eq!(send(&mut pair, &[7; 100]), Sent::Part(0));
    pair.io.watch(KEY, &pair.socket, Interest::ReadWrite);
    assert_eq!(ready(&mut pair.io), Some((false, true)));
}

#[test]
fn a_refused_send_takes_nothing_and_there_is_room_at_once() {
    let mut pair = pair(Faults { refused_send_permille: 1000, ..Faults::none() });
    for interest in [Interest::Read, Interest::ReadWrite] {
        pair.io.watch(KEY, &pair.socket, interest);
        assert_eq!(send(&mut pair, b"hello"), Sent::Part(0));
        pair.io.watch_writable_too(KEY, &pair.socket);
        assert_eq!(ready(&mut pair.io), Some((false, true)));
    }
}

#[test]
fn a_refused_receive_is_told_of_again_at_the_next_watch() {
    let refusing = Faults { refused_receive_permille: 1000, edges_only: true, ..Faults::none() };
    let mut pair = pair(refusing);
    pair.peer.send(b"hello");
    for _ in 0..2 {
        pair.io.watch(KEY, &pair.socket, Interest::Read);
        assert_eq!(ready(&mut pair.io), Some((true, false)));
        assert_eq!(pair.io.receive(&pair.socket, &mut [0; 8]), Received::Empty);
    }
    pair.world.calm();
    assert_eq!(pair.io.receive(&pair.socket, &mut [0; 8]), Received::Bytes(5));
}

#[test]
fn shutting_down_both_directions_ends_an_armed_watch() {
    let mut pair = pair(Faults::none());
    send(&mut pair, b"bye");
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    pair.io.shutdown(&pair.socket, How::Both);
    assert_eq!(ready(&mut pair.io), Some((true, false)));
    assert_eq!(pair.io.receive(&pair.socket, &mut [0; 8]), Received::End);
    assert_eq!(send(&mut pair, b"x"), Sent::Broken);
    let mut buffer = [0; 8];
    pair.world.advance(pair.world.now() + 1_000_000);
    assert_eq!(pair.peer.receive(&mut buffer), Received::Bytes(3));
    assert_eq!(pair.peer.receive(&mut buffer), Received::End);
}

#[test]
fn shutting_down_writes_leaves_reads() {
    let mut pair = pair(Faults::none());
    pair.io.shutdown(&pair.socket, How::Write);
    pair.peer.send(b"still");
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    assert_eq!(ready(&mut pair.io), Some((true, false)));
    assert_eq!(pair.io.receive(&pair.socket, &mut [0; 8]), Received::Bytes(5));
    pair.world.advance(pair.world.now() + 1_000_000);
    assert_eq!(pair.peer.receive(&mut [0; 8]), Received::End);
}

#[test]
fn a_close_with_unread_bytes_resets_the_peer() {
    let pair = pair(Faults::none());
    pair.peer.send(b"nobody reads this");
    pair.world.advance(1_000_000);
    drop(pair.socket);
    pair.world.advance(2_000_000);
    assert_eq!(pair.peer.receive(&mut [0; 8]), Received::Broken);
    assert_eq!(pair.world.open_sockets(), 0);
}

#[test]
fn a_silent_peer_breaks_only_when_sent_bytes_stay_unacknowledged() {
    let mut pair = pair(Faults::none());
    pair.peer.fall_silent();
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    assert_eq!(ready(&mut pair.io), None);
    assert_eq!(send(&mut pair, b"anyone?"), Sent::All);
    let before = pair.world.now();
    assert_eq!(ready(&mut pair.io), Some((true, false)));
    assert!(pair.world.now() - before >= Faults::none().user_timeout);
    assert_eq!(pair.io.receive(&pair.socket, &mut [0; 8]), Received::Broken);
}

#[test]
fn accepting_ends_with_its_failure_and_goes_on_when_asked() {
    let world = World::new(1, 1, Faults { accept_failure_permille: 1000, ..Faults::none() });
    let mut io = world.io(0);
    io.accept(Port::Backend);
    let _peers = [world.connect(Port::Backend), world.connect(Port::Backend)];
    let failed = |events: &[Event<SimSocket>]| {
        matches!(events, [Event::AcceptFailed(Port::Backend, error)]
            if error.raw_os_error() == Some(libc::EMFILE))
    };
    assert!(failed(&wait(&mut io)));
    assert!(wait(&mut io).is_empty());
    io.accept(Port::Backend);
    assert!(failed(&wait(&mut io)));
    world.calm();
    io.accept(Port::Backend);
    assert_eq!(wait(&mut io).len(), 2);
}

#[test]
fn nothing_is_accepted_where_nobody_accepts() {
    let world = World::new(1, 1, Faults::none());
    let mut io = world.io(0);
    io.accept(Port::Client);
    io.stop_accepting(Port::Client);
    let peer = world.connect(Port::Client);
    assert!(wait(&mut io).is_empty());
    assert_eq!(peer.connect(), Connect::Done);
    io.accept(Port::Client);
    assert_eq!(wait(&mut io).len(), 1);
}

#[test]
fn wake_ups_merge_and_are_not_lost() {
    let world = World::new(1, 1, Faults::none());
    let mut io = world.io(0);
    let waker = io.waker();
    waker.wake();
    waker.wake();
    assert!(matches!(wait(&mut io).as_slice(), [Event::Woken]));
    assert!(wait(&mut io).is_empty());
    waker.wake();
    assert!(matches!(wait(&mut io).as_slice(), [Event::Woken]));
}

#[test]
fn a_planted_loss_loses_a_wake_up() {
    let world = World::new(1, 1, Faults::none());
    world.plant(Plant::LostWake);
    let mut io = world.io(0);
    let waker = io.waker();
    let came = (0..1000).filter(|_| {
        waker.wake();
        !wait(&mut io).is_empty()
    });
    assert!(came.count() < 1000);
}

#[test]
fn a_planted_lie_says_that_a_part_is_all() {
    let mut pair = pair(small());
    pair.world.plant(Plant::ForgottenRest);
    assert_eq!(send(&mut pair, &[7; 100]), Sent::All);
    assert_eq!(pair.peer.written(), 90);
}

#[test]
fn breaking_the_contract_is_written_down() {
    let mut pair = pair(Faults::none());
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    pair.io.watch(KEY, &pair.socket, Interest::Read);
    assert_eq!(pair.world.violations().len(), 1);
    let twice = [b"a", b"b"].map(|bytes| Outgoing { socket: &pair.socket, bytes });
    pair.io.send(&twice, &mut Vec::new());
    assert_eq!(pair.world.violations().len(), 2);
    drop(pair.socket);
    assert_eq!(pair.world.violations().len(), 3);
}

#[test]
fn a_shard_that_ends_refuses_what_waits() {
    let world = World::new(1, 1, Faults::none());
    let io = world.io(0);
    let waiting = world.connect(Port::Client);
    world.advance(1_000_000);
    drop(io);
    let late = world.connect(Port::Client);
    world.advance(2_000_000);
    assert_eq!(waiting.connect(), Connect::Broken);
    assert_eq!(late.connect(), Connect::Broken);
}

#[test]
fn a_world_without_a_future_says_so() {
    let world = World::new(1, 1, Faults::none());
    let mut io = world.io(0);
    assert!(io.wait(None, &mut Vec::new()).is_err());
}

#[test]
fn every_fault_on_still_brings_every_byte_in_order() {
    for seed in 0..50 {
        let mut chance = Chance::new(seed, "test");
        let faults = Faults { cut_permille: 0, silence_permille: 0, ..Faults::draw(&mut chance) };
        assert_eq!(echo(seed, faults.clone()), echo(seed, faults), "seed {seed} differs");
    }
}

/// Sends numbered bytes to a shard that echoes them; gives the world's digest.
fn echo(seed: u64, faults: Faults) -> u64 {
    let world = World::new(seed, 1, faults);
    let mut io = world.io(0);
    io.accept(Port::Client);
    let peer = world.connect(Port::Client);
    let mut gateway = Echo { socket: None, out: Vec::new() };
    let (mut sent, mut got) = (0_u32, 0_u32);
    while got < 20_000 {
        let mut events = Vec::new();
        io.wait(Some(Duration::from_secs(5)), &mut events).unwrap();
        assert!(world.now() < 3_600_000_000, "seed {seed} stands still at {got} of {sent}");
        gateway.turn(&mut io, events);
        let bytes: Vec<u8> = (sent..20_000).take(700).map(pattern).collect();
        sent += u32::try_from(peer.send(&bytes)).unwrap();
        let mut buffer = [0; 333];
        while let Received::Bytes(count) = peer.receive(&mut buffer) {
            for &byte in &buffer[..count] {
                assert_eq!(byte, pattern(got), "seed {seed}: byte {got} is another");
                got += 1;
            }
        }
    }
    // Before the socket is dropped, which is watched still.
    assert_eq!(world.violations(), Vec::<String>::new());
    world.digest()
}

fn pattern(index: u32) -> u8 {
    (index % 251) as u8
}

/// A gateway of one connection that sends back what it reads.
struct Echo {
    socket: Option<SimSocket>,
    out: Vec<u8>,
}

impl Echo {
    fn turn(&mut self, io: &mut SimIo, events: Vec<Event<SimSocket>>) {
        for event in events {
            match event {
                Event::Accepted(_, socket) => {
                    io.watch(KEY, &socket, Interest::Read);
                    self.socket = Some(socket);
                }
                Event::AcceptFailed(port, _) => io.accept(port),
                Event::Ready { .. } => self.ready(io),
                Event::Woken => {}
            }
        }
    }

    fn ready(&mut self, io: &mut SimIo) {
        let socket = self.socket.as_ref().unwrap();
        let mut buffer = [0; 512];
        while let Received::Bytes(count) = io.receive(socket, &mut buffer) {
            self.out.extend_from_slice(&buffer[..count]);
            if count < buffer.len() {
                break;
            }
        }
        let mut outcomes = Vec::new();
        if !self.out.is_empty() {
            io.send(&[Outgoing { socket, bytes: &self.out }], &mut outcomes);
        }
        match outcomes.pop() {
            Some(Sent::All) => self.out.clear(),
            Some(Sent::Part(taken)) => drop(self.out.drain(..taken)),
            Some(Sent::Broken) => panic!("broken without a fault"),
            None => {}
        }
        let interest = if self.out.is_empty() { Interest::Read } else { Interest::ReadWrite };
        io.watch(KEY, socket, interest);
    }
}
