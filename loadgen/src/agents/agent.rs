//! `agent`: waits for a controller, runs its share of a load, and waits for the next.
//!
//! A thread for each connection proves the key; one of them at a time has the agent, and runs what
//! [`super::session`] decides. Who comes meanwhile is told who has it.

use super::allow::{Allowed, Place};
use super::channel::{self, Receiver, Sender};
use super::lease::Lease;
use super::load::Load;
use super::session::{Deed, Event, Session};
use super::together::{Release, Together, Word};
use super::wire::{self, Host, Text, ToAgent, ToController};
use super::{PATIENCE, key};
use crate::host;
use crate::interrupt::Interrupt;
use crate::options::Options;
use crate::run::company::Company;
use crate::run::failure::{Failure, Whose};
use crate::run::{self, Findings};
use crate::verify::judge::Sent;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The agent could not be set up.
const NOT_SET_UP: u8 = 2;
/// So many connections at once prove the key or are told that the agent is busy.
const TALKS: usize = 16;
/// Longest way of a barrier, microseconds.
const AFTER: u64 = 10_000_000;

/// What `agent --help` says at its end.
pub(crate) const NOTES: &str = "\
The agent runs loads for who has the key, one at a time, and nothing else. It connects to what
--allow names, and to nothing else; it reads and writes no file that a controller names. When its
controller goes away, it stops the load and waits for the next. Make the key with
`umask 077; openssl rand -hex 32 > FILE` and give the same file to each agent and to
`run --agents`. What they say to each other is sealed with it.
Ends with SIGINT or SIGTERM; exit code 2 if it could not be set up.";

/// The command line of `agent`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to wait for a controller
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A file with the key that the controller has too; others may not read it
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Gateways and APIs that loads may go to: HOST:PORTS or CIDR:PORTS, such as gw1:7500-7600,
    /// 10.1.0.0/16:7500 or 10.2.3.4:*; names are resolved once, at the start
    #[arg(long, value_name = "PLACES", value_delimiter = ',', required = true)]
    allow: Vec<Place>,
    /// Local addresses to connect from; on loopback they are chosen by themselves
    #[arg(long, value_name = "IP")]
    source: Vec<IpAddr>,
}

/// What an agent has for its whole life.
struct Agent {
    key: Vec<u8>,
    allowed: Allowed,
    source: Vec<IpAddr>,
    busy: Mutex<Option<(SocketAddr, Instant)>>,
    talks: AtomicUsize,
}

/// Runs the agent.
pub(crate) fn main(args: &Args) -> ExitCode {
    let Err(why) = serve(args);
    eprintln!("holdfast-loadgen: {why}");
    ExitCode::from(NOT_SET_UP)
}

fn serve(args: &Args) -> Result<std::convert::Infallible, String> {
    let agent = Arc::new(Agent {
        key: key::read(&args.key_file)?,
        allowed: Allowed::resolve(&args.allow)?,
        source: args.source.clone(),
        busy: Mutex::new(None),
        talks: AtomicUsize::new(0),
    });
    let cannot = |error| format!("cannot listen at {}: {error}", args.listen);
    let listener = TcpListener::bind(args.listen).map_err(cannot)?;
    let here = listener.local_addr().map_err(cannot)?;
    eprintln!("agent: waits at {here} for a controller");
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(came) => came,
            Err(error) => {
                eprintln!("agent: cannot accept: {error}");
                // Descriptors may have run out; some may come back.
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if agent.talks.fetch_add(1, Ordering::AcqRel) >= TALKS {
            agent.talks.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let agent = Arc::clone(&agent);
        thread::spawn(move || {
            agent.talk(stream, peer);
            agent.talks.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

impl Agent {
    /// Serves one connection.
    fn talk(&self, stream: TcpStream, peer: SocketAddr) {
        let (mut sender, receiver) = match channel::accept(stream, &self.key) {
            Ok(ends) => ends,
            Err(why) => {
                eprintln!("agent: refused {peer}: {why}");
                return;
            }
        };
        if let Err(busy) = self.take(peer) {
            eprintln!("agent: refused {peer}: {busy}");
            tell(&mut sender, &ToController::Refused(Text::of(&busy)));
            sender.close();
            return;
        }
        let lease = Arc::new(Lease::new(Instant::now()));
        tell(&mut sender, &ToController::Welcome(here()));
        let (out, words) = mpsc::channel();
        let listening = {
            let out = out.clone();
            thread::spawn(move || listen(receiver, &out))
        };
        let mut talk = Talk::new(self, (sender, lease), out);
        let told = talk.run(&words);
        eprintln!("agent: free again: {}", talk.why);
        if told {
            // A connection that is closed with something unread takes back what was sent.
            while !matches!(words.recv_timeout(PATIENCE), Err(_) | Ok(Word::Controller(Err(_)))) {}
        }
        talk.sender.close();
        // It ends with the connection.
        let _ = listening.join();
    }

    fn take(&self, peer: SocketAddr) -> Result<(), String> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((other, since)) = *busy {
            let seconds = since.elapsed().as_secs();
            return Err(format!("busy with the run of {other} for {seconds} s"));
        }
        *busy = Some((peer, Instant::now()));
        eprintln!("agent: runs for {peer}");
        Ok(())
    }

    fn free(&self) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What is said of this host.
fn here() -> Host {
    Host {
        version: Text::of(env!("CARGO_PKG_VERSION")),
        commit: Text::of(host::COMMIT),
        kernel: Text::of(&host::kernel()),
        processor: Text::of(&host::processor()),
    }
}

/// Hears the controller until it is gone.
fn listen(mut receiver: Receiver, out: &mpsc::Sender<Word>) {
    loop {
        let said = receiver.receive().map_err(|why| why.to_string());
        let said = said.and_then(|bytes| wire::decode::<ToAgent>(&bytes));
        let gone = said.is_err();
        if out.send(Word::Controller(said)).is_err() || gone {
            return;
        }
    }
}

/// Says something; whether it could be said is noticed by who listens.
fn tell(sender: &mut Sender, message: &ToController) -> bool {
    let bytes = wire::encode(message);
    bytes.is_ok_and(|bytes| sender.send(&bytes).is_ok())
}

/// The agent's side of one session, around its machine.
struct Talk<'a> {
    agent: &'a Agent,
    sender: Sender,
    session: Session,
    out: mpsc::Sender<Word>,
    gate: Option<mpsc::Sender<Release>>,
    /// Broadcasts that are due so many nanoseconds after the timeline began, or later, are made
    /// here.
    broadcasts: Arc<AtomicU64>,
    /// Until when anything may be begun here.
    lease: Arc<Lease>,
    interrupt: Interrupt,
    /// What the next deed is about.
    options: Option<Options>,
    release: Option<Release>,
    sent: Vec<Sent>,
    ended: Option<Result<Box<Findings>, Failure>>,
    /// Whether the load may not be run here.
    refused: bool,
    /// Why it is over.
    why: String,
}

impl<'a> Talk<'a> {
    fn new(
        agent: &'a Agent,
        (sender, lease): (Sender, Arc<Lease>),
        out: mpsc::Sender<Word>,
    ) -> Self {
        Self {
            agent,
            sender,
            session: Session::new(),
            out,
            gate: None,
            broadcasts: Arc::new(AtomicU64::new(u64::MAX)),
            lease,
            interrupt: Interrupt::default(),
            options: None,
            release: None,
            sent: Vec::new(),
            ended: None,
            refused: false,
            why: "the run is over".to_owned(),
        }
    }

    /// Until the session is over; says whether the controller was told what was found, or why
    /// nothing will be.
    fn run(&mut self, words: &mpsc::Receiver<Word>) -> bool {
        let mut told = false;
        while !self.session.is_over() {
            let Ok(word) = words.recv() else { break };
            let Some(event) = self.event(word) else { continue };
            for deed in self.session.hear(event) {
                told |= deed == Deed::TellEnd;
                self.act(deed);
            }
        }
        told || self.refused
    }

    /// What a word means to the machine; nothing if it is answered here.
    fn event(&mut self, word: Word) -> Option<Event> {
        Some(match word {
            Word::Ready(barrier, sent) => {
                self.sent = sent;
                Event::Ready(barrier)
            }
            Word::Second(second) => {
                tell(&mut self.sender, &ToController::Second(second));
                return None;
            }
            Word::Ended(ended) => {
                self.ended = Some(ended);
                Event::Ended
            }
            Word::Controller(Ok(ToAgent::Ping { number, heard })) => {
                self.lease.pinged(number, heard, Instant::now());
                tell(&mut self.sender, &ToController::Pong(number));
                return None;
            }
            Word::Controller(Ok(ToAgent::Broadcast { from_us })) => {
                self.broadcasts.store(from_us.saturating_mul(1_000), Ordering::Relaxed);
                return None;
            }
            Word::Controller(Ok(ToAgent::Interrupt)) => Event::Interrupt,
            Word::Controller(Ok(ToAgent::Go { barrier, after_us, sent })) => {
                let at = Instant::now() + Duration::from_micros(after_us.min(AFTER));
                self.release = Some(Release { at, sent });
                Event::Go(barrier)
            }
            Word::Controller(Ok(ToAgent::Load(load))) => self.load(*load),
            Word::Controller(Err(why)) => {
                self.why = format!("the controller is gone: {why}");
                Event::Gone
            }
        })
    }

    /// A load that may not be run here ends the session.
    fn load(&mut self, load: Load) -> Event {
        match load.options(&self.agent.allowed, &self.agent.source) {
            Ok(options) => {
                self.options = Some(options);
                Event::Load
            }
            Err(why) => {
                self.why = format!("refused the load: {why}");
                tell(&mut self.sender, &ToController::Refused(Text::of(&why)));
                self.refused = true;
                Event::Gone
            }
        }
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Start => self.start(),
            Deed::Release => {
                if let (Some(gate), Some(release)) = (&self.gate, self.release.take()) {
                    // A run that has ended waits at no barrier.
                    let _ = gate.send(release);
                }
            }
            Deed::Interrupt => self.interrupt.raise(),
            Deed::CallOff => {
                eprintln!("agent: {}; stops the load", self.why);
                self.lease.end();
                self.gate = None;
                self.interrupt.raise();
            }
            Deed::TellReady(barrier) => {
                let sent = std::mem::take(&mut self.sent);
                tell(&mut self.sender, &ToController::Ready { barrier, sent });
            }
            Deed::TellEnd => self.tell_end(),
            Deed::Free => self.agent.free(),
        }
    }

    fn start(&mut self) {
        let Some(options) = self.options.take() else { return };
        let (gate, at_gate) = mpsc::channel();
        self.gate = Some(gate);
        let (out, interrupt) = (self.out.clone(), self.interrupt.clone());
        let together = Together::new(out.clone(), at_gate, (&self.broadcasts, &self.lease));
        thread::spawn(move || {
            let company: Arc<dyn Company> = Arc::new(together);
            let ended = run::execute(&options, interrupt, &company);
            // Who does not listen any more needs no answer.
            let _ = out.send(Word::Ended(ended.map(|ended| Box::new(ended.findings))));
        });
    }

    fn tell_end(&mut self) {
        let message = match self.ended.take() {
            Some(Ok(findings)) => ToController::Findings(findings),
            Some(Err(Failure { why, whose })) => {
                self.why.clone_from(&why);
                ToController::Failed(Text::of(&why), whose)
            }
            None => return,
        };
        if !tell(&mut self.sender, &message) {
            let why = Text::of("what was found could not be told");
            tell(&mut self.sender, &ToController::Failed(why, Whose::Nobodys));
        }
    }
}
