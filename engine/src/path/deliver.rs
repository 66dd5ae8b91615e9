//! A message reaches the shard of its connection and is queued; or is parked, because the peer
//! reads slowly; or is given up with a reason.

use crate::broadcast::late::Owed;
use crate::connection::Ending;
use crate::connection::id::ConnectionId;
use crate::connection::outbox::{Frame, Parked, Queued, Receipt};
use crate::io::{Io, Key};
use crate::mesh::letter::{Origin, Parcel};
use crate::mesh::{ToHome, ToOrigin, ToSession};
use crate::metrics::Counter;
use crate::path::flush::drop_expired;
use crate::path::login::Login;
use crate::shard::{Shard, key as key_of};
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::DropReason;
use holdfast_protocol::client::from_server::PushHead;
use holdfast_protocol::client::{Class, Push};
use holdfast_protocol::close::Code;
use holdfast_protocol::session::State;
use std::sync::Arc;

/// What control frames may take over the limit of an outbox, in bytes, before the peer is given up.
const CONTROL_BYTES: usize = 4096;

/// How a durable message comes; see [`ToSession::Durable`].
#[derive(Debug, Clone, Copy)]
struct Order {
    again: bool,
    first: bool,
    last: bool,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The kernel took it.
    Written,
    /// Its time to live ended first.
    Expired,
    /// Given up.
    Dropped(DropReason),
}

impl<I: Io> Shard<I> {
    /// A letter for a connection of this shard, or for its part of a broadcast.
    pub(crate) fn at_session(&mut self, letter: ToSession) {
        match letter {
            ToSession::Registered {
                connection,
                home,
                shard,
                next_sequence,
                resumed,
                pending,
                had,
            } => {
                let login = Login { connection, home, shard, next_sequence, resumed, pending, had };
                self.registered(&login);
            }
            ToSession::Had(connection, had) => self.make_sure(connection, *had),
            ToSession::Push { connection, origin, sequence, parcel } => {
                self.deliver(connection, origin, sequence, parcel);
            }
            ToSession::Durable { connection, sequence, parcel, again, first, last } => {
                let order = Order { again, first, last };
                self.deliver_durable(connection, sequence, parcel, order);
            }
            ToSession::End { connection, code, reason } => {
                self.end(connection, code, reason.as_deref());
            }
            ToSession::Part(start) => self.start_part(start),
            ToSession::Order(job, order) => self.steer_part(job, order),
        }
    }

    fn deliver(&mut self, to: ConnectionId, origin: Origin, sequence: u64, parcel: Parcel) {
        let key = key_of(to);
        let receipt = Receipt::Push(origin, sequence);
        let connection = self.connections.get_mut(key);
        let client = connection.and_then(|connection| connection.client());
        let Some(client) = client.filter(|client| client.state == State::Online) else {
            self.metrics.count(Counter::Stale);
            self.settle(receipt, self.lost());
            return;
        };
        if parcel.expires < self.now.seconds() {
            self.settle(receipt, Fate::Expired);
            return;
        }
        client.sent = client.sent.max(sequence);
        let push = Push {
            class: Class::Online,
            broadcast: false,
            redelivered: false,
            sequence,
            body: parcel.body(),
        };
        let head = PushHead::new(&push);
        let expires = parcel.expires;
        self.queue(key, Queued { frame: Frame::Push(head, parcel), receipt, expires });
    }

    /// A durable message is queued, or it is refused: then it is in the mailbox all the same, and
    /// its home is told to begin anew with it once there is room.
    fn deliver_durable(&mut self, to: ConnectionId, sequence: u64, parcel: Parcel, order: Order) {
        let (key, now) = (key_of(to), self.now.seconds());
        let Some(connection) = self.connections.get_mut(key) else { return };
        let stuck = connection.busy.as_deref().is_some_and(|busy| busy.stuck);
        if stuck && order.first {
            connection.busy().stuck = false;
        }
        let client = connection.client().filter(|client| client.state == State::Online);
        let Some(client) = client else {
            self.metrics.count(Counter::Stale);
            return;
        };
        if stuck && !order.first {
            self.refuse_durable(key, sequence);
            return;
        }
        client.sent = client.sent.max(sequence);
        client.durable = client.durable.max(sequence);
        let expires = parcel.expires;
        if expires < now {
            self.settle(Receipt::Durable(key, sequence, order.last), Fate::Expired);
            return;
        }
        let push = Push {
            class: Class::Durable,
            broadcast: false,
            redelivered: order.again,
            sequence,
            body: parcel.body(),
        };
        self.metrics.count(Counter::DurableDeliveries);
        if order.again {
            self.metrics.count(Counter::Redeliveries);
        }
        let frame = Frame::Push(PushHead::new(&push), parcel);
        let receipt = Receipt::Durable(key, sequence, order.last);
        self.queue(key, Queued { frame, receipt, expires });
    }

    /// Tells a durable message's home that it found no room here.
    fn refuse_durable(&mut self, key: Key, sequence: u64) {
        let id = self.id(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(client) = connection.client().filter(|it| it.state == State::Online) else {
            return;
        };
        let (home, shard) = (client.home, client.home_shard);
        if !connection.busy().refuses(self.turns) {
            return;
        }
        self.ends.home_out.send(shard, ToHome::Stuck(home, id, sequence));
        if !connection.is_parked() {
            self.ends.home_out.send(shard, ToHome::Room(home, id));
        }
    }

    /// A durable message was written, or was not. Its home knows what it still has to do about it
    /// unless the connection goes on.
    fn settle_durable(&mut self, key: Key, sequence: u64, last: bool, fate: Fate) {
        match fate {
            Fate::Written | Fate::Expired if last => self.tell_room(key),
            Fate::Dropped(DropReason::OutboxFull) => self.refuse_durable(key, sequence),
            Fate::Written | Fate::Expired | Fate::Dropped(_) => {}
        }
    }

    /// Tells the home of a session that it may be handed more.
    pub(crate) fn tell_room(&mut self, key: Key) {
        let id = self.id(key);
        let connection = self.connections.get_mut(key);
        let client = connection.and_then(|connection| connection.client());
        if let Some(client) = client.filter(|client| client.state == State::Online) {
            self.ends.home_out.send(client.home_shard, ToHome::Room(client.home, id));
        }
    }

    fn end(&mut self, connection: ConnectionId, code: Code, reason: Option<&str>) {
        let words = match (code, reason) {
            (_, Some(reason)) if !reason.is_empty() => reason,
            (Code::Replaced, _) => "the user logged in again",
            (_, _) => code.name(),
        };
        let key = key_of(connection);
        self.note_close(key, code, words);
        self.close(key, code, words);
    }

    /// Queues a frame for a connection; when that is closed, or its outbox is full, the frame is
    /// given up.
    #[inline]
    pub(crate) fn queue(&mut self, key: Key, queued: Queued) {
        let Some(connection) = self.connections.get_mut(key) else {
            self.settle(queued.receipt, self.lost());
            return;
        };
        if connection.ending != Ending::Open {
            self.settle(queued.receipt, self.lost());
        } else if connection.is_parked() {
            self.park(key, &queued, 0);
        } else {
            self.staging.push(key.slot, &mut connection.queue, queued);
        }
    }

    /// Keeps a frame of which the kernel took `written` bytes, if the outbox has room for it. What
    /// was begun is kept in any case, or the stream would break.
    pub(crate) fn park(&mut self, key: Key, queued: &Queued, written: usize) {
        let length = queued.frame.len() - written;
        if written == 0 && self.is_behind_a_refused_one(key, queued.receipt) {
            self.settle(queued.receipt, Fate::Dropped(DropReason::OutboxFull));
            return;
        }
        if written == 0 && !self.has_room(key, length) {
            if queued.receipt != Receipt::None {
                self.settle(queued.receipt, Fate::Dropped(DropReason::OutboxFull));
                return;
            }
            if !self.has_room(key, length.saturating_sub(CONTROL_BYTES)) {
                self.note_close(key, Code::SlowReader, "its outbox is full");
                self.give_up(key, Code::SlowReader);
                return;
            }
        }
        let (now, lost) = (self.now.seconds(), self.lost());
        let connection = self.connections.get_mut(key);
        let Some(connection) = connection.filter(|it| it.ending != Ending::Dead) else {
            self.settle(queued.receipt, lost);
            return;
        };
        let busy = connection.busy();
        busy.parked_bytes += length;
        self.outbox_bytes += length;
        let Queued { ref frame, receipt, expires } = *queued;
        match busy.parked.back_mut() {
            Some(parked) if receipt == Receipt::None && parked.takes_more(now) => {
                frame.copy_to(&mut parked.bytes);
            }
            _ => {
                let mut bytes = Vec::with_capacity(frame.len());
                frame.copy_to(&mut bytes);
                let since = now;
                busy.parked.push_back(Parked { bytes, written, receipt, expires, since });
            }
        }
    }

    /// Whether a durable message comes behind one that found no room in the same turn: it must not
    /// overtake it, however small it is. So too for a broadcast that is made up for.
    fn is_behind_a_refused_one(&self, key: Key, receipt: Receipt) -> bool {
        let busy = self.connections.get(key).and_then(|connection| connection.busy.as_deref());
        match receipt {
            Receipt::Durable(..) => busy.is_some_and(|busy| busy.stuck),
            Receipt::Kept { part: None, .. } => self.late.is_refused(key),
            Receipt::Kept { .. } | Receipt::None | Receipt::Push(..) | Receipt::Part(_) => false,
        }
    }

    /// Whether so many more bytes may wait for a peer. What is of no use any more makes room first.
    fn has_room(&mut self, key: Key, length: usize) -> bool {
        let (limit, now) = (self.settings.outbox_bytes, self.now.seconds());
        let Some(connection) = self.connections.get_mut(key) else { return true };
        // What waits for a backend is bounded by not reading it.
        if connection.backend().is_some() || connection.parked_cost() + length <= limit {
            return true;
        }
        let mut expired = Vec::new();
        self.outbox_bytes -= drop_expired(connection, now, &mut expired);
        let fits = connection.parked_cost() + length <= limit;
        for (receipt, fate) in expired {
            self.settle(receipt, fate);
        }
        fits
    }

    /// What becomes of a message whose connection ended.
    pub(crate) fn lost(&self) -> Fate {
        let draining = self.is_draining();
        Fate::Dropped(if draining { DropReason::Shutdown } else { DropReason::ConnectionLost })
    }

    /// Tells whoever waits for it what became of a frame.
    #[inline]
    pub(crate) fn settle(&mut self, receipt: Receipt, fate: Fate) {
        let durable = matches!(receipt, Receipt::None | Receipt::Durable(..));
        if let (Fate::Dropped(why), false) = (fate, durable) {
            self.metrics.dropped(why, 1);
        }
        match receipt {
            Receipt::None => {}
            Receipt::Push(origin, sequence) => {
                let outcome = match fate {
                    Fate::Written => Outcome::Delivered(sequence),
                    Fate::Expired => Outcome::Expired,
                    Fate::Dropped(why) => Outcome::Dropped(why),
                };
                self.ends
                    .origin_out
                    .send(origin.connection.shard, ToOrigin::Outcome(origin, outcome));
            }
            Receipt::Durable(key, sequence, last) => {
                self.settle_durable(key, sequence, last, fate);
            }
            Receipt::Part(part) => self.settle_part(part, fate),
            Receipt::Kept { part, key, number, again } => {
                match fate {
                    Fate::Written => self.tell_seen(key, number),
                    Fate::Dropped(DropReason::OutboxFull) => {
                        self.refuse_kept(key, Owed { number, again });
                    }
                    Fate::Expired | Fate::Dropped(_) => {}
                }
                if let Some(part) = part {
                    self.settle_part(part, fate);
                }
            }
        }
    }

    /// Queues a broadcast for one member; a durable one's number is in `kept`.
    pub(crate) fn broadcast_to(
        &mut self,
        slot: u32,
        frame: &Arc<[u8]>,
        (part, kept): (u32, Option<u64>),
        expires: u32,
    ) {
        let Some((key, _)) = self.connections.at(slot) else { return };
        self.metrics.count(Counter::BroadcastDeliveries);
        let receipt = match kept {
            Some(number) => Receipt::Kept { part: Some(part), key, number, again: false },
            None => Receipt::Part(part),
        };
        self.queue(key, Queued { frame: Frame::Shared(Arc::clone(frame)), receipt, expires });
    }
}
