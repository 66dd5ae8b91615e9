//! The embedded store as shards see it: one thread that writes and syncs, one that reads.
//!
//! The writer takes whatever batches wait and commits them with one sync, so the slower the disk,
//! the larger the groups. The reader has its own handles and never waits for a sync.
//! [`Stepped`] is the same without threads and clock, for a simulator.

mod stepped;

pub use crate::keeper::{RESERVED_AHEAD, Settings};
pub use crate::recover::OpenError;
pub use crate::stats::{Figures, Stats};
pub use stepped::Stepped;

use crate::disk::Disk;
use crate::disk::files::Files;
use crate::disk::memory::Memory;
use crate::keeper::{Events, Keeper};
use crate::letter::{Ask, Batch};
use crate::port::{Bell, Ear, Port, Server, connect};
use crate::reader::Reader;
use crate::{Homes, Recovered, clock};
use compact_str::CompactString;
use flume::RecvTimeoutError;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How an embedded store is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its files are; made if it is not there.
    pub directory: PathBuf,
    /// Bytes after which a segment is full; see [`Settings::segment_bytes`].
    pub segment_bytes: u32,
    /// How long an idempotency key counts, in seconds.
    pub idempotency_window: u32,
}

/// A store that runs.
pub struct Started {
    /// Each shard's end, by shard.
    pub ports: Vec<Port>,
    /// What was kept, by shard.
    pub recovered: Vec<Recovered>,
    /// To watch it and to end it.
    pub handle: Handle,
}

/// Holds a store's threads.
pub struct Handle {
    stats: Arc<Stats>,
    stopping: Arc<AtomicBool>,
    /// One more port than there are shards: it wakes the threads.
    port: Port,
    threads: Vec<JoinHandle<()>>,
}

/// How often the threads look round when nobody asks anything of them.
const ROUND: Duration = Duration::from_secs(1);

/// How long the reader goes on before it wakes shards for what it has read.
const MOMENT: Duration = Duration::from_micros(200);

/// Starts a store in a directory of files, for the shards whose bells these are.
///
/// # Errors
///
/// Where the store is damaged, in use, or cannot be read or written.
pub fn start(
    options: &Options,
    homes: &Arc<dyn Homes>,
    bells: Vec<Arc<dyn Bell>>,
) -> Result<Started, OpenError> {
    let directory = options.directory.display().to_string();
    let files = Files::open(&options.directory);
    let files = files.map_err(|error| OpenError::Disk { directory, error })?;
    let settings = Settings {
        segment_bytes: options.segment_bytes,
        idempotency_window: options.idempotency_window,
        seed: chance(),
    };
    start_on(Arc::new(files), settings, homes, bells)
}

/// Starts a store in memory: all is gone with the process. `segment_bytes` is the piece in which
/// memory is given back.
///
/// # Errors
///
/// None that memory gives cause for; a product's name may be too long.
pub fn memory(
    segment_bytes: u32,
    idempotency_window: u32,
    homes: &Arc<dyn Homes>,
    bells: Vec<Arc<dyn Bell>>,
) -> Result<Started, OpenError> {
    let settings = Settings { segment_bytes, idempotency_window, seed: chance() };
    start_on(Arc::new(Memory::new()), settings, homes, bells)
}

/// Starts a store on any disk.
///
/// # Errors
///
/// As of [`start`].
pub fn start_on(
    disk: Arc<dyn Disk>,
    settings: Settings,
    homes: &Arc<dyn Homes>,
    mut bells: Vec<Arc<dyn Bell>>,
) -> Result<Started, OpenError> {
    let directory = disk.describe();
    let now = clock::seconds();
    let mut progress = Progress::new();
    let (mut keeper, recovered) =
        Keeper::open(disk.clone(), settings, homes.as_ref(), now, &mut |done, total| {
            progress.show(done, total);
        })?;
    progress.end(&directory, &recovered);
    bells.push(Arc::new(Nobody));
    let (mut ports, Server { batches, asks, ears }) = connect(bells);
    tell(&ears, &mut keeper.news());
    let failed = |error| OpenError::Disk { directory: directory.clone(), error };
    let port = ports.pop().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let stopping = Arc::new(AtomicBool::new(false));
    let stats = keeper.stats();
    let reader = Reader::new(disk, homes.products(), stats.clone());
    let writing = Writing { keeper, batches, ears: ears.clone(), stopping: stopping.clone() };
    let answered = vec![false; ears.len()];
    let reading = Reading { reader, asks, ears, answered, stopping: stopping.clone() };
    let named = |name: &str| Builder::new().name(name.to_owned());
    let writer = named("store-write").spawn(move || writing.run()).map_err(failed)?;
    let reader = named("store-read").spawn(move || reading.run()).map_err(failed)?;
    let handle = Handle { stats, stopping, port, threads: vec![writer, reader] };
    Ok(Started { ports, recovered, handle })
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Handle").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

impl Handle {
    /// The store's numbers now.
    pub fn figures(&self) -> Figures {
        self.stats.read()
    }

    /// The store's numbers, for whoever shows them later.
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }

    /// Writes and syncs what was sent until now, and ends. What is sent later is not heard.
    pub fn stop(self) {
        self.stopping.store(true, Relaxed);
        let wake = |port: &Port| {
            port.send(Batch { shard: u16::MAX, commands: Vec::new(), freed: Vec::new() });
            let (user, wanted) = (CompactString::default(), Vec::new());
            port.ask(Ask { shard: u16::MAX, token: 0, product: 0, user, wanted });
        };
        wake(&self.port);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
    }
}

/// The thread that writes.
struct Writing {
    keeper: Keeper,
    batches: flume::Receiver<Batch>,
    ears: Vec<Ear>,
    stopping: Arc<AtomicBool>,
}

impl Writing {
    fn run(mut self) {
        let mut events = Vec::new();
        let mut ticked = clock::seconds();
        loop {
            let waited = self.batches.recv_timeout(ROUND);
            let now = clock::seconds();
            match waited {
                Ok(first) => {
                    let mut group = vec![first];
                    group.extend(self.batches.try_iter());
                    group.retain(|batch| usize::from(batch.shard) + 1 < self.ears.len());
                    if !group.is_empty() {
                        self.keeper.group(group, now, &mut events);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if now != ticked {
                ticked = now;
                self.keeper.tick(now, &mut events);
            }
            tell(&self.ears, &mut events);
            // Nobody who waits for an answer waits for that.
            while self.keeper.tidy(now, &mut events) && self.batches.is_empty() {}
            tell(&self.ears, &mut events);
            if self.batches.is_empty() {
                self.keeper.rest();
                if self.stopping.load(Relaxed) {
                    break;
                }
            }
        }
        self.keeper.stop(clock::seconds());
    }
}

fn tell(ears: &[Ear], events: &mut Events) {
    for (shard, event) in events.drain(..) {
        if let Some(ear) = ears.get(usize::from(shard)) {
            ear.tell(event);
        }
    }
}

/// The thread that reads.
struct Reading {
    reader: Reader,
    asks: flume::Receiver<Ask>,
    ears: Vec<Ear>,
    /// Shards that have an answer and were not woken for it.
    answered: Vec<bool>,
    stopping: Arc<AtomicBool>,
}

impl Reading {
    fn run(mut self) {
        give_way();
        loop {
            match self.asks.recv_timeout(ROUND) {
                Ok(ask) => self.answer(ask),
                Err(RecvTimeoutError::Timeout) => self.reader.tidy(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.stopping.load(Relaxed) && self.asks.is_empty() {
                break;
            }
        }
    }

    /// Answers what waits, and rings once for what took no longer than a moment: a shard that
    /// shares the core would else be woken by each answer.
    fn answer(&mut self, first: Ask) {
        let began = clock::instant();
        let mut next = Some(first);
        while let Some(ask) = next {
            let shard = usize::from(ask.shard);
            if let Some(ear) = self.ears.get(shard) {
                ear.leave(self.reader.answer(&ask, clock::seconds()));
                self.answered[shard] = true;
            }
            let lasts = began.elapsed() < MOMENT;
            next = if lasts { self.asks.try_recv().ok() } else { None };
        }
        for (ear, answered) in self.ears.iter().zip(&mut self.answered) {
            if std::mem::take(answered) {
                ear.ring();
            }
        }
    }
}

/// Puts the calling thread behind others on its core. Where one core is all there is, thousands who
/// come at once, each with something to load, would else take it in turns of milliseconds from
/// those who are here.
fn give_way() {
    // Without it everything works too, only less evenly.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19);
}

/// The bell of the handle's own port: nobody sleeps there.
struct Nobody;

impl Bell for Nobody {
    fn ring(&self) {}
}

/// A number that nobody can guess.
fn chance() -> u64 {
    RandomState::new().hash_one(0)
}

/// Says each second how far reading an earlier life's log has come.
struct Progress {
    began: std::time::Instant,
    said: u64,
    bytes: u64,
}

impl Progress {
    fn new() -> Self {
        Self { began: clock::instant(), said: 0, bytes: 0 }
    }

    fn show(&mut self, done: u64, total: u64) {
        self.bytes = total;
        let seconds = self.began.elapsed().as_secs();
        if seconds > self.said {
            self.said = seconds;
            let percent = done * 100 / total.max(1);
            tracing::info!(percent, bytes = done, of = total, "reading the store");
        }
    }

    fn end(&self, directory: &str, recovered: &[Recovered]) {
        let users: usize = recovered.iter().map(|shard| shard.mailboxes.len()).sum();
        let mailboxes = recovered.iter().flat_map(|shard| &shard.mailboxes);
        let messages: usize = mailboxes.map(|mailbox| mailbox.messages.len()).sum();
        let broadcasts = recovered.first().map_or(0, |shard| shard.broadcasts.len());
        let took = self.began.elapsed().as_millis();
        let milliseconds = u64::try_from(took).unwrap_or(u64::MAX);
        let bytes = self.bytes;
        tracing::info!(
            directory,
            bytes,
            users,
            messages,
            broadcasts,
            milliseconds,
            "the store is open"
        );
    }
}
