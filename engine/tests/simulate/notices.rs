//! What was promised and seen of durable broadcasts, over crashes of the gateway: each user gets
//! each one once.
//!
//! A copy is what entered a pipe whole. Another one is fair where the gateway could not know of the
//! first: the client had said hello before, or a crash or a failing disk took the record of it, or
//! the client's own number says that it has not had it, and then the copy says so too.

use std::collections::BTreeMap;

use holdfast::io::sim::LinkId;
use holdfast_protocol::backend::answer::{Job, JobState};

use crate::durable::{End, SAFE, User};
use crate::plan::SECOND;

/// That a broadcast was written may take so long to reach the user's home under load.
const ON_ITS_WAY: u64 = 5 * SECOND;

/// A copy of a broadcast.
#[derive(Debug, Clone, Copy)]
struct Copy {
    link: LinkId,
    at: u64,
}

/// A client's hello.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hello {
    pub(crate) at: u64,
    /// The greatest broadcast that it says it has had.
    pub(crate) said: u64,
}

/// A durable broadcast on its way to a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notice {
    pub(crate) link: LinkId,
    pub(crate) hello: Hello,
    pub(crate) number: u64,
    pub(crate) again: bool,
    pub(crate) now: u64,
}

/// What is known of one durable broadcast.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// In seconds; 0 for the gateway's own, which is longer than a run.
    pub(crate) ttl: u32,
    copies: BTreeMap<User, Vec<Copy>>,
    /// Since when it surely reaches nobody who comes.
    stopped: Option<u64>,
    /// Somebody wants it to reach nobody, or to go on, and was not answered.
    steered: bool,
    /// How it was when that was told last, in the life that lasts.
    state: Option<JobState>,
}

/// When gateways ended, and when the disk was not well.
#[derive(Debug, Default)]
pub(crate) struct Past {
    ends: Vec<End>,
    troubles: Vec<(u64, u64)>,
}

impl Past {
    pub(crate) fn over(&mut self, end: End) {
        self.ends.push(end);
    }

    pub(crate) fn trouble(&mut self, from: u64, until: u64) {
        self.troubles.push((from, until));
    }

    /// Whether a gateway that knew what was done at `at` may have forgotten it by `now`.
    fn may_forget(&self, at: u64, now: u64) -> bool {
        let lost = |end: &End| {
            at <= end.at
                && end.at <= now
                && ((!end.in_order && end.at < at + SAFE) || self.ailed(at, end.at))
        };
        self.ends.iter().any(lost)
    }

    /// Whether what was done at `at` is certainly kept at `now`, since the gateway that did it left
    /// in order.
    fn keeps(&self, at: u64, now: u64) -> bool {
        let end = self.ends.iter().find(|end| at <= end.at);
        end.is_some_and(|end| end.in_order && end.at < now) && !self.ailed(at, now)
    }

    fn ailed(&self, from: u64, until: u64) -> bool {
        self.troubles.iter().any(|&(begun, ended)| begun <= until && from <= ended)
    }
}

impl Kept {
    pub(crate) fn new(ttl: u32) -> Self {
        Self { ttl, ..Self::default() }
    }

    /// A copy enters the pipe of a session of this user.
    pub(crate) fn written(&mut self, user: &User, notice: &Notice, past: &Past) -> Option<String> {
        let Notice { link, hello, number, again, now } = *notice;
        let copies = self.copies.entry(user.clone()).or_default();
        let surely = copies.iter().any(|copy| {
            let known = copy.at + ON_ITS_WAY < hello.at && !past.may_forget(copy.at, hello.at);
            known || past.keeps(copy.at, hello.at)
        });
        let twice = copies.iter().any(|copy| copy.link == link);
        copies.push(Copy { link, at: now });
        if twice {
            return Some(format!("broadcast {number} is written to {link} twice"));
        }
        if again && (hello.said == 0 || number <= hello.said) {
            return Some(format!(
                "broadcast {number} says to {link} that it may have come: {hello:?}"
            ));
        }
        if surely && !again {
            return Some(format!(
                "broadcast {number} comes to {user:?} on {link} again: {copies:?}"
            ));
        }
        let stopped = self.stopped.is_some_and(|at| at + ON_ITS_WAY < hello.at);
        stopped.then(|| format!("broadcast {number} is stopped and comes to {link}"))
    }

    /// Somebody steers it.
    pub(crate) fn steers(&mut self) {
        self.steered = true;
        self.stopped = None;
    }

    /// Its standing was told at `now`, as it was asked for at `asked`.
    pub(crate) fn told(&mut self, job: Job, now: u64) {
        self.state = Some(job.state);
        let stops = matches!(job.state, JobState::Cancelled) && !self.steered;
        if stops {
            self.stopped.get_or_insert(now);
        }
        self.steered = false;
    }

    /// The gateway is gone: what was said last may not be what its store has, unless it left in
    /// order.
    pub(crate) fn over(&mut self, end: End) {
        if !end.in_order {
            (self.state, self.stopped, self.steered) = (None, None, false);
        }
    }

    /// Whether everybody who comes gets it.
    pub(crate) fn is_for_all(&self) -> bool {
        self.ttl == 0 && self.state == Some(JobState::Done)
    }

    /// Whether this user has had it.
    pub(crate) fn has(&self, user: &User) -> bool {
        self.copies.contains_key(user)
    }

    /// Whether this is how it may stand in the calm. It may be paused: what one backend wanted
    /// under load may be carried out behind what another one wants now.
    pub(crate) fn may_rest(&self, job: Job) -> bool {
        self.ttl > 0 || job.state != JobState::Running
    }

    /// Whether it may be forgotten because its time is over.
    pub(crate) fn may_be_over(&self, asked: u64, now: u64) -> bool {
        self.ttl > 0 && now / SECOND > asked / SECOND + u64::from(self.ttl)
    }
}
