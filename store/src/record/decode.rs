//! From bytes to records. Whatever the bytes are, the answer is a record or a reason.

use super::{Cast, HEAD, Hashes, Header, KEY_MARK, Kind, Marks, Message, OLDEST, Record, VERSION};
use crate::letter::{BroadcastState, KeyMark};

/// Why there is no record at the start of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// The bytes end before the record that they claim to begin, which needs so many.
    Short(usize),
    /// The checksum does not fit, or what it covers makes no sense.
    Wrong,
}

/// A record's kind and payload, if its checksum fits.
pub(crate) fn shape(bytes: &[u8], salt: u32) -> Result<(Kind, &[u8]), Bad> {
    let Some((head, _)) = bytes.split_first_chunk::<HEAD>() else { return Err(Bad::Short(HEAD)) };
    let [c0, c1, c2, c3, l0, l1, l2, l3, kind] = *head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let kind = Kind::of(kind).ok_or(Bad::Wrong)?;
    let whole = bytes.get(..HEAD + length).ok_or(Bad::Short(HEAD + length))?;
    let (sum, covered) = whole.split_at(4);
    debug_assert_eq!(sum, [c0, c1, c2, c3]);
    if crc32c::crc32c_append(salt, covered) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(Bad::Wrong);
    }
    Ok((kind, &whole[HEAD..]))
}

/// The record at the start of these bytes, and its length in bytes with everything.
pub(crate) fn parse(bytes: &[u8], salt: u32) -> Result<(Record<'_>, usize), Bad> {
    let (kind, payload) = shape(bytes, salt)?;
    let record = meaning(kind, payload).ok_or(Bad::Wrong)?;
    Ok((record, HEAD + payload.len()))
}

/// The same without a look at the sum: what may have been written there, and how long that was. Of
/// one that is cut off it is what the bytes up to there say.
pub(crate) fn unproven(bytes: &[u8]) -> Option<(Record<'_>, usize)> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let [_, _, _, _, l0, l1, l2, l3, kind] = *head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let payload = rest.get(..length).unwrap_or(rest);
    Some((meaning(Kind::of(kind)?, payload)?, HEAD + length))
}

/// What a payload of this kind says; `None` where it makes no sense.
pub(crate) fn meaning(kind: Kind, payload: &[u8]) -> Option<Record<'_>> {
    let mut rest = Rest(payload);
    let record = match kind {
        Kind::Header => Record::Header(header(&mut rest)?),
        Kind::Message => Record::Message(message(&mut rest)?),
        Kind::Trim => {
            let upto = rest.u64()?;
            Record::Trim { product: rest.text()?, user: rest.text()?, upto }
        }
        Kind::Broadcast => Record::Broadcast(cast(&mut rest)?),
        Kind::Steer => {
            let (number, state) = (rest.u64()?, rest.state()?);
            Record::Steer { number, state, product: rest.text()? }
        }
        Kind::Seen => {
            let (number, until) = (rest.u64()?, rest.u32()?);
            let product = rest.text()?;
            Record::Seen { product, number, until, users: Hashes(rest.groups::<8>()?) }
        }
        Kind::Keys => Record::Keys(Marks(rest.groups::<KEY_MARK>()?)),
        Kind::Mark => Record::Mark(rest.u32()?),
        Kind::Reserve => Record::Reserve(rest.u64()?),
    };
    rest.0.is_empty().then_some(record)
}

fn header(rest: &mut Rest<'_>) -> Option<Header> {
    if rest.take(super::encode::MAGIC.len())? != super::encode::MAGIC {
        return None;
    }
    let version = u16::from_le_bytes(*rest.chunk()?);
    let (number, before, reserved) = (rest.u32()?, rest.u32()?, rest.u64()?);
    let room = if version > OLDEST { rest.u32()? } else { 0 };
    if version > VERSION {
        // What a later version says besides is not known here; that it is one is to be told.
        rest.all();
    }
    Some(Header { version, number, before, reserved, room })
}

fn message<'a>(rest: &mut Rest<'a>) -> Option<Message<'a>> {
    let (sequence, at, expires) = (rest.u64()?, rest.u32()?, rest.u32()?);
    let (product, user, key) = (rest.text()?, rest.text()?, rest.short()?);
    let receipt = if rest.byte()? == 0 { None } else { Some(rest.text()?) };
    let body = rest.all();
    Some(Message { product, user, sequence, at, expires, key, receipt, body })
}

fn cast<'a>(rest: &mut Rest<'a>) -> Option<Cast<'a>> {
    let (number, job) = (rest.u64()?, rest.u64()?);
    let (at, expires, state) = (rest.u32()?, rest.u32()?, rest.state()?);
    let (product, tag, key) = (rest.text()?, rest.text()?, rest.short()?);
    Some(Cast { product, number, job, at, expires, state, tag, key, body: rest.all() })
}

pub(super) fn key_mark(bytes: &[u8; KEY_MARK]) -> KeyMark {
    let mut rest = Rest(bytes);
    let mut number = || rest.u64().unwrap_or_default();
    let (user, key, sequence) = (number(), number(), number());
    KeyMark { user, key, sequence, at: rest.u32().unwrap_or_default() }
}

/// What is left to read of a payload.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.chunk::<1>()?[0])
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.chunk()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.chunk()?))
    }

    fn short(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_le_bytes(*self.chunk()?);
        self.take(usize::from(length))
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.short()?).ok()
    }

    fn state(&mut self) -> Option<BroadcastState> {
        match self.byte()? {
            0 => Some(BroadcastState::Running),
            1 => Some(BroadcastState::Paused),
            2 => Some(BroadcastState::Cancelled),
            _ => None,
        }
    }

    fn groups<const N: usize>(&mut self) -> Option<&'a [u8]> {
        self.0.len().is_multiple_of(N).then(|| self.all())
    }

    fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
