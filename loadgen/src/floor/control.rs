//! The few bytes with which a driver commands a bare server.
//!
//! A command is `length, kind, copies, count` as four little-endian 32-bit integers, then `count`
//! socket indices, then padding up to `length`: so a command can be made as long as the request
//! that a real gateway gets for the same work. The answer is one 32-bit integer.

/// Bytes of one message.
pub(super) const MESSAGE: usize = 256;
/// Most messages that one send may carry.
pub(super) const COPIES_MAX: usize = 64;
/// What is sent.
pub(super) static PAYLOAD: [u8; MESSAGE * COPIES_MAX] = [0x5a; MESSAGE * COPIES_MAX];

const HEADER: usize = 16;

/// Which sockets a command is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sockets<'a> {
    /// None: only say how many are open.
    Count,
    /// Every one.
    All,
    /// These.
    Listed(Indices<'a>),
}

/// Socket indices, still encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Indices<'a>(&'a [u8]);

impl Indices<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.chunks_exact(4).map(|bytes| word(bytes, 0))
    }
}

/// One order to a bare server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command<'a> {
    /// How many messages leave in one send.
    copies: usize,
    /// For whom.
    pub(super) sockets: Sockets<'a>,
}

fn word(bytes: &[u8], index: usize) -> usize {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[index * 4..index * 4 + 4]);
    u32::from_le_bytes(word) as usize
}

impl<'a> Command<'a> {
    /// The first command in `input` and its length, once it is complete.
    pub(super) fn split(input: &'a [u8]) -> Option<(Self, usize)> {
        if input.len() < HEADER || input.len() < word(input, 0) {
            return None;
        }
        let sockets = match word(input, 1) {
            0 => Sockets::Count,
            1 => Sockets::All,
            _ => Sockets::Listed(Indices(&input[HEADER..HEADER + 4 * word(input, 3)])),
        };
        Some((Self { copies: word(input, 2), sockets }, word(input, 0)))
    }

    /// Bytes to send to each.
    pub(super) fn bytes(&self) -> usize {
        (self.copies * MESSAGE).min(PAYLOAD.len())
    }
}

fn put(kind: u32, copies: u32, indices: &[u32], length: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let length = length.max(HEADER + 4 * indices.len());
    let count = indices.len();
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    for word in [narrow(length), kind, copies, narrow(count)].iter().chain(indices) {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.resize(start + length, 0);
}

/// Asks how many sockets are open.
pub(super) fn put_count(out: &mut Vec<u8>) {
    put(0, 0, &[], 0, out);
}

/// Sends `copies` messages to every socket, in one send each.
pub(super) fn put_all(copies: u32, length: usize, out: &mut Vec<u8>) {
    put(1, copies, &[], length, out);
}

/// Sends `copies` messages to each listed socket, in one send each; the command takes `length`
/// bytes.
pub(super) fn put_listed(copies: u32, indices: &[u32], length: usize, out: &mut Vec<u8>) {
    put(2, copies, indices, length, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_comes_back_as_it_was_put_and_not_before_it_is_complete() {
        let mut bytes = Vec::new();
        put_listed(2, &[7, 9], 500, &mut bytes);
        put_count(&mut bytes);
        assert_eq!(Command::split(&bytes[..499]), None);
        let (command, length) = Command::split(&bytes).unwrap();
        assert_eq!((length, command.bytes()), (500, 512));
        let Sockets::Listed(indices) = &command.sockets else { panic!("{command:?}") };
        assert_eq!(indices.iter().collect::<Vec<_>>(), [7, 9]);
        let (command, length) = Command::split(&bytes[500..]).unwrap();
        assert_eq!((command.sockets, length), (Sockets::Count, HEADER));
    }
}
