//! The backends' broadcasts: for each product one at a time, some paced, some paused, resumed and
//! cancelled, some begun again with the same key because nobody knows whether they began.
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
    /// How it is steered, and how long after its start or after what was asked before.
    steps: [Option<(JobAction, Duration)>; STEPS],
}

/// How often a broadcast is steered at most.
const STEPS: usize = 3;
/// The ways in which they are.
const WAYS: [&[JobAction]; 4] = [
    &[JobAction::Cancel],
    &[JobAction::Pause, JobAction::Resume],
    &[JobAction::Pause, JobAction::Cancel],
    &[JobAction::Pause, JobAction::Resume, JobAction::Cancel],
];

/// What is done about a product's broadcast now.
#[derive(Debug)]
enum Stage {
    /// Nothing.
    Idle,
    /// It is begun.
    Begins(Wish, Option<Pending<Job>>),
    /// It was begun, and steered so often, the last time then.
    Runs(Course, Option<(JobAction, Pending<Job>)>),
}

/// How far a broadcast has come.
#[derive(Debug, Clone, Copy)]
struct Course {
    wish: Wish,
    job: JobId,
    steps: usize,
    since: Instant,
}

impl Course {
    /// What is to be asked next, and how long after what was asked before.
    fn step(&self) -> Option<(JobAction, Duration)> {
        self.wish.steps.get(self.steps).copied().flatten()
    }
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
        let steps = [None; STEPS];
        let wish = Wish { id, tagged: false, keyed: true, pace: 0, size, steps };
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
                Stage::Runs(course, None) if is_due => {
                    Stage::Runs(course, ask(backend, &course, ledger))
                }
                Stage::Runs(mut course, Some((action, pending))) if pending.is_ready() => {
                    *due = now + AGAIN;
                    let over = told(&mut course, action, pending.wait(), ledger);
                    let pause = Duration::from_millis(self.chance.between(0, self.every * 2 + 1));
                    if over {
                        *due = now + pause;
                    }
                    if over { Stage::Idle } else { Stage::Runs(course, None) }
                }
                other => other,
            };
        }
    }

    /// A new one.
    fn wish(&mut self, product: usize, ledger: &mut Ledger) -> Stage {
        let chance = &mut self.chance;
        let tagged = chance.happens(200);
        let steps = if chance.happens(300) { steps(chance) } else { [None; STEPS] };
        // What is steered is still on its way, mostly.
        let paced = chance.happens(if steps[0].is_some() { 700 } else { 300 });
        let size = if chance.happens(100) { 5000 } else { chance.between(16, 300) };
        let size = usize::try_from(size).unwrap();
        let wish = Wish {
            id: ledger.news.make(product, tagged, size),
            tagged,
            keyed: chance.happens(700),
            pace: if paced { u32::try_from(chance.between(60, 600)).unwrap() } else { 0 },
            size,
            steps,
        };
        Stage::Begins(wish, None)
    }
}

/// How one is steered: soon after its start, and resumed some time after it was paused.
fn steps(chance: &mut Chance) -> [Option<(JobAction, Duration)>; STEPS] {
    let mut steps = [None; STEPS];
    for (step, &action) in steps.iter_mut().zip(*chance.pick(&WAYS)) {
        let most = if action == JobAction::Resume { 2500 } else { 400 };
        *step = Some((action, Duration::from_millis(chance.between(0, most))));
    }
    steps
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
            let course = Course { wish, job: job.id, steps: 0, since: Instant::now() };
            return Stage::Runs(course, None);
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

/// Steers it, if it is time, or asks how it stands.
fn ask(
    backend: &Backend,
    course: &Course,
    ledger: &mut Ledger,
) -> Option<(JobAction, Pending<Job>)> {
    let Course { wish, job, since, .. } = *course;
    let due = course.step().filter(|&(_, after)| since.elapsed() >= after);
    let action = due.map_or(JobAction::Status, |(action, _)| action);
    match action {
        JobAction::Cancel => ledger.news.unwanted(wish.id),
        JobAction::Resume => ledger.news.resumes(wish.id),
        JobAction::Pause | JobAction::Status => {}
    }
    Some((action, backend.job(action, job).ok()?))
}

/// That was answered; whether there is nothing more to do about it.
fn told(
    course: &mut Course,
    action: JobAction,
    answer: Result<Job, Error>,
    ledger: &mut Ledger,
) -> bool {
    let wish = course.wish;
    let state = match answer {
        Ok(job) => job.state,
        Err(error) if error.advice() != Advice::Change => return false,
        Err(error) => {
            ledger.fault(format!("{course:?}: {action:?} is refused: {error}"));
            return true;
        }
    };
    let before = course.steps.checked_sub(1).and_then(|step| wish.steps[step]);
    let is_paused = before.is_some_and(|(action, _)| action == JobAction::Pause);
    let fits = match action {
        JobAction::Cancel => state == JobState::Cancelled,
        JobAction::Pause => state == JobState::Paused,
        JobAction::Status if is_paused => state == JobState::Paused,
        JobAction::Status | JobAction::Resume => {
            matches!(state, JobState::Running | JobState::Done)
        }
    };
    if !fits {
        ledger.fault(format!("{course:?}: {action:?} is answered with {state:?}"));
        return true;
    }
    match action {
        JobAction::Cancel => ledger.news.stopped(wish.id, true),
        JobAction::Pause => ledger.news.stopped(wish.id, false),
        JobAction::Resume => {}
        JobAction::Status => return state == JobState::Done && course.step().is_none(),
    }
    (course.steps, course.since) = (course.steps + 1, Instant::now());
    action == JobAction::Cancel
}
