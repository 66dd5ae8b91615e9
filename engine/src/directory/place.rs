//! Which shard is the home of a user: rendezvous hashing over the shards.
//!
//! The hash depends on nothing but names, so that every shard, and later every host, agrees.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// For tables whose order of iteration must be the same in every run, or a seed would not replay.
pub type FixedState = std::hash::BuildHasherDefault<SipHasher13>;

/// Hashes a user of a product.
#[derive(Debug, Clone, Copy)]
pub struct Placer {
    product: u64,
}

impl Placer {
    /// Of the users of one product.
    pub fn new(product: &str) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(product.as_bytes());
        Self { product: hasher.finish() }
    }

    /// The user's hash.
    #[inline]
    pub fn hash(self, user: &str) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.product, 0);
        hasher.write(user.as_bytes());
        hasher.finish()
    }

    /// The hash of the product itself.
    pub fn product(self) -> u64 {
        self.product
    }
}

/// The shard, of so many, with the highest score for this hash (Thaler and Ravishankar, "Using
/// name-based mappings to increase hit rates", 1998): when a shard is added or taken away, only its
/// share moves.
#[inline]
pub fn shard_of(hash: u64, shards: u16) -> u16 {
    (0..shards).max_by_key(|&shard| score(hash, shard)).unwrap_or(0)
}

/// The finaliser of splitmix64.
#[inline]
fn score(hash: u64, shard: u16) -> u64 {
    let mut x = hash ^ (u64::from(shard) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_spread_evenly_and_few_move() {
        let placer = Placer::new("demo");
        let hashes: Vec<u64> = (0..8000).map(|n| placer.hash(&format!("user-{n}"))).collect();
        let mut held = [0; 8];
        for &hash in &hashes {
            held[usize::from(shard_of(hash, 8))] += 1;
        }
        assert!(held.iter().all(|&n| (900..1100).contains(&n)), "{held:?}");
        let moved = hashes.iter().filter(|&&hash| shard_of(hash, 8) != shard_of(hash, 9)).count();
        assert!((700..1100).contains(&moved), "a ninth moves, not {moved} of 8000");
    }

    #[test]
    fn products_keep_users_apart() {
        assert_ne!(Placer::new("a").hash("u"), Placer::new("b").hash("u"));
    }
}
