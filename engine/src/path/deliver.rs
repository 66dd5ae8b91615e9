//! A message reaches the shard of its connection and is queued; or is parked, because the peer reads slowly; or
//! is given up with a reason.

use crate::connection::Ending;
use crate::connection::id::ConnectionId;
use crate::connection::outbox::{Frame, Parked, Queued, Receipt};
use crate::io::{Io, Key};
use crate::mesh::letter::{Origin, Parcel};
use crate::mesh::{ToOrigin, ToSession};
use crate::metrics::Counter;
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
            ToSession::Registered { connection, home, shard, next_sequence } => {
                self.registered(Login { connection, home, shard, next_sequence });
            }
            ToSession::Push { connection, origin, sequence, parcel } => {
                self.deliver(connection, origin, sequence, parcel);
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
            self.settle(receipt, Fate::Dropped(DropReason::ConnectionLost));
            return;
        };
        if parcel.expires < self.now.seconds() {
            self.settle(receipt, Fate::Expired);
            return;
        }
        client.sent = sequence;
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

    fn end(&mut self, connection: ConnectionId, code: Code, reason: Option<&str>) {
        let words = match (code, reason) {
            (_, Some(reason)) if !reason.is_empty() => reason,
            (Code::Replaced, _) => "the user logged in again",
            (_, _) => code.name(),
        };
        self.close(key_of(connection), code, words);
    }

    /// Queues a frame for a connection; when that is closed, or its outbox is full, the frame is given up.
    #[inline]
    pub(crate) fn queue(&mut self, key: Key, queued: Queued) {
        let Some(connection) = self.connections.get_mut(key) else {
            self.settle(queued.receipt, Fate::Dropped(DropReason::ConnectionLost));
            return;
        };
        if connection.ending != Ending::Open {
            self.settle(queued.receipt, Fate::Dropped(DropReason::ConnectionLost));
        } else if connection.is_parked() {
            self.park(key, &queued, 0);
        } else {
            self.staging.push(key.slot, &mut connection.queue, queued);
        }
    }

    /// Keeps a frame of which the kernel took `written` bytes.
    pub(crate) fn park(&mut self, key: Key, queued: &Queued, written: usize) {
        let now = self.now.seconds();
        let connection = self.connections.get_mut(key);
        // An earlier frame of the same turn may have been the one too many.
        let connection = connection.filter(|connection| connection.ending != Ending::Dead);
        let Some(connection) = connection else {
            self.settle(queued.receipt, Fate::Dropped(DropReason::ConnectionLost));
            return;
        };
        let is_client = connection.client().is_some();
        let limit = self.settings.outbox_bytes;
        let length = queued.frame.len() - written;
        let full = is_client && connection.parked_bytes() + length > limit;
        let begun = written > 0;
        if full && queued.receipt != Receipt::None && !begun {
            self.settle(queued.receipt, Fate::Dropped(DropReason::OutboxFull));
            return;
        }
        if full && !begun && connection.parked_bytes() + length > limit + CONTROL_BYTES {
            self.give_up(key, Code::SlowReader);
            return;
        }
        let mut bytes = Vec::with_capacity(queued.frame.len());
        queued.frame.copy_to(&mut bytes);
        let busy = connection.busy();
        if busy.parked.is_empty() {
            busy.stuck = now;
        }
        busy.parked_bytes += length;
        let Queued { receipt, expires, .. } = *queued;
        busy.parked.push_back(Parked { bytes: bytes.into(), written, receipt, expires });
        self.outbox_bytes += length;
    }

    /// Tells whoever waits for it what became of a frame.
    #[inline]
    pub(crate) fn settle(&mut self, receipt: Receipt, fate: Fate) {
        if let (Fate::Dropped(why), true) = (fate, receipt != Receipt::None) {
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
            Receipt::Part(part) => self.settle_part(part, fate),
        }
    }

    pub(crate) fn broadcast_to(&mut self, slot: u32, frame: &Arc<[u8]>, part: u32, expires: u32) {
        let Some((key, _)) = self.connections.at(slot) else { return };
        self.metrics.count(Counter::BroadcastDeliveries);
        let receipt = Receipt::Part(part);
        self.queue(key, Queued { frame: Frame::Shared(Arc::clone(frame)), receipt, expires });
    }
}
