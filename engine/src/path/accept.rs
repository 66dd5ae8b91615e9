//! A socket becomes a connection, or is refused with a reason.

use crate::backend::Backend;
use crate::connection::{Client, Connection, Role};
use crate::io::{Interest, Io, Key, Outgoing, Port};
use crate::metrics::{ConnectionState, Counter, Refusal, ShardMetrics};
use crate::shard::{Shard, port_index};
use holdfast_protocol::client::from_server;
use holdfast_protocol::close::Code;
use std::io::Error;

/// How long accepting rests after it ran out of descriptors or memory, in microseconds.
const REST_MICROS: u64 = 500_000;

impl<I: Io> Shard<I> {
    pub(crate) fn accepted(&mut self, port: Port, socket: I::Socket) {
        if let Some(why) = self.refusal(port) {
            self.refuse(&socket, why);
            return;
        }
        let role = match port {
            Port::Client => Role::Client(Client::new()),
            Port::Backend => Role::Backend(Box::default()),
        };
        let now = self.now.seconds();
        let connection = Connection::new(socket, role, now);
        // The table has room, or `refusal` would have said so.
        let Ok(key) = self.connections.insert(connection) else { return };
        match port {
            Port::Client => {
                self.metrics.count(Counter::Accepted);
                self.metrics.moved(None, Some(ConnectionState::Opening));
            }
            Port::Backend => {
                self.metrics.count(Counter::BackendsAccepted);
                self.backends.push(key);
                self.hurry(key);
            }
        }
        self.wheel.set(key.slot, now + self.settings.hello_timeout);
        self.watch(key, Interest::Read);
    }

    /// A backend ends the shard's rests.
    fn hurry(&mut self, key: Key) {
        if let Some(connection) = self.connections.get(key) {
            self.io.hurry(&connection.socket);
        }
    }

    fn refusal(&self, port: Port) -> Option<Refusal> {
        if self.is_draining() {
            Some(Refusal::Draining)
        } else {
            match port {
                Port::Client => self.clients_are_full().then_some(Refusal::ClientsFull),
                Port::Backend => {
                    let full = self.backends.len() >= self.settings.backends_max;
                    full.then_some(Refusal::BackendsFull)
                }
            }
        }
    }

    /// Whether this shard, or all together, hold as many clients as they may. Backends have places
    /// of their own.
    fn clients_are_full(&self) -> bool {
        let clients = self.connections.len() - self.backends.len();
        if clients >= self.settings.clients_max {
            return true;
        }
        // The others' numbers are of a moment ago: at most one accept of each shard too many.
        let all = || self.metrics.all.iter().map(ShardMetrics::clients).sum::<u64>();
        self.settings.clients_total.is_some_and(|total| all() >= total)
    }

    /// Says why, as far as the fresh send buffer takes it, and closes.
    fn refuse(&mut self, socket: &I::Socket, why: Refusal) {
        self.metrics.refused(why);
        let code = if why == Refusal::Draining { Code::GoingAway } else { Code::Overloaded };
        let mut bytes = Vec::new();
        // Both protocols have the same close.
        from_server::put_close(code.number(), why.name(), &mut bytes);
        self.sent.clear();
        self.io.send(&[Outgoing { socket, bytes: &bytes }], &mut self.sent);
        if let Some(held) = self.may_log(|gates| &mut gates.refused) {
            let peer = self.io.peer(socket).map(tracing::field::display);
            tracing::warn!(shard = self.number, peer, why = why.name(), held, "connection refused");
        }
    }

    pub(crate) fn accept_failed(&mut self, port: Port, error: &Error) {
        if self.is_draining() {
            return;
        }
        self.metrics.count(Counter::AcceptPauses);
        // The listener keeps who comes meanwhile in its backlog; trying at once again would spin.
        self.accept_at[port_index(port)] = Some(self.now.micros + REST_MICROS);
        if let Some(held) = self.may_log(|gates| &mut gates.accept) {
            let (shard, rest) = (self.number, REST_MICROS / 1000);
            tracing::error!(
                shard, %error, held,
                "accepting pauses for {rest} ms; raise the descriptor limit (ulimit -n) or lower \
                 client.connections_max"
            );
        }
    }

    /// Accepts again on a port whose rest is over.
    pub(crate) fn accept_again(&mut self) {
        for port in [Port::Client, Port::Backend] {
            let at = &mut self.accept_at[port_index(port)];
            if at.is_some_and(|at| at <= self.now.micros) {
                *at = None;
                self.io.accept(port);
            }
        }
    }
}

/// The size of what a backend's connection needs beside its slot, for the memory sum.
pub const BACKEND_BYTES: usize = size_of::<Backend>();
