//! A backend that speaks by a script.

use super::Peer;
use super::peer::Heard;
use holdfast_protocol::backend::answer::{Mailbox, Receipt};
use holdfast_protocol::backend::request::{self, Broadcast, JobAction, MailboxAction};
use holdfast_protocol::backend::{Answer, Job, JobId, JobState, Outcome, Target, Welcome};
use holdfast_protocol::client::Class;
use holdfast_protocol::frame::Frame;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What the gateway told a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Welcome(Welcome),
    Pong,
    Drain,
    Close { code: u16 },
    Error { id: u64, code: u16 },
    Outcomes(u64, Vec<Outcome>),
    Job(u64, Job),
    Online(u64, Vec<u32>),
    Kick(u64, u32),
    Counters(u64, BTreeMap<String, u64>),
    Mailbox(u64, Mailbox),
    Receipt { user: String, sequence: u64, outcome: Outcome },
    Other,
    End,
    Reset,
}

/// A backend of the gateway.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) peer: Peer,
    pub(crate) welcome: Welcome,
    next: u64,
}

/// A target of class online, as plain as it can be.
pub(crate) fn target<'a>(user: &'a str, body: &'a [u8]) -> Target<'a> {
    Target { user, class: Class::Online, ttl: 0, key: b"", receipt: false, body }
}

/// A target of class durable, as plain as it can be.
pub(crate) fn durable<'a>(user: &'a str, body: &'a [u8]) -> Target<'a> {
    Target { class: Class::Durable, ..target(user, body) }
}

/// A broadcast to all of `demo`, as fast as it goes.
pub(crate) fn everybody(body: &[u8]) -> Broadcast<'_> {
    Broadcast {
        product: "demo",
        tag: "",
        class: Class::Online,
        ttl: 0,
        users_per_second: 0,
        bits_per_second: 0,
        key: b"",
        body,
    }
}

/// The same, durable.
pub(crate) fn kept(body: &[u8]) -> Broadcast<'_> {
    Broadcast { class: Class::Durable, ..everybody(body) }
}

impl Backend {
    #[track_caller]
    pub(crate) fn at(address: SocketAddr, key: &[u8]) -> Self {
        let mut peer = Peer::connect(address);
        let mut hello = Vec::new();
        request::put_hello("test", key, &mut hello);
        peer.send(&hello);
        match peer.told() {
            Told::Welcome(welcome) => Self { peer, welcome, next: 1 },
            other => panic!("not welcomed: {other:?}"),
        }
    }

    /// Sends a request that `put` appends under the id it is given; gives the id.
    #[track_caller]
    pub(crate) fn ask(&mut self, put: impl FnOnce(u64, &mut Vec<u8>)) -> u64 {
        let id = self.next;
        self.next += 1;
        let mut bytes = Vec::new();
        put(id, &mut bytes);
        self.peer.send(&bytes);
        id
    }

    #[track_caller]
    pub(crate) fn send_push(&mut self, targets: &[Target<'_>]) -> u64 {
        self.ask(|id, out| request::put_push(id, "demo", targets, out))
    }

    /// Pushes and waits for the outcomes.
    #[track_caller]
    pub(crate) fn push(&mut self, targets: &[Target<'_>]) -> Vec<Outcome> {
        let id = self.send_push(targets);
        self.outcomes(id)
    }

    /// Pushes to one user and waits for the outcome.
    #[track_caller]
    pub(crate) fn push_one(&mut self, user: &str, body: &[u8]) -> Outcome {
        self.push(&[target(user, body)])[0]
    }

    /// The outcomes of the request `id`, which must be answered next.
    #[track_caller]
    pub(crate) fn outcomes(&mut self, id: u64) -> Vec<Outcome> {
        match self.peer.told() {
            Told::Outcomes(of, outcomes) if of == id => outcomes,
            other => panic!("not the outcomes of {id}: {other:?}"),
        }
    }

    /// The outcomes of whichever push is answered next, and its request.
    #[track_caller]
    pub(crate) fn any_outcomes(&mut self) -> (u64, Vec<Outcome>) {
        match self.peer.told() {
            Told::Outcomes(id, outcomes) => (id, outcomes),
            other => panic!("not the outcomes of a push: {other:?}"),
        }
    }

    /// The outcome of each push to one user, by request, in whatever order they come.
    #[track_caller]
    pub(crate) fn each_outcome(&mut self, ids: &[u64]) -> Vec<Outcome> {
        let mut outcomes = BTreeMap::new();
        while outcomes.len() < ids.len() {
            match self.peer.told() {
                Told::Outcomes(id, told) if ids.contains(&id) => outcomes.insert(id, told[0]),
                other => panic!("not an outcome of {ids:?}: {other:?}"),
            };
        }
        ids.iter().map(|id| outcomes[id]).collect()
    }

    /// The job that answers the request `id`, which must be answered next.
    #[track_caller]
    pub(crate) fn job(&mut self, id: u64) -> Job {
        match self.peer.told() {
            Told::Job(of, job) if of == id => job,
            other => panic!("not the job of {id}: {other:?}"),
        }
    }

    /// Starts a broadcast.
    #[track_caller]
    pub(crate) fn broadcast(&mut self, broadcast: &Broadcast<'_>) -> Job {
        let id = self.ask(|id, out| request::put_broadcast(id, broadcast, out));
        self.job(id)
    }

    /// Asks about or steers a job.
    #[track_caller]
    pub(crate) fn steer(&mut self, action: JobAction, job: JobId) -> Job {
        let id = self.ask(|id, out| request::put_job(id, action, job, out));
        self.job(id)
    }

    /// Waits until a job is over.
    #[track_caller]
    pub(crate) fn end_of(&mut self, job: JobId) -> Job {
        let mut last = self.steer(JobAction::Status, job);
        super::until("the end of the broadcast", || {
            last = self.steer(JobAction::Status, job);
            matches!(last.state, JobState::Done | JobState::Cancelled)
        });
        last
    }

    /// How many sessions each user has.
    #[track_caller]
    pub(crate) fn online(&mut self, users: &[&str]) -> Vec<u32> {
        let id = self.ask(|id, out| request::put_online(id, "demo", users, out));
        match self.peer.told() {
            Told::Online(of, counts) if of == id => counts,
            other => panic!("not the counts of {id}: {other:?}"),
        }
    }

    /// Ends a user's session; gives how many were ended.
    #[track_caller]
    pub(crate) fn kick(&mut self, user: &str, reason: &str) -> u32 {
        let id = self.ask(|id, out| request::put_kick(id, "demo", user, reason, out));
        match self.peer.told() {
            Told::Kick(of, sessions) if of == id => sessions,
            other => panic!("not the kick of {id}: {other:?}"),
        }
    }

    /// Pushes a durable message, which must be kept; gives its sequence.
    #[track_caller]
    pub(crate) fn keep(&mut self, user: &str, body: &[u8]) -> u64 {
        match self.push(&[durable(user, body)])[0] {
            Outcome::Stored(sequence) | Outcome::Acked(sequence) => sequence,
            other => panic!("not kept: {other:?}"),
        }
    }

    /// Asks about a mailbox, or acts on it.
    #[track_caller]
    pub(crate) fn mailbox(&mut self, user: &str, action: MailboxAction) -> Mailbox {
        let id = self.ask(|id, out| request::put_mailbox(id, action, "demo", user, out));
        match self.peer.told() {
            Told::Mailbox(of, mailbox) if of == id => mailbox,
            other => panic!("not the mailbox of {id}: {other:?}"),
        }
    }

    /// The next receipt: of which message, and what became of it.
    #[track_caller]
    pub(crate) fn receipt(&mut self) -> (String, u64, Outcome) {
        match self.peer.told() {
            Told::Receipt { user, sequence, outcome } => (user, sequence, outcome),
            other => panic!("not a receipt: {other:?}"),
        }
    }

    /// The gateway's counters.
    #[track_caller]
    pub(crate) fn counters(&mut self) -> BTreeMap<String, u64> {
        let id = self.ask(request::put_counters);
        match self.peer.told() {
            Told::Counters(of, counters) if of == id => counters,
            other => panic!("not the counters of {id}: {other:?}"),
        }
    }
}

impl Peer {
    /// The next frame, as a backend understands it.
    #[track_caller]
    pub(crate) fn told(&mut self) -> Told {
        let (kind, payload) = match self.hear() {
            Heard::Frame(kind, payload) => (kind, payload),
            Heard::End => return Told::End,
            Heard::Reset => return Told::Reset,
        };
        let payload = payload.as_slice();
        match Answer::decode(Frame { kind, payload }).expect("the gateway speaks well") {
            Answer::Welcome(welcome) => Told::Welcome(welcome),
            Answer::Pong => Told::Pong,
            Answer::Drain { .. } => Told::Drain,
            Answer::Close { code, .. } => Told::Close { code },
            Answer::Error { id, code, .. } => Told::Error { id, code },
            Answer::Push(id, outcomes) => Told::Outcomes(id, outcomes.iter().collect()),
            Answer::Job(id, job) => Told::Job(id, job),
            Answer::Online(id, counts) => Told::Online(id, counts.iter().collect()),
            Answer::Kick(id, sessions) => Told::Kick(id, sessions),
            Answer::Counters(id, counters) => {
                let named = counters.iter().map(|(name, value)| (name.to_owned(), value));
                Told::Counters(id, named.collect())
            }
            Answer::Mailbox(id, mailbox) => Told::Mailbox(id, mailbox),
            Answer::Receipt(Receipt { user, sequence, outcome, .. }) => {
                Told::Receipt { user: user.to_owned(), sequence, outcome }
            }
            Answer::Skipped => Told::Other,
        }
    }
}
