//! `broadcast` and `job`: one message to very many, and watching it go.
//!
//! The job belongs to the gateway, not to this program: Ctrl-C, a lost connection or a closed
//! terminal leave it running, and its number is all that is needed to come back to it.

use crate::cli::args::{BroadcastArgs, Class, JobAction as Typed, JobArgs, OneJob};
use crate::cli::connection::{answer, connect, refused};
use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::Screen;
use crate::cli::value::{self, counted, grouped};
use crate::cli::wait::{listen_for_ctrl_c, nap};
use holdfast_client::{Backend, Broadcast, Error, Job, JobAction, JobState, Pending, broadcast};
use serde_json::{Value, json};
use std::io;
use std::time::{Duration, Instant};

/// How often the gateway is asked; the end of a job is noticed at most so late.
const ASK: Duration = Duration::from_millis(200);
/// The first question comes sooner, since most broadcasts are over by then.
const ASK_FIRST: Duration = Duration::from_millis(50);
/// How often progress is reported where each report is a line of its own.
const REPORT_PLAIN: Duration = Duration::from_secs(2);

/// How a job is shown.
#[derive(Debug, Clone, Copy)]
struct Words {
    json: bool,
    /// Whether it is known to be durable; a job that was begun elsewhere does not say.
    is_durable: bool,
}

pub(super) fn start(args: &BroadcastArgs, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let body = value::message(&args.text, &mut io::stdin()).map_err(Failure::usage)?;
    let backend = connect(&args.api)?;
    let message = Broadcast {
        tag: &args.tag,
        class: args.care.class().into(),
        ttl: args.care.ttl_seconds(),
        key: args.care.key(),
        users_per_second: args.users_per_second,
        bits_per_second: args.bits_per_second,
        ..broadcast(&args.product, &body)
    };
    let begun = Instant::now();
    let job = backend.broadcast(&message).and_then(Pending::wait);
    let job = job.map_err(|error| refused(error, &backend))?;
    let words = Words { json: args.api.json, is_durable: args.care.class() == Class::Durable };
    if args.no_wait {
        show(&job, words, screen);
        return Ok(Exit::Done);
    }
    watch(&backend, job, Speed { served: 0, ..Speed::new(&job, begun) }, words, screen)
}

pub(super) fn steer(args: &JobArgs, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let (one, action) = match &args.action {
        Typed::Watch(one) => return watch_one(one, screen),
        Typed::Status(one) => (one, JobAction::Status),
        Typed::Pause(one) => (one, JobAction::Pause),
        Typed::Resume(one) => (one, JobAction::Resume),
        Typed::Cancel(one) => (one, JobAction::Cancel),
    };
    let job = answer(connect(&one.api)?.job(action, one.job))?;
    show(&job, Words { json: one.api.json, is_durable: false }, screen);
    Ok(Exit::Done)
}

fn watch_one(one: &OneJob, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let backend = connect(&one.api)?;
    let job = answer(backend.job(JobAction::Status, one.job))?;
    let words = Words { json: one.api.json, is_durable: false };
    watch(&backend, job, Speed::new(&job, Instant::now()), words, screen)
}

/// Shows how the job goes until it is over, or until Ctrl-C.
fn watch(
    backend: &Backend,
    mut job: Job,
    mut speed: Speed,
    words: Words,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    listen_for_ctrl_c(screen)?;
    let mut pause = ASK_FIRST;
    let mut reported = Instant::now();
    while matches!(job.state, JobState::Running | JobState::Paused) {
        if !nap(pause, screen) {
            screen.note(&left_running(&job));
            show(&job, words, screen);
            return Ok(Exit::Interrupted);
        }
        job = ask(backend, &job).map_err(|failure| failure.with_hint(perhaps_running(&job)))?;
        let rate = speed.update(&job, Instant::now());
        if screen.is_live() || reported.elapsed() >= REPORT_PLAIN {
            screen.progress(&progress(&job, rate));
            reported = Instant::now();
        }
        pause = (pause * 2).min(ASK);
    }
    show(&job, words, screen);
    Ok(if job.state == JobState::Done { Exit::Done } else { Exit::NotDelivered })
}

/// How the job stands. A question may be asked again, so a lost connection costs no more than one.
fn ask(backend: &Backend, job: &Job) -> Result<Job, Failure> {
    match backend.job(JobAction::Status, job.id).and_then(Pending::wait) {
        Err(Error::ConnectionLost(_)) => answer(backend.job(JobAction::Status, job.id)),
        result => Ok(result?),
    }
}

/// Sessions a second since the job, or the watching, began; the time of pauses does not count.
#[derive(Debug)]
struct Speed {
    /// What was served before.
    served: u64,
    looked: Instant,
    was_paused: bool,
    active: Duration,
}

impl Speed {
    fn new(job: &Job, now: Instant) -> Self {
        let was_paused = job.state == JobState::Paused;
        Self { served: served(job), looked: now, was_paused, active: Duration::ZERO }
    }

    /// The rate as the job stands now; 0 as long as it says nothing.
    fn update(&mut self, job: &Job, now: Instant) -> u64 {
        if !self.was_paused {
            self.active += now.saturating_duration_since(self.looked);
        }
        self.looked = now;
        self.was_paused = job.state == JobState::Paused;
        let millis = u64::try_from(self.active.as_millis()).unwrap_or(u64::MAX);
        let more = served(job).saturating_sub(self.served);
        if millis < 100 { 0 } else { more.saturating_mul(1_000) / millis }
    }
}

fn served(job: &Job) -> u64 {
    job.delivered.saturating_add(job.dropped)
}

fn left(job: &Job) -> u64 {
    job.total.saturating_sub(served(job))
}

fn percent(job: &Job) -> u64 {
    // A job for nobody has nothing left to do.
    served(job).saturating_mul(100).checked_div(job.total).unwrap_or(100).min(100)
}

fn progress(job: &Job, rate: u64) -> String {
    let state = if job.state == JobState::Paused { "  paused" } else { "" };
    let rate = if rate > 0 { format!("  {}/s", grouped(rate)) } else { String::new() };
    let dropped =
        if job.dropped > 0 { format!("  {} dropped", grouped(job.dropped)) } else { String::new() };
    let (served, total) = (grouped(served(job)), grouped(job.total));
    format!("job {}  {:3} %  {served} of {total}{dropped}{rate}{state}", job.id, percent(job))
}

fn left_running(job: &Job) -> String {
    format!(
        "job {id} goes on without us: `holdfast job watch {id}` shows it, \
         `holdfast job cancel {id}` stops it",
        id = job.id
    )
}

fn perhaps_running(job: &Job) -> String {
    format!("`holdfast job watch {}` shows whether it goes on", job.id)
}

fn show(job: &Job, words: Words, screen: &mut Screen<'_>) {
    if words.json {
        return screen.say(&as_json(job).to_string());
    }
    let is_kept = words.is_durable && job.state != JobState::Cancelled;
    let kept = if is_kept { "; kept for those who come later" } else { "" };
    screen.say(&format!("{}{kept}", as_text(job)));
}

fn as_text(job: &Job) -> String {
    let (state, total) = (job.state.name(), counted(job.total, "session"));
    let some = |number, what| {
        if number > 0 { format!(", {} {what}", grouped(number)) } else { String::new() }
    };
    let (dropped, left) = (some(job.dropped, "dropped"), some(left(job), "left"));
    format!("job {} {state}: {} of {total}{dropped}{left}", job.id, grouped(job.delivered))
}

fn as_json(job: &Job) -> Value {
    json!({
        "job": job.id,
        "state": job.state.name(),
        "sequence": job.sequence,
        "total": job.total,
        "delivered": job.delivered,
        "dropped": job.dropped,
        "left": left(job),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(state: JobState, delivered: u64) -> Job {
        let job = holdfast_client::testing::job(7, state);
        Job { total: 100, delivered, dropped: 0, ..job }
    }

    #[test]
    fn the_rate_is_that_since_the_beginning() {
        let begun = Instant::now();
        let seconds = |n| begun + Duration::from_secs(n);
        let mut speed = Speed::new(&at(JobState::Running, 0), begun);
        assert_eq!(speed.update(&at(JobState::Running, 1), begun), 0, "too early to tell");
        assert_eq!(speed.update(&at(JobState::Running, 10), seconds(1)), 10);
        assert_eq!(speed.update(&at(JobState::Running, 30), seconds(3)), 10);
    }

    #[test]
    fn a_pause_does_not_lower_the_rate() {
        let begun = Instant::now();
        let seconds = |n| begun + Duration::from_secs(n);
        let mut speed = Speed::new(&at(JobState::Running, 50), begun);
        assert_eq!(speed.update(&at(JobState::Paused, 60), seconds(1)), 10);
        assert_eq!(speed.update(&at(JobState::Running, 60), seconds(60)), 10);
        assert_eq!(speed.update(&at(JobState::Running, 70), seconds(61)), 10);
    }
}
