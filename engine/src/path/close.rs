//! The end of a connection: told, flushed, shut, joined with the kernel, released.
//!
//! ```text
//!  Open ──close──▶ Flushing ──all sent──▶ Lingering ──peer's end──▶ Dead ──watch ended──▶ released
//!    └──────────────────────── broken, or out of time ─────────────▲
//! ```
//!
//! A session leaves its home and the roster the moment its connection stops being open. The slot is
//! given back only when the kernel holds nothing of it.

use crate::connection::outbox::{Frame, Queued};
use crate::connection::{Client, Connection, Ending, Role};
use crate::io::{How, Io, Key};
use crate::mesh::ToHome;
use crate::metrics::{ConnectionState, Counter};
use crate::path::catch_up::is_kept;
use crate::path::deliver::Fate;
use crate::shard::Shard;
use holdfast_protocol::client::from_server;
use holdfast_protocol::close::Code;
use holdfast_protocol::session::State;

impl<I: Io> Shard<I> {
    /// Closes in order: the peer is told why, after all that is queued for it.
    pub(crate) fn close(&mut self, key: Key, code: Code, reason: &str) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.ending != Ending::Open {
            return;
        }
        let mut bytes = Vec::new();
        let kicked = matches!(code, Code::Kicked | Code::Replaced);
        if kicked && matches!(connection.role, Role::Client(_)) {
            from_server::put_kick(code.number(), reason, &mut bytes);
        }
        let drain = self.drain.is_some_and(|drain| drain.has_told_clients());
        let online = connection.client().is_some_and(|client| client.state == State::Online);
        let told = drain && online;
        if code == Code::GoingAway && matches!(connection.role, Role::Client(_)) && !told {
            from_server::put_drain(0, &mut bytes);
        }
        from_server::put_close(code.number(), reason, &mut bytes);
        self.queue(key, Queued::control(Frame::Owned(bytes.into())));
        // Who is sent away for what it did, or for another session, does not come back to this one.
        self.leave(key, code == Code::HeartbeatTimeout);
        let now = self.now.seconds();
        let Some(connection) = self.connections.get_mut(key) else { return };
        // Queueing gives up a peer whose outbox is full.
        if connection.ending == Ending::Open {
            connection.ending = Ending::Flushing;
            connection.heard = now;
            self.hasten(key);
            self.count_close(key, code);
        }
    }

    /// The client said bye: it is not told anything more.
    pub(crate) fn left(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.ending == Ending::Open {
            connection.ending = Ending::Flushing;
            connection.heard = self.now.seconds();
            let nothing_queued = connection.queue.is_empty();
            self.count_close(key, Code::Bye);
            self.leave(key, false);
            self.hasten(key);
            if nothing_queued {
                self.flushed(key);
            }
        }
    }

    /// The peer closed its direction. Backends have a number of their own, since they leave so
    /// whenever they have done.
    pub(crate) fn gone(&mut self, key: Key) {
        self.note_lost(key, "closed by the peer");
        let open = self.connections.get(key).filter(|it| it.ending == Ending::Open);
        if let Some(connection) = open {
            self.metrics.count(match connection.role {
                Role::Client(_) => Counter::PeerClosed,
                Role::Backend(_) => Counter::BackendPeerClosed,
            });
        }
        self.kill(key);
    }

    /// The connection broke.
    pub(crate) fn broken(&mut self, key: Key) {
        self.note_lost(key, "broken");
        let open = self.connections.get(key).is_some_and(|it| it.ending == Ending::Open);
        if open {
            self.metrics.count(Counter::PeerReset);
        }
        self.kill(key);
    }

    /// Closes without a word, because the peer would not read it.
    pub(crate) fn give_up(&mut self, key: Key, code: Code) {
        let open = self.connections.get(key).is_some_and(|it| it.ending == Ending::Open);
        if open {
            self.count_close(key, code);
        }
        self.kill(key);
    }

    /// Ends both directions at once; the slot is free once the kernel holds nothing of it.
    pub(crate) fn kill(&mut self, key: Key) {
        self.leave(key, true);
        self.drop_parked(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.ending == Ending::Dead {
            return;
        }
        connection.ending = Ending::Dead;
        self.wheel.cancel(key.slot);
        let queued = !connection.queue.is_empty();
        let watched = connection.watched;
        if watched || queued {
            self.io.shutdown(&connection.socket, How::Both);
        }
        // What this turn queued is settled by the flush, which needs the slot.
        if queued {
            self.dying.push(key);
        } else if !watched {
            self.release(key);
        }
    }

    fn count_close(&self, key: Key, code: Code) {
        match self.connections.get(key).map(|connection| &connection.role) {
            Some(Role::Client(_)) => self.metrics.close(code),
            Some(Role::Backend(_)) => self.metrics.backend_close(code),
            None => {}
        }
    }

    /// Takes the session out of its home, where it may linger, and of the roster.
    fn leave(&mut self, key: Key, lingers: bool) {
        let id = self.id(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(client) = connection.client() else { return };
        let before = std::mem::replace(&mut client.state, State::Closing);
        let from = match before {
            State::Opening => ConnectionState::Opening,
            State::Greeting => ConnectionState::LoggingIn,
            State::Online => ConnectionState::Online,
            State::Closing => return,
        };
        self.metrics.moved(Some(from), Some(ConnectionState::Closing));
        if before != State::Online {
            return;
        }
        let Client { home, home_shard, member, .. } = *client;
        let tags = client.tags.take().unwrap_or_default();
        let writes = self.holds_broadcasts(key);
        let gone = ToHome::Unregister { home, connection: id, lingers, writes };
        self.ends.home_out.send(home_shard, gone);
        self.late.forget(key);
        self.withheld.remove(&key);
        self.roster.leave(member);
        for tag in tags {
            let list = self.roster.leave(tag.member);
            self.close_if_empty(list);
        }
    }

    /// Whether durable broadcasts wait to be written to it; then its home will be told when nothing
    /// more is.
    fn holds_broadcasts(&mut self, key: Key) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        let parked = connection.busy.iter().flat_map(|busy| &busy.parked);
        let queued = self.staging.chain(connection.queue).map(|queued| queued.receipt);
        let holds = parked.map(|parked| parked.receipt).chain(queued).any(is_kept);
        if let Some(client) = connection.client() {
            client.reports = holds;
        }
        holds
    }

    fn drop_parked(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(busy) = connection.busy.take() else { return };
        self.outbox_bytes -= busy.parked_bytes;
        let (lost, now) = (self.lost(), self.now.seconds());
        for parked in busy.parked {
            let expired = parked.written == 0 && parked.expires < now;
            self.settle(parked.receipt, if expired { Fate::Expired } else { lost });
        }
    }

    /// Gives the slot back. The kernel holds nothing of it any more.
    pub(crate) fn release(&mut self, key: Key) {
        let Some(connection) = self.connections.remove(key) else { return };
        debug_assert!(!connection.watched && connection.queue.is_empty(), "still in use: {key:?}");
        self.wheel.cancel(key.slot);
        let Connection { role, socket, .. } = connection;
        match role {
            Role::Client(client) => {
                self.metrics.moved(Some(ConnectionState::Closing), None);
                if client.reports {
                    let gone = ToHome::Gone(self.id(key));
                    self.ends.home_out.send(client.home_shard, gone);
                }
            }
            Role::Backend(backend) => {
                self.backends.retain(|&backend| backend != key);
                self.in_flight -= u64::from(backend.requests.used());
            }
        }
        drop(socket);
    }

    /// After the flush: gives back the slots whose last frames it settled.
    pub(crate) fn bury(&mut self) {
        for key in std::mem::take(&mut self.dying) {
            let watched = self.connections.get(key).is_none_or(|connection| connection.watched);
            if !watched {
                self.release(key);
            }
        }
    }
}
