//! The owner's view of its broadcast jobs: what was ordered, what the parts report, what is asked.
//!
//! Pure: it answers with what is to be sent, and the shard sends it.

use super::{News, Order, PartReport, PartStart, job_id, owner_of};
use crate::mesh::letter::{BroadcastOrder, Origin};
use holdfast_protocol::backend::JobId;
use holdfast_protocol::backend::answer::{ErrorCode, Job, JobState};
use holdfast_protocol::backend::request::JobAction;
use holdfast_protocol::client::{Class, Push, from_server};
use holdfast_store::{Broadcast, BroadcastState};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many ended jobs are remembered, so that their end can be asked for.
const REMEMBERED: usize = 1024;

/// The part of one shard, as last reported.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    counted: Option<u64>,
    delivered: u64,
    dropped: u64,
    met: bool,
    done: bool,
}

#[derive(Debug)]
struct Running {
    state: JobState,
    sequence: u64,
    /// Thousandths of a user a second over all shards; `None` for as fast as it goes.
    rate: Option<u64>,
    /// Whether who comes later gets it too.
    kept: bool,
    /// Who waits for the count; answered once.
    starter: Option<Origin>,
    parts: Vec<Part>,
}

impl Running {
    fn sum(&self, of: impl Fn(&Part) -> u64) -> u64 {
        self.parts.iter().map(of).sum()
    }

    fn job(&self, id: JobId) -> Job {
        Job {
            id,
            state: self.state,
            sequence: self.sequence,
            total: self.sum(|part| part.counted.unwrap_or(0)),
            delivered: self.sum(|part| part.delivered),
            dropped: self.sum(|part| part.dropped),
        }
    }
}

/// What the shard is to send.
#[derive(Debug)]
pub enum Send {
    /// An answer to a backend.
    Answer(Origin, Result<Job, ErrorCode>),
    /// An order to one shard's part.
    Order(u16, JobId, Order),
}

/// Where an owner is.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The host's number.
    pub host: u16,
    /// The shard's number.
    pub shard: u16,
    /// How many shards there are.
    pub shards: u16,
    /// The host's incarnation.
    pub incarnation: u32,
}

/// The broadcast jobs that one shard owns.
#[derive(Debug)]
pub struct Owner {
    host: u16,
    shard: u16,
    shards: u16,
    jobs_max: usize,
    /// No job of this life has a smaller number.
    first: u32,
    next: u32,
    /// The last broadcast's number, by product.
    sequences: Vec<u64>,
    running: BTreeMap<JobId, Running>,
    ended: VecDeque<Job>,
}

impl Owner {
    /// The owner at this place, of jobs of `products` products, of which at most
    /// `jobs_max` run at once.
    pub fn new(place: Place, products: usize, jobs_max: usize) -> Self {
        let Place { host, shard, shards, incarnation } = place;
        // An id of an earlier life of this process must not name a job of this one. An incarnation
        // lasts for an eighth of a second at least, in which no shard begins so many.
        let first = incarnation.wrapping_mul(512);
        Self {
            host,
            shard,
            shards,
            jobs_max,
            first,
            next: first,
            sequences: vec![0; products],
            running: BTreeMap::new(),
            ended: VecDeque::new(),
        }
    }

    /// How many jobs run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// With a store: numbers go on behind `sequence`, since no earlier life gave a greater one.
    pub fn begin_behind(&mut self, sequence: u64) {
        for last in &mut self.sequences {
            *last = (*last).max(sequence);
        }
    }

    /// Knows a durable broadcast of an earlier life, which everybody who comes gets.
    pub fn recover(&mut self, broadcast: &Broadcast) {
        let state = match broadcast.state {
            BroadcastState::Running => JobState::Done,
            BroadcastState::Paused => JobState::Paused,
            BroadcastState::Cancelled => JobState::Cancelled,
        };
        let (id, sequence) = (broadcast.job, broadcast.number);
        self.begin_behind_job(id);
        self.ended.push_back(Job { id, state, sequence, total: 0, delivered: 0, dropped: 0 });
    }

    /// Names no job as that one of an earlier life is named: where the clock was set back between
    /// two lives, they may have one incarnation.
    fn begin_behind_job(&mut self, id: JobId) {
        let number = number(id);
        if is_behind(self.next, number) {
            self.next = number.wrapping_add(1);
        }
    }

    /// Whether this process may have begun the job, on whichever shard.
    pub fn is_of_this_life(&self, id: JobId) -> bool {
        owner_of(id, self.host, self.shards).is_some() && is_behind(self.first, number(id))
    }

    /// A job that began and could not be kept: its backend is told.
    pub fn refuse(&mut self, id: JobId, why: ErrorCode) -> Option<Send> {
        let starter = self.running.remove(&id)?.starter?;
        Some(Send::Answer(starter, Err(why)))
    }

    /// Starts a job; gives what every shard is to be told, or the answer that refuses it. What is
    /// to be kept is in `kept`, and is to be safe before anybody is told.
    pub fn start(
        &mut self,
        order: &BroadcastOrder,
        seconds: u32,
        unix: u32,
    ) -> Result<PartStart, Send> {
        // A job that only waits for slow readers takes nobody's place: their time is bounded.
        let walking = |job: &&Running| job.parts.iter().any(|part| !part.met);
        if self.running.values().filter(walking).count() >= self.jobs_max {
            return Err(Send::Answer(order.origin, Err(ErrorCode::TooManyJobs)));
        }
        let Some(sequence) = self.sequences.get_mut(usize::from(order.product)) else {
            return Err(Send::Answer(order.origin, Err(ErrorCode::UnknownProduct)));
        };
        *sequence += 1;
        let sequence = *sequence;
        let job = job_id(self.host, self.shard, self.next);
        self.next = self.next.wrapping_add(1);
        let rate = rate(order);
        let parts = vec![Part::default(); usize::from(self.shards)];
        let starter = Some(order.origin);
        let state = JobState::Running;
        let kept = order.durable;
        self.running.insert(job, Running { state, sequence, rate, kept, starter, parts });
        let kept = order.durable.then(|| {
            Arc::new(Broadcast {
                product: order.product,
                number: sequence,
                job,
                tag: order.tag.clone(),
                at: unix,
                expires: unix.saturating_add(order.ttl),
                state: BroadcastState::Running,
                key: order.key.clone(),
                body: Arc::clone(&order.body),
            })
        });
        let push = Push {
            class: if order.durable { Class::Durable } else { Class::Online },
            broadcast: true,
            redelivered: false,
            sequence,
            body: &order.body,
        };
        let mut frame = Vec::with_capacity(order.body.len() + 12);
        from_server::put_push(&push, &mut frame);
        Ok(PartStart {
            job,
            product: order.product,
            tag: order.tag.clone(),
            frame: frame.into(),
            kept,
            paced: rate.is_some(),
            expires: seconds.saturating_add(order.ttl),
        })
    }

    /// Takes a part's report.
    pub fn report(&mut self, report: PartReport, send: &mut Vec<Send>) {
        let Some(job) = self.running.get_mut(&report.job) else { return };
        let Some(part) = job.parts.get_mut(usize::from(report.shard)) else { return };
        match report.news {
            News::Counted(count) => {
                part.counted = Some(count);
                if job.parts.iter().all(|part| part.counted.is_some()) {
                    counted(report.job, job, send);
                }
            }
            News::Progress { delivered, dropped, met, done } => {
                part.met |= met;
                part.delivered = delivered;
                part.dropped = dropped;
                part.done |= done;
            }
        }
        self.end_if_done(report.job);
    }

    fn end_if_done(&mut self, id: JobId) {
        let Some(job) = self.running.get_mut(&id) else { return };
        if job.starter.is_some() || !job.parts.iter().all(|part| part.done) {
            return;
        }
        // One that is kept stays paused for those who come.
        let paused = job.kept && job.state == JobState::Paused;
        if job.state != JobState::Cancelled && !paused {
            job.state = JobState::Done;
        }
        self.ended.push_back(job.job(id));
        self.running.remove(&id);
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
    }

    /// Tells how a job stands, after steering it where that is asked; `kept` is whether who comes
    /// later gets it too. Gives how a kept one stands from now on, where it stands as was asked.
    pub fn act(
        &mut self,
        origin: Origin,
        action: JobAction,
        (id, kept): (JobId, bool),
        send: &mut Vec<Send>,
    ) -> Option<BroadcastState> {
        if kept && !self.running.contains_key(&id) {
            let told = self.act_on_kept(origin, action, id, send);
            if told.is_some() {
                return told;
            }
        }
        let Some(job) = self.running.get_mut(&id) else {
            let ended = self.ended.iter().find(|job| job.id == id).copied();
            send.push(Send::Answer(origin, ended.ok_or(ErrorCode::UnknownJob)));
            return ended.and_then(|job| as_asked(action, job.state));
        };
        let order = match (action, job.state) {
            (JobAction::Pause, JobState::Running) => Some((JobState::Paused, Order::Pause)),
            (JobAction::Resume, JobState::Paused) => Some((JobState::Running, Order::Resume)),
            (JobAction::Cancel, JobState::Running | JobState::Paused) => {
                Some((JobState::Cancelled, Order::Cancel))
            }
            (JobAction::Status | JobAction::Pause | JobAction::Resume | JobAction::Cancel, _) => {
                None
            }
        };
        if let Some((state, order)) = order {
            job.state = state;
            send.extend((0..self.shards).map(|shard| Send::Order(shard, id, order)));
        }
        send.push(Send::Answer(origin, Ok(job.job(id))));
        as_asked(action, job.state)
    }

    /// Steers a durable job that has met everybody who was there: it still goes to those who come.
    fn act_on_kept(
        &mut self,
        origin: Origin,
        action: JobAction,
        id: JobId,
        send: &mut Vec<Send>,
    ) -> Option<BroadcastState> {
        let job = self.ended.iter_mut().find(|job| job.id == id)?;
        let (state, order) = match (action, job.state) {
            (JobAction::Pause, JobState::Done) => (JobState::Paused, Order::Pause),
            (JobAction::Resume, JobState::Paused) => (JobState::Done, Order::Resume),
            (JobAction::Cancel, JobState::Done | JobState::Paused) => {
                (JobState::Cancelled, Order::Cancel)
            }
            (_, _) => return None,
        };
        job.state = state;
        send.extend((0..self.shards).map(|shard| Send::Order(shard, id, order)));
        send.push(Send::Answer(origin, Ok(*job)));
        order.state()
    }
}

/// A job's number on its shard, in the low half of its id.
fn number(id: JobId) -> u32 {
    u32::try_from(id & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// Whether a job's number is not smaller than `first`: they wrap around.
fn is_behind(first: u32, number: u32) -> bool {
    number.wrapping_sub(first) < u32::MAX / 2
}

/// How a kept broadcast stands for those who come later, where its job stands as was asked, be it
/// since now or since before: who asks again has to know that the store has it.
fn as_asked(action: JobAction, state: JobState) -> Option<BroadcastState> {
    match (action, state) {
        (JobAction::Pause, JobState::Paused) => Some(BroadcastState::Paused),
        (JobAction::Resume, JobState::Running | JobState::Done) => Some(BroadcastState::Running),
        (JobAction::Cancel, JobState::Cancelled) => Some(BroadcastState::Cancelled),
        (_, _) => None,
    }
}

/// Everybody is counted: answers who started the job, and shares its pace out by who has how many.
fn counted(id: JobId, job: &mut Running, send: &mut Vec<Send>) {
    let Some(starter) = job.starter.take() else { return };
    let whole = job.job(id);
    send.push(Send::Answer(starter, Ok(whole)));
    let Some(rate) = job.rate else { return };
    for (shard, part) in (0..).zip(&job.parts) {
        let share = u128::from(rate) * u128::from(part.counted.unwrap_or(0));
        let share = share / u128::from(whole.total.max(1));
        let share = u64::try_from(share).unwrap_or(u64::MAX).max(1);
        send.push(Send::Order(shard, id, Order::Pace(share)));
    }
}

/// The slower of both paces, in thousandths of a user a second.
fn rate(order: &BroadcastOrder) -> Option<u64> {
    let bits = 8 * (order.body.len() as u64).max(1);
    let by_users = (order.users_per_second > 0).then(|| u64::from(order.users_per_second) * 1000);
    let by_bits =
        (order.bits_per_second > 0).then(|| order.bits_per_second.saturating_mul(1000) / bits);
    let slower = by_users.into_iter().chain(by_bits).min()?;
    Some(slower.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::id::ConnectionId;

    const PLACE: Place = Place { host: 0, shard: 1, shards: 2, incarnation: 0 };

    fn owner(incarnation: u32) -> Owner {
        Owner::new(Place { incarnation, ..PLACE }, 1, 4)
    }

    fn backend() -> Origin {
        let connection = ConnectionId { shard: 0, slot: 0, generation: 0 };
        Origin { connection, request: 0, part: 0, copies: 1 }
    }

    fn started(owner: &mut Owner) -> Broadcast {
        let order = BroadcastOrder {
            origin: backend(),
            product: 0,
            tag: "".into(),
            durable: true,
            ttl: 60,
            users_per_second: 0,
            bits_per_second: 0,
            key: Box::default(),
            body: Arc::from(*b"body"),
        };
        let start = owner.start(&order, 0, 0).expect("there is room");
        Broadcast::clone(&start.kept.expect("it is durable"))
    }

    #[test]
    fn who_asks_again_hears_how_it_stands() {
        let mut owner = owner(7);
        let job = started(&mut owner).job;
        let mut act = |action| owner.act(backend(), action, (job, true), &mut Vec::new());
        assert_eq!(act(JobAction::Status), None);
        for _ in 0..2 {
            assert_eq!(act(JobAction::Pause), Some(BroadcastState::Paused));
        }
        for _ in 0..2 {
            assert_eq!(act(JobAction::Cancel), Some(BroadcastState::Cancelled));
        }
        assert_eq!(act(JobAction::Resume), None, "nothing resumes what was cancelled");
    }

    #[test]
    fn a_job_is_of_this_life_wherever_it_began() {
        for (before, now) in [(7, 8), (u32::MAX, 0)] {
            let old = started(&mut owner(before)).job;
            let here = Place { incarnation: now, ..PLACE };
            let job_at = |place| started(&mut Owner::new(place, 1, 4)).job;
            let owner = owner(now);
            assert!(!owner.is_of_this_life(old));
            assert!(owner.is_of_this_life(job_at(here)));
            assert!(owner.is_of_this_life(job_at(Place { shard: 0, ..here })), "on any shard");
            assert!(!owner.is_of_this_life(job_at(Place { host: 2, ..here })));
        }
    }

    #[test]
    fn no_job_has_the_name_of_one_before_it() {
        for (before, now) in [(7, 7), (7, 8), (u32::MAX, 0)] {
            let mut first = owner(before);
            let kept = [started(&mut first), started(&mut first)];
            let mut second = owner(now);
            for kept in &kept {
                second.recover(kept);
            }
            let next = started(&mut second).job;
            assert!(kept.iter().all(|kept| kept.job != next), "{kept:?}, {next}");
        }
    }
}
