//! A broadcast at its owner: begun, kept first where it is durable, and steered.

use crate::broadcast::owner::Send;
use crate::broadcast::{PartStart, owner_of};
use crate::io::Io;
use crate::mailbox::journal::{Refusal, Waiting};
use crate::mesh::letter::{BroadcastOrder, Origin};
use crate::mesh::{ToHome, ToSession};
use crate::metrics::Counter;
use crate::shard::Shard;
use holdfast_protocol::backend::JobId;
use holdfast_protocol::backend::answer::ErrorCode;
use holdfast_protocol::backend::request::JobAction;
use holdfast_store::{Command, Trouble};
use std::sync::Arc;

impl<I: Io> Shard<I> {
    pub(crate) fn start_broadcast(&mut self, order: &BroadcastOrder) {
        if order.durable && !self.may_keep(order) {
            return;
        }
        let unix = self.unix_seconds();
        match self.owner.start(order, self.now.seconds(), unix) {
            Ok(start) => {
                self.metrics.count(Counter::BroadcastsStarted);
                let Some(kept) = start.kept.clone() else {
                    self.spread_out(start);
                    return;
                };
                self.notices.use_key(&kept);
                self.unkept.push(start);
                let (job, bytes) = (kept.job, kept.body.len());
                if let Some(room) = self.mailroom.as_mut() {
                    let waiting = Waiting::Broadcast(job);
                    room.journal.write(Command::Broadcast(kept), waiting, bytes);
                }
            }
            Err(refusal) => self.carry_out(vec![refusal]),
        }
    }

    /// Whether a durable broadcast can be kept and is not one that was begun already; else its
    /// backend is answered.
    fn may_keep(&mut self, order: &BroadcastOrder) -> bool {
        let since = self.unix_seconds().saturating_sub(self.settings.rules.key_window);
        let begins = |job: JobId| self.unkept.iter().any(|start| start.job == job);
        let known = self.notices.by_key(order.product, &order.key, since);
        if let Some(job) = known.filter(|&job| !begins(job)) {
            self.metrics.count(Counter::IdempotentRepeats);
            // It may be of a life with other shards, and its owner another one than this.
            let (host, shards) = (self.settings.host, self.settings.shards);
            let owner = owner_of(job, host, shards).unwrap_or(self.number);
            self.ends.home_out.send(owner, ToHome::Job(order.origin, JobAction::Status, job));
            return false;
        }
        let now = self.now.micros;
        let refusal = self.mailroom.as_ref().map(|room| room.journal.refusal(now));
        let code = match refusal {
            None => ErrorCode::NoStore,
            Some(Some(Refusal::Full)) => ErrorCode::StoreFull,
            Some(Some(Refusal::Busy)) => ErrorCode::StoreBusy,
            Some(None) if known.is_some() => ErrorCode::StoreBusy,
            Some(None) if self.notices.of(order.product).len() >= self.settings.kept_max => {
                ErrorCode::TooManyJobs
            }
            Some(None) => return true,
        };
        self.carry_out(vec![Send::Answer(order.origin, Err(code))]);
        false
    }

    /// Every shard is told of a broadcast.
    fn spread_out(&mut self, start: PartStart) {
        let (start, shards) = (Arc::new(start), self.settings.shards);
        let letter = || ToSession::Part(Arc::clone(&start));
        Self::everywhere(&mut self.ends.session_out, shards, letter);
    }

    /// The store has a durable broadcast: it begins.
    pub(crate) fn kept(&mut self, job: JobId) {
        if let Some(at) = self.unkept.iter().position(|start| start.job == job) {
            let start = self.unkept.remove(at);
            self.spread_out(start);
        }
    }

    /// The store could not keep a durable broadcast: it never was.
    pub(crate) fn not_kept(&mut self, job: JobId, trouble: Trouble) {
        self.unkept.retain(|start| start.job != job);
        self.notices.forget_key(job);
        let answer = self.owner.refuse(job, not_safe(trouble));
        self.carry_out(answer.into_iter().collect());
    }

    /// What a durable job is asked is answered once the store has it: else a cancelled one could
    /// come back with a restart.
    pub(crate) fn steer_job(&mut self, origin: Origin, action: JobAction, job: JobId) {
        let notice = self.notices.by_job(job);
        let kept = notice.map(|notice| (notice.broadcast.product, notice.broadcast.number));
        // A cancelled one is no notice any more.
        let kept = kept.or_else(|| self.mailroom.as_ref()?.steered.find(job));
        let mut send = Vec::new();
        let state = self.owner.act(origin, action, (job, kept.is_some()), &mut send);
        if let (Some(state), Some((product, number)), Some(room)) =
            (state, kept, self.mailroom.as_mut())
        {
            room.journal.order(Command::Steer { product, number, state });
            let answers = send.extract_if(.., |send| matches!(send, Send::Answer(..))).collect();
            room.steered.wait(room.journal.safe_after(), job, (product, number), answers);
        }
        self.carry_out(send);
    }

    /// The store has answered a batch: answers those who steered a job with something in it.
    pub(crate) fn answer_steered(&mut self, trouble: Option<Trouble>) {
        let Some(room) = self.mailroom.as_mut() else { return };
        let answers = room.steered.answered(room.journal.answered(), trouble.map(not_safe));
        self.carry_out(answers);
    }
}

/// What a backend is told of something that the store could not make safe.
const fn not_safe(trouble: Trouble) -> ErrorCode {
    match trouble {
        Trouble::Full => ErrorCode::StoreFull,
        Trouble::Down => ErrorCode::StoreBusy,
    }
}
