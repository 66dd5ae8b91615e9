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
pub fn read(bytes: &[u8]) -> Result<(u64, usize), Fault> {
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

/// Appends `value` to `out`.
pub fn put(value: u64, out: &mut Vec<u8>) {
    let mut bytes = [0; MAX_BYTES];
    let length = write(value, &mut bytes);
    out.extend_from_slice(&bytes[..length]);
}

/// How many bytes `value` takes.
pub const fn length(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}
