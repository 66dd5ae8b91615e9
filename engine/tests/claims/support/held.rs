//! A gateway of one shard in this process that a claim can hold still, so that any number of its
//! peers have something for it at one moment; its ring is as small as the kernel makes one, and its
//! send buffers are small.
//!
//! All else is the gateway's own.

use super::{Backend, Client, Which, counted};
use holdfast::clock::Clock;
use holdfast::config::Config;
use holdfast::io::epoll::Epoll;
use holdfast::io::socket::{Listener, Socket, SocketOptions};
use holdfast::io::uring::{Uring, UringOptions};
use holdfast::io::wake::WakeFd;
use holdfast::io::{Io, Port, Wake};
use holdfast::limits::Limits;
use holdfast::mesh::{Ends, connect};
use holdfast::metrics::ShardMetrics;
use holdfast::shard::Shard;
use holdfast::shard::settings::Settings;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;

/// A ring that a dozen completions fill.
const TINY: UringOptions = UringOptions { submissions: 4, completions: 8 };

/// What the kernel takes for a peer that reads nothing, so that long bodies go in parts.
const SEND_BUFFER: usize = 8 << 10;

/// Most clients that it serves.
const CLIENTS: usize = 4096;

/// The gateway; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) clients: SocketAddr,
    pub(crate) backends: SocketAddr,
    metrics: Arc<[ShardMetrics]>,
    holds: Sender<Arc<Barrier>>,
    waker: WakeFd,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the shard's thread gets.
#[derive(Debug)]
struct Seat {
    settings: Arc<Settings>,
    mesh: Ends<WakeFd>,
    metrics: Arc<[ShardMetrics]>,
    holds: Receiver<Arc<Barrier>>,
    ends: Arc<AtomicBool>,
}

/// The shard does nothing until this is dropped.
#[derive(Debug)]
pub(crate) struct Still(Arc<Barrier>);

impl Drop for Still {
    fn drop(&mut self) {
        self.0.wait();
    }
}

impl Held {
    pub(crate) fn start(io: Which) -> Self {
        let options = SocketOptions { send_buffer: Some(SEND_BUFFER), ..SocketOptions::default() };
        let bind = |port| {
            let any = "127.0.0.1:0".parse().unwrap();
            (port, Listener::bind(any, &options).unwrap())
        };
        let listeners = vec![bind(Port::Client), bind(Port::Backend)];
        let at = |index: usize| listeners[index].1.local_address().unwrap();
        let (clients, backends) = (at(0), at(1));
        let metrics: Arc<[ShardMetrics]> = Arc::new([ShardMetrics::default()]);
        let waker = WakeFd::new().unwrap();
        let (holds, orders) = channel();
        let ends = Arc::new(AtomicBool::new(false));
        let seat = Seat {
            settings: Arc::new(settings()),
            mesh: connect(std::slice::from_ref(&waker), 1024).remove(0),
            metrics: Arc::clone(&metrics),
            holds: orders,
            ends: Arc::clone(&ends),
        };
        let own = waker.clone();
        // A ring belongs to the thread that makes it.
        let thread = std::thread::spawn(move || match io {
            Which::Uring => seat.serve(Uring::new(TINY, listeners, own).unwrap()),
            Which::Epoll => seat.serve(Epoll::new(listeners, own).unwrap()),
        });
        Self { clients, backends, metrics, holds, waker, ends, thread: Some(thread) }
    }

    /// Returns when the shard does nothing any more.
    pub(crate) fn hold(&self) -> Still {
        let barrier = Arc::new(Barrier::new(2));
        self.holds.send(Arc::clone(&barrier)).unwrap();
        self.waker.wake();
        barrier.wait();
        Still(barrier)
    }

    #[track_caller]
    pub(crate) fn client(&self, user: &str) -> Client {
        Client::at(self.clients, user)
    }

    #[track_caller]
    pub(crate) fn backend(&self) -> Backend {
        Backend::at(self.backends, b"")
    }

    /// A counter or gauge.
    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> u64 {
        counted(&self.metrics, name)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        self.waker.wake();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))) || std::thread::panicking(), "the shard ended");
    }
}

impl Seat {
    fn serve(self, io: impl Io<Socket = Socket, Waker = WakeFd>) {
        let clock = Clock::new();
        let mut shard = Shard::new(0, self.settings, io, self.mesh, self.metrics);
        shard.open();
        let mut events = Vec::new();
        while !self.ends.load(Ordering::Relaxed) {
            shard.wait(&mut events).expect("the kernel waits");
            shard.turn(clock.now(), &mut events);
            if let Ok(still) = self.holds.try_recv() {
                still.wait();
                still.wait();
            }
        }
    }
}

fn settings() -> Settings {
    let sets = [
        "host=1",
        "client.linger=0",
        "client.hello_timeout=60",
        "client.frame_timeout=60",
        "client.slow_reader_timeout=60",
        "client.heartbeat_min=10",
        "client.heartbeat_max=300",
        "client.outbox_bytes=65536",
        "backend.outbox_bytes=1048576",
        "broadcast.jobs_max=4",
        "broadcast.slice=1024",
        "drain.clients_per_second=0",
    ];
    let sets = sets.map(str::to_owned);
    let config = Config::parse("a claim", "", &sets, Path::new(".")).unwrap();
    let lines = Vec::new();
    let limits = Limits { shards: 1, connections: CLIENTS, backends: 8, lines };
    holdfast::boot::settings::settings(&config, &limits, 1).unwrap()
}
