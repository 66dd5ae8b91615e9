//! A scripted backend: connects, asks for everything that the API has, and checks every answer.

use std::collections::BTreeMap;

use holdfast::io::sim::{Chance, Connect, Peer};
use holdfast::io::{Port, Received};
use holdfast_protocol::backend::machine::{Machine, State};
use holdfast_protocol::backend::request::JobAction;
use holdfast_protocol::backend::{Answer, RequestId};
use holdfast_protocol::close::Code;
use holdfast_protocol::frame;
use holdfast_protocol::limits::BACKEND_PAYLOAD;

use crate::asking::{self, Asked, What};
use crate::parcel::Parcel;
use crate::plan::{API_KEY, SECOND};
use crate::scene::Scene;

/// Requests that the machine would not let through have ids from here on.
pub(crate) const RAW_ID: RequestId = 1 << 50;

/// One backend over all its connections.
#[derive(Debug)]
pub(crate) struct Backend {
    number: usize,
    chance: Chance,
    talk: Option<Talk>,
    /// Messages with a key that it is to push again.
    retries: Vec<(usize, Parcel)>,
    /// When it has something to do by itself.
    pub(crate) timer: u64,
}

/// One connection of a backend.
#[derive(Debug)]
pub(crate) struct Talk {
    peer: Peer,
    pub(crate) machine: Machine,
    inbox: Vec<u8>,
    /// Requests without an answer.
    pub(crate) asked: BTreeMap<RequestId, Asked>,
    pub(crate) next_raw: RequestId,
    /// Messages with a key that are to be pushed again.
    pub(crate) retries: Vec<(usize, Parcel)>,
    next_request: u64,
    reads_from: u64,
    pings_at: u64,
    manner: Manner,
    /// The life of the gateway that it talks with, once it is connected.
    life: Option<u32>,
    closed: Option<u16>,
}

/// How a backend behaves on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As it should.
    Good,
    /// It has another key than the gateway's.
    WrongKey,
    /// It says nothing after its hello.
    Mute,
}

impl Manner {
    fn draw(chance: &mut Chance, scene: &Scene) -> Self {
        match chance.below(100) {
            _ if scene.calm => Self::Good,
            0..15 if scene.plan.keys => Self::WrongKey,
            15..25 => Self::Mute,
            _ => Self::Good,
        }
    }

    /// Why the gateway closes the connection of one that behaves so.
    fn deserves(self) -> Option<Code> {
        match self {
            Self::Good => None,
            Self::WrongKey => Some(Code::BadToken),
            Self::Mute => Some(Code::HeartbeatTimeout),
        }
    }
}

impl Backend {
    pub(crate) fn new(seed: u64, number: usize) -> Self {
        let mut chance = Chance::new(seed, &format!("backend {number}"));
        let timer = chance.below(SECOND);
        Self { number, chance, talk: None, retries: Vec::new(), timer }
    }

    /// The connection that it has.
    pub(crate) fn link(&self) -> Option<usize> {
        self.talk.as_ref().map(|talk| talk.peer.id())
    }

    /// How many requests wait for their answer.
    pub(crate) fn waiting(&self) -> usize {
        self.talk.as_ref().map_or(0, |talk| talk.asked.len())
    }

    /// Whether it can ask.
    pub(crate) fn is_open(&self) -> bool {
        let good = self.talk.as_ref().filter(|talk| talk.manner == Manner::Good);
        let state = good.map(|talk| talk.machine.state());
        matches!(state, Some(State::Open(_)))
    }

    /// Asks this, in the calm; `false` where the window does not allow it now.
    pub(crate) fn ask(&mut self, what: What, scene: &mut Scene) -> bool {
        let Some(talk) = self.talk.as_mut().filter(|talk| talk.manner == Manner::Good) else {
            return false;
        };
        scene.trace(|| format!("{} asks {what:?}", talk.peer.id()));
        let asked = asking::put(talk, what, scene);
        talk.write();
        self.timer = scene.now + 1;
        asked
    }

    /// Does all that it has to do now.
    pub(crate) fn step(&mut self, scene: &mut Scene) {
        if self.talk.is_none() {
            if scene.closing {
                self.timer = u64::MAX;
            }
            if scene.now < self.timer {
                return;
            }
            let mut talk = Talk::open(self.number, &mut self.chance, scene);
            talk.retries = std::mem::take(&mut self.retries);
            self.talk = Some(talk);
        }
        let Some(talk) = &mut self.talk else { return };
        if talk.step(&mut self.chance, scene) {
            self.timer = talk.next_timer(scene);
        } else if let Some(talk) = self.talk.take() {
            self.retries = talk.end(scene);
            self.timer = scene.now + 1 + self.chance.below(SECOND);
        }
    }

    /// Closes what it has, at the end of the run.
    pub(crate) fn hang_up(&mut self, scene: &mut Scene) {
        for asked in self.talk.take().iter().flat_map(|talk| talk.asked.values()) {
            asking::forget(asked, scene);
        }
    }
}

impl Talk {
    fn open(number: usize, chance: &mut Chance, scene: &mut Scene) -> Self {
        let peer = scene.world.connect(Port::Backend);
        scene.connected(peer.id());
        let manner = Manner::draw(chance, scene);
        scene.trace(|| format!("{} connects: backend {number} {manner:?}", peer.id()));
        let key = match manner {
            Manner::WrongKey => "another key of the simulator",
            Manner::Good | Manner::Mute => API_KEY,
        };
        Self {
            peer,
            machine: Machine::new(&format!("backend-{number}"), key.as_bytes()),
            inbox: Vec::new(),
            asked: BTreeMap::new(),
            next_raw: RAW_ID,
            retries: Vec::new(),
            next_request: scene.now,
            reads_from: 0,
            pings_at: scene.now + 10 * SECOND,
            manner,
            life: None,
            closed: None,
        }
    }

    /// The window that the gateway granted.
    pub(crate) fn window(&self) -> usize {
        match self.machine.state() {
            State::Open(welcome) => usize::try_from(welcome.window).unwrap_or(usize::MAX),
            State::Connecting | State::Closed => 0,
        }
    }

    /// Whether requests are in flight that the gateway may count against the window and the machine
    /// does not.
    pub(crate) fn overruns(&self) -> bool {
        self.asked.range(RAW_ID..).next().is_some()
    }

    fn next_timer(&self, scene: &Scene) -> u64 {
        if self.peer.connect() == Connect::Pending {
            return u64::MAX;
        }
        let mut timer = if self.manner == Manner::Good { self.pings_at } else { u64::MAX };
        if self.manner == Manner::Good
            && !scene.calm
            && matches!(self.machine.state(), State::Open(_))
        {
            timer = timer.min(self.next_request);
        }
        if self.reads_from > scene.now {
            timer = timer.min(self.reads_from);
        }
        timer.max(scene.now + 1)
    }

    /// `false` once the connection has ended.
    fn step(&mut self, chance: &mut Chance, scene: &mut Scene) -> bool {
        match self.peer.connect() {
            Connect::Pending => return true,
            Connect::Broken if self.peer.written() == 0 => return false,
            Connect::Broken | Connect::Done => {}
        }
        self.life.get_or_insert(scene.ledger.durables.life());
        if scene.calm {
            self.reads_from = 0;
        }
        if self.reads_from <= scene.now && !self.read(scene) {
            return false;
        }
        let good = self.manner == Manner::Good;
        if good && scene.now >= self.pings_at {
            self.pings_at = scene.now + 10 * SECOND;
            self.machine.ping();
        }
        let open = matches!(self.machine.state(), State::Open(_));
        if open && good && !scene.calm && scene.now >= self.next_request {
            asking::something(self, chance, scene);
            let mean = scene.plan.request_every;
            self.next_request = scene.now + chance.between(mean / 4, mean * 7 / 4);
            if chance.happens(20) {
                self.reads_from = scene.now + chance.below(2 * SECOND);
            }
        }
        self.write();
        true
    }

    fn write(&mut self) {
        let sent = self.peer.send(self.machine.output());
        self.machine.output().drain(..sent);
    }

    /// `false` once the gateway has ended the connection.
    fn read(&mut self, scene: &mut Scene) -> bool {
        let mut buffer = [0; 4096];
        let open = loop {
            match self.peer.receive(&mut buffer) {
                Received::Bytes(count) => self.inbox.extend_from_slice(&buffer[..count]),
                Received::Empty => break true,
                Received::End | Received::Broken => break false,
            }
        };
        self.understand(scene);
        open
    }

    fn understand(&mut self, scene: &mut Scene) {
        let inbox = std::mem::take(&mut self.inbox);
        let mut at = 0;
        loop {
            let understood = self.answer(&inbox[at..]);
            match understood {
                Ok(Some((answer, taken))) => {
                    at += taken;
                    self.heard(&answer, scene);
                }
                Ok(None) => break,
                Err(violation) => {
                    let id = self.peer.id();
                    scene.ledger.fail(format!("backend {id} cannot understand: {violation}"));
                    break;
                }
            }
        }
        self.inbox = inbox[at..].to_vec();
    }

    /// The next answer; one to a raw request passes by the machine, which never knew the request.
    fn answer<'a>(
        &mut self,
        bytes: &'a [u8],
    ) -> Result<Option<(Answer<'a>, usize)>, holdfast_protocol::error::Violation> {
        if let Some((frame, taken)) = frame::split(bytes, BACKEND_PAYLOAD)? {
            let answer = Answer::decode(frame)?;
            if answer.request().is_some_and(|id| id >= RAW_ID) {
                return Ok(Some((answer, taken)));
            }
        }
        self.machine.receive(bytes)
    }

    fn heard(&mut self, answer: &Answer<'_>, scene: &mut Scene) {
        if let Some(id) = answer.request() {
            let (peer, life) = (self.peer.id(), self.life.unwrap_or_default());
            if let Some(asked) = self.asked.remove(&id) {
                asking::check((peer, life), &asked, answer, scene);
                self.retries.extend(asked.retries(false));
            } else {
                scene.ledger.fail(format!("backend {peer} gets {answer:?}, not asked"));
            }
            return;
        }
        match answer {
            Answer::Welcome(welcome) if welcome.window != scene.plan.window => {
                scene.ledger.fail(format!("{welcome:?} is not as configured"));
            }
            Answer::Welcome(_) if self.manner == Manner::WrongKey => {
                scene.ledger.fail(format!("backend {} is let in with a wrong key", self.peer.id()));
            }
            Answer::Welcome(_) => scene.ledger.count("backends welcomed"),
            Answer::Close { code, .. } => self.closed = Some(*code),
            Answer::Receipt(receipt) => {
                scene.trace(|| {
                    format!("{} reads of life {:?}: {receipt:?}", self.peer.id(), self.life)
                });
                asking::receipt(receipt, self.life.unwrap_or_default(), scene);
            }
            _ => {}
        }
    }

    /// The connection ended; what it asked stays without an answer, and may be asked again.
    fn end(self, scene: &mut Scene) -> Vec<(usize, Parcel)> {
        let id = self.peer.id();
        scene.trace(|| format!("{id} ends: backend, {:?}", self.closed));
        let sent_away = self.closed == Some(Code::GoingAway.number()) || scene.draining;
        let deserved =
            self.manner.deserves().is_some_and(|code| self.closed == Some(code.number()));
        if deserved {
            scene.ledger.count(if self.manner == Manner::Mute {
                "mute backends"
            } else {
                "wrong API keys"
            });
        }
        let excused = deserved || sent_away || scene.is_narrow() || scene.ledger.crowded;
        if !excused && !self.peer.harmed() && id >= scene.forgiven {
            scene.ledger.fail(format!("backend {id} is ended: {:?}", self.closed));
        }
        for asked in self.asked.values() {
            asking::forget(asked, scene);
        }
        let unanswered = self.asked.into_values().flat_map(|asked| asked.retries(true));
        self.retries.into_iter().chain(unanswered).collect()
    }
}

/// An action on a job, drawn.
pub(crate) fn action(chance: &mut Chance) -> JobAction {
    let actions = [JobAction::Status, JobAction::Pause, JobAction::Resume, JobAction::Cancel];
    *chance.pick(&actions)
}
