//! Values as servers keep them. All numbers are big-endian.
//!
//! What cannot be read is `None`: another version wrote it, or a person.

use crate::Kept;
use crate::letter::{Append, Broadcast, BroadcastState, KeyMark, Mark, Place};
use crate::port::key_hash;
use compact_str::CompactString;
use std::sync::Arc;

/// What the index has of a message: sequence, expiry, length of the body, who wants a receipt.
pub(super) fn entry(append: &Append) -> Vec<u8> {
    let receipt = append.receipt.as_deref().unwrap_or_default();
    let mut bytes = Vec::with_capacity(16 + receipt.len());
    bytes.extend(append.sequence.to_be_bytes());
    bytes.extend(append.expires.to_be_bytes());
    bytes.extend(append.body.length.to_be_bytes());
    bytes.extend(receipt.as_bytes());
    bytes
}

/// The reverse of [`entry`].
pub(super) fn kept(bytes: &[u8]) -> Option<Kept> {
    let mut rest = bytes;
    let sequence = u64::from_be_bytes(*take(&mut rest)?);
    let expires = u32::from_be_bytes(*take(&mut rest)?);
    let length = u32::from_be_bytes(*take(&mut rest)?);
    let receipt = CompactString::from_utf8(rest).ok()?;
    let receipt = (!receipt.is_empty()).then_some(receipt);
    Some(Kept { sequence, place: Place::default(), length, expires, receipt })
}

/// A used key and what it was used for.
pub(super) fn mark(key: u64, sequence: u64) -> Vec<u8> {
    [key.to_be_bytes(), sequence.to_be_bytes()].concat()
}

/// The mark of a message; empty for a message without a key.
pub(super) fn mark_of(append: &Append) -> Vec<u8> {
    let key = append.key.of(&append.bytes);
    if key.is_empty() { Vec::new() } else { mark(key_hash(key), append.sequence) }
}

/// The reverse of [`mark`].
pub(super) fn key_mark(user: u64, bytes: &[u8], at: u32) -> Option<KeyMark> {
    let mut rest = bytes;
    let key = u64::from_be_bytes(*take(&mut rest)?);
    let sequence = u64::from_be_bytes(*take(&mut rest)?);
    Some(KeyMark { user, key, sequence, at })
}

/// A broadcast without product, number and state.
pub(super) fn broadcast(broadcast: &Broadcast) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 + broadcast.body.len());
    bytes.extend(broadcast.job.to_be_bytes());
    bytes.extend(broadcast.at.to_be_bytes());
    bytes.extend(broadcast.expires.to_be_bytes());
    for part in [broadcast.tag.as_bytes(), &broadcast.key] {
        // Tags and keys have at most 64 bytes.
        bytes.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        bytes.extend(&part[..part.len().min(255)]);
    }
    bytes.extend(&*broadcast.body);
    bytes
}

/// The reverse of [`broadcast`].
pub(super) fn broadcast_of(
    (product, number): (u16, u64),
    state: BroadcastState,
    bytes: &[u8],
) -> Option<Broadcast> {
    let mut rest = bytes;
    let job = u64::from_be_bytes(*take(&mut rest)?);
    let at = u32::from_be_bytes(*take(&mut rest)?);
    let expires = u32::from_be_bytes(*take(&mut rest)?);
    let tag = CompactString::from_utf8(part(&mut rest)?).ok()?;
    let key = part(&mut rest)?.into();
    let body = Arc::from(rest);
    Some(Broadcast { product, number, job, tag, at, expires, state, key, body })
}

/// A state, as one letter.
pub(super) fn state(state: BroadcastState) -> &'static str {
    match state {
        BroadcastState::Running => "r",
        BroadcastState::Paused => "p",
        BroadcastState::Cancelled => "c",
    }
}

/// The reverse of [`state`].
pub(super) fn state_of(bytes: &[u8]) -> Option<BroadcastState> {
    match bytes {
        b"r" => Some(BroadcastState::Running),
        b"p" => Some(BroadcastState::Paused),
        b"c" => Some(BroadcastState::Cancelled),
        _ => None,
    }
}

/// What is known of the deliveries to a user.
pub(super) fn delivered(mark: Mark) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(11);
    bytes.extend(mark.sent.to_be_bytes());
    bytes.extend(mark.rounds.to_be_bytes());
    bytes.push(mark.quarantined.into());
    bytes
}

/// The reverse of [`delivered`].
pub(super) fn delivered_of(bytes: &[u8]) -> Option<Mark> {
    let mut rest = bytes;
    let sent = u64::from_be_bytes(*take(&mut rest)?);
    let rounds = u16::from_be_bytes(*take(&mut rest)?);
    let [quarantined] = *take(&mut rest)?;
    Some(Mark { sent, rounds, quarantined: quarantined != 0 })
}

/// That a message of a user goes out of date then.
pub(super) fn deadline(expires: u32, product: &str, user: &str) -> Vec<u8> {
    [&expires.to_be_bytes(), product.as_bytes(), &[0], user.as_bytes()].concat()
}

/// Product and user of a [`deadline`].
pub(super) fn deadline_of(bytes: &[u8]) -> Option<(&str, &str)> {
    let mut rest = bytes;
    let _expires: &[u8; 4] = take(&mut rest)?;
    std::str::from_utf8(rest).ok()?.split_once('\0')
}

/// A user's hash as a member of a set of integers.
pub(super) fn member(user: u64) -> i64 {
    user.cast_signed()
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(first)
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let [length] = *take(rest)?;
    let (first, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::Span;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_come_back(sequence: u64, expires: u32, length: u32, who in "[a-z]{0,9}") {
            let append = Append {
                product: 0,
                sequence,
                behind: 0,
                chained: false,
                at: 0,
                expires,
                bytes: Arc::from([].as_slice()),
                user: Span::default(),
                key: Span::default(),
                body: Span { at: 0, length },
                receipt: (!who.is_empty()).then(|| who.as_str().into()),
            };
            let back = kept(&entry(&append)).unwrap();
            prop_assert_eq!((back.sequence, back.expires), (sequence, expires));
            prop_assert_eq!((back.length, back.receipt), (length, append.receipt));
        }

        #[test]
        fn broadcasts_come_back(
            job: u64, tag in "[a-z]{0,64}", key in prop::collection::vec(any::<u8>(), 0..64),
            body in prop::collection::vec(any::<u8>(), 1..200),
        ) {
            let one = Broadcast {
                product: 3, number: 8, job, tag: tag.into(), at: 5, expires: 6,
                state: BroadcastState::Paused, key: key.into(), body: body.into(),
            };
            let back = broadcast_of((3, 8), BroadcastState::Paused, &broadcast(&one));
            prop_assert_eq!(back, Some(one));
        }

        #[test]
        fn strange_bytes_are_read_without_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = (kept(&bytes), key_mark(0, &bytes, 0), state_of(&bytes));
            let _ = broadcast_of((0, 0), BroadcastState::Running, &bytes);
            let _ = (delivered_of(&bytes), deadline_of(&bytes));
        }

        #[test]
        fn marks_and_deadlines_come_back(sent: u64, rounds: u16, quarantined: bool, at: u32) {
            let mark = Mark { sent, rounds, quarantined };
            prop_assert_eq!(delivered_of(&delivered(mark)), Some(mark));
            let deadline = deadline(at, "chat", "ann");
            prop_assert_eq!(deadline_of(&deadline), Some(("chat", "ann")));
        }
    }
}
