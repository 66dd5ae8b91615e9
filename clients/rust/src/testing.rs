//! A gateway made of a script, over a real loopback socket: for tests of code that uses this crate.
//!
//! [`Gateway::accept`] gives one connection to be played by hand; [`Gateway::run`] answers every
//! request by itself. A script that waits in vain for ten seconds panics, and so fails its test.

use holdfast_protocol::backend::answer;
use holdfast_protocol::backend::request::{JobAction, MailboxAction, Push, Request};
use holdfast_protocol::backend::{Job, JobState, Mailbox, Outcome, Receipt, Welcome};
use holdfast_protocol::client::Class;
use holdfast_protocol::frame::{self, Frame};
use holdfast_protocol::limits::BACKEND_PAYLOAD;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a script waits for the other side before it fails.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest body that a script's welcome allows.
const BODY_MAX: u32 = 64 << 10;

/// A listening socket on a free port.
#[derive(Debug)]
pub struct Gateway {
    listener: TcpListener,
}

/// One connection of a [`Gateway`].
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    input: Vec<u8>,
    /// Bytes of `input` that were given out.
    taken: usize,
}

/// A frame that came, with its bytes.
#[derive(Debug)]
pub struct Received {
    kind: u8,
    payload: Vec<u8>,
}

/// A [`Gateway`] that answers by itself.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    address: String,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Listens on a free port of 127.0.0.1.
    pub fn bind() -> Self {
        Self::bind_to("127.0.0.1:0")
    }

    /// Listens on `address`; port 0 is any free one.
    pub fn bind_to(address: &str) -> Self {
        Self { listener: TcpListener::bind(address).expect("a script needs its address") }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.listener.local_addr().expect("a bound socket has an address").to_string()
    }

    /// The next connection.
    pub fn accept(&self) -> Peer {
        self.accept_within(PATIENCE).expect("the script waited in vain for a connection")
    }

    /// The next connection, if it comes in time.
    pub fn accept_within(&self, patience: Duration) -> Option<Peer> {
        self.listener.set_nonblocking(true).expect("a socket takes its mode");
        let end = Instant::now() + patience;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Some(Peer::new(stream)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("the script cannot accept: {error}"),
            }
            if Instant::now() >= end {
                return None;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Welcomes every connection and answers every request as a gateway whose users are all online.
    pub fn run(self, window: u32) -> Running {
        self.run_with(window, answer_all)
    }

    /// Welcomes every connection; `answer` appends the answers to each request.
    pub fn run_with(
        self,
        window: u32,
        answer: impl Fn(&Request<'_>, &mut Vec<u8>) + Send + Sync + Clone + 'static,
    ) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let address = self.address();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                let Some(peer) = self.accept_within(Duration::from_millis(20)) else { continue };
                let answer = answer.clone();
                thread::spawn(move || peer.run(window, answer));
            }
        });
        Running { stop, address, thread: Some(thread) }
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Accepts no more; a connection ends when its other side does.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(false).expect("a socket takes its mode");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes its timeout");
        stream.set_nodelay(true).expect("a socket takes its mode");
        Self { stream, input: Vec::new(), taken: 0 }
    }

    /// Reads the hello, and welcomes with this window. Gives the backend's name and key.
    pub fn welcome(&mut self, window: u32) -> (String, Vec<u8>) {
        let hello = self.receive().expect("a backend begins with a hello");
        let Request::Hello { name, key } = hello.request() else {
            panic!("not a hello: {:?}", hello.request())
        };
        let welcome = Welcome { window, body_max: BODY_MAX, host: 1, incarnation: 1 };
        self.send(|out| answer::put_welcome(&welcome, out));
        (name.to_owned(), key.to_vec())
    }

    /// The next frame; `None` when the other side has closed.
    pub fn receive(&mut self) -> Option<Received> {
        loop {
            if let Some(received) = self.take_frame() {
                return Some(received);
            }
            let mut bytes = [0; 8 << 10];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the script waited in vain for a frame: {error}"),
            }
        }
    }

    /// The next frame that has come already.
    fn take_frame(&mut self) -> Option<Received> {
        let left = &self.input[self.taken..];
        let found = frame::split(left, BACKEND_PAYLOAD).expect("a backend keeps to the protocol");
        let Some((frame, length)) = found else {
            self.input.drain(..self.taken);
            self.taken = 0;
            return None;
        };
        self.taken += length;
        Some(Received { kind: frame.kind, payload: frame.payload.to_vec() })
    }

    /// Sends what `fill` appends, in one write.
    pub fn send(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        fill(&mut out);
        self.send_bytes(&out);
    }

    /// Sends bytes as they are. That the other side has gone is its own affair.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Closes with this frame, and waits for the other side to close too, so that the frame is not
    /// lost to a reset.
    pub fn close(mut self, code: u16, reason: &str) {
        self.send(|out| answer::put_close(code, reason, out));
        let _ = self.stream.shutdown(Shutdown::Write);
        while self.receive().is_some() {}
    }

    fn run(mut self, window: u32, answer: impl Fn(&Request<'_>, &mut Vec<u8>)) {
        self.welcome(window);
        let _ = self.stream.set_read_timeout(None);
        while let Some(first) = self.receive() {
            let mut out = Vec::new();
            answer(&first.request(), &mut out);
            while let Some(next) = self.take_frame() {
                answer(&next.request(), &mut out);
            }
            self.send_bytes(&out);
        }
    }
}

impl Received {
    /// What it means.
    pub fn request(&self) -> Request<'_> {
        let frame = Frame { kind: self.kind, payload: &self.payload };
        Request::decode(frame).expect("a backend keeps to the protocol")
    }

    /// The outcomes that answer this push: all `outcome`.
    pub fn answer_push(&self, outcome: Outcome, out: &mut Vec<u8>) {
        let Request::Push(id, push) = self.request() else {
            panic!("not a push: {:?}", self.request())
        };
        answer::put_outcomes(id, &vec![outcome; push.targets.len()], out);
    }
}

/// Everybody is online, every broadcast is done, and one counter is 1.
fn answer_all(request: &Request<'_>, out: &mut Vec<u8>) {
    match request {
        Request::Ping => answer::put_pong(out),
        Request::Push(id, push) => answer_push(*id, push, out),
        Request::Broadcast(id, _) => answer::put_job(*id, &job(7, JobState::Running), out),
        Request::Job(id, action, job_id) => {
            let state = match action {
                JobAction::Status => JobState::Done,
                JobAction::Pause => JobState::Paused,
                JobAction::Resume => JobState::Running,
                JobAction::Cancel => JobState::Cancelled,
            };
            answer::put_job(*id, &job(*job_id, state), out);
        }
        Request::Online(id, online) => answer::put_online(*id, &vec![1; online.users.len()], out),
        Request::Kick { id, .. } => answer::put_kick(*id, 1, out),
        Request::Counters(id) => answer::put_counters(*id, &[("pushes", 1)], out),
        Request::Mailbox { id, action, .. } => {
            answer::put_mailbox(*id, &mailbox_after(*action), out);
        }
        Request::Hello { .. } | Request::Skipped => {}
    }
}

/// What is online is delivered, what is durable is stored, and acknowledged behind that.
fn answer_push(id: u64, push: &Push<'_>, out: &mut Vec<u8>) {
    let outcomes = push.targets.iter().map(|target| match target.class {
        Class::Online => Outcome::Delivered(1),
        Class::Durable => Outcome::Stored(1),
    });
    answer::put_outcomes(id, &outcomes.collect::<Vec<_>>(), out);
    for target in push.targets.iter().filter(|it| it.receipt && it.class == Class::Durable) {
        let (product, user, outcome) = (push.product, target.user, Outcome::Acked(1));
        answer::put_receipt(&Receipt { product, user, sequence: 1, outcome }, out);
    }
}

/// A mailbox to answer with: two messages in quarantine until it is purged or released.
pub fn mailbox_after(action: MailboxAction) -> Mailbox {
    let full = Mailbox {
        messages: 2,
        bytes: 10,
        first: 4,
        last: 5,
        acked: 3,
        deliveries: 6,
        quarantined: true,
        online: true,
        sessions: 1,
    };
    match action {
        MailboxAction::Show => full,
        MailboxAction::Purge => {
            Mailbox { acked: 3, online: true, sessions: 1, ..Mailbox::default() }
        }
        MailboxAction::Release => Mailbox { deliveries: 0, quarantined: false, ..full },
    }
}

/// A job to answer with: of ten sessions, one was dropped, and nine have it once it is done.
pub fn job(id: u64, state: JobState) -> Job {
    let delivered = if state == JobState::Done { 9 } else { 4 };
    Job { id, state, sequence: 3, total: 10, delivered, dropped: 1 }
}
