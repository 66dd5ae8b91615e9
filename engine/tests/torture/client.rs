//! One device of a user.

use crate::body;
use crate::crowd::Mood;
use crate::ledger::{Got, Ledger};
use crate::plan::{PRODUCTS, TAG, VISITOR, Who, is_tagged, name, product, remembers};
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

/// A ping, what was acknowledged before it, and when it was sent. A gateway may answer before all
/// its threads know what it answered: a second ping, sent behind the first answer, tells that they
/// do.
#[derive(Debug, Clone, Copy)]
enum Ping {
    First(u64, u64),
    /// And when the first was answered.
    Second(u64, u64, u64),
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
    /// Those that have no pong yet.
    pings: VecDeque<Ping>,
    /// Whether a broadcast came since the last one.
    news: bool,
    resumed: Option<u64>,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) who: Who,
    /// How often it has connected.
    pub(crate) visits: u32,
    line: Option<Line>,
    /// When it comes back.
    back: Instant,
    session: Option<SessionId>,
    /// The greatest durable sequence that it dealt with, and that it acknowledged.
    dealt: u64,
    said: u64,
    /// The greatest number of a durable broadcast that it dealt with.
    news: u64,
}

impl Client {
    pub(crate) fn new(who: Who, now: Instant) -> Self {
        let (line, session) = (None, None);
        Self { who, visits: 0, line, back: now, session, dealt: 0, said: 0, news: 0 }
    }

    pub(crate) fn stream(&self) -> Option<&TcpStream> {
        self.line.as_ref().map(|line| &line.stream)
    }

    pub(crate) fn is_online(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.machine.state() == State::Online)
    }

    /// Does what is due.
    pub(crate) fn act(&mut self, scene: &mut Scene<'_>) {
        let restless = scene.mood == Mood::Restless && self.who.user != VISITOR;
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
        let resume = self.remembered(scene.chance);
        let user = name(self.who.user);
        let tags: &[&str] = if is_tagged(self.who.user) { &[TAG] } else { &[] };
        let product = PRODUCTS[product(self.who.user)];
        let identity = Identity { product, user: &user, resume, tags, ..Identity::default() };
        let resumed = resume.map(|resume| resume.sequence);
        let machine = Machine::new(&identity, scene.second);
        self.visits += 1;
        scene.ledger.connects(self.who);
        let had = resume.map_or(0, |resume| resume.broadcast);
        scene.ledger.news.connects(self.who, had);
        // It counts as an acknowledgement, wherever it ends.
        scene.ledger.acked(self.who.user, resumed.unwrap_or_default());
        self.line = Some(Line {
            stream,
            machine,
            received: Vec::new(),
            manner: Manner::draw(scene),
            waiting: 0,
            since: scene.now,
            until: scene.now + Duration::from_millis(scene.chance.between(30, 4000)),
            pings: VecDeque::new(),
            news: false,
            resumed,
        });
    }

    /// What it says in its hello of earlier connections.
    fn remembered(&mut self, chance: &mut Chance) -> Option<Resume> {
        let forgets = !remembers(self.who.user);
        // A client that lost its memory has what it acknowledged, at most.
        if chance.happens(150) {
            self.dealt = self.said;
            self.news = if forgets { 0 } else { self.news };
        }
        let nothing = forgets && chance.happens(250);
        let session = self.session.filter(|_| !nothing)?;
        let sequence = if chance.happens(700) { self.dealt } else { self.said };
        Some(Resume { session, sequence, broadcast: self.news })
    }

    /// Ends the connection in one of several ways.
    fn leave(&mut self, scene: &mut Scene<'_>) {
        if scene.chance.happens(300)
            && let Some(line) = &mut self.line
        {
            line.machine.bye();
            // Where the gateway takes no more, there is nobody to say it to.
            let _ = line.flush();
            if !remembers(self.who.user) {
                self.session = None;
            }
        }
        self.part(scene);
        let away = if scene.chance.happens(150) { 6000 } else { 700 };
        self.back = scene.now + Duration::from_millis(scene.chance.between(0, away));
    }

    /// The connection is over.
    fn part(&mut self, scene: &mut Scene<'_>) {
        if self.line.take().is_some() {
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
                    scene.ledger.fault(format!("{:?}: the gateway said {violation:?}", self.who));
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
                scene.ledger.welcomed(self.who, line.resumed, welcome.next_sequence);
            }
            FromServer::Pong => match line.pings.pop_front() {
                Some(Ping::First(sequence, asked)) => {
                    from_client::put_ping(line.machine.output());
                    let moment = scene.ledger.news.moment();
                    line.pings.push_back(Ping::Second(sequence, asked, moment));
                }
                Some(Ping::Second(sequence, asked, moment)) => {
                    scene.ledger.confirmed(self.who.user, sequence);
                    scene.ledger.news.confirmed(self.who, asked, moment);
                }
                None => scene.ledger.fault(format!("{:?}: a pong for no ping", self.who)),
            },
            FromServer::Close { code, reason } => {
                // A hello that a stopped gateway finds late ends the session that came after it.
                let replaced = *code == Code::Replaced.number();
                if *code >= 3500 && !replaced {
                    scene.ledger.fault(format!("{:?}: closed with {code}: {reason}", self.who));
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
            scene.ledger.fault(format!("{:?}: the body of {sequence} is not whole", self.who));
            return;
        };
        if push.broadcast {
            self.news = self.news.max(push.sequence);
            line.news = true;
            scene.ledger.news.got(self.who, push.sequence, id, push.redelivered);
            return;
        }
        let durable = push.class == Class::Durable;
        let (sequence, again) = (push.sequence, push.redelivered);
        scene.ledger.got(self.who, Got { sequence, id, durable, again });
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
        let calm = scene.mood == Mood::Calm || self.who.user == VISITOR;
        let Some(line) = &mut self.line else { return };
        let Manner { every, after } = line.manner;
        let old = after.is_some_and(|after| scene.now >= line.since + after);
        let due = line.waiting > 0 && (calm || line.waiting >= every || old);
        if line.machine.state() != State::Online {
            return;
        }
        if due {
            line.waiting = 0;
            line.machine.ack(self.dealt, scene.second);
            self.said = self.dealt;
            scene.ledger.acked(self.who.user, self.said);
        }
        if (due || line.news) && scene.chance.happens(500) {
            from_client::put_ping(line.machine.output());
            let asked = scene.ledger.news.moment();
            line.pings.push_back(Ping::First(line.machine.acked(), asked));
        }
        line.news = false;
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
