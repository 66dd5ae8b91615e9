//! The lists inside answers: checked when the frame is decoded, still encoded, read again by each
//! walk.
//!
//! A list borrows from its frame and holds no memory of its own, so its claimed count costs
//! nothing.

use super::Outcome;
use crate::error::Violation;
use crate::field::Reader;
use crate::limits::COUNTER_NAME_BYTES;

macro_rules! encoded_list {
    ($(#[$doc:meta])* $name:ident of $item:ty, $read:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a> {
            count: usize,
            encoded: &'a [u8],
        }

        impl<'a> $name<'a> {
            /// How many.
            pub const fn len(&self) -> usize {
                self.count
            }

            /// Whether there is none.
            pub const fn is_empty(&self) -> bool {
                self.count == 0
            }

            /// Each, in order.
            pub fn iter(&self) -> impl Iterator<Item = $item> + use<'a> {
                let mut reader = Reader::new(self.encoded);
                (0..self.count).map_while(move |_| $read(&mut reader).ok())
            }

            pub(super) fn read(reader: &mut Reader<'a>, max: usize) -> Result<Self, Violation> {
                let count = reader.count(max)?;
                let start = reader.left();
                for _ in 0..count {
                    $read(reader)?;
                }
                Ok(Self { count, encoded: &start[..start.len() - reader.left().len()] })
            }
        }
    };
}

encoded_list! {
    /// The outcomes of a push, checked and still encoded.
    Outcomes of Outcome, Outcome::read
}
encoded_list! {
    /// Numbers of sessions, checked and still encoded.
    Counts of u32, |reader: &mut Reader<'a>| reader.integer_u32(u32::MAX)
}
encoded_list! {
    /// Counters by name, checked and still encoded.
    Counters of (&'a str, u64), read_counter
}

fn read_counter<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, u64), Violation> {
    Ok((reader.text(1..=COUNTER_NAME_BYTES)?, reader.integer()?))
}
