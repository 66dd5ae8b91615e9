//! What an operation of the kernel is called: 64 bits that come back with its result.
//!
//! The only place that shifts bits of `user_data` (`io_uring`) and of `epoll_data` (epoll):
//!
//! ```text
//!  63      56 55       48 47                24 23                 0
//! +----------+-----------+--------------------+--------------------+
//! | 0        | operation | generation         | index              |
//! +----------+-----------+--------------------+--------------------+
//! ```
//!
//! The index is a connection's slot, a listener's place or a send's place in its batch.

use super::Key;

/// The bits that a generation and an index each have.
const FIELD: u32 = Key::TRAVELLING_BITS;
const MASK: u32 = (1 << FIELD) - 1;

/// Which operation a result belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Operation {
    /// A connection's poll for something to read, and for room to send where both were asked at
    /// once.
    Watch = 1,
    /// The end of another operation; its own result says nothing worth having.
    Cancel = 2,
    /// A listener.
    Accept = 3,
    /// The wake-up descriptor.
    Wake = 4,
    /// One send of the batch in hand.
    Send = 5,
    /// A connection's poll for room to send.
    Room = 6,
}

/// An operation and whom it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) operation: Operation,
    pub(super) key: Key,
}

impl Token {
    pub(super) fn watch(key: Key) -> Self {
        Self { operation: Operation::Watch, key }
    }

    pub(super) fn room(key: Key) -> Self {
        Self { operation: Operation::Room, key }
    }

    /// For operations that have a place but no generation.
    pub(super) fn at(operation: Operation, index: usize) -> Self {
        let slot = u32::try_from(index).unwrap_or(MASK);
        Self { operation, key: Key { slot, generation: 0 } }
    }

    pub(super) fn index(self) -> usize {
        self.key.slot as usize
    }

    pub(super) fn encode(self) -> u64 {
        debug_assert!(self.key.slot <= MASK, "slot {} has more than 24 bits", self.key.slot);
        let key = self.key.travelling();
        let high = u64::from(self.operation as u8) << (2 * FIELD);
        high | u64::from(key.generation) << FIELD | u64::from(key.slot)
    }

    /// `None` for what this program never encoded.
    pub(super) fn decode(bits: u64) -> Option<Self> {
        let operation = match bits >> (2 * FIELD) {
            1 => Operation::Watch,
            2 => Operation::Cancel,
            3 => Operation::Accept,
            4 => Operation::Wake,
            5 => Operation::Send,
            6 => Operation::Room,
            _ => return None,
        };
        let field = |shift: u32| u32::try_from(bits >> shift & u64::from(MASK)).unwrap_or(0);
        Some(Self { operation, key: Key { slot: field(0), generation: field(FIELD) } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back_as_itself() {
        let operations = [
            Operation::Watch,
            Operation::Cancel,
            Operation::Accept,
            Operation::Wake,
            Operation::Send,
            Operation::Room,
        ];
        for operation in operations {
            for slot in [0, 1, 77, MASK] {
                for generation in [0, 1, 4242, MASK] {
                    let token = Token { operation, key: Key { slot, generation } };
                    assert_eq!(Token::decode(token.encode()), Some(token));
                }
            }
        }
    }

    #[test]
    fn a_generation_travels_with_its_low_bits() {
        let key = Key { slot: 5, generation: 0x0100_0007 };
        let back = Token::decode(Token::watch(key).encode()).unwrap();
        assert_eq!(back.key, Key { slot: 5, generation: 7 });
        assert_eq!(back.key, key.travelling());
    }

    #[test]
    fn foreign_bits_are_no_token() {
        assert_eq!(Token::decode(0), None);
        assert_eq!(Token::decode(u64::MAX), None);
        assert_eq!(Token::decode(7 << 48), None);
    }
}
