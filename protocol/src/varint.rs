//! Unsigned integers in LEB128: seven bits a byte, low bits first, the high bit says "more".
//!
//! Each value has exactly one encoding: a longer one than needed is refused, so that frames can
//! be compared and hashed as bytes.

use alloc::vec::Vec;

/// Most bytes that one integer takes.
pub const MAX_BYTES: usize = 10;

/// Why no integer could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end before the integer does; more may come.
    Short,
    /// Longer than needed, or over 64 bits.
    Malformed,
}

/// Reads one integer from the front of `bytes`; gives it and how many bytes it took.
///
/// ```
/// use holdfast_protocol::varint::{Fault, read};
/// assert_eq!(read(&[0xac, 0x02, 0xff]), Ok((300, 2)));
/// assert_eq!(read(&[0xac]), Err(Fault::Short));
/// assert_eq!(read(&[0x80, 0x00]), Err(Fault::Malformed), "zero is one byte");
/// ```
#[inline]
pub fn read(bytes: &[u8]) -> Result<(u64, usize), Fault> {
    match bytes.first() {
        Some(&byte) if byte < 0x80 => Ok((u64::from(byte), 1)),
        _ => read_long(bytes),
    }
}

fn read_long(bytes: &[u8]) -> Result<(u64, usize), Fault> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == MAX_BYTES - 1 && byte > 1 {
            return Err(Fault::Malformed);
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            let padded = byte == 0 && index > 0;
            return if padded { Err(Fault::Malformed) } else { Ok((value, index + 1)) };
        }
    }
    Err(if bytes.len() < MAX_BYTES { Fault::Short } else { Fault::Malformed })
}

/// Writes `value` to the front of `out` and gives the number of bytes; `out` must hold
/// [`length`] of it.
#[inline]
pub fn write(mut value: u64, out: &mut [u8]) -> usize {
    let mut index = 0;
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        out[index] = if value == 0 { low } else { low | 0x80 };
        index += 1;
        if value == 0 {
            return index;
        }
    }
}

/// The bytes of `value`, which must be under 2^56, in the low bytes of an integer, and how many
/// they are. Without a loop or a branch: the head of a push is made of two of these for every
/// delivery.
#[inline]
pub(crate) const fn packed(value: u64) -> (u64, usize) {
    debug_assert!(value < 1 << 56, "eight bytes hold 56 bits");
    let count = length(value);
    // Each step opens a gap in the middle of every part, until seven bits lie in each byte.
    let halves = (value & 0x0fff_ffff) | ((value & 0x00ff_ffff_f000_0000) << 4);
    let quarters = (halves & 0x0000_3fff_0000_3fff) | ((halves & 0x0fff_c000_0fff_c000) << 2);
    let bytes = (quarters & 0x007f_007f_007f_007f) | ((quarters & 0x3f80_3f80_3f80_3f80) << 1);
    let more = 0x8080_8080_8080_8080 & !(u64::MAX << (8 * (count - 1)));
    (bytes | more, count)
}

/// Appends `value` to `out`.
pub fn put(value: u64, out: &mut Vec<u8>) {
    let mut bytes = [0; MAX_BYTES];
    let length = write(value, &mut bytes);
    out.extend_from_slice(&bytes[..length]);
}

/// How many bytes `value` takes.
#[inline]
pub const fn length(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}
