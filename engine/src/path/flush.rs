//! The end of a turn: each connection's frames leave in one send.

use crate::connection::outbox::{Queue, Queued, Receipt, Staging};
use crate::connection::{Connection, Ending};
use crate::io::{How, Io, Key, Outgoing, Port, Sent};
use crate::metrics::{Counter, Histogram};
use crate::path::deliver::Fate;
use crate::shard::Shard;
use holdfast_protocol::backend::answer::DropReason;
use std::ops::Range;

/// Sends that go to the kernel together.
const BATCH: usize = 64;
/// What one batch gathers in the arena, before it is sent: a single frame may be larger.
const GATHER_BYTES: usize = 192 << 10;

/// Where the bytes of one connection's send are.
#[derive(Debug)]
enum Place {
    /// In the arena.
    Gathered(Range<usize>),
    /// Where its only frame has them.
    InPlace,
}

impl<I: Io> Shard<I> {
    /// Sends what the turn queued.
    pub(crate) fn flush(&mut self) {
        if self.staging.dirty().is_empty() {
            return;
        }
        let mut next = 0;
        let mut batch = Vec::with_capacity(BATCH);
        while next < self.staging.dirty().len() {
            batch.clear();
            self.arena.clear();
            while next < self.staging.dirty().len()
                && batch.len() < BATCH
                && self.arena.len() < GATHER_BYTES
            {
                let slot = self.staging.dirty()[next];
                next += 1;
                batch.extend(self.gather(slot));
            }
            self.send_batch(&batch);
        }
        self.staging.clear();
    }

    fn gather(&mut self, slot: u32) -> Option<(Key, Queue, Place)> {
        let (key, connection) = self.connections.at(slot)?;
        let queue = std::mem::take(&mut connection.queue);
        let mut chain = self.staging.chain(queue);
        let first = chain.next()?;
        let alone = chain.next().is_none();
        if alone && first.frame.whole().is_some() {
            return Some((key, queue, Place::InPlace));
        }
        let start = self.arena.len();
        for queued in self.staging.chain(queue) {
            queued.frame.copy_to(&mut self.arena);
        }
        Some((key, queue, Place::Gathered(start..self.arena.len())))
    }

    fn send_batch(&mut self, batch: &[(Key, Queue, Place)]) {
        let (connections, staging, arena) = (&self.connections, &self.staging, &self.arena);
        let outgoing: Vec<_> = batch
            .iter()
            .filter_map(|(key, queue, place)| {
                let socket = &connections.get(*key)?.socket;
                let bytes = match place {
                    Place::Gathered(range) => &arena[range.clone()],
                    Place::InPlace => staging.chain(*queue).next()?.frame.whole()?,
                };
                Some(Outgoing { socket, bytes })
            })
            .collect();
        debug_assert_eq!(outgoing.len(), batch.len(), "every gathered connection is sent to");
        self.sent.clear();
        self.io.send(&outgoing, &mut self.sent);
        drop(outgoing);
        self.metrics.add(Counter::Sends, batch.len() as u64);
        let sent = std::mem::take(&mut self.sent);
        for ((key, queue, _), &sent) in batch.iter().zip(&sent) {
            self.was_sent(*key, *queue, sent);
        }
        self.sent = sent;
    }

    fn was_sent(&mut self, key: Key, queue: Queue, sent: Sent) {
        let staging = std::mem::take(&mut self.staging);
        match sent {
            Sent::All => {
                self.count_sent(key, &staging, queue, None);
                for queued in staging.chain(queue) {
                    self.settle(queued.receipt, Fate::Written);
                }
                self.flushed(key);
            }
            Sent::Part(taken) => {
                self.metrics.count(Counter::ShortSends);
                self.count_sent(key, &staging, queue, Some(taken));
                self.sent_in_part(key, staging.chain(queue), taken);
            }
            Sent::Broken => {
                for queued in staging.chain(queue) {
                    self.settle(queued.receipt, Fate::Dropped(DropReason::ConnectionLost));
                }
                self.broken(key);
            }
        }
        self.staging = staging;
    }

    fn count_sent(&self, key: Key, staging: &Staging, queue: Queue, taken: Option<usize>) {
        let Some(port) = self.connections.get(key).map(Connection::port) else { return };
        let (mut frames, mut bytes) = (0, 0);
        for queued in staging.chain(queue) {
            frames += 1;
            bytes += queued.frame.len();
            self.metrics.frames_out(port, queued.frame.kind(), 1);
        }
        self.metrics.observe(Histogram::FramesPerSend, frames);
        self.metrics.add(bytes_out(port), taken.unwrap_or(bytes) as u64);
    }

    /// The kernel took `taken` bytes: what is left of the frames is parked.
    fn sent_in_part<'a>(
        &mut self,
        key: Key,
        frames: impl Iterator<Item = &'a Queued>,
        mut taken: usize,
    ) {
        for queued in frames {
            let length = queued.frame.len();
            if taken >= length {
                taken -= length;
                self.settle(queued.receipt, Fate::Written);
            } else {
                self.park(key, queued, taken);
                taken = 0;
            }
        }
        self.await_room(key);
    }

    /// Has the kernel say when it takes more, and the timer look after a peer that reads nothing.
    fn await_room(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.is_parked() {
            return;
        }
        if connection.watched {
            self.io.watch_writable_too(key, &connection.socket);
        }
        self.hasten(key);
    }

    /// Everything queued was taken: a connection that was closing shuts its sending direction.
    pub(crate) fn flushed(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.ending == Ending::Flushing && !connection.is_parked() {
            connection.ending = Ending::Lingering;
            self.io.shutdown(&connection.socket, How::Write);
        }
    }

    /// The kernel has room again: sends what is parked, oldest first.
    pub(crate) fn unpark(&mut self, key: Key) {
        let mut settled = Vec::new();
        let mut broken = false;
        let now = self.now.seconds();
        while let Some(connection) = self.connections.get_mut(key) {
            self.outbox_bytes -= drop_expired(connection, now, &mut settled);
            let port = connection.port();
            let Some(busy) = connection.busy.as_deref_mut() else { break };
            let Some(front) = busy.parked.front_mut() else { break };
            let bytes = &front.bytes[front.written..];
            let length = bytes.len();
            self.sent.clear();
            self.io.send(&[Outgoing { socket: &connection.socket, bytes }], &mut self.sent);
            self.metrics.count(Counter::Sends);
            let taken = match self.sent.first() {
                Some(Sent::All) => length,
                Some(&Sent::Part(taken)) => taken,
                Some(Sent::Broken) | None => {
                    broken = true;
                    break;
                }
            };
            self.metrics.add(bytes_out(port), taken as u64);
            front.written += taken;
            busy.parked_bytes -= taken;
            self.outbox_bytes -= taken;
            if taken > 0 {
                busy.stuck = now;
            }
            if taken < length {
                break;
            }
            settled.extend(busy.parked.pop_front().map(|parked| (parked.receipt, Fate::Written)));
        }
        for (receipt, fate) in settled {
            self.settle(receipt, fate);
        }
        if broken {
            self.broken(key);
        } else if let Some(connection) = self.connections.get_mut(key) {
            connection.settle();
            self.flushed(key);
        }
    }
}

/// The counter of the bytes that the kernel took on this port.
fn bytes_out(port: Port) -> Counter {
    match port {
        Port::Client => Counter::BytesOut,
        Port::Backend => Counter::BackendBytesOut,
    }
}

/// Gives up what is of no use any more, unless the kernel has its beginning.
/// Gives the number of their bytes.
fn drop_expired<S>(
    connection: &mut Connection<S>,
    now: u32,
    settled: &mut Vec<(Receipt, Fate)>,
) -> usize {
    let Some(busy) = connection.busy.as_deref_mut() else { return 0 };
    let before = busy.parked_bytes;
    while let Some(front) = busy.parked.front() {
        if front.written > 0 || front.expires >= now {
            break;
        }
        busy.parked_bytes -= front.bytes.len();
        settled.push((front.receipt, Fate::Expired));
        busy.parked.pop_front();
    }
    before - busy.parked_bytes
}
