//! Records a run second by second, on a thread of its own.
//!
//! It only reads: gauges, sums, /proc, and the gateway's admin page. What it cannot read is absent
//! in the timeline and never an error.

mod admin;

use super::company::Company;
use super::view::screen::Slate;
use super::view::{Second, Totals};
use crate::clock::{SECOND, duration};
use crate::fleet::shared::Shared;
use crate::gateway;
use crate::histogram::Latency;
use crate::host::{self, meter::Meter};
use crate::options::Output;
use crate::report::float;
use crate::report::timeline::{Mark, Timeline};
use admin::Admin;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Between two samples, nanoseconds.
const PERIOD: u64 = SECOND;
/// What is left of a second at the end is a sample of its own, which is no shorter than this: over
/// less, a processor's time says nothing.
const REST: u64 = SECOND / 5;

/// A timeline while it is recorded.
pub(super) struct Recorder {
    shared: Arc<Shared>,
    notes: Arc<Notes>,
    thread: Option<JoinHandle<Timeline>>,
}

/// What the stages tell the recording thread.
#[derive(Default)]
struct Notes {
    stop: AtomicBool,
    stages: Mutex<Vec<Mark>>,
}

impl Recorder {
    /// Records from now on, and tells the company and the slate of each sample; `server` is the
    /// gateway's process, if it is known.
    pub(super) fn start(
        shared: &Arc<Shared>,
        server: Option<u32>,
        options: &Output,
        (company, slate): (&Arc<dyn Company>, &Slate),
    ) -> Self {
        let notes = Arc::new(Notes::default());
        let admin = admin_address(server, options)
            .map(|address| Admin::new(address, options.admin_token_file.as_deref(), shared.clock));
        let mut tape = Tape::new(shared, server, admin);
        let (company, slate) = (Arc::clone(company), slate.clone());
        let told = Arc::clone(&notes);
        let record = move || {
            while !told.stop.load(Ordering::Relaxed) {
                thread::park_timeout(duration(tape.until_due()));
                if tape.is_due() && tape.roll(REST) {
                    company.second(&tape.timeline, &tape.shared);
                    tape.tell(&slate);
                }
            }
            // Whatever came since the last sample is in one, or the seconds would not add up.
            thread::sleep(duration(tape.until(REST)));
            if tape.roll(REST) {
                company.second(&tape.timeline, &tape.shared);
            }
            tape.timeline
        };
        let thread = thread::Builder::new().name("timeline".to_owned()).spawn(record).ok();
        Self { shared: Arc::clone(shared), notes, thread }
    }

    /// A stage begins.
    pub(super) fn stage(&self, name: &str) {
        let at = float(self.shared.clock.now()) / 1e9;
        let mut stages = self.notes.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.push(Mark { stage: name.to_owned(), at });
    }

    /// Ends the recording and gives it; nothing if there is none.
    pub(super) fn finish(&mut self) -> Timeline {
        self.notes.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Timeline::default() };
        thread.thread().unpark();
        let mut timeline = thread.join().unwrap_or_default();
        let mut stages = self.notes.stages.lock().unwrap_or_else(PoisonError::into_inner);
        timeline.stages = std::mem::take(&mut *stages);
        timeline
    }
}

/// Where to ask for the load of the shards: as told, or at the usual place if the gateway that is
/// measured listens there, and not another one.
fn admin_address(server: Option<u32>, options: &Output) -> Option<SocketAddr> {
    options.admin.or_else(|| gateway::usual(server))
}

/// The recording thread's own.
struct Tape {
    shared: Arc<Shared>,
    admin: Option<Admin>,
    server: Option<Meter>,
    client: Meter,
    ksoftirqd: Meter,
    last: Counted,
    /// When the next sample is due, nanoseconds of the run's clock.
    due: u64,
    timeline: Timeline,
}

/// All counts at one moment.
struct Counted {
    at: u64,
    offered: u64,
    accepted: u64,
    answered: u64,
    deliveries: u64,
    broadcasts: u64,
    logins: u64,
    errors: u64,
    push: Latency,
}

impl Counted {
    fn now(shared: &Shared) -> Self {
        let gauges = &shared.gauges;
        let read = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let sums = shared.sums();
        let all = &sums.all;
        Self {
            at: shared.clock.now(),
            offered: read(&gauges.offered),
            accepted: read(&gauges.accepted),
            answered: all.answer.count(),
            deliveries: read(&gauges.deliveries),
            broadcasts: read(&gauges.broadcasts),
            logins: all.logins,
            errors: all.failures + all.unasked_ends,
            push: all.push.clone(),
        }
    }
}

impl Tape {
    fn new(shared: &Arc<Shared>, server: Option<u32>, admin: Option<Admin>) -> Self {
        let last = Counted::now(shared);
        Self {
            shared: Arc::clone(shared),
            admin,
            server: server.map(Meter::new),
            client: Meter::new(std::process::id()),
            ksoftirqd: Meter::of_ksoftirqd(),
            due: last.at + PERIOD,
            timeline: Timeline { from: float(last.at) / 1e9, ..Timeline::default() },
            last,
        }
    }

    /// Nanoseconds until the last sample is so long ago.
    fn until(&self, length: u64) -> u64 {
        (self.last.at + length).saturating_sub(self.shared.clock.now())
    }

    /// Nanoseconds until the next whole second of the recording.
    fn until_due(&self) -> u64 {
        self.due.saturating_sub(self.shared.clock.now())
    }

    /// Whether the next whole second of the recording has come.
    fn is_due(&self) -> bool {
        self.until_due() == 0
    }

    /// Takes a sample if the last is `least` nanoseconds ago; says whether it did.
    fn roll(&mut self, least: u64) -> bool {
        let now = self.shared.clock.now();
        if now.saturating_sub(self.last.at) < least {
            return false;
        }
        // By the clock, so that the samples of several hosts are of the same seconds.
        while self.due <= now {
            self.due += PERIOD;
        }
        let now = Counted::now(&self.shared);
        let passed = float(now.at - self.last.at) / 1e9;
        self.rates(&now, passed);
        self.latencies(&now);
        self.machine(passed);
        self.timeline.at.push(float(now.at) / 1e9);
        if let Some(admin) = &mut self.admin {
            admin.sample(&mut self.timeline);
        }
        self.last = now;
        true
    }

    /// Tells the view of the last sample.
    fn tell(&self, slate: &Slate) {
        let (line, last) = (&self.timeline, &self.last);
        let of = |values: &[f64]| values.last().copied().unwrap_or_default();
        let known = |values: &[Option<u64>]| values.last().copied().flatten().map(float);
        let second = Second {
            at: of(&line.at),
            offered: of(&line.offered),
            delivered: of(&line.delivered) + of(&line.broadcasts),
            errors: of(&line.errors),
            p50: known(&line.p50_us),
            p99: known(&line.p99_us),
            server_cpu: line.server_cpu.last().copied().flatten(),
            client_cpu: line.client_cpu.last().copied().flatten(),
            server_rss: known(&line.server_rss),
            client_rss: known(&line.client_rss),
        };
        let totals = Totals {
            clients: u64::from(self.shared.scenario.clients),
            online: line.online.last().copied().unwrap_or_default(),
            offered: last.offered,
            accepted: last.accepted,
            refused: last.answered.saturating_sub(last.accepted),
            delivered: last.deliveries,
            broadcasts: last.broadcasts,
            errors: last.errors,
        };
        slate.second(second, totals);
    }

    fn rates(&mut self, now: &Counted, passed: f64) {
        let (line, last) = (&mut self.timeline, &self.last);
        let rate = |now: u64, last: u64| round(float(now.saturating_sub(last)) / passed);
        let refused = |counted: &Counted| counted.answered.saturating_sub(counted.accepted);
        line.offered.push(rate(now.offered, last.offered));
        line.accepted.push(rate(now.accepted, last.accepted));
        line.refused.push(rate(refused(now), refused(last)));
        line.delivered.push(rate(now.deliveries, last.deliveries));
        line.broadcasts.push(rate(now.broadcasts, last.broadcasts));
        line.logins.push(rate(now.logins, last.logins));
        line.errors.push(rate(now.errors, last.errors));
        let gauges = &self.shared.gauges;
        line.connected.push(u64::from(gauges.connected.load(Ordering::Relaxed)));
        line.online.push(u64::from(gauges.online.load(Ordering::Relaxed)));
    }

    fn latencies(&mut self, now: &Counted) {
        let values = now.push.since(&self.last.push).summary();
        let known = |us: u64| (values.count > 0).then_some(us);
        self.timeline.p50_us.push(known(values.p50_us));
        self.timeline.p99_us.push(known(values.p99_us));
        self.timeline.max_us.push(known(values.max_us));
    }

    fn machine(&mut self, passed: f64) {
        let line = &mut self.timeline;
        let server = self.server.as_mut().and_then(|meter| meter.read(passed));
        let client = self.client.read(passed);
        line.server_cpu.push(server.map(|reading| round(reading.cores)));
        line.server_busiest.push(server.map(|reading| round(reading.busiest)));
        line.server_waited.push(server.map(|reading| round(reading.waited)));
        line.server_rss.push(server.map(|reading| reading.rss));
        line.client_cpu.push(client.map(|reading| round(reading.cores)));
        line.client_busiest.push(client.map(|reading| round(reading.busiest)));
        line.client_wanted.push(client.map(|reading| round(reading.wanted)));
        line.client_rss.push(client.map(|reading| reading.rss));
        let ksoftirqd = self.ksoftirqd.read(passed);
        line.ksoftirqd_cpu.push(ksoftirqd.map(|reading| round(reading.cores)));
        line.slab.push(host::slab());
    }
}

/// To three places: more would only fill the file.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
