//! What a kernel back end remembers of each connection slot: a few flags and whose they are.
//!
//! Four bytes a slot, found by index. The flags belong to one generation: those of an earlier use
//! never speak for a later one. What they mean is the back end's; no descriptor is known here.

use super::Key;

const FLAG_BITS: u32 = 32 - Key::TRAVELLING_BITS;

/// The generation in the upper 24 bits, flags in the lower 8.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot(u32);

impl Slot {
    /// Whether any of the flags is set.
    pub(super) fn has(self, flags: u32) -> bool {
        self.0 & flags != 0
    }

    pub(super) fn set(&mut self, flags: u32) {
        debug_assert!(flags < 1 << FLAG_BITS, "{flags:#x} are more than flags");
        self.0 |= flags;
    }

    pub(super) fn clear(&mut self, flags: u32) {
        debug_assert!(flags < 1 << FLAG_BITS, "{flags:#x} are more than flags");
        self.0 &= !flags;
    }

    fn generation(self) -> u32 {
        self.0 >> FLAG_BITS
    }
}

/// All slots that were ever watched.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
}

impl Slots {
    /// The slot of `key`, given over to its generation: without flags where it was another's.
    pub(super) fn claim(&mut self, key: Key) -> &mut Slot {
        let index = key.slot as usize;
        if index >= self.slots.len() {
            self.slots.resize(index + 1, Slot::default());
        }
        let generation = key.travelling().generation;
        let slot = &mut self.slots[index];
        if slot.generation() != generation {
            *slot = Slot(generation << FLAG_BITS);
        }
        slot
    }

    /// The slot of `key`, if it is still of that generation.
    pub(super) fn current(&mut self, key: Key) -> Option<&mut Slot> {
        let generation = key.travelling().generation;
        self.slots.get_mut(key.slot as usize).filter(|slot| slot.generation() == generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_belong_to_one_generation() {
        let mut slots = Slots::default();
        let (old, new) = (Key { slot: 3, generation: 9 }, Key { slot: 3, generation: 10 });
        slots.claim(old).set(0b101);
        assert!(slots.claim(old).has(0b100));
        assert!(!slots.claim(new).has(0xff));
        assert!(slots.current(old).is_none());
        assert!(slots.current(Key { slot: 4, generation: 0 }).is_none());
    }
}
