//! Accepting: families, options, stopping, running out of descriptors.

use std::collections::HashSet;
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};

use holdfast::io::socket::{Socket, SocketOptions};
use holdfast::io::wake::WakeFd;
use holdfast::io::{Event, Port};
use rustix::fs::OFlags;
use rustix::io::FdFlags;
use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::{Bench, World, alone, listen};

pub(crate) fn both_families_and_their_options<W: World>() {
    let options = SocketOptions { receive_buffer: Some(8192), ..SocketOptions::default() };
    for (address, port) in [("127.0.0.1:0", Port::Client), ("[::1]:0", Port::Backend)] {
        let listener = listen(address, &options);
        let address = listener.local_address().unwrap();
        let world = W::make(vec![(port, listener)], WakeFd::new().unwrap());
        let mut bench = Bench::over(world, address);
        bench.world.accept(port);
        let client = bench.connect();
        match bench.next() {
            Event::Accepted(found, socket) => {
                assert_eq!(found, port);
                check(&socket, &client);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn check(socket: &Socket, client: &TcpStream) {
    assert_eq!(socket.peer_address().unwrap(), client.local_addr().unwrap());
    assert!(rustix::io::fcntl_getfd(socket).unwrap().contains(FdFlags::CLOEXEC));
    assert!(rustix::fs::fcntl_getfl(socket).unwrap().contains(OFlags::NONBLOCK));
    assert!(sockopt::tcp_nodelay(socket).unwrap());
    assert_eq!(sockopt::tcp_user_timeout(socket).unwrap(), 30_000);
    // The kernel doubles what is asked, for its own bookkeeping.
    assert_eq!(sockopt::socket_recv_buffer_size(socket).unwrap(), 16_384);
}

pub(crate) fn stopping_stops_and_starting_goes_on<W: World>() {
    let mut bench = Bench::<W>::new();
    let _first = bench.pair();
    bench.world.stop_accepting(Port::Client);
    bench.quiet();
    let client = bench.connect();
    bench.quiet();
    bench.world.accept(Port::Client);
    match bench.next() {
        Event::Accepted(_, socket) => {
            assert_eq!(socket.peer_address().unwrap(), client.local_addr().unwrap());
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn stop_and_start_in_one_turn<W: World>() {
    let mut bench = Bench::<W>::new();
    for _ in 0..3 {
        bench.world.stop_accepting(Port::Client);
        bench.world.accept(Port::Client);
        bench.world.accept(Port::Client);
        let _pair = bench.pair();
    }
    bench.quiet();
}

pub(crate) fn no_descriptor_left_ends_accepting_until_asked_again<W: World>() {
    // The limit is the process's.
    if !alone(&name_of::<W>("no_descriptor_left_ends_accepting_until_asked_again")) {
        return;
    }
    let limit = Rlimit { current: Some(128), maximum: getrlimit(Resource::Nofile).maximum };
    let mut bench = Bench::<W>::new();
    bench.world.stop_accepting(Port::Client);
    bench.quiet();
    let client = bench.connect();
    setrlimit(Resource::Nofile, limit).unwrap();
    let filling: Vec<OwnedFd> =
        std::iter::from_fn(|| client.as_fd().try_clone_to_owned().ok()).collect();
    bench.world.accept(Port::Client);
    match bench.next() {
        Event::AcceptFailed(Port::Client, error) => {
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        }
        other => panic!("{other:?}"),
    }
    drop(filling);
    bench.quiet();
    bench.world.accept(Port::Client);
    assert!(matches!(bench.next(), Event::Accepted(Port::Client, _)));
}

pub(crate) fn dropping_the_world_closes_what_it_accepted<W: World>() {
    if !alone(&name_of::<W>("dropping_the_world_closes_what_it_accepted")) {
        return;
    }
    let mut bench = Bench::<W>::new();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // The ring or instance, that of the rests, the listener and the eventfd go with the world.
    let first = open() - 4;
    let mut clients: Vec<TcpStream> = (0..50).map(|_| bench.connect()).collect();
    // One is reported; the others are somewhere on the way.
    let reported = bench.next();
    drop((bench, reported));
    assert_eq!(open() - clients.len(), first);
    for client in &mut clients {
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    }
}

pub(crate) fn a_storm_is_accepted_whole<W: World>() {
    let mut bench = Bench::<W>::new();
    let clients: Vec<TcpStream> = (0..700).map(|_| bench.connect()).collect();
    let mut accepted = Vec::new();
    while accepted.len() < clients.len() {
        match bench.next() {
            Event::Accepted(_, socket) => accepted.push(socket),
            other => panic!("{other:?}"),
        }
    }
    let peers: HashSet<_> = accepted.iter().map(|socket| socket.peer_address().unwrap()).collect();
    assert!(clients.iter().all(|client| peers.contains(&client.local_addr().unwrap())));
}

/// The full name of a test of this back end.
fn name_of<W>(test: &str) -> String {
    let back_end = if std::any::type_name::<W>().contains("Uring") { "uring" } else { "epoll" };
    format!("on_{back_end}::{test}")
}
