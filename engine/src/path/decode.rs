//! Received bytes become frames.
//!
//! All connections of a shard are read into one buffer, and frames are understood where they lie.
//! Only a frame whose end has not come is kept with its connection, as long as it is, never as long
//! as it claims to be.

use crate::connection::{Ending, Role};
use crate::io::{Interest, Io, Key, Port, Received};
use crate::mesh::ToHome;
use crate::metrics::Counter;
use crate::shard::Shard;
use holdfast_protocol::client::FromClient;
use holdfast_protocol::close::Code;
use holdfast_protocol::error::Violation;
use holdfast_protocol::frame::{Frame, split};
use holdfast_protocol::limits::{BACKEND_HELLO_PAYLOAD, BACKEND_PAYLOAD, CLIENT_PAYLOAD};
use holdfast_protocol::session::{self, Action};

/// How often one connection is read in one turn.
const READS: usize = 2;

impl<I: Io> Shard<I> {
    /// The watch of a connection ended.
    pub(crate) fn ready(&mut self, key: Key, readable: bool, writable: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.watched = false;
        if connection.ending == Ending::Dead {
            if connection.queue.is_empty() {
                self.release(key);
            }
            return;
        }
        if writable {
            self.unpark(key);
        }
        if readable {
            self.receive(key);
        } else {
            self.watch_on(key);
        }
    }

    /// Goes on with the connections whose last receive filled the buffer, each once.
    pub(crate) fn read_on(&mut self) {
        for _ in 0..self.again.len() {
            let Some(key) = self.again.pop_front() else { break };
            self.receive(key);
        }
        if !self.blocked() {
            for key in std::mem::take(&mut self.held) {
                self.read_held(key);
            }
        }
    }

    /// A backend that was held may go on, unless its answers still wait.
    fn read_held(&mut self, key: Key) {
        let now = self.now.seconds();
        let limit = self.settings.backend_outbox_bytes;
        let waits = |shard: &Self| {
            shard.connections.get(key).is_some_and(|held| held.parked_bytes() > limit)
        };
        if waits(self) {
            // It is not watched while it is held, so whether it reads is found out by trying.
            self.unpark(key);
            if waits(self) {
                self.held.push(key);
                return;
            }
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Some(backend) = connection.backend() {
            backend.held = false;
        }
        // It could neither finish a frame nor be heard while it was held.
        connection.heard = now;
        if let Some(busy) = connection.busy.as_mut() {
            busy.begun = now.max(1);
        }
        self.hasten(key);
        self.heard(key, &[]);
        if !self.is_held(key) {
            self.receive(key);
        }
    }

    fn is_held(&mut self, key: Key) -> bool {
        let connection = self.connections.get_mut(key);
        connection.and_then(|connection| connection.backend()).is_some_and(|backend| backend.held)
    }

    /// Receives from a backend, whether or not it is known to have sent something.
    pub(crate) fn receive_unless_held(&mut self, key: Key) {
        if !self.is_held(key) {
            self.receive(key);
        }
    }

    pub(crate) fn receive(&mut self, key: Key) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for read in 1..=READS {
            let Some(connection) = self.connections.get_mut(key) else { break };
            if connection.ending == Ending::Dead {
                break;
            }
            match self.io.receive(&connection.socket, &mut buffer) {
                Received::Bytes(length) => {
                    let counter = match connection.role {
                        Role::Client(_) => Counter::BytesIn,
                        Role::Backend(_) => Counter::BackendBytesIn,
                    };
                    self.metrics.add(counter, length as u64);
                    self.heard(key, &buffer[..length]);
                    if self.is_held(key) {
                        break;
                    }
                    if length < buffer.len() {
                        self.watch_on(key);
                        break;
                    }
                    if read == READS {
                        self.again.push_back(key);
                    }
                }
                Received::Empty => {
                    self.watch_on(key);
                    break;
                }
                Received::End => {
                    self.gone(key);
                    break;
                }
                Received::Broken => {
                    self.broken(key);
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    /// Watches for what the connection waits for, unless it is watched or dead.
    pub(crate) fn watch_on(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.watched || connection.ending == Ending::Dead {
            return;
        }
        let interest = if connection.is_parked() { Interest::ReadWrite } else { Interest::Read };
        self.watch(key, interest);
    }

    pub(crate) fn watch(&mut self, key: Key, interest: Interest) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.watched = true;
        self.io.watch(key, &connection.socket, interest);
    }

    /// Takes bytes together with the beginning that was kept, and keeps what is incomplete.
    fn heard(&mut self, key: Key, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let busy = connection.busy.as_mut();
        let mut kept = busy.map(|busy| std::mem::take(&mut busy.partial)).unwrap_or_default();
        if kept.is_empty() {
            let taken = self.consume(key, bytes);
            self.retain(key, bytes[taken..].to_vec(), taken > 0);
        } else {
            kept.extend_from_slice(bytes);
            let taken = self.consume(key, &kept);
            kept.drain(..taken);
            if taken > 0 {
                kept.shrink_to_fit();
            }
            self.retain(key, kept, taken > 0);
        }
    }

    fn retain(&mut self, key: Key, rest: Vec<u8>, fresh: bool) {
        let now = self.now.seconds();
        let Some(connection) = self.connections.get_mut(key) else { return };
        if rest.is_empty() || connection.ending != Ending::Open {
            if let Some(busy) = &mut connection.busy {
                busy.begun = 0;
            }
            connection.settle();
            return;
        }
        let first = connection.busy.as_ref().is_none_or(|busy| busy.begun == 0);
        let busy = connection.busy();
        busy.partial = rest;
        if first || fresh {
            busy.begun = now.max(1);
            self.hasten(key);
        }
    }

    /// Deals with the complete frames at the front of `bytes`; gives how many bytes they are.
    fn consume(&mut self, key: Key, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let Some(connection) = self.connections.get_mut(key) else { return bytes.len() };
            if connection.ending != Ending::Open {
                // What comes after a close is of no interest.
                return bytes.len();
            }
            let most = match &connection.role {
                Role::Client(_) => CLIENT_PAYLOAD,
                Role::Backend(backend) if backend.held => return at,
                Role::Backend(backend) if backend.open => BACKEND_PAYLOAD,
                Role::Backend(_) => BACKEND_HELLO_PAYLOAD,
            };
            match split(&bytes[at..], most) {
                Ok(Some((frame, taken))) => {
                    at += taken;
                    if let Err(violation) = self.frame(key, frame) {
                        self.violated(key, violation);
                    }
                }
                Ok(None) => return at,
                Err(violation) => self.violated(key, violation),
            }
        }
        at
    }

    fn frame(&mut self, key: Key, frame: Frame<'_>) -> Result<(), Violation> {
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        match &connection.role {
            Role::Client(_) => {
                self.metrics.frame_in(Port::Client, frame.kind);
                self.client_frame(key, frame)
            }
            Role::Backend(backend) => {
                self.metrics.frame_in(Port::Backend, frame.kind);
                // A stranger wins no time by frames that are to be skipped.
                if backend.open {
                    connection.heard = self.now.seconds();
                }
                self.requested(key, frame)
            }
        }
    }

    fn client_frame(&mut self, key: Key, frame: Frame<'_>) -> Result<(), Violation> {
        let now = self.now.seconds();
        let limit = self.settings.frames_per_second;
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        let heard = connection.heard;
        let Some(client) = connection.client() else { return Ok(()) };
        // Before the login `heard` stands still: the whole opening counts as one second.
        let another_second = client.state == session::State::Online && heard != now;
        client.frames = if another_second { 1 } else { client.frames.saturating_add(1) };
        if client.frames > limit {
            return Err(Violation::TooManyFrames);
        }
        let meaning = FromClient::decode(frame)?;
        let action = session::receive(client.state, &meaning, client.sent)?;
        if client.state == session::State::Online {
            connection.heard = now;
        }
        match (action, &meaning) {
            (Action::LogIn, FromClient::Hello(hello)) => self.log_in(key, hello),
            (Action::Pong, _) => self.pong(key),
            (Action::Acknowledge(sequence), _) => self.acknowledged(key, sequence),
            (Action::Leave, _) => {
                self.note_close(key, Code::Bye, "bye");
                self.left(key);
            }
            (Action::LogIn | Action::Ignore, _) => {}
        }
        Ok(())
    }

    fn acknowledged(&mut self, key: Key, sequence: u64) {
        let connection = self.connections.get_mut(key);
        let Some(client) = connection.and_then(|connection| connection.client()) else { return };
        // Where nothing durable is outstanding there is nobody to tell.
        if client.acked < client.durable && client.acked < sequence {
            // A client that counts online messages too must not outrun its durable ones.
            client.acked = sequence.min(client.durable);
            let (home, shard) = (client.home, client.home_shard);
            let letter = ToHome::Ack(home, client.acked);
            self.ends.home_out.send(shard, letter);
        }
    }

    fn violated(&mut self, key: Key, violation: Violation) {
        let Some(connection) = self.connections.get(key) else { return };
        match connection.role {
            Role::Client(_) => self.metrics.violation(violation),
            Role::Backend(_) => self.metrics.backend_violation(violation),
        }
        if let Some(held) = self.may_log(|gates| &mut gates.violation) {
            let (shard, slot, peer) = (self.number, key.slot, self.peer(key));
            let violation = violation.name();
            tracing::info!(shard, slot, peer, violation, held, "bad frame");
        }
        self.note_close(key, violation.close_code(), violation.name());
        self.close(key, violation.close_code(), violation.name());
    }
}
