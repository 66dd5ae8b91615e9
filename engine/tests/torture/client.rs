//! One user's client.

use crate::body;
use crate::crowd::Mood;
use crate::ledger::{Got, Ledger};
use crate::plan::{PRODUCTS, name, product};
use holdfast::io::sim::Chance;
use holdfast_protocol::client::from_client::{self, Identity};
use holdfast_protocol::client::machine::{Machine, State};
use holdfast_protocol::client::{Class, FromServer, Push, Resume, SessionId};
use holdfast_protocol::close::Code;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What a client needs to act.
pub(crate) struct Scene<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) chance: &'a mut Chance,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) mood: Mood,
    pub(crate) now: Instant,
    pub(crate) second: u32,
}

/// How a client acknowledges on one connection.
#[derive(Debug, Clone, Copy)]
struct Manner {
    /// After so many messages,
    every: u32,
    /// or after so long; never where there is none.
    after: Option<Duration>,
}

/// A connection.
#[derive(Debug)]
struct Line {
    stream: TcpStream,
    machine: Machine,
    received: Vec<u8>,
    manner: Manner,
    /// Messages that wait for their acknowledgement, and since when.
    waiting: u32,
    since: Instant,
    /// When it is to be given up.
    until: Instant,
    /// What was acknowledged before each ping that has no pong yet.
    pings: VecDeque<u64>,
    resumed: Option<u64>,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    user: usize,
    line: Option<Line>,
    /// When it comes back.
    back: Instant,
    session: Option<SessionId>,
    /// The greatest durable sequence that it dealt with, and that it acknowledged.
    dealt: u64,
    said: u64,
}

impl Client {
    pub(crate) fn new(user: usize, now: Instant) -> Self {
        Self { user, line: None, back: now, session: None, dealt: 0, said: 0 }
    }

    pub(crate) fn stream(&self) -> Option<&TcpStream> {
        self.line.as_ref().map(|line| &line.stream)
    }

    pub(crate) fn is_online(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.machine.state() == State::Online)
    }

    /// Does what is due.
    pub(crate) fn act(&mut self, scene: &mut Scene<'_>) {
        let restless = scene.mood == Mood::Restless;
        match &self.line {
            None if scene.mood == Mood::Away || (restless && scene.now < self.back) => return,
            None => self.connect(scene),
            Some(_) if scene.mood == Mood::Away => self.leave(scene),
            Some(line) if restless && scene.now >= line.until => self.leave(scene),
            Some(_) => {}
        }
        self.acknowledge(scene);
        if let Some(line) = &mut self.line
            && line.flush().is_err()
        {
            self.part(scene);
        }
    }

    fn connect(&mut self, scene: &mut Scene<'_>) {
        self.back = scene.now + Duration::from_millis(20);
        let Ok(stream) = TcpStream::connect(scene.address) else { return };
        stream.set_nonblocking(true).unwrap();
        // A client that lost its memory has what it acknowledged, at most.
        if scene.chance.happens(150) {
            self.dealt = self.said;
        }
        let resume = self.session.filter(|_| !scene.chance.happens(250)).map(|session| Resume {
            session,
            sequence: if scene.chance.happens(700) { self.dealt } else { self.said },
            broadcast: 0,
        });
        let user = name(self.user);
        let product = PRODUCTS[product(self.user)];
        let identity = Identity { product, user: &user, resume, ..Identity::default() };
        let resumed = resume.map(|resume| resume.sequence);
        let machine = Machine::new(&identity, scene.second);
        // It counts as an acknowledgement, wherever it ends.
        scene.ledger.acked(self.user, resumed.unwrap_or_default());
        self.line = Some(Line {
            stream,
            machine,
            received: Vec::new(),
            manner: Manner::draw(scene),
            waiting: 0,
            since: scene.now,
            until: scene.now + Duration::from_millis(scene.chance.between(30, 4000)),
            pings: VecDeque::new(),
            resumed,
        });
    }

    /// Ends the connection in one of several ways.
    fn leave(&mut self, scene: &mut Scene<'_>) {
        if scene.chance.happens(300)
            && let Some(line) = &mut self.line
        {
            line.machine.bye();
            // Where the gateway takes no more, there is nobody to say it to.
            let _ = line.flush();
            self.session = None;
        }
        self.part(scene);
        let away = if scene.chance.happens(150) { 6000 } else { 700 };
        self.back = scene.now + Duration::from_millis(scene.chance.between(0, away));
    }

    /// The connection is over.
    fn part(&mut self, scene: &mut Scene<'_>) {
        if self.line.take().is_some() {
            scene.ledger.parted(self.user);
            self.back = scene.now + Duration::from_millis(scene.chance.between(0, 100));
        }
    }

    /// The gateway is gone.
    pub(crate) fn orphaned(&mut self, scene: &mut Scene<'_>) {
        self.read(scene);
        self.part(scene);
    }

    /// Reads all that has come.
    pub(crate) fn read(&mut self, scene: &mut Scene<'_>) {
        let mut buffer = [0; 16 << 10];
        loop {
            let Some(line) = &mut self.line else { return };
            match line.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => line.received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            }
            if !self.understand(scene) {
                break;
            }
        }
        self.part(scene);
    }

    /// Takes all complete frames; whether the connection goes on.
    fn understand(&mut self, scene: &mut Scene<'_>) -> bool {
        let Some(mut line) = self.line.take() else { return false };
        let received = std::mem::take(&mut line.received);
        let mut at = 0;
        let mut goes_on = true;
        while goes_on {
            match line.machine.receive(&received[at..]) {
                Ok(Some((meaning, taken))) => {
                    at += taken;
                    goes_on = self.heard(&mut line, &meaning, scene);
                }
                Ok(None) => break,
                Err(violation) => {
                    scene.ledger.fault(format!("{}: the gateway said {violation:?}", self.user));
                    goes_on = false;
                }
            }
        }
        line.received = received[at..].to_vec();
        self.line = Some(line);
        goes_on
    }

    /// One frame; whether the connection goes on.
    fn heard(&mut self, line: &mut Line, meaning: &FromServer<'_>, scene: &mut Scene<'_>) -> bool {
        match meaning {
            FromServer::Push(push) => self.got(line, push, scene),
            FromServer::Welcome(welcome) => {
                self.session = Some(welcome.session);
                self.said = self.said.max(line.resumed.unwrap_or_default());
                scene.ledger.welcomed(self.user, line.resumed, welcome.next_sequence);
            }
            FromServer::Pong => {
                if let Some(sequence) = line.pings.pop_front() {
                    scene.ledger.confirmed(self.user, sequence);
                }
            }
            FromServer::Close { code, reason } => {
                // A hello that a stopped gateway finds late ends the session that came after it.
                let replaced = *code == Code::Replaced.number();
                if *code >= 3500 && !replaced {
                    scene.ledger.fault(format!("{}: closed with {code}: {reason}", self.user));
                }
                return false;
            }
            FromServer::Notice(_) | FromServer::Skipped => {}
        }
        true
    }

    fn got(&mut self, line: &mut Line, push: &Push<'_>, scene: &mut Scene<'_>) {
        let Some(id) = body::read(push.body) else {
            let sequence = push.sequence;
            scene.ledger.fault(format!("{}: the body of {sequence} is not whole", self.user));
            return;
        };
        let durable = push.class == Class::Durable;
        let (sequence, again) = (push.sequence, push.redelivered);
        scene.ledger.got(self.user, Got { sequence, id, durable, again });
        if durable {
            self.dealt = self.dealt.max(sequence);
            if line.waiting == 0 {
                line.since = scene.now;
            }
            line.waiting += 1;
        }
    }

    /// Acknowledges, if it is time.
    fn acknowledge(&mut self, scene: &mut Scene<'_>) {
        let calm = scene.mood == Mood::Calm;
        let Some(line) = &mut self.line else { return };
        let Manner { every, after } = line.manner;
        let old = after.is_some_and(|after| scene.now >= line.since + after);
        let due = line.waiting > 0 && (calm || line.waiting >= every || old);
        if !due || line.machine.state() != State::Online {
            return;
        }
        line.waiting = 0;
        line.machine.ack(self.dealt, scene.second);
        self.said = self.dealt;
        scene.ledger.acked(self.user, self.said);
        if scene.chance.happens(500) {
            from_client::put_ping(line.machine.output());
            line.pings.push_back(self.said);
        }
    }
}

impl Manner {
    fn draw(scene: &mut Scene<'_>) -> Self {
        if scene.chance.happens(100) {
            return Self { every: u32::MAX, after: None };
        }
        let every = u32::try_from(scene.chance.between(1, 64)).unwrap();
        Self { every, after: Some(Duration::from_millis(scene.chance.between(0, 400))) }
    }
}

impl Line {
    /// Sends what is to be said, as much as the kernel takes.
    fn flush(&mut self) -> std::io::Result<()> {
        let output = self.machine.output();
        while !output.is_empty() {
            match self.stream.write(output) {
                Ok(taken) => drop(output.drain(..taken)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
