//! The targets of a push: the one list of the API that is long, large and on the path of every
//! message.
//!
//! A target may leave its body out and share that of the target before, so a message to many is
//! sent once.

use crate::client::Class;
use crate::error::Violation;
use crate::field::{Reader, bytes_length, put_bytes, put_text, text_length};
use crate::limits::{
    BACKEND_PAYLOAD, IDEMPOTENCY_KEY_BYTES, PUSH_TARGETS, TTL_SECONDS_MAX, USER_BYTES,
};
use crate::varint;
use alloc::vec::Vec;

/// The flags of a push target.
mod flag {
    pub(super) const DURABLE: u8 = 0b001;
    pub(super) const SAME_BODY: u8 = 0b010;
    pub(super) const RECEIPT: u8 = 0b100;
    pub(super) const KNOWN: u8 = 0b111;
}

/// The targets of a push, checked and still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets<'a> {
    count: usize,
    encoded: &'a [u8],
}

/// One target of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The user, 1 to 64 bytes.
    pub user: &'a str,
    /// How carefully.
    pub class: Class,
    /// For how many seconds the message is of use; 0 leaves it to the gateway.
    pub ttl: u32,
    /// The idempotency key, up to 64 bytes; empty for none.
    pub key: &'a [u8],
    /// Whether the backend wants a [`Receipt`](crate::backend::answer::Receipt) later; without
    /// meaning for the class online.
    pub receipt: bool,
    /// The body; an empty one is refused in the target's result.
    pub body: &'a [u8],
}

impl<'a> Targets<'a> {
    /// How many; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a push without targets is refused")]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Each target, in the order sent.
    pub fn iter(&self) -> TargetIter<'a> {
        TargetIter { left: self.count, reader: Reader::new(self.encoded), body: &[] }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let count = reader.count(PUSH_TARGETS)?;
        if count == 0 {
            return Err(Violation::OutOfBounds);
        }
        let start = reader.left();
        let mut body = None;
        for _ in 0..count {
            body = Some(Target::read(reader, body)?.body);
        }
        Ok(Self { count, encoded: &start[..start.len() - reader.left().len()] })
    }
}

impl<'a> IntoIterator for &Targets<'a> {
    type Item = Target<'a>;
    type IntoIter = TargetIter<'a>;

    fn into_iter(self) -> TargetIter<'a> {
        self.iter()
    }
}

/// Walks the targets of a push.
#[derive(Debug, Clone)]
pub struct TargetIter<'a> {
    left: usize,
    reader: Reader<'a>,
    body: &'a [u8],
}

impl<'a> Iterator for TargetIter<'a> {
    type Item = Target<'a>;

    fn next(&mut self) -> Option<Target<'a>> {
        self.left = self.left.checked_sub(1)?;
        let target = Target::read(&mut self.reader, Some(self.body)).ok()?;
        self.body = target.body;
        Some(target)
    }
}

impl<'a> Target<'a> {
    fn read(reader: &mut Reader<'a>, before: Option<&'a [u8]>) -> Result<Self, Violation> {
        let flags = reader.byte()?;
        if flags & !flag::KNOWN != 0 {
            return Err(Violation::UnknownValue);
        }
        let class = if flags & flag::DURABLE == 0 { Class::Online } else { Class::Durable };
        let receipt = flags & flag::RECEIPT != 0;
        let user = reader.text(1..=USER_BYTES)?;
        let ttl = reader.integer_u32(TTL_SECONDS_MAX)?;
        let key = reader.bytes(IDEMPOTENCY_KEY_BYTES)?;
        let body = if flags & flag::SAME_BODY == 0 {
            reader.bytes(BACKEND_PAYLOAD)?
        } else {
            before.ok_or(Violation::OutOfBounds)?
        };
        Ok(Self { user, class, ttl, key, receipt, body })
    }

    pub(super) fn length(&self, same_body: bool) -> usize {
        let body = if same_body { 0 } else { bytes_length(self.body) };
        let ttl = varint::length(u64::from(self.ttl));
        1 + text_length(self.user) + ttl + bytes_length(self.key) + body
    }

    pub(super) fn put(&self, same_body: bool, out: &mut Vec<u8>) {
        let durable = u8::from(self.class == Class::Durable) * flag::DURABLE;
        let receipt = u8::from(self.receipt) * flag::RECEIPT;
        out.push(durable | (u8::from(same_body) * flag::SAME_BODY) | receipt);
        put_text(self.user, out);
        varint::put(u64::from(self.ttl), out);
        put_bytes(self.key, out);
        if !same_body {
            put_bytes(self.body, out);
        }
    }
}

/// Each target, and whether its body is the very slice of the target before.
pub(super) fn with_same_body<'a, 't>(
    targets: &'t [Target<'a>],
) -> impl Iterator<Item = (&'t Target<'a>, bool)> {
    let mut before: Option<&[u8]> = None;
    targets.iter().map(move |target| {
        let same = before.is_some_and(|body| core::ptr::eq(body, target.body));
        before = Some(target.body);
        (target, same)
    })
}
