//! What stands in a message, so that whoever gets it knows which one it is and that it is whole.

use crate::ledger::Id;

/// The shortest: the number, and what it is mixed to.
pub(crate) const SHORTEST: usize = 16;

/// Bits that look random and are a number's own.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits ^ (bits >> 29)
}

/// The body of this message.
pub(crate) fn write(id: Id, size: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(size + 8);
    body.extend_from_slice(&id.to_le_bytes());
    let mut at = 0;
    while body.len() < size.max(SHORTEST) {
        body.extend_from_slice(&mixed(id << 20 | at).to_le_bytes());
        at += 1;
    }
    body.truncate(size.max(SHORTEST));
    body
}

/// Which message this is; `None` where it is not whole.
pub(crate) fn read(body: &[u8]) -> Option<Id> {
    let id = Id::from_le_bytes(body.first_chunk().copied()?);
    (write(id, body.len()) == body).then_some(id)
}

#[test]
fn a_body_is_known_and_a_changed_one_is_not() {
    for size in [16, 17, 300, 5000] {
        let mut body = write(77, size);
        assert_eq!((read(&body), body.len()), (Some(77), size));
        body[size / 2] ^= 1;
        assert_eq!(read(&body), None);
    }
}
