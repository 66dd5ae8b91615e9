//! Framing, the same for both protocols: one byte of kind, the payload's length as a varint of at
//! most four bytes, the payload.

use crate::error::Violation;
use crate::limits::{HEADER_BYTES, LENGTH_BYTES};
use crate::varint::{self, Fault};
use alloc::vec::Vec;

/// Kinds from here on are skipped by a receiver that does not know them, so that versions can grow.
pub const SKIPPABLE: u8 = 0x80;

/// One frame, not yet understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The first byte.
    pub kind: u8,
    /// The payload, complete.
    pub payload: &'a [u8],
}

/// Takes the first frame off `bytes`; gives it and the bytes it took, or `None` while it is
/// incomplete.
///
/// ```
/// use holdfast_protocol::frame::split;
/// let stream = [0x02, 0x00, 0x03, 0x01, 0x05];
/// let (ping, taken) = split(&stream, 4096)?.expect("a whole frame");
/// assert_eq!((ping.kind, ping.payload, taken), (0x02, &[][..], 2));
/// assert_eq!(split(&stream[2..4], 4096)?, None);
/// # Ok::<(), holdfast_protocol::error::Violation>(())
/// ```
///
/// # Errors A length over `payload_max` is refused as soon as the header is there, and so is a
/// length that is longer than needed or over four bytes.
#[inline]
pub fn split(bytes: &[u8], payload_max: usize) -> Result<Option<(Frame<'_>, usize)>, Violation> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    let (length, taken) = match varint::read(&rest[..rest.len().min(LENGTH_BYTES)]) {
        Ok((length, taken)) => (usize::try_from(length).unwrap_or(usize::MAX), taken),
        Err(Fault::Short) if rest.len() < LENGTH_BYTES => return Ok(None),
        Err(Fault::Short) => return Err(Violation::FrameTooLarge),
        Err(Fault::Malformed) => return Err(Violation::BadInteger),
    };
    if length > payload_max {
        return Err(Violation::FrameTooLarge);
    }
    let end = taken + length;
    Ok(rest.get(taken..end).map(|payload| (Frame { kind, payload }, 1 + end)))
}

/// Writes a frame's header to the front of `out` and gives its length, at most [`HEADER_BYTES`]. A
/// `payload` takes at most four bytes of length, which is under 2^28.
#[inline]
pub fn write_header(kind: u8, payload: usize, out: &mut [u8]) -> usize {
    debug_assert!(payload < 1 << 28, "a length takes at most four bytes, not {payload}");
    out[0] = kind;
    1 + varint::write(payload as u64, &mut out[1..])
}

/// Appends a frame whose payload `fill` appends. A payload over 127 bytes is moved once to make
/// room for its length; [`put_sized`] does not move it.
pub fn put(kind: u8, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[kind, 0]);
    let body = out.len();
    fill(out);
    let end = out.len();
    let payload = end - body;
    let more = varint::length(payload as u64) - 1;
    if more > 0 {
        out.resize(end + more, 0);
        out.copy_within(body..end, body + more);
    }
    write_header(kind, payload, &mut out[start..]);
}

/// Appends a frame whose payload `fill` appends, where its length is known beforehand.
pub fn put_sized(kind: u8, payload: usize, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    out.reserve(HEADER_BYTES + payload);
    let mut header = [0; HEADER_BYTES];
    let length = write_header(kind, payload, &mut header);
    out.extend_from_slice(&header[..length]);
    let start = out.len();
    fill(out);
    debug_assert_eq!(out.len() - start, payload, "kind {kind:#x} has another length than said");
}
