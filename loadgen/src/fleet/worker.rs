//! One thread of clients: its table, its buffer, its tasks, and the tick that does what is due.
//!
//! A client's task only waits for its socket; everything is done here, in short borrows of the
//! thread's state that never cross an await.

mod behaviour;
mod life;
mod pings;
mod tick;

use super::client::{Client, End, State};
use super::shared::{Phase, Shared};
use super::socket::{self, Read};
use super::verdict::Desk;
use crate::clock::SECOND;
use crate::histogram::Tally;
use crate::options::Io;
use crate::verify::away::Away;
use monoio::{FusionDriver, FusionRuntime, IoUringDriver, LegacyDriver, RuntimeBuilder};
use monoio_io_uring as ring;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// One read of one socket takes at most so many bytes.
const READ_BYTES: usize = 64 << 10;
/// Entries of the ring's submission queue.
const RING_ENTRIES: u32 = 4096;
/// A client whose connection failed or ended comes back after this.
const COME_BACK: u64 = SECOND;

/// A thread of clients.
pub(super) struct Worker {
    shared: Arc<Shared>,
    /// Which thread.
    index: u32,
    /// The user of the first client.
    first: u32,
    /// How many clients are this thread's.
    clients: u32,
    table: RefCell<Table>,
}

/// All that changes.
struct Table {
    clients: Vec<Client>,
    buffer: Box<[u8]>,
    scratch: Vec<u8>,
    tally: Tally,
    absences: Vec<Away>,
    /// Clients that come back, and when; the next first.
    returns: BinaryHeap<Reverse<(u64, u32)>>,
    /// How many were opened for the first time.
    opened: u32,
    /// Where the round of heartbeats stands.
    swept: u32,
    /// How many pings besides the heartbeats were due so far.
    pinged: u64,
    /// How many said bye.
    left: u32,
    /// Whether it was said what the clients heard.
    testified: bool,
    /// Drops that are due but not done, in clients.
    churn_owed: f64,
    /// How many drops were drawn.
    churn_draws: u64,
    /// Whether those were called back because the run is interrupted.
    called_back: bool,
    /// Which step's wave of drops goes on or is over, and at which client it stands.
    wave: (u32, u32),
    last_tick: u64,
    last_publish: u64,
}

/// Runs one thread of clients until the phase is [`Phase::Stop`]. `ready` is told once, before a
/// client is opened.
pub(super) fn run(shared: &Arc<Shared>, index: u32, ready: impl FnOnce(io::Result<()>)) {
    let work = |worker: Rc<Worker>| async move { tick::drive(&worker).await };
    let set_up = socket::own_descriptors().and_then(|()| Runtime::new(shared.scenario.io));
    match set_up {
        Err(error) => ready(Err(error)),
        Ok(mut runtime) => {
            ready(Ok(()));
            let worker = Worker::new(shared, index);
            runtime.block_on(work(Rc::new(worker)));
        }
    }
}

/// The runtime of the thread, on what the kernel allows or the caller wants.
enum Runtime {
    Auto(
        FusionRuntime<
            monoio::time::TimeDriver<IoUringDriver>,
            monoio::time::TimeDriver<LegacyDriver>,
        >,
    ),
    Uring(monoio::Runtime<monoio::time::TimeDriver<IoUringDriver>>),
    Epoll(monoio::Runtime<monoio::time::TimeDriver<LegacyDriver>>),
}

impl Runtime {
    fn new(io: Io) -> io::Result<Self> {
        Ok(match io {
            Io::Auto => {
                let builder = RuntimeBuilder::<FusionDriver>::new().with_entries(RING_ENTRIES);
                Self::Auto(builder.uring_builder(ring()).enable_timer().build()?)
            }
            Io::Uring => {
                let builder = RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES);
                Self::Uring(builder.uring_builder(ring()).enable_timer().build()?)
            }
            Io::Epoll => Self::Epoll(RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?),
        })
    }

    fn block_on(&mut self, work: impl Future<Output = ()>) {
        match self {
            Self::Auto(runtime) => runtime.block_on(work),
            Self::Uring(runtime) => runtime.block_on(work),
            Self::Epoll(runtime) => runtime.block_on(work),
        }
    }
}

/// How the thread's ring is set up. Without `IORING_SETUP_COOP_TASKRUN` (kernel 5.19) each arrival
/// interrupts the thread, and the gateway's core sends the interrupt: a third of what a message
/// costs here, and a tenth of what it costs there.
fn ring() -> ring::Builder {
    let mut builder = ring::IoUring::builder();
    if builder.setup_coop_taskrun().build(1).is_err() {
        // An older kernel refuses what it does not know; without io_uring nothing here matters.
        return ring::IoUring::builder();
    }
    builder
}

impl Worker {
    fn new(shared: &Arc<Shared>, index: u32) -> Self {
        let (clients, threads) = (shared.scenario.clients, shared.scenario.threads);
        // What is left over goes to the first threads, whose turn it is first.
        let bound = |thread: u32| clients / threads * thread + thread.min(clients % threads);
        let (first, end) = (bound(index), bound(index + 1));
        let now = shared.clock.now();
        let table = Table {
            clients: Vec::with_capacity((end - first) as usize),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            scratch: Vec::with_capacity(4096),
            tally: Tally::new(),
            absences: Vec::new(),
            returns: BinaryHeap::new(),
            opened: 0,
            swept: 0,
            pinged: 0,
            left: 0,
            testified: false,
            churn_owed: 0.0,
            churn_draws: 0,
            called_back: false,
            wave: (u32::MAX, 0),
            last_tick: now,
            last_publish: now,
        };
        let clients = end - first;
        Self { shared: Arc::clone(shared), index, first, clients, table: RefCell::new(table) }
    }
}

impl Table {
    /// A client and what it has at hand.
    fn desk<'a>(&'a mut self, worker: &'a Worker, slot: u32) -> (&'a mut Client, Desk<'a>) {
        let desk = Desk {
            shared: &worker.shared,
            tally: &mut self.tally,
            absences: &mut self.absences,
            scratch: &mut self.scratch,
            user: worker.first + slot,
            now: worker.shared.clock.now(),
            arrived: None,
        };
        (&mut self.clients[slot as usize], desk)
    }

    /// Reads and understands all that waits for a client, or `most` bytes of it.
    fn read(&mut self, worker: &Worker, slot: u32, most: Option<usize>) -> Result<(), End> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let length = most.unwrap_or(READ_BYTES).min(buffer.len());
        let (client, mut desk) = self.desk(worker, slot);
        let result = read_all(client, &mut buffer[..length], &mut desk, most.is_some());
        self.buffer = buffer;
        result
    }
}

fn read_all(
    client: &mut Client,
    buffer: &mut [u8],
    desk: &mut Desk<'_>,
    once: bool,
) -> Result<(), End> {
    let stamped = desk.shared.scenario.arrival;
    while let Some(stream) = &client.stream {
        let read = if stamped {
            let (read, stamp) = socket::read_stamped(stream, buffer);
            desk.arrived = stamp.map(|utc| desk.shared.clock.stamped(utc));
            read
        } else {
            socket::read(stream, buffer)
        };
        match read {
            Read::Bytes(length) => {
                desk.now = desk.shared.clock.now();
                client.absorb(&buffer[..length], desk)?;
                if once || length < buffer.len() {
                    break;
                }
            }
            Read::Empty => break,
            Read::End => return Err(End::Stream),
            Read::Broken(error) => return Err(End::Broken(error)),
        }
    }
    if client.state != State::Online || client.acknowledges_later(desk.shared, desk.now) {
        return Ok(());
    }
    client.acknowledge(desk)
}

/// Whether clients still come and go in this phase.
fn reopens(phase: Phase) -> bool {
    matches!(phase, Phase::Ramp | Phase::Hold | Phase::Step)
}
