//! What the embedded store costs over writing bare bytes: CPU for each message (append, sync,
//! trim), and time and memory to open a store in which many messages wait.
//!
//! `cargo run --release -p holdfast-store --example cost [DIRECTORY [reopen | figure]]`
//!
//! `figure` compares in turns and in one thread, and prints what it found as JSON.

use holdfast_store::disk::files::Files;
use holdfast_store::embedded::{Options, Settings, Started, Stepped, start};
use holdfast_store::{Append, Batch, Bell, Command, Event, Freed, Homes, Place, Port, Span};
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Messages of one batch.
const BATCH: usize = 256;
/// Bytes of a body.
const BODY: usize = 512;
/// Users.
const USERS: u64 = 200_000;
/// A message is trimmed so many batches after it was written.
const LATER: usize = 40;
/// Batches of the first measurement.
const BATCHES: usize = 4000;
/// Turns of the bare file and of the store, and batches of one.
const TURNS: usize = 9;
const TURN: usize = 400;
/// Messages that wait in the second.
const WAITING: u64 = 1_000_000;

struct One(Vec<String>);

impl Homes for One {
    fn products(&self) -> &[String] {
        &self.0
    }

    fn hash(&self, _: u16, user: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        hasher.finish()
    }

    fn shard(&self, _: u64) -> u16 {
        0
    }

    fn shards(&self) -> u16 {
        1
    }
}

/// Wakes the thread that waits for the store.
struct Waker(std::thread::Thread);

impl Bell for Waker {
    fn ring(&self) {
        self.0.unpark();
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn resident() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>().map_err(io::Error::other)?;
    Ok(kib << 10)
}

fn number(text: usize) -> u32 {
    u32::try_from(text).unwrap_or(u32::MAX)
}

fn message(sequence: u64) -> Append {
    let user = user(sequence);
    let mut bytes = Vec::with_capacity(user.len() + BODY);
    bytes.extend_from_slice(user.as_bytes());
    bytes.resize(user.len() + BODY, 7);
    Append {
        product: 0,
        sequence,
        behind: 0,
        chained: false,
        at: 1,
        expires: u32::MAX,
        bytes: bytes.into(),
        user: Span { at: 0, length: number(user.len()) },
        key: Span::default(),
        body: Span { at: number(user.len()), length: number(BODY) },
        receipt: None,
    }
}

fn user(sequence: u64) -> String {
    format!("user-{:010}", sequence.wrapping_mul(7919) % USERS)
}

fn open(directory: &Path) -> Result<Started, Box<dyn std::error::Error>> {
    let homes: Arc<dyn Homes> = Arc::new(One(vec!["product".to_owned()]));
    let bell: Arc<dyn Bell> = Arc::new(Waker(std::thread::current()));
    let (segment_bytes, idempotency_window) = (64 << 20, 600);
    let options = Options { directory: directory.to_owned(), segment_bytes, idempotency_window };
    Ok(start(&options, &homes, vec![bell])?)
}

fn commit(port: &Port, batch: Batch) -> Result<Vec<Place>, String> {
    port.send(batch);
    loop {
        match port.hear() {
            Some(Event::Written(places)) => return Ok(places),
            Some(other) => return Err(format!("{other:?}")),
            None => std::thread::park(),
        }
    }
}

/// Bare bytes: one write and one sync for each batch.
fn floor(directory: &Path, batches: usize) -> io::Result<()> {
    let mut file = File::create(directory.join("bare"))?;
    let message = [7; BODY];
    let mut buffer = Vec::new();
    for _ in 0..batches {
        buffer.clear();
        for _ in 0..BATCH {
            buffer.extend_from_slice(&message);
        }
        file.write_all(&buffer)?;
        file.sync_data()?;
    }
    Ok(())
}

/// What a shard has the store do, batch by batch.
#[derive(Default)]
struct Work {
    sequence: u64,
    /// Batches that are not trimmed yet: the first sequence of each, and where all of them lie.
    written: VecDeque<(u64, Vec<Place>)>,
}

impl Work {
    fn batch(&mut self, trims: bool) -> Batch {
        let mut commands = Vec::with_capacity(2 * BATCH);
        for _ in 0..BATCH {
            self.sequence += 1;
            commands.push(Command::Append(message(self.sequence)));
        }
        let mut freed: Vec<Freed> = Vec::new();
        if trims && self.written.len() == LATER {
            let (first, places) = self.written.pop_front().unwrap_or_default();
            for (upto, place) in (first..).zip(places) {
                commands.push(Command::Trim { product: 0, user: user(upto).into(), upto });
                match freed.last_mut() {
                    Some(last) if last.segment == place.segment => {
                        last.records += 1;
                        last.bytes += BODY as u64;
                    }
                    _ => {
                        let (segment, bytes) = (place.segment, BODY as u64);
                        freed.push(Freed { segment, records: 1, bytes });
                    }
                }
            }
        }
        Batch { shard: 0, commands, freed }
    }

    fn is_written(&mut self, places: Vec<Place>) {
        let first = self.sequence + 1 - places.len() as u64;
        self.written.push_back((first, places));
        if self.written.len() > LATER {
            self.written.pop_front();
        }
    }
}

fn store(directory: &Path, trims: bool) -> Result<u64, Box<dyn std::error::Error>> {
    let Started { ports, handle, .. } = open(directory)?;
    let (mut work, mut most) = (Work::default(), 0);
    for _ in 0..BATCHES {
        let places = commit(&ports[0], work.batch(trims))?;
        work.is_written(places);
        most = most.max(handle.figures().disk_bytes);
    }
    handle.stop();
    Ok(most)
}

/// A store in this thread.
struct Alone {
    stepped: Stepped,
    port: Port,
    work: Work,
    /// The store asked for these segments.
    cleaned: Option<u32>,
    used: Duration,
}

impl Alone {
    fn open(directory: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let settings = Settings { segment_bytes: 64 << 20, idempotency_window: 600, seed: 1 };
        let homes = One(vec!["product".to_owned()]);
        let bells: Vec<Arc<dyn Bell>> = vec![Arc::new(Waker(std::thread::current()))];
        let disk = Arc::new(Files::open(directory)?);
        let (stepped, mut ports, _) = Stepped::open(disk, settings, &homes, bells, 1)?;
        let port = ports.pop().ok_or("a store without a port")?;
        Ok(Self { stepped, port, work: Work::default(), cleaned: None, used: Duration::ZERO })
    }

    /// Commits batches; the time is the store's alone, without what its caller does to make them.
    fn turn(&mut self, batches: usize, now: u32) -> Result<(), String> {
        for _ in 0..batches {
            let mut batch = self.work.batch(true);
            batch.commands.extend(self.cleaned.take().map(Command::Cleaned));
            let before = cpu();
            self.port.send(batch);
            self.stepped.write(now);
            self.used += cpu().saturating_sub(before);
            while let Some(event) = self.port.hear() {
                match event {
                    Event::Written(places) => self.work.is_written(places),
                    // What lies in old segments was trimmed long ago.
                    Event::Clean(upto) => self.cleaned = Some(upto),
                    other => return Err(format!("{other:?}")),
                }
            }
        }
        Ok(())
    }
}

/// The bare file and the store in turns: microseconds of CPU for each message of each turn.
fn figure(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut alone = Alone::open(&directory.join("figure"))?;
    alone.turn(LATER, 1)?;
    let (mut bare, mut store) = (Vec::new(), Vec::new());
    let messages = f64::from(number(TURN * BATCH));
    let each = |used: Duration| format!("{{\"us\":{:.4}}}", used.as_secs_f64() * 1e6 / messages);
    for now in 1..=TURNS {
        let before = cpu();
        floor(directory, TURN)?;
        bare.push(each(cpu().saturating_sub(before)));
        alone.used = Duration::ZERO;
        alone.turn(TURN, number(now))?;
        store.push(each(alone.used));
    }
    println!("{{\"bare\":[{}],\"store\":[{}]}}", bare.join(","), store.join(","));
    Ok(())
}

fn fill(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let Started { ports, handle, .. } = open(directory)?;
    let all: Vec<u64> = (1..=WAITING).collect();
    for some in all.chunks(4096) {
        let commands = some.iter().map(|sequence| Command::Append(message(*sequence))).collect();
        commit(&ports[0], Batch { shard: 0, commands, freed: Vec::new() })?;
    }
    handle.stop();
    Ok(())
}

fn reopen(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let before = resident()?;
    let (clock, used) = (Instant::now(), cpu());
    let Started { recovered, handle, .. } = open(directory)?;
    let (took, used) = (clock.elapsed(), cpu().saturating_sub(used));
    let messages: usize =
        recovered.iter().flat_map(|shard| &shard.mailboxes).map(|one| one.messages.len()).sum();
    let grown = resident()?.saturating_sub(before);
    println!("open {messages} waiting: {took:?}, CPU {used:?}, resident memory grew {grown} bytes");
    handle.stop();
    Ok(())
}

/// Says what `work` costs; gives its CPU for each message in microseconds.
fn measure<T>(name: &str, work: impl FnOnce() -> T) -> (f64, T) {
    let (clock, used) = (Instant::now(), cpu());
    let result = work();
    let messages = u32::try_from(BATCH * BATCHES).unwrap_or(u32::MAX);
    let each = (cpu().saturating_sub(used)).as_secs_f64() * 1e6 / f64::from(messages);
    let rate = f64::from(messages) / clock.elapsed().as_secs_f64();
    println!("{name:<24} {each:>8.2} us CPU a message {rate:>10.0} messages/s");
    (each, result)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let given = std::env::args().nth(1).map(PathBuf::from);
    let directory = given.unwrap_or_else(|| temporary.path().to_owned());
    // Opened again by itself, what was filled earlier is measured with no memory used before.
    match std::env::args().nth(2).as_deref() {
        Some("reopen") => return reopen(&directory.join("waiting")),
        Some("figure") => return figure(&directory),
        _ => {}
    }
    for _ in 0..2 {
        let (bare, done) = measure("bare append and sync", || floor(&directory, BATCHES));
        done?;
        for (name, trims) in [("store, append only", false), ("store, with trims", true)] {
            let path = directory.join(if trims { "trims" } else { "appends" });
            let (each, most) = measure(name, || store(&path, trims));
            println!("  {:.2} times the bare append, at most {} bytes on disk", each / bare, most?);
            std::fs::remove_dir_all(&path)?;
        }
    }
    fill(&directory.join("waiting"))?;
    reopen(&directory.join("waiting"))
}
