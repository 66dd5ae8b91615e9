//! The backends' broadcasts: for each product one at a time, some paced, some cancelled, some begun
//! again with the same key because nobody knows whether they began.
//!
//! One at a time, since jobs may overtake each other, and a client that had the later one cannot
//! say in its next hello that it lacks the earlier one.

use crate::body;
use crate::ledger::{Id, Ledger};
use crate::plan::{PRODUCTS, TAG};
use holdfast::io::sim::Chance;
use holdfast_client::{
    Advice, Backend, Broadcast, Class, Error, Job, JobAction, JobId, JobState, Pending,
};
use std::time::{Duration, Instant};

/// How long it is until the same is tried again.
const AGAIN: Duration = Duration::from_millis(40);

/// What is asked of a broadcast.
#[derive(Debug, Clone, Copy)]
struct Wish {
    id: Id,
    tagged: bool,
    keyed: bool,
    /// Users a second, 0 for no pace.
    pace: u32,
    size: usize,
    /// Whether it is cancelled, and how long after its start.
    cancel: Option<Duration>,
}

/// What is done about a product's broadcast now.
#[derive(Debug)]
enum Stage {
    /// Nothing.
    Idle,
    /// It is begun.
    Begins(Wish, Option<Pending<Job>>),
    /// It runs, since then.
    Runs(Wish, JobId, Instant, Option<(JobAction, Pending<Job>)>),
}

/// All broadcasts of a run.
#[derive(Debug)]
pub(crate) struct Herald {
    stages: [(Stage, Instant); PRODUCTS.len()],
    chance: Chance,
    /// Milliseconds between two broadcasts of a product, on average; 0 for none.
    pub(crate) every: u64,
}

impl Herald {
    /// Nothing yet.
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::now();
        let stages = [(); PRODUCTS.len()].map(|()| (Stage::Idle, now));
        Self { stages, chance: Chance::new(seed, "herald"), every: 0 }
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.stages.iter().all(|(stage, _)| matches!(stage, Stage::Idle))
    }

    /// Begins one for everybody of a product, which must be idle, and gives it.
    pub(crate) fn begin(&mut self, product: usize, ledger: &mut Ledger) -> Id {
        let size = 40;
        let id = ledger.news.make(product, false, size);
        let wish = Wish { id, tagged: false, keyed: true, pace: 0, size, cancel: None };
        self.stages[product] = (Stage::Begins(wish, None), Instant::now());
        id
    }

    /// Does what is due, through this backend.
    pub(crate) fn turn(&mut self, backend: &Backend, ledger: &mut Ledger) {
        let now = Instant::now();
        let can_ask = backend.window_left() > 0;
        for product in 0..PRODUCTS.len() {
            let (stage, due) = &mut self.stages[product];
            let stage = std::mem::replace(stage, Stage::Idle);
            let is_due = can_ask && now >= *due;
            self.stages[product].0 = match stage {
                Stage::Idle if self.every > 0 && now >= *due => self.wish(product, ledger),
                Stage::Begins(wish, None) if is_due => begin(backend, product, wish, ledger),
                Stage::Begins(wish, Some(pending)) if pending.is_ready() => {
                    *due = now + AGAIN;
                    began(wish, pending.wait(), ledger)
                }
                Stage::Runs(wish, job, since, None) if is_due => {
                    let asked = ask(backend, wish, (job, since), ledger);
                    Stage::Runs(wish, job, since, asked)
                }
                Stage::Runs(wish, job, since, Some((action, pending))) if pending.is_ready() => {
                    *due = now + AGAIN;
                    let over = told(wish, action, pending.wait(), ledger);
                    let pause = Duration::from_millis(self.chance.between(0, self.every * 2 + 1));
                    if over {
                        *due = now + pause;
                    }
                    if over { Stage::Idle } else { Stage::Runs(wish, job, since, None) }
                }
                other => other,
            };
        }
    }

    /// A new one.
    fn wish(&mut self, product: usize, ledger: &mut Ledger) -> Stage {
        let chance = &mut self.chance;
        let tagged = chance.happens(200);
        let paced = chance.happens(300);
        let size = if chance.happens(100) { 5000 } else { chance.between(16, 300) };
        let size = usize::try_from(size).unwrap();
        let cancel = chance.happens(120).then(|| Duration::from_millis(chance.between(0, 400)));
        let wish = Wish {
            id: ledger.news.make(product, tagged, size),
            tagged,
            keyed: chance.happens(700),
            pace: if paced { u32::try_from(chance.between(60, 600)).unwrap() } else { 0 },
            size,
            cancel,
        };
        Stage::Begins(wish, None)
    }
}

fn begin(backend: &Backend, product: usize, wish: Wish, ledger: &mut Ledger) -> Stage {
    let key = wish.id.to_le_bytes();
    let body = body::write(wish.id, wish.size);
    let asked = backend.broadcast(&Broadcast {
        product: PRODUCTS[product],
        tag: if wish.tagged { TAG } else { "" },
        class: Class::Durable,
        ttl: 0,
        users_per_second: wish.pace,
        bits_per_second: 0,
        key: if wish.keyed { &key } else { &[] },
        body: &body,
    });
    if asked.is_ok() {
        ledger.news.tried(wish.id);
    }
    Stage::Begins(wish, asked.ok())
}

/// It was answered.
fn began(wish: Wish, answer: Result<Job, Error>, ledger: &mut Ledger) -> Stage {
    let error = match answer {
        Ok(job) => {
            ledger.news.began(wish.id, &job);
            return Stage::Runs(wish, job.id, Instant::now(), None);
        }
        Err(error) => error,
    };
    if ledger.is_late && matches!(error, Error::TimedOut(_) | Error::Declined { .. }) {
        ledger.news.doubted(wish.id);
    }
    match error.advice() {
        Advice::RetryIfIdempotent if !wish.keyed => Stage::Idle,
        Advice::RetryIfIdempotent | Advice::Retry(_) => Stage::Begins(wish, None),
        Advice::Change => {
            ledger.fault(format!("{wish:?} was refused: {error}"));
            Stage::Idle
        }
    }
}

/// Asks how it stands, or cancels it, if it is time.
fn ask(
    backend: &Backend,
    wish: Wish,
    (job, since): (JobId, Instant),
    ledger: &mut Ledger,
) -> Option<(JobAction, Pending<Job>)> {
    let cancels = wish.cancel.is_some_and(|after| since.elapsed() >= after);
    let action = if cancels { JobAction::Cancel } else { JobAction::Status };
    if cancels {
        ledger.news.unwanted(wish.id);
    }
    Some((action, backend.job(action, job).ok()?))
}

/// How it stands was answered; whether there is nothing more to do about it.
fn told(wish: Wish, action: JobAction, answer: Result<Job, Error>, ledger: &mut Ledger) -> bool {
    match answer {
        Ok(job) if action == JobAction::Cancel => {
            if job.state == JobState::Cancelled {
                ledger.news.cancelled(wish.id);
            } else {
                ledger.fault(format!("{wish:?} was to be cancelled and is {job:?}"));
            }
            true
        }
        Ok(job) if job.state == JobState::Done => wish.cancel.is_none(),
        Ok(job) if job.state == JobState::Running => false,
        Err(error) if error.advice() != Advice::Change => false,
        odd => {
            ledger.fault(format!("{wish:?} was asked about: {odd:?}"));
            true
        }
    }
}
