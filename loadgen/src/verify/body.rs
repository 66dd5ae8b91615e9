//! What the generator writes into a body, so that the receiver can tell that it is whole, whose it
//! is, and how long it took.
//!
//! ```text
//! 0..4    CRC-32 of all that follows
//! 4..8    the run
//! 8..16   the number; its highest bit says that it numbers the broadcasts
//! 16..24  when it was due, nanoseconds of the run's clock
//! 24..    noise that depends on the number
//! ```

/// The shortest body: all of the above without noise.
pub(crate) const HEADER_BYTES: usize = 24;

const BROADCAST: u64 = 1 << 63;
const NOISE_BYTES: usize = 4096;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// So manieth message of the schedule.
    Push(u64),
    /// So manieth broadcast.
    Broadcast(u64),
}

/// What stands in a body that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The run that sent it.
    pub(crate) run: u32,
    /// Which message.
    pub(crate) number: Number,
    /// When it was due, in nanoseconds of the run's clock.
    pub(crate) due: u64,
}

/// Appends a body of `size` bytes, at least [`HEADER_BYTES`].
pub(crate) fn write(header: Header, size: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let number = match header.number {
        Number::Push(number) => number,
        Number::Broadcast(number) => number | BROADCAST,
    };
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&header.run.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&header.due.to_le_bytes());
    noise(number, size.saturating_sub(HEADER_BYTES), out);
    let check = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&check.to_le_bytes());
}

/// Reads a body; `None` for one that is not whole.
pub(crate) fn read(body: &[u8]) -> Option<Header> {
    let (check, rest) = body.split_first_chunk::<4>()?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*check) {
        return None;
    }
    let (run, rest) = rest.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (due, _) = rest.split_first_chunk::<8>()?;
    let number = u64::from_le_bytes(*number);
    let number = if number & BROADCAST == 0 {
        Number::Push(number)
    } else {
        Number::Broadcast(number & !BROADCAST)
    };
    Some(Header { run: u32::from_le_bytes(*run), number, due: u64::from_le_bytes(*due) })
}

/// Whether a body that is not whole was this run's: it says the run, or would be whole if it did.
/// (One that is damaged there and elsewhere too is taken for somebody else's; its message then
/// counts as lost besides.)
pub(crate) fn is_of(run: u32, body: &[u8]) -> bool {
    let run = run.to_le_bytes();
    let Some((check, rest)) = body.split_first_chunk::<4>() else { return false };
    let Some((said, rest)) = rest.split_first_chunk::<4>() else { return false };
    let mut mended = crc32fast::Hasher::new();
    mended.update(&run);
    mended.update(rest);
    *said == run || mended.finalize() == u32::from_le_bytes(*check)
}

fn noise(number: u64, mut length: usize, out: &mut Vec<u8>) {
    const NOISE: [u8; NOISE_BYTES] = pattern();
    let mut at = usize::try_from(number % NOISE_BYTES as u64).unwrap_or_default();
    while length > 0 {
        let piece = length.min(NOISE_BYTES - at);
        out.extend_from_slice(&NOISE[at..at + piece]);
        length -= piece;
        at = 0;
    }
}

const fn pattern() -> [u8; NOISE_BYTES] {
    let mut bytes = [0; NOISE_BYTES];
    let mut at = 0;
    while at < NOISE_BYTES {
        bytes[at] = crate::schedule::chance::hash(0, at as u64).to_le_bytes()[0];
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: Number) -> Header {
        Header { run: 9, number, due: 1_234_567_890_123 }
    }

    #[test]
    fn a_body_of_any_size_comes_back() {
        for size in [24, 25, 256, 4096, 9000, 70_000] {
            for number in [Number::Push(size as u64), Number::Broadcast(3)] {
                let mut body = vec![0xaa];
                write(header(number), size, &mut body);
                assert_eq!(body.len(), size + 1);
                assert_eq!(read(&body[1..]), Some(header(number)));
            }
        }
    }

    /// A body of 64 bytes with each of its bits flipped in turn.
    fn each_flipped(check: impl Fn(usize, &[u8])) {
        let mut body = Vec::new();
        write(header(Number::Push(5)), 64, &mut body);
        for bit in 0..64 * 8 {
            body[bit / 8] ^= 1 << (bit % 8);
            check(bit, &body);
            body[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        each_flipped(|bit, body| assert_eq!(read(body), None, "bit {bit}"));
    }

    #[test]
    fn a_flipped_bit_anywhere_leaves_a_body_its_runs() {
        each_flipped(|bit, body| {
            assert!(is_of(9, body) && !is_of(1_000_006, body), "bit {bit}");
        });
        assert!(!is_of(9, b"words of somebody else, as long as a body of a run"));
        assert!(!is_of(9, b"short") && !is_of(9, b""));
    }

    #[test]
    fn a_body_that_is_cut_is_not_whole() {
        let mut body = Vec::new();
        write(header(Number::Push(5)), 64, &mut body);
        assert!((0..64).all(|length| read(&body[..length]).is_none()));
    }
}
