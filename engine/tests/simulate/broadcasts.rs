//! What was promised and seen of each broadcast.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::io::sim::LinkId;
use holdfast_protocol::backend::JobId;
use holdfast_protocol::backend::answer::{Job, JobState};

use crate::ledger::{Identity, MessageId};
use crate::plan::SECOND;

/// Broadcasts have numbers of their own kind, so that a body says which kind of message it is.
pub(crate) const FIRST_ID: MessageId = 1 << 31;

/// One broadcast.
#[derive(Debug)]
pub(crate) struct Broadcast {
    product: usize,
    tag: &'static str,
    asked: u64,
    /// The most copies a second, where it is paced.
    pace: Option<u64>,
    pub(crate) job: Option<Job>,
    /// Whether no backend that could ask is left, or it was refused.
    pub(crate) given_up: bool,
    sequence: Option<u64>,
    written: BTreeSet<LinkId>,
}

/// All broadcasts of a run.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    all: Vec<Broadcast>,
    by_job: BTreeMap<JobId, MessageId>,
    /// What each connection of a backend was last told of each job; another may hear older news
    /// later.
    last_told: BTreeMap<(LinkId, JobId), Job>,
}

impl Broadcasts {
    /// A backend starts one; gives its number for the body.
    pub(crate) fn ask(
        &mut self,
        product: usize,
        tag: &'static str,
        now: u64,
        pace: Option<u64>,
    ) -> MessageId {
        self.all.push(Broadcast {
            product,
            tag,
            asked: now,
            pace,
            job: None,
            given_up: false,
            sequence: None,
            written: BTreeSet::new(),
        });
        FIRST_ID + u32::try_from(self.all.len() - 1).expect("a run has fewer broadcasts")
    }

    fn get(&mut self, id: MessageId) -> Option<&mut Broadcast> {
        self.all.get_mut(id.checked_sub(FIRST_ID)? as usize)
    }

    /// A copy entered the pipe of a session.
    pub(crate) fn written(
        &mut self,
        link: LinkId,
        to: &Identity,
        (id, sequence): (MessageId, u64),
        now: u64,
    ) -> Option<String> {
        let Some(broadcast) = self.get(id) else {
            return Some(format!("connection {link} gets broadcast {id}, which nobody started"));
        };
        let meant = broadcast.tag.is_empty() || to.tags.contains(&broadcast.tag);
        if broadcast.product != to.product || !meant {
            return Some(format!("broadcast {id} is written to {to:?}, whom it is not for"));
        }
        if *broadcast.sequence.get_or_insert(sequence) != sequence {
            return Some(format!("broadcast {id} has the numbers {sequence} and another"));
        }
        let first = broadcast.written.insert(link);
        let copies = broadcast.written.len() as u64;
        let lasted = now - broadcast.asked;
        // Each shard may round its share up.
        let fair = |pace: u64| pace * lasted / SECOND + 8;
        if broadcast.pace.is_some_and(|pace| copies > fair(pace)) {
            return Some(format!("broadcast {id} has {copies} copies after {lasted} us"));
        }
        (!first).then(|| format!("broadcast {id} is written to {link} twice"))
    }

    /// Its start was answered.
    pub(crate) fn started(&mut self, link: LinkId, id: MessageId, job: Job) -> Option<String> {
        self.by_job.insert(job.id, id);
        self.told(link, job)
    }

    /// A backend gave it up: refused, or its answer will never come.
    pub(crate) fn give_up(&mut self, id: MessageId) {
        if let Some(broadcast) = self.get(id) {
            broadcast.given_up = true;
        }
    }

    /// The gateway is gone, and its jobs with it.
    pub(crate) fn crash(&mut self) {
        for broadcast in &mut self.all {
            broadcast.given_up = true;
            broadcast.job = None;
        }
        self.by_job.clear();
    }

    /// A job's standing was told.
    pub(crate) fn told(&mut self, link: LinkId, job: Job) -> Option<String> {
        let id = *self.by_job.get(&job.id)?;
        let before = self.last_told.insert((link, job.id), job);
        let broadcast = self.get(id)?;
        if job.delivered + job.dropped > job.total {
            return Some(format!("{job:?} has served more than there are"));
        }
        if broadcast.job.is_none_or(|known| !ended(known.state)) || ended(job.state) {
            broadcast.job = Some(job);
        }
        let back = before.is_some_and(|before| {
            // A cancelled job still counts what its sessions' outboxes hold.
            let open = !ended(before.state) || job.state == JobState::Cancelled;
            before.delivered > job.delivered || before != job && !open
        });
        if back {
            return Some(format!("{job:?} goes back behind {before:?}"));
        }
        let written = broadcast.written.len() as u64;
        if job.delivered > written {
            return Some(format!("{job:?} counts more than the {written} that were written"));
        }
        let whole = job.state == JobState::Done && job.delivered + job.dropped != job.total;
        whole.then(|| format!("{job:?} is done and does not add up"))
    }

    /// Jobs that have not ended as far as is known.
    pub(crate) fn open_jobs(&self) -> Vec<JobId> {
        let jobs = self.all.iter().filter(|one| !one.given_up).filter_map(|one| one.job);
        jobs.filter(|job| !ended(job.state)).map(|job| job.id).collect()
    }

    /// All jobs that anybody knows.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        self.by_job.keys().copied().collect()
    }

    /// At the end of an undisturbed run: every broadcast ended, and its counts are those of the
    /// copies.
    pub(crate) fn settle(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (id, one) in self.all.iter().enumerate().filter(|(_, one)| !one.given_up) {
            let written = one.written.len() as u64;
            match one.job {
                Some(job) if ended(job.state) && job.delivered == written => {}
                job => failures.push(format!(
                    "broadcast {id} of {} has {written} copies and stands at {job:?}",
                    one.asked
                )),
            }
        }
        failures
    }

    /// Who was meant and did not get a finished broadcast must be among its dropped.
    pub(crate) fn missed(&self, present: impl Fn(usize, &str, u64) -> Vec<LinkId>) -> Vec<String> {
        let done = |job: &Job| job.state == JobState::Done;
        let mut failures = Vec::new();
        for (id, one) in self.all.iter().enumerate() {
            let Some(job) = one.job.filter(done) else { continue };
            let there = present(one.product, one.tag, one.asked);
            let missed = there.iter().filter(|link| !one.written.contains(link)).count() as u64;
            if missed > job.dropped {
                failures.push(format!("broadcast {id} missed {missed} who were there: {job:?}"));
            }
        }
        failures
    }
}

fn ended(state: JobState) -> bool {
    matches!(state, JobState::Done | JobState::Cancelled)
}
