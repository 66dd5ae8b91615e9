//! From records to bytes: a pen that writes a whole group into one buffer.

use super::{Cast, HEAD, Header, Kind, Message, OLDEST};
use crate::letter::{BroadcastState, KeyMark, Seen};

/// What the payload of a header begins with.
pub(super) const MAGIC: &[u8] = b"holdfast log";

/// Writes records one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Pen {
    salt: u32,
    bytes: Vec<u8>,
}

impl Pen {
    /// Begins again, for a segment of this salt; keeps the buffer.
    pub(crate) fn begin(&mut self, salt: u32) {
        self.salt = salt;
        self.bytes.clear();
    }

    /// What was written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives back memory that an unusually large group took.
    pub(crate) fn shrink(&mut self, keep: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep);
    }

    pub(crate) fn header(&mut self, header: Header) {
        self.record(Kind::Header, |to| {
            to.extend_from_slice(MAGIC);
            to.extend_from_slice(&header.version.to_le_bytes());
            to.extend_from_slice(&header.number.to_le_bytes());
            to.extend_from_slice(&header.before.to_le_bytes());
            to.extend_from_slice(&header.reserved.to_le_bytes());
            if header.version > OLDEST {
                to.extend_from_slice(&header.room.to_le_bytes());
            }
        });
    }

    pub(crate) fn message(&mut self, message: &Message<'_>) {
        self.record(Kind::Message, |to| {
            to.extend_from_slice(&message.sequence.to_le_bytes());
            to.extend_from_slice(&message.at.to_le_bytes());
            to.extend_from_slice(&message.expires.to_le_bytes());
            short(to, message.product.as_bytes());
            short(to, message.user.as_bytes());
            short(to, message.key);
            match message.receipt {
                None => to.push(0),
                Some(backend) => {
                    to.push(1);
                    short(to, backend.as_bytes());
                }
            }
            to.extend_from_slice(message.body);
        });
    }

    pub(crate) fn trim(&mut self, product: &str, user: &str, upto: u64) {
        self.record(Kind::Trim, |to| {
            to.extend_from_slice(&upto.to_le_bytes());
            short(to, product.as_bytes());
            short(to, user.as_bytes());
        });
    }

    pub(crate) fn broadcast(&mut self, cast: &Cast<'_>) {
        self.record(Kind::Broadcast, |to| {
            to.extend_from_slice(&cast.number.to_le_bytes());
            to.extend_from_slice(&cast.job.to_le_bytes());
            to.extend_from_slice(&cast.at.to_le_bytes());
            to.extend_from_slice(&cast.expires.to_le_bytes());
            to.push(state(cast.state));
            short(to, cast.product.as_bytes());
            short(to, cast.tag.as_bytes());
            short(to, cast.key);
            to.extend_from_slice(cast.body);
        });
    }

    pub(crate) fn steer(&mut self, product: &str, number: u64, now: BroadcastState) {
        self.record(Kind::Steer, |to| {
            to.extend_from_slice(&number.to_le_bytes());
            to.push(state(now));
            short(to, product.as_bytes());
        });
    }

    pub(crate) fn seen(&mut self, product: &str, seen: &Seen) {
        self.record(Kind::Seen, |to| {
            to.extend_from_slice(&seen.number.to_le_bytes());
            to.extend_from_slice(&seen.until.to_le_bytes());
            short(to, product.as_bytes());
            seen.users.iter().for_each(|user| to.extend_from_slice(&user.to_le_bytes()));
        });
    }

    pub(crate) fn keys(&mut self, marks: &[KeyMark]) {
        self.record(Kind::Keys, |to| {
            for mark in marks {
                to.extend_from_slice(&mark.user.to_le_bytes());
                to.extend_from_slice(&mark.key.to_le_bytes());
                to.extend_from_slice(&mark.sequence.to_le_bytes());
                to.extend_from_slice(&mark.at.to_le_bytes());
            }
        });
    }

    pub(crate) fn mark(&mut self, synced: u32) {
        self.record(Kind::Mark, |to| to.extend_from_slice(&synced.to_le_bytes()));
    }

    pub(crate) fn reserve(&mut self, upto: u64) {
        self.record(Kind::Reserve, |to| to.extend_from_slice(&upto.to_le_bytes()));
    }

    /// A record whose payload is known as bytes, as it was read elsewhere.
    pub(crate) fn again(&mut self, kind: Kind, payload: &[u8]) {
        self.record(kind, |to| to.extend_from_slice(payload));
    }

    fn record(&mut self, kind: Kind, payload: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, kind as u8]);
        payload(&mut self.bytes);
        let record = &mut self.bytes[start..];
        // A payload of 4 GiB cannot be: a group that large is refused before it is written.
        let length = u32::try_from(record.len() - HEAD).unwrap_or(u32::MAX);
        record[4..8].copy_from_slice(&length.to_le_bytes());
        let sum = crc32c::crc32c_append(self.salt, &record[4..]);
        record[..4].copy_from_slice(&sum.to_le_bytes());
    }
}

fn short(to: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    to.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
    to.extend_from_slice(bytes);
}

const fn state(state: BroadcastState) -> u8 {
    match state {
        BroadcastState::Running => 0,
        BroadcastState::Paused => 1,
        BroadcastState::Cancelled => 2,
    }
}
