//! When memory that a flood took is to go back to the system.
//!
//! What is freed in small pieces stays with the allocator until somebody asks for its empty pages:
//! a million messages that were fetched would be held as memory for good. So, whenever a good part
//! of what the shards hold has gone, [`crate::io::memory::give_back`] is worth its time.
//!
//! Pure: numbers come in, a decision goes out.

/// Less than this is not worth the asking: 16 MiB.
const WORTH_BYTES: u64 = 16 << 20;
/// Nor is less than this part of what there was: a host full of users would be asked all day.
const WORTH_PART: u64 = 4;

/// Watches what the shards hold.
#[derive(Debug, Default)]
pub(super) struct Ebb {
    /// The most bytes since the last time that it ebbed.
    high: u64,
}

impl Ebb {
    /// Whether enough has gone, now that the shards hold so many bytes.
    pub(super) fn has_come(&mut self, bytes: u64) -> bool {
        self.high = self.high.max(bytes);
        let gone = self.high - bytes;
        let has_come = gone >= WORTH_BYTES.max(self.high / WORTH_PART);
        if has_come {
            self.high = bytes;
        }
        has_come
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn it_comes_once_when_a_flood_has_gone() {
        let mut ebb = Ebb::default();
        assert!(!ebb.has_come(100 * MIB));
        assert!(ebb.has_come(10 * MIB));
        assert!(!ebb.has_come(10 * MIB));
        assert!(!ebb.has_come(20 * MIB));
        assert!(!ebb.has_come(10 * MIB), "too little to be worth it");
    }

    #[test]
    fn a_large_flood_ebbs_in_steps() {
        let mut ebb = Ebb::default();
        let asked = (0..=4000).rev().filter(|step| ebb.has_come(step * MIB)).count();
        assert!((8..=20).contains(&asked), "{asked} times from 4000 MiB to nothing");
    }
}
