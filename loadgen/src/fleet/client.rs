//! One client: the protocol's client half over a socket, and what must be remembered to judge it.
//!
//! Its bytes of its own are few: an incomplete frame while it is incomplete, and what the kernel
//! did not take while it did not. Both are empty, without an allocation, almost always.

use super::shared::Shared;
use super::socket;
use super::verdict::{self, Desk};
use crate::clock::{milliseconds, seconds};
use crate::verify::judge::Heard;
use crate::verify::order::Order;
use holdfast_protocol::client::from_client::Identity;
use holdfast_protocol::client::machine::Machine;
use holdfast_protocol::client::{Class, FromServer, Push, Resume, SessionId, Welcome};
use holdfast_protocol::close::Code;
use holdfast_protocol::error::Violation;
use monoio::net::TcpStream;
use nix::errno::Errno;
use std::rc::Rc;

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not opened yet.
    Idle,
    /// Connecting or logging in.
    Opening,
    /// Logged in.
    Online,
    /// Dropped or failed; it comes back.
    Away,
    /// It said bye.
    Leaving,
    /// It will not come back.
    Over,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The gateway said so, with this close code.
    Closed(u16),
    /// End of stream without a word.
    Stream,
    /// The kernel's error.
    Broken(Errno),
    /// The gateway broke the protocol.
    Violation(Violation),
    /// Nothing came for two heartbeats, not even the pong.
    Silent,
}

impl End {
    /// Whether the client should come back.
    pub(crate) const fn reconnect(&self) -> bool {
        !matches!(self, Self::Closed(3500..) | Self::Violation(_))
    }

    /// A word for people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Closed(number) => match Code::from_number(*number) {
                Some(code) => {
                    format!("closed by the gateway: {} (code {number})", code.name())
                }
                None => format!("closed by the gateway: code {number}"),
            },
            Self::Stream => "closed by the gateway without a word".to_owned(),
            Self::Broken(error) => socket::word(*error),
            Self::Silent => "nothing came for two heartbeats".to_owned(),
            Self::Violation(violation) => format!("the gateway broke the protocol: {violation:?}"),
        }
    }
}

/// One client.
pub(crate) struct Client {
    pub(crate) state: State,
    /// Grows with each connection, so that a task of an earlier one knows that it is over.
    pub(crate) generation: u32,
    pub(crate) stream: Option<Rc<TcpStream>>,
    /// Where in its thread's list its present absence stands.
    pub(crate) absence: Option<u32>,
    machine: Option<Machine>,
    partial: Vec<u8>,
    order: Order,
    /// Of the durable messages, which are what the client remembers.
    durable: Order,
    broadcast_order: Order,
    heard: u64,
    /// The greatest sequence that waits for an acknowledgement; 0 for none.
    to_ack: u64,
    /// How many messages wait for it, and since when, nanoseconds of the run's clock.
    unacked: u32,
    unacked_since: u64,
    opened: u64,
    /// When the ping was due whose pong is awaited, nanoseconds of the run's clock; 0 for none.
    pinged: u64,
    online_since: u32,
    session: Option<SessionId>,
    /// Behind the weak network: a ping was sent, and nothing has come since.
    unanswered: bool,
}

impl Client {
    /// Not opened yet.
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Idle,
            generation: 0,
            stream: None,
            absence: None,
            machine: None,
            partial: Vec::new(),
            order: Order::new(),
            durable: Order::new(),
            broadcast_order: Order::new(),
            heard: 0,
            to_ack: 0,
            unacked: 0,
            unacked_since: 0,
            opened: 0,
            pinged: 0,
            online_since: u32::MAX,
            session: None,
            unanswered: false,
        }
    }

    /// Takes a socket that begins to connect at `now`, as user `index`.
    pub(crate) fn open(&mut self, stream: Rc<TcpStream>, shared: &Shared, index: u32, now: u64) {
        let scenario = &shared.scenario;
        let user = scenario.people.user(index);
        let product = scenario.people.product_name(index);
        let token = scenario.signer.as_ref().map(|signer| signer.sign(product, &user));
        let tag = scenario.people.tag(index);
        let sequence = self.durable.last();
        let identity = Identity {
            heartbeat: scenario.heartbeat,
            product,
            user: &user,
            device: "",
            token: token.as_deref().unwrap_or_default().as_bytes(),
            resume: self.session.map(|session| Resume { session, sequence, broadcast: 0 }),
            tags: tag.as_slice(),
        };
        let mut machine = Machine::new(&identity, seconds(now));
        if shared.is_weak(index) {
            // The proxy is told who it is, and nobody else.
            drop(machine.output().splice(..0, index.to_le_bytes()));
        }
        self.machine = Some(machine);
        self.unanswered = false;
        self.stream = Some(stream);
        self.opened = now;
        self.state = State::Opening;
    }

    /// Gives up the connection; what it had of bytes is forgotten.
    pub(crate) fn release(&mut self) -> Option<Rc<TcpStream>> {
        self.generation = self.generation.wrapping_add(1);
        self.machine = None;
        self.partial = Vec::new();
        self.to_ack = 0;
        self.unacked = 0;
        self.pinged = 0;
        self.online_since = u32::MAX;
        self.stream.take()
    }

    /// What it has of the broadcasts of its product, for the verdict.
    pub(crate) const fn heard(&self, product: usize) -> Heard {
        Heard { product, broadcasts: self.heard, since: self.online_since }
    }

    /// Understands `bytes`, after those that were incomplete.
    pub(crate) fn absorb(&mut self, bytes: &[u8], desk: &mut Desk<'_>) -> Result<(), End> {
        desk.tally.bytes += bytes.len() as u64;
        self.unanswered = false;
        if self.partial.is_empty() {
            let taken = self.frames(bytes, desk)?;
            if taken < bytes.len() {
                self.partial = bytes[taken..].to_vec();
            }
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(bytes);
        let taken = self.frames(&whole, desk)?;
        if taken < whole.len() {
            whole.drain(..taken);
            self.partial = whole;
        }
        Ok(())
    }

    /// Takes all complete frames off the front; gives how many bytes they were.
    fn frames(&mut self, bytes: &[u8], desk: &mut Desk<'_>) -> Result<usize, End> {
        let mut at = 0;
        while let Some(machine) = &mut self.machine {
            let Some((meaning, taken)) = machine.receive(&bytes[at..]).map_err(End::Violation)?
            else {
                break;
            };
            at += taken;
            match meaning {
                FromServer::Push(push) => self.pushed(&push, desk),
                FromServer::Welcome(welcome) => self.welcomed(&welcome, desk),
                FromServer::Pong => self.ponged(desk),
                FromServer::Close { code, .. } => return Err(End::Closed(code)),
                // What follows a notice (a close, mostly) says the rest.
                FromServer::Notice(_) | FromServer::Skipped => {}
            }
        }
        Ok(at)
    }

    fn ponged(&mut self, desk: &mut Desk<'_>) {
        desk.tally.pongs += 1;
        let due = std::mem::take(&mut self.pinged);
        if due > 0 {
            desk.tally.echo.record(desk.now.saturating_sub(due));
        }
    }

    fn pushed(&mut self, push: &Push<'_>, desk: &mut Desk<'_>) {
        if push.broadcast {
            verdict::broadcast(push, &mut self.broadcast_order, &mut self.heard, desk);
            return;
        }
        let durable = push.class == Class::Durable;
        let order = if durable { &mut self.durable } else { &mut self.order };
        verdict::push(push, order, desk);
        if durable || desk.shared.scenario.ack {
            self.to_ack = self.to_ack.max(push.sequence);
            if self.unacked == 0 {
                self.unacked_since = desk.now;
            }
            self.unacked += 1;
        }
    }

    fn welcomed(&mut self, welcome: &Welcome, desk: &mut Desk<'_>) {
        let took = desk.now.saturating_sub(self.opened);
        desk.tally.logins += 1;
        desk.tally.returns += u64::from(self.session.is_some());
        if desk.shared.is_weak(desk.user) {
            desk.tally.login_weak.record(took);
        } else if self.session.is_some() {
            desk.tally.relogin.record(took);
        } else {
            desk.tally.login.record(took);
        }
        let online = self.order.welcomed(welcome.next_sequence, welcome.resumed);
        // What was durable came from a store, and a store never counts anew.
        if !online || !self.durable.welcomed(welcome.next_sequence, true) {
            desk.tally.sequence_fell_back += 1;
        }
        self.session = Some(welcome.session);
        self.state = State::Online;
        self.online_since = milliseconds(desk.now);
        desk.came_online(self.absence.take());
    }

    /// Whether messages wait for their acknowledgement whose time, if they are few, is not yet.
    pub(crate) const fn acknowledges_later(&self, shared: &Shared, now: u64) -> bool {
        let scenario = &shared.scenario;
        let few = self.unacked > 0 && self.unacked < scenario.ack_every;
        few && now < self.unacked_since.saturating_add(scenario.ack_after)
    }

    /// Puts the acknowledgement that waits, if one does, into a frame and sends it.
    pub(crate) fn acknowledge(&mut self, desk: &mut Desk<'_>) -> Result<(), End> {
        let sequence = std::mem::take(&mut self.to_ack);
        self.unacked = 0;
        if sequence == 0 {
            return Ok(());
        }
        desk.tally.acks += 1;
        let now = seconds(desk.now);
        self.say(desk.scratch, |machine| machine.ack(sequence, now))
    }

    /// Sends a ping if one is due, and what the kernel did not take before.
    pub(crate) fn tick(&mut self, desk: &mut Desk<'_>) -> Result<(), End> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        let now = seconds(desk.now);
        let due = machine.ping_due().is_some_and(|due| now >= due);
        if due {
            if std::mem::replace(&mut self.unanswered, desk.shared.is_weak(desk.user)) {
                return Err(End::Silent);
            }
            desk.tally.pings += 1;
        } else if machine.output().is_empty() || self.state == State::Opening {
            return Ok(());
        }
        self.say(desk.scratch, |machine| {
            machine.tick(now);
        })
    }

    /// Sends a ping that was due at `due`. While one awaits its pong, another is not timed: pongs
    /// carry nothing that says whose they are.
    pub(crate) fn ping(&mut self, due: u64, desk: &mut Desk<'_>) -> Result<(), End> {
        desk.tally.pings += 1;
        if self.pinged == 0 {
            self.pinged = due;
        }
        self.say(desk.scratch, |machine| machine.ping(seconds(desk.now)))
    }

    /// Says bye.
    pub(crate) fn leave(&mut self, scratch: &mut Vec<u8>) -> Result<(), End> {
        self.state = State::Leaving;
        self.say(scratch, Machine::bye)
    }

    /// Sends the hello, now that the connection stands.
    pub(crate) fn greet(&mut self, scratch: &mut Vec<u8>) -> Result<(), End> {
        self.say(scratch, |_| {})
    }

    /// Lets the machine speak into the thread's buffer and sends it; the client keeps bytes only if
    /// the kernel does not take them all.
    fn say(&mut self, scratch: &mut Vec<u8>, speak: impl FnOnce(&mut Machine)) -> Result<(), End> {
        let (Some(machine), Some(stream)) = (&mut self.machine, &self.stream) else {
            return Ok(());
        };
        let lent = machine.output().capacity() == 0;
        if lent {
            std::mem::swap(machine.output(), scratch);
        }
        speak(machine);
        let output = machine.output();
        if !output.is_empty() {
            let taken = socket::write(stream, output).map_err(End::Broken)?;
            output.drain(..taken);
        }
        if output.is_empty() {
            if lent {
                std::mem::swap(output, scratch);
            } else {
                *output = Vec::new();
            }
        }
        Ok(())
    }
}
