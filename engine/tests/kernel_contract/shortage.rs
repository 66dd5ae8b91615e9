//! A shortage of kernel memory passes: it breaks no connection, and what it held up goes on without
//! anything new from the peer.
//!
//! A filter makes the calls fail for real. It cannot count, so it goes by the length that a call
//! asks for, or by the listener.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};

use holdfast::io::epoll::Epoll;
use holdfast::io::socket::{Socket, SocketOptions};
use holdfast::io::wake::WakeFd;
use holdfast::io::{Event, Interest, Io, Port, Received, Sent};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use crate::harness::{Bench, World, key, listen, read};

/// A receive or send of this length finds no memory; any other does.
const STARVED: usize = 777;
const TEXT: &[u8] = b"still here";

/// From now on the call `number` of this thread fails with `errno` where its argument is `value`.
fn starve(number: i64, argument: u8, value: u64, errno: i32) {
    let (length, is) = (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq);
    let condition = SeccompCondition::new(argument, length, is, value).unwrap();
    let rules = BTreeMap::from([(number, vec![SeccompRule::new(vec![condition]).unwrap()])]);
    let fails = SeccompAction::Errno(errno.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, fails, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    apply_filter(&program).unwrap();
}

/// The same for receives of [`STARVED`] bytes.
fn starve_receives(errno: i32) {
    starve(libc::SYS_recvfrom, 2, STARVED as u64, errno);
}

/// Receives without memory, then watches; the report must come by itself, and the bytes with it.
fn starve_once<W: World>(bench: &mut Bench<W>, socket: &Socket, interest: Interest) {
    assert_eq!(bench.world.receive(socket, &mut [0; STARVED]), Received::Empty);
    bench.world.watch(key(4), socket, interest);
    let (of, readable, _) = bench.ready();
    assert_eq!((of, readable), (key(4), true));
}

pub(crate) fn a_receive_without_memory_loses_neither_bytes_nor_watch<W: World>() {
    for errno in [libc::ENOBUFS, libc::ENOMEM] {
        let alone = std::thread::spawn(move || {
            let mut bench = Bench::<W>::new();
            let (socket, mut client) = bench.pair();
            starve_receives(errno);
            bench.watch(4, &socket);
            client.write_all(TEXT).unwrap();
            assert_eq!(bench.ready(), (key(4), true, false));
            for _ in 0..3 {
                starve_once(&mut bench, &socket, Interest::Read);
            }
            assert_eq!(bench.drain(&socket), TEXT);
            bench.watch(4, &socket);
            bench.quiet();
        });
        alone.join().expect("a shortage does no harm");
    }
}

pub(crate) fn a_receive_without_memory_is_tried_again_under_every_watch<W: World>() {
    let alone = std::thread::spawn(|| {
        let mut bench = Bench::<W>::narrow();
        let (socket, mut client) = bench.pair();
        starve_receives(libc::ENOBUFS);
        bench.watch(4, &socket);
        client.write_all(TEXT).unwrap();
        bench.ready();
        // Also where there is no room for a send that waits.
        bench.fill(&socket);
        starve_once(&mut bench, &socket, Interest::ReadWrite);
        starve_once(&mut bench, &socket, Interest::Read);
        assert_eq!(bench.drain(&socket), TEXT);
    });
    alone.join().expect("a shortage does no harm");
}

pub(crate) fn a_socket_with_room_is_ready_however_often_it_is_asked<W: World>() {
    let mut bench = Bench::<W>::new();
    let (socket, client) = bench.pair();
    for _ in 0..3 {
        // So it is after a send that failed although there was room: nothing of it changes.
        bench.world.watch(key(4), &socket, Interest::ReadWrite);
        assert_eq!(bench.ready(), (key(4), false, true));
        bench.watch(4, &socket);
        bench.world.watch_writable_too(key(4), &socket);
        assert_eq!(bench.ready(), (key(4), false, true));
    }
    assert_eq!(bench.send(&socket, TEXT), Sent::All);
    assert_eq!(read(&client, TEXT.len()), TEXT);
}

/// On epoll alone, since `io_uring` sends by an operation, which no filter sees.
#[test]
fn a_send_without_memory_is_tried_again_on_epoll() {
    let alone = std::thread::spawn(|| {
        let mut bench = Bench::<Epoll>::new();
        let (socket, client) = bench.pair();
        starve(libc::SYS_sendto, 2, STARVED as u64, libc::ENOBUFS);
        bench.watch(4, &socket);
        assert_eq!(bench.send(&socket, &[1; STARVED]), Sent::Part(0));
        bench.world.watch_writable_too(key(4), &socket);
        assert_eq!(bench.ready(), (key(4), false, true));
        assert_eq!(bench.send(&socket, TEXT), Sent::All);
        assert_eq!(read(&client, TEXT.len()), TEXT);
    });
    alone.join().expect("a shortage does no harm");
}

/// On epoll alone, for the same reason.
#[test]
fn accepting_without_memory_ends_with_one_report_on_epoll() {
    for errno in [libc::ENOBUFS, libc::ENOMEM, libc::ENFILE] {
        let alone = std::thread::spawn(move || {
            let listener = listen("127.0.0.1:0", &SocketOptions::default());
            let address = listener.local_address().unwrap();
            let fd = u64::try_from(listener.as_fd().as_raw_fd()).unwrap();
            let wake = WakeFd::new().unwrap();
            let world = Epoll::new(vec![(Port::Client, listener)], wake).unwrap();
            let mut bench = Bench::over(world, address);
            starve(libc::SYS_accept4, 0, fd, errno);
            let _client = bench.connect();
            for _ in 0..2 {
                bench.world.accept(Port::Client);
                match bench.next() {
                    Event::AcceptFailed(Port::Client, error) => {
                        assert_eq!(error.raw_os_error(), Some(errno));
                    }
                    other => panic!("{other:?} instead of the shortage"),
                }
                bench.quiet();
            }
        });
        alone.join().expect("a shortage does no harm");
    }
}
