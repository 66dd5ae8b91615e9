//! The driving side: many plain clients and one backend, against any server whose process it may
//! watch.
//!
//! The same driver measures the bare server, the gateway and the baselines, so what differs is the
//! server. It is simple on purpose: every phase starts from rest, does a counted amount of work,
//! and ends when every client has received what it should; the server's CPU time is read before and
//! after. A phase that loses something fails.

mod acks;
mod api;
mod durable;
mod fleet;
mod hurry;
mod probe;
pub(super) mod script;
mod stamp;
mod worker;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(super) use self::acks::Durable;
use self::api::{Api, Pushes, Sort};
pub(super) use self::fleet::Manner;
pub(crate) use self::fleet::connect_from;
use self::fleet::take_front;
use self::worker::{Common, Order, Tokens, Worker};
use super::language::Language;
use super::machine::{self, Cpu, Meter};

/// Descriptors of a table that are not clients.
const SPARE_DESCRIPTORS: usize = 64;
/// Requests without an answer at the same time, where nobody says how many.
const IN_FLIGHT: usize = 8;
/// A table is never larger than this: epoll sets stay small enough to read in one pass.
const TABLE_MAX: usize = 19_900;

/// Where the subject is.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) language: Language,
    pub(super) pid: u32,
    pub(super) client_port: u16,
    /// The backend API, or a control port for each bare shard.
    pub(super) api_ports: Vec<u16>,
    pub(super) api_key: String,
}

/// What one phase cost.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Things done.
    pub(super) units: u64,
    /// CPU time of the server, in nanoseconds.
    pub(super) cpu: Cpu,
    /// How long it took.
    pub(super) wall: Duration,
}

impl Sample {
    /// Microseconds of server CPU time for one thing.
    pub(super) fn micros(&self) -> f64 {
        machine::per(self.cpu.total(), self.units) / 1e3
    }
}

/// Clients and a backend, connected to one subject.
pub(super) struct Driver {
    subject: Subject,
    meter: Meter,
    api: Api,
    common: Common,
    workers: Vec<Worker>,
    /// A few clients in a thread that goes before the others, for latencies.
    probe: Worker,
    table: usize,
    users: u32,
    random: u64,
}

impl Driver {
    pub(super) fn new(subject: Subject, tokens: Tokens) -> Result<Self, String> {
        let limit = machine::raise_descriptor_limit();
        let api = match subject.language {
            Language::Bare => Api::bare(&subject.api_ports).map_err(|error| error.to_string())?,
            Language::Holdfast => Api::holdfast(subject.api_ports[0], &subject.api_key)?,
        };
        let target = SocketAddrV4::new(Ipv4Addr::LOCALHOST, subject.client_port);
        let common = Common { language: subject.language, target, tokens };
        Ok(Self {
            probe: Worker::start(common.clone(), true),
            meter: Meter::new(subject.pid),
            subject,
            api,
            common,
            workers: Vec::new(),
            table: limit.saturating_sub(SPARE_DESCRIPTORS).min(TABLE_MAX),
            users: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        })
    }

    fn cost(
        &mut self,
        units: usize,
        work: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<Sample, String> {
        let failed = |error| format!("server: {error}");
        let before = self.meter.settled().map_err(failed)?;
        let start = Instant::now();
        work(self)?;
        let wall = start.elapsed();
        let after = self.meter.settled().map_err(failed)?;
        Ok(Sample { units: units as u64, cpu: after.since(before), wall })
    }

    /// As [`Driver::cost`], of a server that does not rest before or after: it is not waited for,
    /// and its time is good to a tick.
    fn cost_amid(
        &mut self,
        units: usize,
        work: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<Sample, String> {
        let failed = |error| format!("server: {error}");
        let (start, before) = (Instant::now(), self.meter.cpu().map_err(failed)?);
        work(self)?;
        let after = self.meter.cpu().map_err(failed)?;
        Ok(Sample { units: units as u64, cpu: after.since(before), wall: start.elapsed() })
    }

    /// Connects `count` more clients, in tables as large as may be.
    pub(super) fn open(&mut self, count: u32, manner: Manner) -> Result<Sample, String> {
        self.cost(count as usize, |driver| {
            driver.spread(count, |numbers| Order::Open { numbers, manner })?;
            driver.await_count()
        })
    }

    /// Gives `count` more clients to workers, in tables as large as may be, and waits for them.
    fn spread(&mut self, count: u32, order: impl Fn(Range<u32>) -> Order) -> Result<(), String> {
        let mut left = self.users..self.users + count;
        self.users = left.end;
        let mut ordered = Vec::new();
        while !left.is_empty() {
            let room = self.room_in_last();
            let numbers = take_front(&mut left, room);
            if let Some(worker) = self.workers.last_mut() {
                worker.order(order(numbers));
                ordered.push(self.workers.len() - 1);
            }
        }
        ordered.iter().try_for_each(|index| self.workers[*index].wait().map(drop))
    }

    /// Room in the last worker's table; starts a new worker where there is none.
    fn room_in_last(&mut self) -> usize {
        let full = self.workers.last().is_none_or(|worker| worker.count() >= self.table);
        if full {
            self.workers.push(Worker::start(self.common.clone(), false));
        }
        self.table - self.workers.last().map_or(0, Worker::count)
    }

    /// A bare server says nothing on a connect: ask until it has accepted every one.
    fn await_count(&mut self) -> Result<(), String> {
        let opened = self.users as usize + self.probe.count();
        let end = Instant::now() + Duration::from_mins(1);
        while let Some(count) = self.api.count()? {
            if count == opened {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("the server accepted {count} of {opened}"));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn all(&mut self, order: impl Fn(&Worker) -> Order) -> Result<usize, String> {
        for worker in &mut self.workers {
            let order = order(worker);
            worker.order(order);
        }
        self.workers.iter().try_fold(0, |came, worker| Ok(came + worker.wait()?.came))
    }

    /// Whether clients must greet the server before it serves them.
    pub(super) fn greets(&self) -> bool {
        self.subject.language == Language::Holdfast
    }

    /// The server's process.
    pub(super) fn pid(&self) -> u32 {
        self.subject.pid
    }

    /// Every client knocks and is answered, `rounds` times.
    pub(super) fn echo(&mut self, rounds: usize) -> Result<Sample, String> {
        self.cost(self.users as usize * rounds, |driver| {
            driver.all(|_| Order::Echo { rounds }).map(drop)
        })
    }

    /// Clients knock in turn, `rate` times a second together, for so long.
    pub(super) fn beat(&mut self, rate: f64, time: Duration) -> Result<Sample, String> {
        let users = f64::from(self.users);
        let mut beats = 0;
        let mut sample = self.cost(0, |driver| {
            let share = |worker: &Worker| machine::per(worker.count() as u64, 1) / users;
            beats = driver.all(|worker| Order::Beat { rate: rate * share(worker), time })?;
            Ok(())
        })?;
        sample.units = beats as u64;
        Ok(sample)
    }

    /// `copies` messages to every client, `rounds` times.
    pub(super) fn broadcast(&mut self, copies: u32, rounds: usize) -> Result<Sample, String> {
        let units = self.users as usize * copies as usize * rounds;
        self.cost(units, |driver| (0..rounds).try_for_each(|_| driver.broadcast_once(copies)))
    }

    fn broadcast_once(&mut self, copies: u32) -> Result<(), String> {
        for worker in &mut self.workers {
            let messages = worker.count() * copies as usize;
            worker.order(Order::Collect { messages });
        }
        self.api.broadcast(copies)?;
        self.workers.iter().try_for_each(|worker| worker.wait().map(drop))
    }

    /// `requests` requests for `users` random users each, and `repeat` messages to each of them.
    pub(super) fn push(
        &mut self,
        users: u32,
        requests: usize,
        repeat: u32,
    ) -> Result<Sample, String> {
        self.push_sort(Sort::ONLINE, [users, repeat], requests, IN_FLIGHT)
    }

    /// `requests` requests of messages of one sort, for `[users, repeat]`: random users each, and
    /// messages to each of them; `in_flight` of the requests are unanswered at a time.
    fn push_sort(
        &mut self,
        sort: Sort,
        [users, repeat]: [u32; 2],
        requests: usize,
        in_flight: usize,
    ) -> Result<Sample, String> {
        let lists: Vec<Vec<u32>> = (0..requests).map(|_| self.random_users(users)).collect();
        let units = requests * users as usize * repeat as usize;
        let pushes = Pushes { requests: lists, repeat, in_flight, sort };
        self.cost(units, |driver| {
            for worker in &mut driver.workers {
                let chosen = pushes.requests.iter().flatten().filter(|number| worker.has(**number));
                let messages = chosen.count() * repeat as usize;
                worker.order(Order::Collect { messages });
            }
            driver.api.push(&pushes)?;
            driver.workers.iter().try_for_each(|worker| worker.wait().map(drop))
        })
    }

    fn random_users(&mut self, count: u32) -> Vec<u32> {
        (0..count).map(|_| self.random_user()).collect()
    }

    fn random_user(&mut self) -> u32 {
        // Weyl sequence through a multiply: evenly spread, and the same in every run.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        u32::try_from(((mixed >> 32) * u64::from(self.users)) >> 32).unwrap_or(0)
    }
}
