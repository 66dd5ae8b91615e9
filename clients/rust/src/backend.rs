//! The handle: what a service calls.

use crate::check;
use crate::driver::{Driver, WAKE};
use crate::error::Error;
use crate::ledger::{Room, Shared};
use crate::options::Options;
use crate::pending::{Pending, pair};
use crate::sink::{Callback, Sink};
use holdfast_protocol::backend::request::{JobAction, MailboxAction};
use holdfast_protocol::backend::{Broadcast, Job, JobId, Mailbox, Outcome, Target, Welcome};
use mio::{Poll, Waker};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A connection to a gateway, made again whenever it is lost. Clones share it; when the last is
/// dropped, it closes, and what is still in flight answers [`Error::Closed`].
///
/// Calls other than the `try_` ones wait for a connection and for room in the window, each at most
/// [`Options::timeout`]; inside a callback, which runs on the client's own thread, they never wait.
#[derive(Clone)]
pub struct Backend {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

impl Backend {
    /// Connects, and waits until a gateway has welcomed this backend.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when every address was tried once in vain, [`Error::Refused`] when a
    /// gateway wants nothing to do with this backend, [`Error::Invalid`] for options that cannot
    /// work.
    pub fn connect(options: Options) -> Result<Self, Error> {
        let backend = Self::start(options)?;
        backend.handle.shared.await_first_connection()?;
        Ok(backend)
    }

    /// Starts to connect and returns at once; for a service that may be up before its gateway is.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that cannot work, [`Error::System`] if there is no thread to
    /// be had.
    pub fn start(options: Options) -> Result<Self, Error> {
        let options = options.checked()?;
        let system = |error: io::Error| Error::System(error.to_string().into());
        let poll = Poll::new().map_err(system)?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(system)?;
        let shared = Arc::new(Shared::new(options, waker));
        let driver = Driver::new(Arc::clone(&shared), poll);
        let thread = thread::Builder::new().name("holdfast-client".to_owned());
        thread.spawn(move || driver.run()).map_err(system)?;
        Ok(Self { handle: Arc::new(Handle { shared }) })
    }

    // ---- push ----

    /// Pushes to 1 to 4096 targets of one product; one outcome for each comes back, in their order.
    pub fn push(
        &self,
        product: &str,
        targets: &[Target<'_>],
    ) -> Result<Pending<Vec<Outcome>>, Error> {
        let (done, pending) = pair(|outcomes| outcomes);
        self.submit_push(Room::Wait, product, targets, done)?;
        Ok(pending)
    }

    /// As [`push`](Self::push), but says [`Error::WindowFull`] or [`Error::NotConnected`] instead
    /// of waiting.
    pub fn try_push(
        &self,
        product: &str,
        targets: &[Target<'_>],
    ) -> Result<Pending<Vec<Outcome>>, Error> {
        let (done, pending) = pair(|outcomes| outcomes);
        self.submit_push(Room::Try, product, targets, done)?;
        Ok(pending)
    }

    /// Pushes to one target.
    pub fn push_one(&self, product: &str, target: Target<'_>) -> Result<Pending<Outcome>, Error> {
        // A sink gives exactly as many outcomes as targets, so there is one.
        let (done, pending) = pair(|outcomes: Vec<Outcome>| outcomes[0]);
        self.submit_push(Room::Wait, product, &[target], done)?;
        Ok(pending)
    }

    /// As [`push`](Self::push), and `done` gets the outcomes, on the client's own thread: it must
    /// not block. Where this fails, `done` is never called.
    pub fn push_then(
        &self,
        product: &str,
        targets: &[Target<'_>],
        done: impl FnOnce(Result<Vec<Outcome>, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.submit_push(Room::Wait, product, targets, Box::new(done))
    }

    /// As [`push_then`](Self::push_then), but never waits: the form for an event loop of its own.
    pub fn try_push_then(
        &self,
        product: &str,
        targets: &[Target<'_>],
        done: impl FnOnce(Result<Vec<Outcome>, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.submit_push(Room::Try, product, targets, Box::new(done))
    }

    fn submit_push(
        &self,
        room: Room,
        product: &str,
        targets: &[Target<'_>],
        done: Callback<Vec<Outcome>>,
    ) -> Result<(), Error> {
        check::push(product, targets)?;
        let sink = Sink::Push(targets.len(), done);
        // 1 to 4096 targets passed the check.
        let cost = u32::try_from(targets.len()).unwrap_or(u32::MAX);
        let shared = &self.handle.shared;
        shared.submit(room, cost, sink, &mut |machine| machine.push(product, targets))
    }

    // ---- broadcast ----

    /// Starts a broadcast; the answer is the job as it stands at its start.
    pub fn broadcast(&self, broadcast: &Broadcast<'_>) -> Result<Pending<Job>, Error> {
        check::broadcast(broadcast)?;
        let (done, pending) = pair(|job| job);
        let shared = &self.handle.shared;
        shared
            .submit(Room::Wait, 1, Sink::Job(done), &mut |machine| machine.broadcast(broadcast))?;
        Ok(pending)
    }

    /// Asks how a broadcast job stands, or pauses, resumes or cancels it; the answer is the job as
    /// it stands then.
    pub fn job(&self, action: JobAction, job: JobId) -> Result<Pending<Job>, Error> {
        let (done, pending) = pair(|job| job);
        let shared = &self.handle.shared;
        shared.submit(Room::Wait, 1, Sink::Job(done), &mut |machine| machine.job(action, job))?;
        Ok(pending)
    }

    // ---- users ----

    /// Asks how many sessions each of 1 to 4096 users has, in their order.
    pub fn online(&self, product: &str, users: &[&str]) -> Result<Pending<Vec<u32>>, Error> {
        check::online(product, users)?;
        let (done, pending) = pair(|counts| counts);
        let sink = Sink::Online(users.len(), done);
        let shared = &self.handle.shared;
        shared.submit(Room::Wait, 1, sink, &mut |machine| machine.online(product, users))?;
        Ok(pending)
    }

    /// Ends all sessions of a user, who is told the reason; the answer is how many there were.
    pub fn kick(&self, product: &str, user: &str, reason: &str) -> Result<Pending<u32>, Error> {
        check::kick(product, user, reason)?;
        let (done, pending) = pair(|sessions| sessions);
        let shared = &self.handle.shared;
        shared.submit(Room::Wait, 1, Sink::Kick(done), &mut |machine| {
            machine.kick(product, user, reason)
        })?;
        Ok(pending)
    }

    /// Asks how the messages stored for a user stand, or purges or releases them; the answer is the
    /// mailbox as it stands then.
    pub fn mailbox(
        &self,
        action: MailboxAction,
        product: &str,
        user: &str,
    ) -> Result<Pending<Mailbox>, Error> {
        check::mailbox(product, user)?;
        let (done, pending) = pair(|mailbox| mailbox);
        let shared = &self.handle.shared;
        shared.submit(Room::Wait, 1, Sink::Mailbox(done), &mut |machine| {
            machine.mailbox(action, product, user)
        })?;
        Ok(pending)
    }

    // ---- the gateway and the connection ----

    /// Asks for the gateway's counters, by name.
    pub fn counters(&self) -> Result<Pending<Vec<(String, u64)>>, Error> {
        let (done, pending) = pair(|counters| counters);
        let shared = &self.handle.shared;
        shared.submit(Room::Wait, 1, Sink::Counters(done), &mut |machine| machine.counters())?;
        Ok(pending)
    }

    /// What the gateway granted; `None` without a connection.
    pub fn welcome(&self) -> Option<Welcome> {
        self.handle.shared.welcome()
    }

    /// How much of the window is free: one for each target of a push, one for any other request. 0
    /// without a connection.
    pub fn window_left(&self) -> u32 {
        self.handle.shared.window_left()
    }

    /// How many requests have no answer yet.
    pub fn in_flight(&self) -> usize {
        self.handle.shared.in_flight()
    }

    /// Waits until every request has its answer or its error; whether that came in time. A service
    /// calls it before it ends, if it does not wait for each answer.
    pub fn finish(&self, timeout: Duration) -> bool {
        self.handle.shared.await_all_answers(timeout)
    }
}
