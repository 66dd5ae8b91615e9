//! A scripted client: connects, logs in, behaves by its habit, leaves, and comes back.

use holdfast::io::sim::{Chance, Connect, Peer};
use holdfast::io::{Port, Received};
use holdfast_protocol::client::from_client::{self, Resume};
use holdfast_protocol::client::machine::{Machine, State};
use holdfast_protocol::client::{Class, FromServer};
use holdfast_protocol::close::Code;

use crate::habit::{self, Habit};
use crate::ledger::{Identity, MessageId, message_id};
use crate::manner::{Acking, Manner};
use crate::plan::SECOND;
use crate::scene::Scene;

/// A connection that should have ended may take so long, in microseconds: the gateway's own limits
/// with room for late bytes and pauses.
const PATIENCE: u64 = 40 * SECOND;

/// The bytes of a flood.
const FLOOD: usize = 128 << 10;

/// One client over all its connections.
#[derive(Debug)]
pub(crate) struct Client {
    chance: Chance,
    talk: Option<Talk>,
    /// Who it was last, and what it remembers of that.
    memory: Option<(Identity, Resume)>,
    /// Whom it is to be in the calm, to take what waits.
    errand: Option<Identity>,
    /// When it has something to do by itself.
    pub(crate) timer: u64,
}

/// One connection of a client.
#[derive(Debug)]
struct Talk {
    peer: Peer,
    identity: Identity,
    habit: Habit,
    machine: Machine,
    out: Vec<u8>,
    /// Most bytes sent at once; a dribble where it is small.
    piece: usize,
    next_piece: u64,
    inbox: Vec<u8>,
    received: u64,
    /// It reads nothing before this time.
    reads_from: u64,
    leaves_at: u64,
    /// The connection must have ended by then.
    deadline: u64,
    /// It has done something that ends the connection.
    left: bool,
    /// It ends its direction once everything is sent.
    finishes: bool,
    closed: Option<u16>,
    acking: Acking,
    session: Option<[u8; 16]>,
    /// The greatest durable broadcast that it has dealt with, where it remembers that.
    broadcast: u64,
    remembers: bool,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    InOrder,
    Broken,
    /// The client itself is gone without waiting.
    Gone,
}

impl Client {
    pub(crate) fn new(seed: u64, number: usize, scene: &Scene) -> Self {
        let mut chance = Chance::new(seed, &format!("client {number}"));
        let timer = chance.below(scene.plan.length / 2);
        Self { chance, talk: None, memory: None, errand: None, timer }
    }

    /// Leaves what it does, and takes what waits for this user.
    pub(crate) fn run_errand(&mut self, identity: Identity, scene: &mut Scene) {
        self.hang_up(scene);
        self.errand = Some(identity);
        self.timer = scene.now;
    }

    /// The connection that it has, and who it is there, once it was welcomed.
    pub(crate) fn online(&mut self) -> Option<&Identity> {
        let talk = self.talk.as_ref()?;
        (talk.machine.state() == State::Online && !talk.peer.harmed()).then_some(&talk.identity)
    }

    /// Whether its connection, if it has one, is one that stays.
    pub(crate) fn is_lasting(&self) -> bool {
        let habit = self.talk.as_ref().map_or(Habit::Good, |talk| talk.habit);
        matches!(habit, Habit::Good | Habit::Sleeper)
    }

    /// The connection that it has.
    pub(crate) fn link(&self) -> Option<usize> {
        self.talk.as_ref().map(|talk| talk.peer.id())
    }

    /// Does all that it has to do now.
    pub(crate) fn step(&mut self, scene: &mut Scene) {
        if self.talk.is_none() {
            if (scene.calm && self.errand.is_none()) || scene.closing {
                self.timer = u64::MAX;
            }
            if scene.now < self.timer {
                return;
            }
            self.talk = Some(self.open(scene));
        }
        let Some(talk) = &mut self.talk else { return };
        match talk.step(&mut self.chance, scene) {
            None => self.timer = talk.next_timer(scene),
            Some(end) => {
                talk.judge(end, scene);
                self.memory = talk.memory();
                self.talk = None;
                let pause = if scene.calm { SECOND / 2 } else { scene.plan.stay / 2 };
                self.timer = scene.now + 1 + self.chance.below(pause);
            }
        }
    }

    /// Stays where it is, and does not come back.
    pub(crate) fn end_errand(&mut self) {
        self.errand = None;
    }

    /// Connects, as somebody else or as before.
    fn open(&mut self, scene: &mut Scene) -> Talk {
        let mut habit = Habit::draw(&scene.plan, &mut self.chance);
        let mut identity = habit::identity(&scene.plan, &mut self.chance);
        let mut resume = None;
        if let Some(errand) = &self.errand {
            (habit, identity) = (Habit::Good, errand.clone());
        } else if scene.plan.keeping.is_some()
            && let Some((before, memory)) = &self.memory
            && self.chance.happens(600)
        {
            identity = before.clone();
            resume = self.chance.happens(800).then_some(*memory);
        }
        Talk::open(habit, identity, resume, (&mut self.chance, scene))
    }

    /// Closes what it has, at the end of the run.
    pub(crate) fn hang_up(&mut self, scene: &mut Scene) {
        if let Some(talk) = self.talk.take() {
            scene.ledger.tap(talk.peer.id()).careless = true;
        }
    }
}

impl Talk {
    fn open(
        habit: Habit,
        identity: Identity,
        resume: Option<Resume>,
        (chance, scene): (&mut Chance, &mut Scene),
    ) -> Self {
        let plan = &scene.plan;
        let said = resume.map_or(0, |resume| resume.broadcast);
        let mut machine = habit::machine(habit, &identity, resume, scene);
        let before = resume.map_or(0, |it| it.sequence);
        let acking = Acking::new(Manner::draw(plan, chance), before, chance);
        let hello = std::mem::take(machine.output());
        let dribbles = chance.happens(100);
        let stays = 1 + chance.below(2 * plan.stay);
        let mute = u64::from(plan.heartbeat) * SECOND * if habit == Habit::Mute { 2 } else { 0 };
        let stays_for_good = matches!(habit, Habit::Good | Habit::Sleeper);
        let deadline = if stays_for_good { u64::MAX } else { scene.now + PATIENCE + mute };
        let sleeps = if habit == Habit::Sleeper { chance.below(3 * plan.stay) } else { 0 };
        let peer = scene.world.connect(Port::Client);
        let out = habit.opening(hello, chance);
        scene.connected(peer.id());
        scene.ledger.open(peer.id(), habit.logs_in().then(|| identity.clone()));
        scene.ledger.tap(peer.id()).may_resume = resume.is_some();
        if habit.logs_in() {
            let user = (identity.product, identity.user.clone());
            scene.ledger.durables.open_reading(peer.id(), user, (machine.acked(), scene.now));
            scene.ledger.broadcasts.hello(peer.id(), scene.now, said);
        }
        scene.ledger.tap(peer.id()).careless = habit != Habit::Good;
        let pieces = if dribbles { " in pieces" } else { "" };
        scene.trace(|| format!("{} connects: {habit:?}{pieces} {identity:?}", peer.id()));
        Self {
            peer,
            identity,
            habit,
            machine,
            out,
            // Slow, but fast enough for the time that a hello may take.
            piece: if dribbles { 10 + chance.index(20) } else { usize::MAX },
            next_piece: 0,
            inbox: Vec::new(),
            received: 0,
            reads_from: scene.now + sleeps,
            leaves_at: scene.now + stays,
            deadline,
            left: false,
            finishes: false,
            closed: None,
            acking,
            session: None,
            broadcast: said,
            remembers: chance.happens(500),
        }
    }

    /// What the client remembers.
    fn memory(&self) -> Option<(Identity, Resume)> {
        let session = self.session?;
        let resume = Resume { session, sequence: self.acking.dealt, broadcast: self.broadcast };
        Some((self.identity.clone(), resume))
    }

    /// When something is to be done without a word from the gateway.
    fn next_timer(&self, scene: &Scene) -> u64 {
        if self.peer.connect() == Connect::Pending {
            return u64::MAX;
        }
        let mut timer = self.deadline;
        if !self.out.is_empty() && self.piece < usize::MAX {
            timer = timer.min(self.next_piece);
        }
        if self.reads_from > scene.now {
            timer = timer.min(self.reads_from);
        }
        if self.habit == Habit::Good && !self.left {
            timer = timer.min(self.leaves_at);
        }
        if let Some(ping) = self.machine.ping_due().filter(|_| self.pings()) {
            timer = timer.min(u64::from(ping) * SECOND);
        }
        if self.machine.state() == State::Online {
            timer = timer.min(self.acking.due);
        }
        timer.max(scene.now + 1)
    }

    fn pings(&self) -> bool {
        self.habit != Habit::Mute
    }

    fn step(&mut self, chance: &mut Chance, scene: &mut Scene) -> Option<End> {
        match self.peer.connect() {
            Connect::Pending => return None,
            Connect::Broken if self.received == 0 && self.peer.written() == 0 => {
                return Some(End::Broken);
            }
            Connect::Broken | Connect::Done => {}
        }
        if scene.calm {
            self.reads_from = 0;
            self.leaves_at = u64::MAX;
            self.piece = usize::MAX;
        }
        if self.reads_from <= scene.now
            && let Some(end) = self.read(scene)
        {
            return Some(end);
        }
        if scene.now >= self.leaves_at && self.habit == Habit::Good && !self.left {
            return self.leave(chance, scene);
        }
        if self.pings() {
            self.machine.tick(scene.seconds());
        }
        self.acknowledge(chance, scene);
        if self.habit == Habit::Good {
            let said = self.acking.says(self.machine.output());
            scene.ledger.tap(self.peer.id()).pings.extend(said);
        }
        self.out.append(self.machine.output());
        self.write(chance, scene);
        if scene.now >= self.deadline && !self.peer.harmed() {
            let id = self.peer.id();
            scene.ledger.fail(format!("connection {id} ({:?}) is not ended in time", self.habit));
            self.deadline = u64::MAX;
        }
        None
    }

    /// Says how far it has come with durable messages, if it is time to.
    fn acknowledge(&mut self, chance: &mut Chance, scene: &mut Scene) {
        if self.machine.state() != State::Online || !self.acking.is_time(chance, scene) {
            return;
        }
        let dealt = self.acking.dealt;
        self.machine.ack(dealt, scene.seconds());
        if self.acking.manner == Manner::Twice {
            from_client::put_ack(dealt, self.machine.output());
        }
        if self.acking.asks {
            from_client::put_ping(self.machine.output());
        }
        let user = (self.identity.product, self.identity.user.clone());
        scene.ledger.durables.acked(&user, dealt);
        scene.trace(|| format!("{} acknowledges {dealt} for {user:?}", self.peer.id()));
    }

    fn write(&mut self, chance: &mut Chance, scene: &Scene) {
        let waits = self.piece < usize::MAX && scene.now < self.next_piece;
        if self.out.is_empty() || waits {
            return;
        }
        let count = self.out.len().min(self.piece);
        let sent = self.peer.send(&self.out[..count]);
        self.out.drain(..sent);
        scene.trace(|| format!("{} sends {sent} of {count}", self.peer.id()));
        // A full pipe touches the peer when there is room; a dribble goes on by itself.
        self.next_piece = scene.now + chance.between(1_000, 300_000);
        if self.finishes && self.out.is_empty() {
            self.peer.finish();
        }
    }

    fn read(&mut self, scene: &mut Scene) -> Option<End> {
        let mut buffer = [0; 4096];
        let end = loop {
            match self.peer.receive(&mut buffer) {
                Received::Bytes(count) => {
                    self.received += count as u64;
                    self.inbox.extend_from_slice(&buffer[..count]);
                }
                Received::Empty => break None,
                Received::End => break Some(End::InOrder),
                Received::Broken => break Some(End::Broken),
            }
        };
        self.understand(scene);
        end
    }

    fn understand(&mut self, scene: &mut Scene) {
        let inbox = std::mem::take(&mut self.inbox);
        let mut at = 0;
        loop {
            match self.machine.receive(&inbox[at..]) {
                Ok(Some((said, taken))) => {
                    at += taken;
                    let reaction = Reaction::to(&said);
                    self.react(reaction, scene);
                }
                Ok(None) => break,
                Err(violation) => {
                    let id = self.peer.id();
                    scene.ledger.fail(format!("connection {id} cannot understand: {violation}"));
                    break;
                }
            }
        }
        self.inbox = inbox[at..].to_vec();
    }

    fn react(&mut self, reaction: Reaction, scene: &mut Scene) {
        match reaction {
            Reaction::Durable(sequence, id) => {
                scene.trace(|| format!("{} reads durable {id} as {sequence}", self.peer.id()));
                self.acking.took(sequence);
                scene.ledger.durables.received(id);
            }
            Reaction::Broadcast(number) if self.remembers => {
                self.broadcast = self.broadcast.max(number);
            }
            Reaction::Welcomed(session) if self.habit == Habit::Good => {
                self.session = Some(session);
            }
            Reaction::Closed(code) => self.closed = Some(code),
            Reaction::Welcomed(_) if self.habit == Habit::FutureAck => {
                from_client::put_ack(1 << 40, &mut self.out);
            }
            Reaction::Welcomed(_) if self.habit == Habit::Flood => {
                // As much as one receive of the gateway takes, so that the end may stand right
                // behind.
                (0..FLOOD / 2).for_each(|_| from_client::put_ping(&mut self.out));
                self.finishes = true;
            }
            Reaction::Welcomed(_) | Reaction::Broadcast(_) | Reaction::Nothing => {}
        }
    }

    /// Leaves in one of several ways.
    fn leave(&mut self, chance: &mut Chance, scene: &mut Scene) -> Option<End> {
        self.left = true;
        self.deadline = scene.now + PATIENCE;
        scene.ledger.tap(self.peer.id()).careless = true;
        let way = chance.below(5);
        scene.trace(|| format!("{} leaves in way {way}", self.peer.id()));
        match way {
            0 if self.out.is_empty() => {
                self.machine.bye();
                self.out.append(self.machine.output());
                self.write(chance, scene);
                None
            }
            1 => {
                self.peer.finish();
                None
            }
            2 => {
                self.peer.reset();
                Some(End::Gone)
            }
            3 => {
                self.peer.fall_silent();
                Some(End::Gone)
            }
            _ => Some(End::Gone),
        }
    }

    /// Whether the end is what the client deserves.
    fn judge(&self, end: End, scene: &mut Scene) {
        let id = self.peer.id();
        scene.trace(|| format!("{id} ends: {end:?} {:?} {:?}", self.closed, self.habit));
        scene.ledger.tap(id).careless = true;
        if end == End::Gone || self.peer.harmed() || id < scene.forgiven {
            return;
        }
        let code = self.closed.and_then(Code::from_number);
        let left = self.left && code == Some(Code::Bye);
        if let Some(code) = code.filter(|_| !left)
            && !(self.habit.deserves(code) && scene.ledger.has_reason(code, &self.identity))
        {
            scene.ledger.fail(format!("connection {id} ({:?}) is closed with {code}", self.habit));
        }
        // Who is refused at the door has not been read, so the close is a reset.
        let refused =
            (scene.draining || scene.ledger.crowded) && scene.ledger.tap(id).welcomed.is_none();
        let narrow = scene.is_narrow();
        let explained = code.is_some() || self.left || refused || scene.draining || narrow;
        if self.habit == Habit::Good && !explained {
            scene.ledger.fail(format!("connection {id} ends without a reason: {end:?}"));
        }
        let excused = self.left || refused || narrow;
        if self.habit == Habit::Good && !excused && self.received < self.peer.written() {
            let lost = self.peer.written() - self.received;
            scene.ledger.fail(format!("connection {id} loses the last {lost} bytes: {end:?}"));
        }
    }
}

/// What a frame makes a client do.
#[derive(Debug, Clone, Copy)]
enum Reaction {
    Nothing,
    Welcomed([u8; 16]),
    /// A durable message of this sequence and number.
    Durable(u64, MessageId),
    /// A durable broadcast of this number.
    Broadcast(u64),
    Closed(u16),
}

impl Reaction {
    fn to(said: &FromServer<'_>) -> Self {
        match said {
            FromServer::Welcome(welcome) => Self::Welcomed(welcome.session),
            FromServer::Push(push) if push.wants_ack() => {
                message_id(push.body).map_or(Self::Nothing, |id| Self::Durable(push.sequence, id))
            }
            FromServer::Push(push) if push.broadcast && push.class == Class::Durable => {
                Self::Broadcast(push.sequence)
            }
            FromServer::Close { code, .. } => Self::Closed(*code),
            FromServer::Push(_)
            | FromServer::Pong
            | FromServer::Notice(_)
            | FromServer::Skipped => Self::Nothing,
        }
    }
}
