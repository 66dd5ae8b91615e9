//! Chance that replays: a hash of a seed and a number (the finaliser of `SplitMix64`).

/// A number that looks random, the same for the same arguments.
pub(crate) const fn hash(seed: u64, number: u64) -> u64 {
    let mut mixed = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One of 0 to `bound` - 1, each as likely, chosen by `hash`.
pub(crate) fn below(bound: u32, hash: u64) -> u32 {
    let scaled = (u128::from(hash) * u128::from(bound)) >> 64;
    u32::try_from(scaled).unwrap_or_default()
}
