//! The end of a turn: each connection's frames leave in one send.

use crate::connection::outbox::{Queue, Queued, Receipt};
use crate::connection::{Connection, Ending};
use crate::io::{How, Io, Key, Outgoing, Port, Sent};
use crate::metrics::{Counter, Histogram};
use crate::path::deliver::Fate;
use crate::shard::{ARENA_BYTES, Shard};
use std::ops::Range;

/// Sends that go to the kernel together.
const BATCH: usize = 64;
/// What one batch gathers in the arena, before it is sent: a single frame may be larger.
const GATHER_BYTES: usize = 192 << 10;

/// How often one connection whose frames were parked is sent to in one turn.
const UNPARKS: usize = 4;

/// Where the bytes of one connection's send are.
#[derive(Debug)]
enum Place {
    /// In the arena.
    Gathered(Range<usize>),
    /// Where its only frame has them.
    InPlace,
}

/// One connection's send.
#[derive(Debug)]
struct Parting {
    key: Key,
    /// All its frames.
    queue: Queue,
    /// How many of them are in this send, where that is not all.
    first: Option<usize>,
    place: Place,
}

impl<I: Io> Shard<I> {
    /// Sends what the turn queued.
    pub(crate) fn flush(&mut self) {
        if self.staging.dirty().is_empty() {
            return;
        }
        let mut next = 0;
        let mut batch = Vec::with_capacity(BATCH);
        // The list grows while it is walked, by connections with more frames than one send takes.
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
        self.arena.shrink_to(ARENA_BYTES);
    }

    fn gather(&mut self, slot: u32) -> Option<Parting> {
        let (key, connection) = self.connections.at(slot)?;
        let queue = std::mem::take(&mut connection.queue);
        let mut chain = self.staging.chain(queue);
        let first = chain.next()?;
        let alone = chain.next().is_none();
        if alone && first.frame.whole().is_some() {
            return Some(Parting { key, queue, first: None, place: Place::InPlace });
        }
        let start = self.arena.len();
        let mut first = None;
        for (count, queued) in self.staging.chain(queue).enumerate() {
            if count > 0 && self.arena.len() - start >= GATHER_BYTES {
                first = Some(count);
                break;
            }
            queued.frame.copy_to(&mut self.arena);
        }
        let place = Place::Gathered(start..self.arena.len());
        Some(Parting { key, queue, first, place })
    }

    fn send_batch(&mut self, batch: &[Parting]) {
        let (connections, staging, arena) = (&self.connections, &self.staging, &self.arena);
        let outgoing: Vec<_> = batch
            .iter()
            .filter_map(|parting| {
                let socket = &connections.get(parting.key)?.socket;
                let bytes = match &parting.place {
                    Place::Gathered(range) => &arena[range.clone()],
                    Place::InPlace => staging.chain(parting.queue).next()?.frame.whole()?,
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
        for (parting, &sent) in batch.iter().zip(&sent) {
            self.was_sent(parting, sent);
        }
        self.sent = sent;
    }

    fn was_sent(&mut self, parting: &Parting, sent: Sent) {
        let &Parting { key, queue, first, .. } = parting;
        let mut staging = std::mem::take(&mut self.staging);
        match sent {
            Sent::All => {
                let count = first.unwrap_or(usize::MAX);
                self.count_sent(key, staging.chain(queue).take(count), None);
                for queued in staging.chain(queue).take(count) {
                    self.settle(queued.receipt, Fate::Written);
                }
                match (first, self.connections.get_mut(key)) {
                    (Some(count), Some(connection)) => {
                        connection.queue = staging.rest(queue, count);
                        staging.again(key.slot);
                    }
                    (_, _) => self.flushed(key),
                }
            }
            Sent::Part(taken) => {
                self.metrics.count(Counter::ShortSends);
                self.count_sent(key, staging.chain(queue), Some(taken));
                self.sent_in_part(key, staging.chain(queue), taken);
            }
            Sent::Broken => {
                let lost = self.lost();
                for queued in staging.chain(queue) {
                    self.settle(queued.receipt, lost);
                }
                self.broken(key);
            }
        }
        self.staging = staging;
    }

    fn count_sent<'a>(
        &self,
        key: Key,
        queued: impl Iterator<Item = &'a Queued>,
        taken: Option<usize>,
    ) {
        let Some(port) = self.connections.get(key).map(Connection::port) else { return };
        let (mut frames, mut bytes) = (0, 0);
        for queued in queued {
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

    /// The kernel has room again: sends what is parked, oldest first, as much as one turn allows.
    pub(crate) fn unpark(&mut self, key: Key) {
        let now = self.now.seconds();
        for _ in 0..UNPARKS {
            let Some(connection) = self.connections.get_mut(key) else { return };
            let mut settled = Vec::new();
            self.outbox_bytes -= drop_expired(connection, now, &mut settled);
            let port = connection.port();
            self.arena.clear();
            gather_parked(connection, &mut self.arena);
            if self.arena.is_empty() {
                for (receipt, fate) in settled {
                    self.settle(receipt, fate);
                }
                break;
            }
            self.sent.clear();
            let outgoing = Outgoing { socket: &connection.socket, bytes: &self.arena };
            self.io.send(&[outgoing], &mut self.sent);
            self.metrics.count(Counter::Sends);
            let taken = match self.sent.first() {
                Some(Sent::All) => Some(self.arena.len()),
                Some(&Sent::Part(taken)) => Some(taken),
                Some(Sent::Broken) | None => None,
            };
            let written = taken.unwrap_or(0);
            take_written(connection, written, &mut settled);
            if connection.ending == Ending::Flushing && written > 0 {
                connection.heard = now;
            }
            self.outbox_bytes -= written;
            self.metrics.add(bytes_out(port), written as u64);
            for (receipt, fate) in settled {
                self.settle(receipt, fate);
            }
            match taken {
                None => return self.broken(key),
                Some(taken) if taken < self.arena.len() => break,
                Some(_) => {}
            }
        }
        if let Some(connection) = self.connections.get_mut(key) {
            let stuck = connection.busy.as_deref().is_some_and(|busy| busy.stuck);
            let parked = connection.is_parked();
            let room = stuck && !parked;
            connection.settle();
            if !parked {
                self.late.ready(key);
            }
            if room {
                self.tell_room(key);
            }
            self.flushed(key);
        }
    }
}

/// Appends what is parked, up to the size of one send.
fn gather_parked<S>(connection: &Connection<S>, out: &mut Vec<u8>) {
    let parked = connection.busy.iter().flat_map(|busy| &busy.parked);
    for piece in parked {
        out.extend_from_slice(&piece.bytes[piece.written..]);
        if out.len() >= GATHER_BYTES {
            return;
        }
    }
}

/// The kernel took the first `taken` bytes of what is parked.
fn take_written<S>(
    connection: &mut Connection<S>,
    mut taken: usize,
    settled: &mut Vec<(Receipt, Fate)>,
) {
    let Some(busy) = connection.busy.as_deref_mut() else { return };
    busy.parked_bytes -= taken;
    while let Some(front) = busy.parked.front_mut() {
        let left = front.bytes.len() - front.written;
        if taken < left {
            front.written += taken;
            return;
        }
        taken -= left;
        settled.extend(busy.parked.pop_front().map(|parked| (parked.receipt, Fate::Written)));
    }
}

/// The counter of the bytes that the kernel took on this port.
fn bytes_out(port: Port) -> Counter {
    match port {
        Port::Client => Counter::BytesOut,
        Port::Backend => Counter::BackendBytesOut,
    }
}

/// Gives up what is of no use any more, unless the kernel has its beginning. Gives the number of
/// their bytes.
pub(super) fn drop_expired<S>(
    connection: &mut Connection<S>,
    now: u32,
    settled: &mut Vec<(Receipt, Fate)>,
) -> usize {
    let Some(busy) = connection.busy.as_deref_mut() else { return 0 };
    let before = busy.parked_bytes;
    let bytes = &mut busy.parked_bytes;
    busy.parked.retain(|parked| {
        let stays = parked.written > 0 || parked.expires >= now;
        if !stays {
            *bytes -= parked.bytes.len();
            settled.push((parked.receipt, Fate::Expired));
        }
        stays
    });
    before - busy.parked_bytes
}
