//! Reading and writing the fields of a payload.
//!
//! [`Reader`] walks a payload; every length is checked against what is left before it is used.

use crate::error::Violation;
use crate::varint::{self, Fault};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// A place in a payload.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `payload`.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { left: payload }
    }

    /// What is not read yet.
    pub const fn left(&self) -> &'a [u8] {
        self.left
    }

    /// So many bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Violation> {
        let (taken, left) = self.left.split_at_checked(length).ok_or(Violation::FieldPastEnd)?;
        self.left = left;
        Ok(taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Violation> {
        let (&byte, left) = self.left.split_first().ok_or(Violation::FieldPastEnd)?;
        self.left = left;
        Ok(byte)
    }

    /// A varint.
    pub fn integer(&mut self) -> Result<u64, Violation> {
        let (value, taken) = varint::read(self.left).map_err(|fault| match fault {
            Fault::Short => Violation::FieldPastEnd,
            Fault::Malformed => Violation::BadInteger,
        })?;
        self.left = &self.left[taken..];
        Ok(value)
    }

    /// A varint of at most `max`.
    pub fn integer_to(&mut self, max: u64) -> Result<u64, Violation> {
        let value = self.integer()?;
        if value <= max { Ok(value) } else { Err(Violation::OutOfBounds) }
    }

    /// A varint of at most `max`, as a narrower integer.
    fn narrow<T: TryFrom<u64>>(&mut self, max: u64) -> Result<T, Violation> {
        T::try_from(self.integer_to(max)?).map_err(|_| Violation::OutOfBounds)
    }

    /// A varint of 16 bits, at most `max`.
    pub fn integer_u16(&mut self, max: u16) -> Result<u16, Violation> {
        self.narrow(u64::from(max))
    }

    /// A varint of 32 bits, at most `max`.
    pub fn integer_u32(&mut self, max: u32) -> Result<u32, Violation> {
        self.narrow(u64::from(max))
    }

    /// A varint of 32 bits that counts bytes, at most `max`.
    pub fn size(&mut self, max: usize) -> Result<u32, Violation> {
        self.narrow(max as u64)
    }

    /// A varint that counts things of which at most `max` may come.
    pub fn count(&mut self, max: usize) -> Result<usize, Violation> {
        self.narrow(max as u64)
    }

    /// Bytes behind their varint length of at most `max`.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], Violation> {
        let length = self.count(max)?;
        self.take(length)
    }

    /// UTF-8 behind one byte of length, which must lie in `bounds`.
    pub fn text(&mut self, bounds: RangeInclusive<usize>) -> Result<&'a str, Violation> {
        let length = usize::from(self.byte()?);
        if !bounds.contains(&length) {
            return Err(Violation::OutOfBounds);
        }
        core::str::from_utf8(self.take(length)?).map_err(|_| Violation::NotUtf8)
    }

    /// A byte that is 0 or 1.
    pub fn flag(&mut self) -> Result<bool, Violation> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Violation::UnknownValue),
        }
    }

    /// Nothing may be left.
    pub const fn end(&self) -> Result<(), Violation> {
        if self.left.is_empty() { Ok(()) } else { Err(Violation::TrailingBytes) }
    }
}

/// Appends bytes behind their varint length.
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    varint::put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a count as one byte. One over 255 becomes 255, which every receiver refuses: no list
/// whose count is one byte may be that long.
pub fn put_count(count: usize, out: &mut Vec<u8>) {
    out.push(u8::try_from(count).unwrap_or(u8::MAX));
}

/// Appends text behind one byte of length; what is over 255 bytes is cut at a character.
pub fn put_text(text: &str, out: &mut Vec<u8>) {
    let kept = text_kept(text);
    put_count(kept, out);
    out.extend_from_slice(&text.as_bytes()[..kept]);
}

/// How many bytes [`put_bytes`] appends.
pub(crate) const fn bytes_length(bytes: &[u8]) -> usize {
    varint::length(bytes.len() as u64) + bytes.len()
}

/// How many bytes [`put_text`] appends.
pub(crate) fn text_length(text: &str) -> usize {
    1 + text_kept(text)
}

fn text_kept(text: &str) -> usize {
    text.floor_char_boundary(usize::from(u8::MAX))
}
