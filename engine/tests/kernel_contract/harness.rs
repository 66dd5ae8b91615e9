//! A world on loopback with its clients, for both back ends.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use holdfast::io::epoll::Epoll;
use holdfast::io::socket::{Listener, Socket, SocketOptions};
use holdfast::io::uring::{Uring, UringOptions, probe};
use holdfast::io::wake::WakeFd;
use holdfast::io::{Event, Interest, Io, Key, Outgoing, Port, Received, Sent};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketType, sockopt};

/// Longer than anything that is to come takes, on a machine with other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Long enough for what must not come to come.
const QUIET: Duration = Duration::from_millis(40);

/// A back end under test.
pub(crate) trait World: Io<Socket = Socket, Waker = WakeFd> + Sized {
    fn make(listeners: Vec<(Port, Listener)>, wake: WakeFd) -> Self;
}

impl World for Uring {
    fn make(listeners: Vec<(Port, Listener)>, wake: WakeFd) -> Self {
        Uring::new(UringOptions::default(), listeners, wake).expect("a ring")
    }
}

impl World for Epoll {
    fn make(listeners: Vec<(Port, Listener)>, wake: WakeFd) -> Self {
        Epoll::new(listeners, wake).expect("an epoll instance")
    }
}

/// Whether the machine has `io_uring`; else its half of the tests says so and passes.
pub(crate) fn has_uring() -> bool {
    match probe() {
        Ok(()) => true,
        Err(refused) => {
            eprintln!("skipped: {refused}");
            false
        }
    }
}

/// Runs the test `name` again in a process of its own, for what it does to the whole process.
/// `true` in that process.
pub(crate) fn alone(name: &str) -> bool {
    const MARK: &str = "HOLDFAST_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let this = std::env::current_exe().expect("a path of this program");
    let output = Command::new(this)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .output()
        .expect("a second run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{name} alone: {output:?}");
    false
}

pub(crate) fn key(slot: u32) -> Key {
    Key { slot, generation: 1 }
}

pub(crate) fn listen(address: &str, options: &SocketOptions) -> Listener {
    Listener::bind(address.parse().expect("an address"), options).expect("a listener")
}

/// A world that accepts clients on IPv4 loopback.
pub(crate) struct Bench<W> {
    pub(crate) world: W,
    pub(crate) address: SocketAddr,
    /// The clients' receive buffer, where it is not the kernel's own.
    pub(crate) client_buffer: Option<usize>,
    /// What was waited for and not yet asked for, newest first.
    early: Vec<Event<Socket>>,
}

impl<W: World> Bench<W> {
    pub(crate) fn new() -> Self {
        Self::with(&SocketOptions::default(), W::make)
    }

    /// With clients of a small receive buffer, so that little fills a connection. What the kernel
    /// may not send yet is many times what it could, so a full connection stays full.
    pub(crate) fn narrow() -> Self {
        Self { client_buffer: Some(8 * 1024), ..Self::new() }
    }

    pub(crate) fn with(
        options: &SocketOptions,
        make: impl FnOnce(Vec<(Port, Listener)>, WakeFd) -> W,
    ) -> Self {
        let listener = listen("127.0.0.1:0", options);
        let address = listener.local_address().expect("an address");
        let mut world = make(vec![(Port::Client, listener)], WakeFd::new().expect("an eventfd"));
        world.accept(Port::Client);
        Self::over(world, address)
    }

    /// Of a world with a listener at `address`.
    pub(crate) fn over(world: W, address: SocketAddr) -> Self {
        Self { world, address, client_buffer: None, early: Vec::new() }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let ipv4 = self.address.is_ipv4();
        let family = if ipv4 { AddressFamily::INET } else { AddressFamily::INET6 };
        let client = rustix::net::socket(family, SocketType::STREAM, None).expect("a socket");
        if let Some(size) = self.client_buffer {
            sockopt::set_socket_recv_buffer_size(&client, size).expect("a buffer size");
        }
        rustix::net::connect(&client, &self.address).expect("a connection");
        let client = TcpStream::from(client);
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        client.set_nodelay(true).expect("no delay");
        client
    }

    /// A new connection: the accepted end and the client's.
    pub(crate) fn pair(&mut self) -> (Socket, TcpStream) {
        let client = self.connect();
        match self.next() {
            Event::Accepted(Port::Client, socket) => (socket, client),
            other => panic!("{other:?} instead of a connection"),
        }
    }

    pub(crate) fn next(&mut self) -> Event<Socket> {
        let until = Instant::now() + PATIENCE;
        while self.early.is_empty() {
            let left = until.checked_duration_since(Instant::now()).expect("an event in time");
            self.world.wait(Some(left), &mut self.early).expect("a wait");
            self.early.reverse();
        }
        self.early.pop().expect("an event")
    }

    /// The next event, which is the end of a watch: its key, readable, writable.
    pub(crate) fn ready(&mut self) -> (Key, bool, bool) {
        match self.next() {
            Event::Ready { key, readable, writable } => (key, readable, writable),
            other => panic!("{other:?} instead of a watch's end"),
        }
    }

    /// Nothing happens for a while.
    pub(crate) fn quiet(&mut self) {
        let until = Instant::now() + QUIET;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.world.wait(Some(left), &mut self.early).expect("a wait");
        }
        assert!(self.early.is_empty(), "{:?} instead of quiet", self.early);
    }

    pub(crate) fn watch(&mut self, slot: u32, socket: &Socket) {
        self.world.watch(key(slot), socket, Interest::Read);
    }

    pub(crate) fn send(&mut self, socket: &Socket, bytes: &[u8]) -> Sent {
        self.send_all(&[(socket, bytes)])[0]
    }

    pub(crate) fn send_all(&mut self, batch: &[(&Socket, &[u8])]) -> Vec<Sent> {
        let batch: Vec<_> =
            batch.iter().map(|&(socket, bytes)| Outgoing { socket, bytes }).collect();
        let mut outcomes = Vec::new();
        self.world.send(&batch, &mut outcomes);
        assert_eq!(outcomes.len(), batch.len());
        outcomes
    }

    /// Fills the send buffer of a socket; returns how many bytes went in.
    pub(crate) fn fill(&mut self, socket: &Socket) -> usize {
        let mut filled = 0;
        loop {
            match self.send(socket, &[b'f'; 8 * 1024]) {
                Sent::All => filled += 8 * 1024,
                Sent::Part(0) if stays_full(socket) => return filled,
                Sent::Part(count) => filled += count,
                Sent::Broken => panic!("a broken connection"),
            }
        }
    }

    /// Reads until nothing waits, as the contract asks before a watch is armed again.
    pub(crate) fn drain(&mut self, socket: &Socket) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 512];
        loop {
            match self.world.receive(socket, &mut buffer) {
                Received::Bytes(count) => {
                    all.extend_from_slice(&buffer[..count]);
                    if count < buffer.len() {
                        return all;
                    }
                }
                Received::Empty => return all,
                other => panic!("{other:?} after {} bytes", all.len()),
            }
        }
    }
}

/// Whether nothing on its way to the client makes room any more.
fn stays_full(socket: &Socket) -> bool {
    std::thread::sleep(Duration::from_millis(2));
    let mut polled = [PollFd::new(socket, PollFlags::OUT)];
    poll(&mut polled, Some(&Timespec::default())).expect("a poll") == 0
}

/// Reads exactly so many bytes at the client.
pub(crate) fn read(mut client: &TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).expect("bytes in time");
    bytes
}

/// Bytes in which each place differs from its neighbours, so that loss and order show.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 31 + place / 251) as u8).collect()
}
