//! From a configuration to running shards.
//!
//! Each shard starts on its own thread: it takes its own descriptor table and its core, binds its
//! listeners, and only then says that it is ready. The first shard settles which port "0" is.

mod ceilings;
mod host;
mod incarnation;
pub mod settings;
mod store;

use self::host::{can_own_tables, host, usable_cores};
use self::settings::{settings, socket_options};
use crate::clock::Clock;
use crate::config::{Config, IoChoice, Pin};
use crate::io::epoll::Epoll;
use crate::io::socket::{Listener, Socket, SocketOptions};
use crate::io::table::{own_descriptor_table, pin_to_core};
use crate::io::uring::{self, Uring, UringOptions};
use crate::io::wake::WakeFd;
use crate::io::{Io, Port, Wake};
use crate::limits::{IDLE_CLIENT_BYTES, KERNEL_CLIENT_BYTES, Limits, TooLarge};
use crate::mesh::{Ends, connect};
use crate::metrics::ShardMetrics;
use crate::shard::Shard;
use crate::shard::drain::Left;
use crate::shard::parting::{Farewell, Parting, Step};
use crate::shard::settings::Settings;
use holdfast_store::Recovered;
use holdfast_store::embedded::Figures;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Room for fewer clients than this is most likely a limit that nobody chose.
const FEW: usize = 1000;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The limits do not fit this host.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The store cannot be opened.
    #[error("store: {0}")]
    Store(String),
    /// A key cannot be used.
    #[error("auth.client_keys: {0}")]
    Key(String),
    /// `io_uring` was asked for by name and cannot be had.
    #[error("io = \"uring\" cannot be had: {0}")]
    Uring(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The kernel refused something.
    #[error("{0}: {1}")]
    Kernel(&'static str, io::Error),
}

/// Which back end runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// `io_uring`.
    Uring,
    /// epoll.
    Epoll,
}

impl fmt::Display for Backing {
    /// As the configuration names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        })
    }
}

/// What a control thread may ask of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// Leave in order within this time.
    Drain(Duration),
    /// End at once.
    Stop,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Where clients connect.
    pub client_addresses: Vec<SocketAddr>,
    /// Where backends connect.
    pub backend_addresses: Vec<SocketAddr>,
    /// The counters, by shard.
    pub metrics: Arc<[ShardMetrics]>,
    /// The clock of all shards.
    pub clock: Clock,
    /// Which back end serves.
    pub backing: Backing,
    /// Grows each time the process starts.
    pub incarnation: u32,
    commands: Vec<(flume::Sender<Command>, WakeFd)>,
    /// Ends after the shards, with everything that they gave it on disk.
    store: Option<store::Handle>,
    threads: Vec<JoinHandle<io::Result<Left>>>,
}

/// What the shards were started with, the same for each.
#[derive(Debug, Clone)]
struct Plan {
    settings: Arc<Settings>,
    socket: SocketOptions,
    clients: Vec<SocketAddr>,
    backends: Vec<SocketAddr>,
    backing: Backing,
    cores: Option<Vec<usize>>,
    own_tables: bool,
    clock: Clock,
    metrics: Arc<[ShardMetrics]>,
    wakers: Vec<WakeFd>,
    /// Where shards that leave in order wait for one another, since each still needs the others.
    farewell: Arc<Farewell>,
}

/// A shard's ends of the mesh, and of the store with what that had kept for it.
type Seat = (Ends<WakeFd>, Option<(holdfast_store::Port, Recovered)>);

/// What a shard says once, when it is ready or cannot be.
type Ready = Result<(Vec<SocketAddr>, Vec<SocketAddr>), BootError>;

/// Starts the gateway; it serves when this returns. Whether somebody else listens on its addresses
/// is not looked at: see [`Listener::claim`].
///
/// # Errors
/// Why it cannot start; whatever was started has ended.
pub fn start(config: &Config) -> Result<Gateway, BootError> {
    let backing = choose(config.io)?;
    let cores = usable_cores();
    let own_tables = can_own_tables();
    let limits = Limits::new(config, host(cores.len()), own_tables)?;
    report(&limits, config.client.connections_max > 0);
    ceilings::warn(ceilings::Configured::from(config));
    warn_of_open_doors(config);
    for line in settings::small_mailboxes(config) {
        tracing::warn!("{line}");
    }
    let clock = Clock::new();
    let incarnation = incarnation::next(clock);
    let wakers = (0..limits.shards).map(|_| WakeFd::new()).collect::<Result<Vec<_>, _>>();
    let wakers = wakers.map_err(|error| BootError::Kernel("cannot make an eventfd", error))?;
    let pinned = match config.pin {
        Pin::Auto => usize::from(limits.shards) <= cores.len(),
        Pin::On => true,
        Pin::Off => false,
    };
    let plan = Plan {
        settings: Arc::new(settings(config, &limits, incarnation)?),
        socket: socket_options(config),
        clients: config.client.listen.clone(),
        backends: config.backend.listen.clone(),
        backing,
        cores: pinned.then_some(cores),
        own_tables,
        clock,
        metrics: (0..limits.shards).map(|_| ShardMetrics::default()).collect(),
        wakers,
        farewell: Arc::new(Farewell::new(usize::from(limits.shards))),
    };
    let ends = connect(&plan.wakers, config.mesh.capacity);
    let opened = store::open(config, &plan.settings, &ends)?;
    launch(plan, ends, opened, incarnation)
}

fn launch(
    mut plan: Plan,
    ends: Vec<Ends<WakeFd>>,
    (ports, store): store::Opened,
    incarnation: u32,
) -> Result<Gateway, BootError> {
    let mut gateway = Gateway {
        client_addresses: Vec::new(),
        backend_addresses: Vec::new(),
        metrics: Arc::clone(&plan.metrics),
        clock: plan.clock,
        backing: plan.backing,
        incarnation,
        commands: Vec::new(),
        store,
        threads: Vec::new(),
    };
    if let (Some(first), Some(store)) = (gateway.metrics.first(), &gateway.store) {
        store.show(first);
    }
    for (number, (ends, port)) in (0..).zip(ends.into_iter().zip(ports)) {
        let waker = plan.wakers[usize::from(number)].clone();
        let (commands, inbox) = flume::unbounded();
        let (ready, is_ready) = flume::bounded(1);
        let own = plan.clone();
        let thread = std::thread::Builder::new()
            .name(format!("shard-{number}"))
            .spawn(move || serve(&own, number, (ends, port), &inbox, &ready))
            .map_err(|error| BootError::Kernel("cannot start a thread", error))?;
        gateway.threads.push(thread);
        gateway.commands.push((commands, waker));
        let ended = || BootError::Kernel("a shard", io::Error::other("ended before it was ready"));
        match is_ready.recv().unwrap_or_else(|_| Err(ended())) {
            Ok((clients, backends)) => {
                // The others bind what the kernel chose for the first.
                plan.clients.clone_from(&clients);
                plan.backends.clone_from(&backends);
                (gateway.client_addresses, gateway.backend_addresses) = (clients, backends);
            }
            // Dropping the gateway ends what was started.
            Err(error) => return Err(error),
        }
    }
    Ok(gateway)
}

impl Gateway {
    /// How many shards serve.
    pub fn shards(&self) -> usize {
        self.metrics.len()
    }

    /// Leaves in order: nobody new, everybody told, what is queued sent. Returns when every
    /// connection is closed, at the latest shortly after `timeout`; says what became of them.
    pub fn drain(mut self, timeout: Duration) -> Left {
        self.tell(Command::Drain(timeout));
        self.join()
    }

    fn tell(&self, command: Command) {
        for (commands, waker) in &self.commands {
            // A shard that has ended needs no command.
            let _ = commands.send(command);
            waker.wake();
        }
    }

    fn join(&mut self) -> Left {
        let ended = self.threads.drain(..).map(JoinHandle::join);
        let left = ended.map(|ended| ended.ok().and_then(Result::ok).unwrap_or_default());
        let left = left.fold(Left::default(), |sum, shard| Left {
            closed: sum.closed + shard.closed,
            cut: sum.cut + shard.cut,
        });
        if let Some(store) = self.store.take() {
            store.stop();
        }
        left
    }

    /// The store's own numbers, where it has a directory or memory of its own.
    pub fn store(&self) -> Option<Figures> {
        self.store.as_ref().and_then(store::Handle::figures)
    }

    /// Whether a shard has ended although nobody asked it to.
    pub fn has_lost_a_shard(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }
}

impl Drop for Gateway {
    /// Ends every shard that is still there, without a word to its peers.
    fn drop(&mut self) {
        self.tell(Command::Stop);
        self.join();
    }
}

/// The life of a shard's thread.
fn serve(
    plan: &Plan,
    number: u16,
    ends: Seat,
    commands: &flume::Receiver<Command>,
    ready: &flume::Sender<Ready>,
) -> io::Result<Left> {
    match prepare(plan, number) {
        Ok((listeners, clients, backends)) => {
            let waker = plan.wakers[usize::from(number)].clone();
            let addresses = (clients, backends);
            match plan.backing {
                Backing::Uring => {
                    let io = Uring::new(UringOptions::default(), listeners, waker);
                    run(plan, (number, io), ends, commands, (ready, addresses))
                }
                Backing::Epoll => {
                    let io = Epoll::new(listeners, waker);
                    run(plan, (number, io), ends, commands, (ready, addresses))
                }
            }
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            Ok(Left::default())
        }
    }
}

type Prepared = (Vec<(Port, Listener)>, Vec<SocketAddr>, Vec<SocketAddr>);

/// Takes the thread's own table and core, and binds its listeners.
fn prepare(plan: &Plan, number: u16) -> Result<Prepared, BootError> {
    if plan.own_tables {
        let keep: Vec<_> = plan.wakers.iter().map(AsFd::as_fd).collect();
        own_descriptor_table(&keep)
            .map_err(|error| BootError::Kernel("cannot take an own descriptor table", error))?;
    }
    if let Some(cores) = &plan.cores {
        let core = cores[usize::from(number) % cores.len()];
        if let Err(error) = pin_to_core(core) {
            tracing::warn!(shard = number, core, %error, "cannot bind to a core; goes on without");
        }
    }
    let mut listeners = Vec::new();
    let mut bind = |port: Port, addresses: &[SocketAddr]| {
        addresses
            .iter()
            .map(|&address| {
                let failed = |error| BootError::Listen(address, error);
                let listener = Listener::bind(address, &plan.socket).map_err(failed)?;
                let bound = listener.local_address().map_err(failed)?;
                listeners.push((port, listener));
                Ok(bound)
            })
            .collect::<Result<Vec<_>, BootError>>()
    };
    let clients = bind(Port::Client, &plan.clients)?;
    let backends = bind(Port::Backend, &plan.backends)?;
    Ok((listeners, clients, backends))
}

fn run<I: Io<Socket = Socket, Waker = WakeFd>>(
    plan: &Plan,
    (number, io): (u16, io::Result<I>),
    (ends, store): Seat,
    commands: &flume::Receiver<Command>,
    (ready, addresses): (&flume::Sender<Ready>, (Vec<SocketAddr>, Vec<SocketAddr>)),
) -> io::Result<Left> {
    let io = match io {
        Ok(io) => io,
        Err(error) => {
            let _ = ready.send(Err(BootError::Kernel("cannot make the shard's ring", error)));
            return Ok(Left::default());
        }
    };
    let (settings, metrics) = (Arc::clone(&plan.settings), Arc::clone(&plan.metrics));
    let mut shard = Shard::new(number, settings, io, ends, metrics);
    if let Some((port, recovered)) = store {
        shard.keep_with(port, recovered);
    }
    shard.open();
    let _ = ready.send(Ok(addresses));
    let left = turn_until_left(plan, &mut shard, commands);
    // What was acknowledged in the last moments is not to come again.
    shard.part_from_store();
    left
}

/// Turns until the shard is told to end, or has left in order together with all others.
fn turn_until_left<I: Io>(
    plan: &Plan,
    shard: &mut Shard<I>,
    commands: &flume::Receiver<Command>,
) -> io::Result<Left> {
    let mut events = Vec::with_capacity(1024);
    let mut parting = Parting::default();
    loop {
        shard.wait(&mut events)?;
        let now = plan.clock.now();
        match commands.try_recv() {
            Ok(Command::Drain(timeout)) => shard.begin_drain(now, timeout),
            Ok(Command::Stop) => return Ok(Left::default()),
            Err(_) => {}
        }
        shard.turn(now, &mut events);
        shard.turned(plan.clock.now());
        let Some(what) = shard.drained() else { continue };
        match shard.part(&mut parting, &plan.farewell) {
            Step::Waits => {}
            Step::Ended => plan.wakers.iter().for_each(WakeFd::wake),
            Step::Over => {
                plan.wakers.iter().for_each(WakeFd::wake);
                return Ok(what);
            }
        }
    }
}

/// `io_uring` where it works, else epoll with one line that says why.
fn choose(choice: IoChoice) -> Result<Backing, BootError> {
    match choice {
        IoChoice::Epoll => Ok(Backing::Epoll),
        IoChoice::Uring => match uring::probe() {
            Ok(()) => Ok(Backing::Uring),
            Err(refused) => Err(BootError::Uring(refused.to_string())),
        },
        IoChoice::Auto => match uring::probe() {
            Ok(()) => Ok(Backing::Uring),
            Err(refused) => {
                tracing::warn!("serving over epoll, because io_uring cannot be had: {refused}");
                Ok(Backing::Epoll)
            }
        },
    }
}

fn report(limits: &Limits, chosen: bool) {
    let shards = usize::from(limits.shards);
    let connections = limits.connections;
    tracing::info!(
        shards,
        connections_each = connections,
        own_memory_mib = (limits.sum() * shards) >> 20,
        kernel_memory_mib = (connections * shards * KERNEL_CLIENT_BYTES) >> 20,
        bytes_per_idle_client = IDLE_CLIENT_BYTES,
        "limits; memory is used only as connections come"
    );
    if !chosen && connections * shards < FEW {
        tracing::warn!(
            "there is room for no more than {} clients; raise the descriptor limit (ulimit -n, \
             LimitNOFILE=; holdfast-tuning apply --connections N sets both)",
            connections * shards
        );
    }
    for (name, bytes) in &limits.lines {
        tracing::debug!(name, kib = bytes >> 10, "memory of a shard, at its limit");
    }
}

fn warn_of_open_doors(config: &Config) {
    if config.auth.client_keys.is_empty() {
        tracing::warn!(
            "NO KEY IN auth.client_keys: any client may log in as anybody (loopback only)"
        );
    }
    if config.auth.backend_keys.is_empty() {
        tracing::warn!("NO KEY IN auth.backend_keys: any backend may push (loopback only)");
    }
}
