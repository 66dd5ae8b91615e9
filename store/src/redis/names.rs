//! The names of keys, and the slots that they are in.

use crate::letter::{Append, Seen};
use std::time::Duration;

/// How many slots a Cluster has.
pub(super) const SLOTS: u16 = 16_384;

/// A key and where it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) slot: u16,
}

/// The names of everything that is kept.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) prefix: String,
    /// The host's number, for what is its own affair.
    pub(super) host: u16,
    /// How long idempotency keys are remembered.
    pub(super) window: Duration,
    /// How long a greatest sequence is remembered.
    pub(super) remember: Duration,
}

/// The keys of one user, all in one slot.
#[derive(Debug)]
pub(super) struct UserKeys {
    pub(super) index: Key,
    pub(super) bodies: Key,
    pub(super) marks: Key,
}

impl Names {
    /// A user's. The name stands behind the hash, so that users of equal hashes share a slot and no
    /// more than that (and their marks, which the home tells apart by the same hash).
    pub(super) fn user(&self, hash: u64, product: &str, user: &str) -> UserKeys {
        let tag = format!("{hash:016x}");
        let slot = slot(tag.as_bytes());
        let of = |kind: char| Key {
            name: format!("{}:{{{tag}}}:{kind}:{product}/{user}", self.prefix),
            slot,
        };
        UserKeys { index: of('i'), bodies: of('b'), marks: self.marks(hash) }
    }

    /// The idempotency keys of users with this hash.
    pub(super) fn marks(&self, hash: u64) -> Key {
        self.tagged(&format!("{hash:016x}"), "k")
    }

    /// A product's broadcasts: number → broadcast.
    pub(super) fn broadcasts(&self, product: &str) -> Key {
        self.tagged(&product.replace(['{', '}'], "_"), &format!("broadcasts:{product}"))
    }

    /// How a product's broadcasts stand: number → state.
    pub(super) fn states(&self, product: &str) -> Key {
        self.tagged(&product.replace(['{', '}'], "_"), &format!("states:{product}"))
    }

    /// The users of one bucket that have had a broadcast. With 4,096 buckets, spread over the
    /// slots, a set stays below 512 integers up to two million users, and the server keeps such a
    /// set as an array: 8 bytes a user.
    pub(super) fn seen(&self, product: &str, number: u64, user: u64) -> Key {
        let bucket = user >> 52;
        self.tagged(&format!("{bucket:03x}"), &format!("seen:{number}:{product}"))
    }

    /// When messages go out of date of which backends of this host want to hear: a sorted set by
    /// time.
    pub(super) fn deadlines(&self) -> Key {
        let host = self.host;
        self.tagged(&format!("host{host}"), &format!("deadlines:{host}"))
    }

    /// Which process has this host's number.
    pub(super) fn number(&self) -> Key {
        let host = self.host;
        self.tagged(&format!("host{host}"), &format!("process:{host}"))
    }

    /// The greatest sequence that any process reserved.
    pub(super) fn sequence(&self) -> Key {
        self.tagged("sequence", "sequence")
    }

    /// A key in this slot, to try whether writing works.
    pub(super) fn probe(&self, from: u16, to: u16) -> Key {
        let mut number = 0_u32;
        loop {
            let key = self.tagged(&format!("p{number}"), "probe");
            if (from..=to).contains(&key.slot) {
                return key;
            }
            number += 1;
        }
    }

    fn tagged(&self, tag: &str, rest: &str) -> Key {
        // An empty tag is none to the server.
        let tag = if tag.is_empty() { "_" } else { tag };
        Key { name: format!("{}:{{{tag}}}:{rest}", self.prefix), slot: slot(tag.as_bytes()) }
    }

    /// Until when a user's greatest sequence is remembered, in seconds since 1970 UTC.
    pub(super) fn remembered(&self, at: u32, expires: u32) -> u64 {
        (u64::from(at) + self.remember.as_secs()).max(u64::from(expires))
    }
}

/// The slot of a hash tag: CRC-16/XMODEM.
fn slot(tag: &[u8]) -> u16 {
    let step = |mut sum: u16, byte: &u8| {
        sum ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 };
        }
        sum
    };
    tag.iter().fold(0, step) % SLOTS
}

/// The user of a message; empty where it is not UTF-8, which no shard sends.
pub(super) fn user_of(append: &Append) -> &str {
    std::str::from_utf8(append.user.of(&append.bytes)).unwrap_or_default()
}

/// A broadcast's users by bucket, each list in the order given.
pub(super) fn by_bucket(seen: &Seen) -> Vec<Vec<u64>> {
    let mut users = seen.users.clone();
    users.sort_unstable();
    users.chunk_by(|one, other| one >> 52 == other >> 52).map(<[u64]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        // The specification gives this sum; the others are what `CLUSTER KEYSLOT` says.
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"user1000"), 3443);
    }

    #[test]
    fn a_user_lives_in_one_slot_and_braces_in_its_name_do_not_matter() {
        let window = Duration::from_secs(1);
        let names = Names { prefix: "p".into(), host: 1, window, remember: window };
        let keys = names.user(7, "chat", "a{b}c");
        assert_eq!(keys.index.name, "p:{0000000000000007}:i:chat/a{b}c");
        assert_eq!(keys.marks.name, "p:{0000000000000007}:k");
        assert!(keys.index.slot == keys.bodies.slot && keys.index.slot == keys.marks.slot);
    }

    #[test]
    fn a_probe_lies_where_it_is_wanted() {
        let window = Duration::from_secs(1);
        let names = Names { prefix: "p".into(), host: 1, window, remember: window };
        assert!((100..=200).contains(&names.probe(100, 200).slot));
    }
}
