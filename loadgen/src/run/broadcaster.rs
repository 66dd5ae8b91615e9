//! Starts the broadcasts when they are due and asks how they stand until they are done.

use super::company::Company;
use crate::clock::{MILLISECOND, duration, milliseconds};
use crate::fleet::shared::Shared;
use crate::scenario::plan::Planned;
use crate::verify::body::{self, Header, Number};
use crate::verify::judge::Sent;
use crate::verify::ledger::Code;
use holdfast_client::{Advice, Backend, Broadcast, Error, Job, JobAction, JobState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Between two questions about jobs that run.
const POLL: u64 = 10 * MILLISECOND;

/// What is known of the broadcasts while they go on.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Sessions that the gateway says it served, over all broadcasts.
    pub(super) served: AtomicU64,
    /// All are started and done, or it gave up.
    pub(super) done: AtomicBool,
    sent: Mutex<Vec<Sent>>,
}

impl Progress {
    /// What was sent, so far.
    pub(super) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Sent>)) {
        change(&mut self.sent.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Starts and follows the broadcasts of a run.
pub(super) struct Broadcaster {
    pub(super) shared: Arc<Shared>,
    pub(super) company: Arc<dyn Company>,
    pub(super) backend: Backend,
    pub(super) progress: Arc<Progress>,
    /// When the plan's timeline began, nanoseconds of the run's clock.
    pub(super) start: u64,
}

impl Broadcaster {
    /// Starts each broadcast that is made here when it is due, then follows them until all are done
    /// or it is told to halt. In an interrupted run it starts none, and cancels those that run.
    pub(super) fn run(self) {
        let mut jobs: Vec<Option<Job>> = Vec::new();
        for (number, planned) in (0..).zip(&self.shared.scenario.plan.broadcasts) {
            let due = self.start + planned.due;
            if !self.wait(due, &mut jobs) {
                break;
            }
            if self.company.makes(planned.due) {
                if !self.wait_for_others() {
                    break;
                }
                jobs.push(self.begin(number, planned));
                self.note(&jobs);
            }
        }
        while jobs.iter().flatten().any(running) && !self.halted() {
            thread::sleep(duration(POLL));
            self.follow(&mut jobs);
        }
        self.shared.broadcasting.end(self.shared.clock.now());
        self.progress.done.store(true, Ordering::Release);
    }

    fn halted(&self) -> bool {
        self.shared.halt.load(Ordering::Relaxed)
    }

    /// Whether nothing more is to be started.
    fn over(&self) -> bool {
        self.halted() || self.shared.interrupt.came()
    }

    /// Waits until `due` and follows what runs meanwhile; false if nothing is to be started then.
    fn wait(&self, due: u64, jobs: &mut [Option<Job>]) -> bool {
        loop {
            let now = self.shared.clock.now();
            if self.over() || now >= due {
                return !self.over();
            }
            thread::sleep(duration(POLL.min(due - now)));
            if due.saturating_sub(self.shared.clock.now()) > POLL {
                self.follow(jobs);
            }
        }
    }

    /// Waits until it is sure that no other host was given what is begun here; false if nothing is
    /// to be started then.
    fn wait_for_others(&self) -> bool {
        while !self.over() && !self.company.may_begin() {
            thread::sleep(duration(POLL));
        }
        !self.over()
    }

    fn begin(&self, number: u32, planned: &Planned) -> Option<Job> {
        let scenario = &self.shared.scenario;
        let mut body = Vec::new();
        let due = self.start + planned.due;
        let one = Number::Broadcast(number.into());
        let header = Header { run: scenario.runs.broadcasts, number: one, due };
        body::write(header, planned.size, &mut body);
        let broadcast = Broadcast {
            product: &scenario.people.products()[planned.product],
            tag: "",
            class: planned.class,
            ttl: 0,
            users_per_second: planned.users,
            bits_per_second: planned.bits,
            key: &[],
            body: &body,
        };
        let now = self.shared.clock.now();
        let at = milliseconds(now);
        self.shared.broadcasting.begin(now);
        let bit = 1_u64.checked_shl(number).unwrap_or_default();
        self.shared.made.fetch_or(bit, Ordering::Relaxed);
        let (by, product) = (scenario.share.number, planned.product);
        self.progress.change(|sent| sent.push(Sent { number, by, product, at, ..Sent::default() }));
        let started = self.backend.broadcast(&broadcast).and_then(holdfast_client::Pending::wait);
        let (refused, unanswered) = match &started {
            Err(Error::Declined { code, .. }) => (Some(Code::declined(*code)), None),
            Err(Error::ConnectionLost(_)) => (None, Some(Code::CUT_OFF)),
            Err(error) if error.advice() == Advice::RetryIfIdempotent => {
                (None, Some(Code::NO_ANSWER))
            }
            // Nothing was sent.
            Err(_) => (Some(Code::NEVER_SENT), None),
            Ok(_) => (None, None),
        };
        self.progress.change(|sent| {
            if let Some(last) = sent.last_mut() {
                last.refused = refused.map(|code| code.name().to_owned());
                last.unanswered = unanswered.map(|code| code.name().to_owned());
            }
        });
        started.ok()
    }

    /// Asks about the jobs that run; ends them in an interrupted run.
    fn follow(&self, jobs: &mut [Option<Job>]) {
        let interrupted = self.shared.interrupt.came();
        let action = if interrupted { JobAction::Cancel } else { JobAction::Status };
        for job in jobs.iter_mut().flatten().filter(|job| running(job)) {
            let asked = self.backend.job(action, job.id);
            if let Ok(now) = asked.and_then(holdfast_client::Pending::wait) {
                *job = now;
            }
        }
        self.note(jobs);
    }

    /// Keeps what the gateway says of the jobs.
    fn note(&self, jobs: &[Option<Job>]) {
        if !jobs.iter().flatten().any(running) {
            self.shared.broadcasting.end(self.shared.clock.now());
        }
        let served = jobs.iter().flatten().map(|job| job.delivered).sum();
        self.progress.served.store(served, Ordering::Relaxed);
        self.progress.change(|sent| {
            for (sent, job) in sent.iter_mut().zip(jobs.iter()) {
                sent.dropped = job.map_or(0, |job| job.dropped);
                sent.cancelled = job.as_ref().map_or(0, left_out);
            }
        });
    }
}

fn running(job: &Job) -> bool {
    matches!(job.state, JobState::Running | JobState::Paused)
}

/// How many sessions a cancelled job was not for any more when it was asked last.
fn left_out(job: &Job) -> u64 {
    let met = job.delivered + job.dropped;
    if job.state == JobState::Cancelled { job.total.saturating_sub(met) } else { 0 }
}
