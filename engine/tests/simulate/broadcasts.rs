//! What was promised and seen of each broadcast.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::io::sim::LinkId;
use holdfast_protocol::backend::JobId;
use holdfast_protocol::backend::answer::{Job, JobState};

use crate::durable::{End, User};
use crate::ledger::{Identity, MessageId};
use crate::notices::{Hello, Kept, Notice, Past};
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
    /// Of class durable.
    kept: Option<Kept>,
    id: Option<JobId>,
}

/// All broadcasts of a run.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    all: Vec<Broadcast>,
    by_job: BTreeMap<JobId, MessageId>,
    /// What each connection of a backend was last told of each job; another may hear older news
    /// later.
    last_told: BTreeMap<(LinkId, JobId), Job>,
    hellos: BTreeMap<LinkId, Hello>,
    past: Past,
}

impl Broadcasts {
    /// A backend starts one, with the most copies a second and, where it is durable, its time to
    /// live; gives its number for the body.
    pub(crate) fn ask(
        &mut self,
        product: usize,
        tag: &'static str,
        (pace, kept): (Option<u64>, Option<u32>),
        now: u64,
    ) -> MessageId {
        self.all.push(Broadcast {
            kept: kept.map(Kept::new),
            id: None,
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

    /// A client says hello.
    pub(crate) fn hello(&mut self, link: LinkId, at: u64, said: u64) {
        self.hellos.insert(link, Hello { at, said });
    }

    /// The disk is not well from and until.
    pub(crate) fn trouble(&mut self, from: u64, until: u64) {
        self.past.trouble(from, until);
    }

    /// A job is to be steered.
    pub(crate) fn steers(&mut self, job: JobId) {
        let id = self.by_job.get(&job).copied();
        if let Some(kept) = id.and_then(|id| self.get(id)?.kept.as_mut()) {
            kept.steers();
        }
    }

    /// The gateway knows nothing of a job.
    pub(crate) fn unknown(&mut self, job: JobId, now: u64) -> Option<String> {
        let id = self.by_job.remove(&job)?;
        let one = self.get(id)?;
        let (asked, kept) = (one.asked, one.kept.as_ref()?);
        let lost = !kept.may_be_over(asked, now);
        lost.then(|| format!("the durable broadcast {id} is forgotten: job {job}"))
    }

    /// Durable broadcasts that are for everybody and that this user has not had.
    pub(crate) fn owed(&self, user: &User) -> Vec<usize> {
        let all = self.all.iter().enumerate();
        let owed = all.filter(|(_, one)| {
            let kept = one.kept.as_ref().filter(|kept| kept.is_for_all());
            one.product == user.0 && kept.is_some_and(|kept| !kept.has(user))
        });
        owed.map(|(id, _)| id).collect()
    }

    /// A copy entered the pipe of a session.
    pub(crate) fn written(
        &mut self,
        link: LinkId,
        to: &Identity,
        (id, sequence): (MessageId, u64),
        (again, now): (bool, u64),
    ) -> Option<String> {
        let hello = self.hellos.get(&link).copied().unwrap_or(Hello { at: now, said: 0 });
        let past = std::mem::take(&mut self.past);
        let notice = Notice { link, hello, number: sequence, again, now };
        let failure = self.judge(to, id, &notice, &past);
        self.past = past;
        failure
    }

    fn judge(
        &mut self,
        to: &Identity,
        id: MessageId,
        notice: &Notice,
        past: &Past,
    ) -> Option<String> {
        let Notice { link, number: sequence, now, .. } = *notice;
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
        if let Some(kept) = &mut broadcast.kept {
            return kept.written(&(to.product, to.user.clone()), notice, past);
        }
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
    pub(crate) fn started(
        &mut self,
        link: LinkId,
        id: MessageId,
        job: Job,
        now: u64,
    ) -> Option<String> {
        self.by_job.insert(job.id, id);
        if let Some(broadcast) = self.get(id) {
            broadcast.id = Some(job.id);
        }
        self.told(link, job, now)
    }

    /// A backend gave it up: refused, or its answer will never come.
    pub(crate) fn give_up(&mut self, id: MessageId) {
        if let Some(broadcast) = self.get(id) {
            broadcast.given_up = true;
        }
    }

    /// The gateway is gone, and its jobs with it.
    pub(crate) fn over(&mut self, end: End) {
        self.past.over(end);
        for broadcast in &mut self.all {
            broadcast.given_up = true;
            broadcast.job = None;
            if let Some(kept) = &mut broadcast.kept {
                kept.over(end);
            }
        }
        let all = &self.all;
        // What was answered was in the store.
        self.by_job.retain(|_, id| all[(*id - FIRST_ID) as usize].kept.is_some());
    }

    /// A job's standing was told.
    pub(crate) fn told(&mut self, link: LinkId, job: Job, now: u64) -> Option<String> {
        let id = *self.by_job.get(&job.id)?;
        let before = self.last_told.insert((link, job.id), job);
        let broadcast = self.get(id)?;
        if job.delivered + job.dropped > job.total {
            return Some(format!("{job:?} has served more than there are"));
        }
        if let Some(kept) = &mut broadcast.kept {
            kept.told(job, now);
            // Whoever comes later gets it too, so it may be steered for ever.
            broadcast.job = Some(job);
            return None;
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
        // A durable one whose time ended while it was paused stays so.
        let lasts = |one: &&Broadcast| one.kept.as_ref().is_none_or(|kept| kept.ttl == 0);
        let all = self.all.iter().filter(lasts);
        let jobs = all.filter(|one| !one.given_up).filter_map(|one| one.job);
        let open = jobs.filter(|job| !ended(job.state)).map(|job| job.id);
        open.chain(self.stopped_before()).collect()
    }

    /// Durable jobs of an earlier life of which nobody knows whether they run, and paused ones.
    fn stopped_before(&self) -> impl Iterator<Item = JobId> {
        let lasts = |kept: &Kept| kept.ttl == 0;
        let known = self.all.iter().filter(|one| one.given_up);
        let known = known.filter(move |one| one.kept.as_ref().is_some_and(lasts));
        let open = known.filter(|one| one.job.is_none_or(|job| !ended(job.state)));
        open.filter_map(|one| one.id.filter(|id| self.by_job.contains_key(id)))
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
                Some(job) if one.kept.as_ref().is_some_and(|kept| kept.may_rest(job)) => {}
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
