//! The null server: it speaks enough of the gateway's protocol for clients to log in and receive
//! and for a backend to push and broadcast, and does nothing else: no shards, no homes, no limits.
//!
//! What a load generator can offer to it is what the generator's own path can offer. One thread,
//! for as many clients as one descriptor table holds. It trusts its peer, which is this program: an
//! error ends it with a message. It answers a push when it has written the message to its client,
//! and waits for a client that does not read, so nothing ever piles up in it.

mod jobs;

use self::jobs::Jobs;
use super::machine;
use super::server::epoll::Epoll;
use super::server::kernel::{Event, Kernel};
use super::server::{listener, local_port};
use holdfast_protocol::backend::answer::{self, Outcome};
use holdfast_protocol::backend::{Push as PushRequest, Request, RequestId};
use holdfast_protocol::client::FromClient;
use holdfast_protocol::client::from_server::{self, Push, Welcome};
use holdfast_protocol::frame::{self, Frame};
use holdfast_protocol::limits::{BACKEND_PAYLOAD, BODY_BYTES_DEFAULT, CLIENT_PAYLOAD};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::collections::HashMap;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// Listener ids, out of the way of sockets' ids.
const CLIENTS: u32 = u32::MAX;
const BACKENDS: u32 = u32::MAX - 1;
/// Backends have ids from here on.
const FIRST_BACKEND: u32 = 1 << 31;
/// Receives at most so much at once.
const BUFFER: usize = 256 * 1024;
/// What a backend may have unanswered: as a gateway grants by default.
const WINDOW: u32 = 4_096;
/// Granted heartbeat in seconds, where a client leaves it to the server.
const HEARTBEAT: u16 = 300;

/// How a null server runs.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct NullArgs {
    /// The core that it takes for itself.
    #[arg(long)]
    core: Option<usize>,
}

/// Serves until standard input ends; prints the ports of clients and backends once it listens.
pub(super) fn main(args: &NullArgs) -> ExitCode {
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("null server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &NullArgs) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if let Some(core) = args.core {
        machine::pin_to(core)?;
    }
    machine::raise_descriptor_limit();
    thread::spawn(|| {
        // What it served ends with it, which its peers notice.
        if let Err(error) = serve() {
            eprintln!("null server: {error}");
        }
    });
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

fn serve() -> io::Result<()> {
    let (clients, backends) = (listener(0)?, listener(0)?);
    let (client_port, backend_port) = (local_port(&clients)?, local_port(&backends)?);
    let mut kernel = Epoll::new()?;
    kernel.listen(&clients, CLIENTS)?;
    kernel.listen(&backends, BACKENDS)?;
    println!("{client_port} {backend_port}");
    Null::new(kernel).run()
}

/// A connection of either kind.
struct Peer {
    socket: OwnedFd,
    /// An incomplete frame.
    input: Vec<u8>,
    /// What leaves at the end of the turn.
    output: Vec<u8>,
    /// The user that logged in here.
    user: Option<String>,
    /// The sequence of the last message.
    sequence: u64,
}

struct Null {
    kernel: Epoll,
    clients: Vec<Option<Peer>>,
    free: Vec<u32>,
    backends: Vec<Peer>,
    users: HashMap<String, u32>,
    sessions: u64,
    jobs: Jobs,
    /// Clients that have output.
    dirty: Vec<u32>,
    buffer: Vec<u8>,
}

impl Null {
    fn new(kernel: Epoll) -> Self {
        Self {
            kernel,
            clients: Vec::new(),
            free: Vec::new(),
            backends: Vec::new(),
            users: HashMap::new(),
            sessions: 0,
            jobs: Jobs::default(),
            dirty: Vec::new(),
            buffer: vec![0; BUFFER],
        }
    }

    fn run(mut self) -> io::Result<()> {
        let (mut events, mut patience) = (Vec::new(), None);
        loop {
            self.kernel.wait_for(&mut events, patience)?;
            for event in events.drain(..) {
                match event {
                    Event::Accepted(BACKENDS, socket) => self.add_backend(socket)?,
                    Event::Accepted(_, socket) => self.add_client(socket)?,
                    Event::Ready(id) if id >= FIRST_BACKEND => self.read_backend(id)?,
                    Event::Ready(id) => self.read_client(id)?,
                    Event::Ended(_) => {}
                }
            }
            patience = self.deal();
            // Messages before the answers about them.
            for id in std::mem::take(&mut self.dirty) {
                if let Some(Some(peer)) = self.clients.get_mut(id as usize) {
                    peer.flush();
                }
            }
            self.backends.iter_mut().for_each(Peer::flush);
        }
    }

    /// What is due of the broadcasts.
    fn deal(&mut self) -> Option<Duration> {
        let Self { jobs, clients, dirty, .. } = self;
        jobs.deal(Instant::now(), clients.len(), |place, frame| {
            let peer = clients[place].as_mut().filter(|peer| peer.user.is_some());
            let (Some(peer), Ok(id)) = (peer, u32::try_from(place)) else { return false };
            if peer.output.is_empty() {
                dirty.push(id);
            }
            peer.output.extend_from_slice(frame);
            true
        })
    }

    fn add_backend(&mut self, socket: OwnedFd) -> io::Result<()> {
        let number = u32::try_from(self.backends.len()).map_err(io::Error::other)?;
        self.kernel.watch(&socket, FIRST_BACKEND + number)?;
        self.backends.push(Peer::new(socket));
        Ok(())
    }

    fn add_client(&mut self, socket: OwnedFd) -> io::Result<()> {
        let id = match self.free.pop() {
            Some(id) => id,
            None => u32::try_from(self.clients.len()).map_err(io::Error::other)?,
        };
        self.kernel.watch(&socket, id)?;
        if id as usize == self.clients.len() {
            self.clients.push(None);
        }
        self.clients[id as usize] = Some(Peer::new(socket));
        Ok(())
    }

    fn read_client(&mut self, id: u32) -> io::Result<()> {
        let slot = id as usize;
        let Some(mut peer) = self.clients.get_mut(slot).and_then(Option::take) else {
            return Ok(());
        };
        let mut open = peer.read(&mut self.buffer);
        let input = std::mem::take(&mut peer.input);
        let taken = each_frame(&input, CLIENT_PAYLOAD, |frame| {
            open &= self.hear(id, &mut peer, &frame)?;
            Ok(())
        })?;
        peer.input = input;
        peer.input.drain(..taken);
        if open {
            if !peer.output.is_empty() {
                self.dirty.push(id);
            }
            self.clients[slot] = Some(peer);
        } else {
            if let Some(user) = peer.user.filter(|user| self.users.get(user) == Some(&id)) {
                self.users.remove(&user);
            }
            self.free.push(id);
        }
        Ok(())
    }

    /// Takes one frame of a client; gives whether it stays.
    fn hear(&mut self, id: u32, peer: &mut Peer, frame: &Frame<'_>) -> io::Result<bool> {
        match FromClient::decode(*frame).map_err(|wrong| broken(&wrong))? {
            FromClient::Hello(hello) => {
                self.sessions += 1;
                let mut session = [0; 16];
                session[..8].copy_from_slice(&self.sessions.to_le_bytes());
                let asked = hello.heartbeat;
                let welcome = Welcome {
                    session,
                    heartbeat: if asked == 0 { HEARTBEAT } else { asked },
                    server_time: 0,
                    next_sequence: 1,
                    resumed: false,
                    body_max: body_max(),
                };
                from_server::put_welcome(&welcome, &mut peer.output);
                peer.user = Some(hello.user.to_owned());
                self.users.insert(hello.user.to_owned(), id);
            }
            FromClient::Ping => from_server::put_pong(&mut peer.output),
            FromClient::Bye => return Ok(false),
            FromClient::Ack { .. } | FromClient::Skipped => {}
        }
        Ok(true)
    }

    fn read_backend(&mut self, id: u32) -> io::Result<()> {
        let slot = (id - FIRST_BACKEND) as usize;
        let peer = &mut self.backends[slot];
        // One that left is not read again: edge-triggered, it is silent.
        peer.read(&mut self.buffer);
        let input = std::mem::take(&mut peer.input);
        let mut output = std::mem::take(&mut peer.output);
        let taken = each_frame(&input, BACKEND_PAYLOAD, |frame| {
            match Request::decode(frame).map_err(|wrong| broken(&wrong))? {
                Request::Hello { .. } => {
                    let granted = answer::Welcome {
                        window: WINDOW,
                        body_max: body_max(),
                        host: 1,
                        incarnation: 1,
                    };
                    answer::put_welcome(&granted, &mut output);
                }
                Request::Push(request, push) => self.push(request, &push, &mut output),
                Request::Ping => answer::put_pong(&mut output),
                Request::Broadcast(request, broadcast) => {
                    let job = self.jobs.begin(&broadcast, self.users.len() as u64);
                    answer::put_job(request, &job, &mut output);
                }
                Request::Job(request, action, id) => {
                    if let Some(job) = self.jobs.steer(id, action) {
                        answer::put_job(request, &job, &mut output);
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        let peer = &mut self.backends[slot];
        peer.input = input;
        peer.input.drain(..taken);
        peer.output = output;
        Ok(())
    }

    fn push(&mut self, request: RequestId, push: &PushRequest<'_>, out: &mut Vec<u8>) {
        let mut outcomes = Vec::new();
        for target in &push.targets {
            let id = self.users.get(target.user).copied();
            let peer = id.and_then(|id| self.clients.get_mut(id as usize)?.as_mut());
            let Some((id, peer)) = id.zip(peer) else {
                outcomes.push(Outcome::Offline);
                continue;
            };
            peer.sequence += 1;
            if peer.output.is_empty() {
                self.dirty.push(id);
            }
            let (class, sequence, body) = (target.class, peer.sequence, target.body);
            let push = Push { class, broadcast: false, redelivered: false, sequence, body };
            from_server::put_push(&push, &mut peer.output);
            outcomes.push(Outcome::Delivered(sequence));
        }
        answer::put_outcomes(request, &outcomes, out);
    }
}

impl Peer {
    const fn new(socket: OwnedFd) -> Self {
        Self { socket, input: Vec::new(), output: Vec::new(), user: None, sequence: 0 }
    }

    /// Takes all that waits; gives whether the connection is still open.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            match recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return false,
                Ok((length, _)) => self.input.extend_from_slice(&buffer[..length]),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Writes all that is to leave, waiting for who does not read.
    fn flush(&mut self) {
        let mut sent = 0;
        while sent < self.output.len() {
            match send(
                &self.socket,
                &self.output[sent..],
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(length) => sent += length,
                Err(Errno::AGAIN) => {
                    let mut writable = [PollFd::new(&self.socket, PollFlags::OUT)];
                    // An error of the wait shows at the next send.
                    let _ = poll(&mut writable, None);
                }
                Err(Errno::INTR) => {}
                // Who has gone needs nothing; that it has shows at the next read.
                Err(_) => break,
            }
        }
        self.output.clear();
    }
}

/// Hands over each whole frame; gives how many bytes they were.
fn each_frame<'a>(
    bytes: &'a [u8],
    most: usize,
    mut each: impl FnMut(Frame<'a>) -> io::Result<()>,
) -> io::Result<usize> {
    let mut at = 0;
    while let Some((frame, taken)) =
        frame::split(&bytes[at..], most).map_err(|wrong| broken(&wrong))?
    {
        each(frame)?;
        at += taken;
    }
    Ok(at)
}

fn broken(wrong: &impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("its peer broke the protocol: {wrong:?}"))
}

fn body_max() -> u32 {
    u32::try_from(BODY_BYTES_DEFAULT).unwrap_or(u32::MAX)
}
