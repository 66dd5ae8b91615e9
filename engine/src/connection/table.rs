//! The connections of one shard, in slots that are used again under a new generation.
//!
//! Capacity is fixed when the table is made, so no connect storm makes it move; pages that were
//! never used cost nothing. Looking up needs slot and generation, so a late event or a late letter
//! for an earlier use finds nothing.

use crate::io::Key;

const GENERATION_MASK: u32 = (1 << Key::TRAVELLING_BITS) - 1;

/// Most slots of one table: a key holds 24 bits of slot.
pub const SLOTS_MAX: usize = 1 << 24;

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Values in slots.
#[derive(Debug)]
pub struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    capacity: usize,
    used: usize,
    /// A fault for the simulator to find: slots are found whatever their generation.
    #[cfg(feature = "planted-bugs")]
    pub forget_generations: bool,
}

impl<T> Table<T> {
    /// A table for `capacity` values, at most [`SLOTS_MAX`].
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.min(SLOTS_MAX);
        Self {
            slots: Vec::with_capacity(capacity),
            free: Vec::new(),
            capacity,
            used: 0,
            #[cfg(feature = "planted-bugs")]
            forget_generations: false,
        }
    }

    /// How many values are in it.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        self.used == self.capacity
    }

    /// How many slots were ever used: an upper bound of every slot index.
    pub fn high_water(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Puts a value in; gives it back where the table is full.
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        if self.is_full() {
            return Err(value);
        }
        self.used += 1;
        if let Some(slot) = self.free.pop() {
            let place = &mut self.slots[slot as usize];
            debug_assert!(place.value.is_none(), "slot {slot} is free and taken");
            place.value = Some(value);
            return Ok(Key { slot, generation: place.generation });
        }
        let slot = self.high_water();
        self.slots.push(Slot { generation: 0, value: Some(value) });
        Ok(Key { slot, generation: 0 })
    }

    /// The value under `key`, unless its slot is free or in a later use.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let same = self.same_use(key);
        let place = self.slots.get_mut(key.slot as usize)?;
        place.value.as_mut().filter(|_| same)
    }

    /// As [`Table::get_mut`], to look only.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        let place = self.slots.get(key.slot as usize)?;
        place.value.as_ref().filter(|_| self.same_use(key))
    }

    fn same_use(&self, key: Key) -> bool {
        #[cfg(feature = "planted-bugs")]
        if self.forget_generations {
            return true;
        }
        self.slots.get(key.slot as usize).is_some_and(|place| place.generation == key.generation)
    }

    /// Whoever uses the slot now.
    #[inline]
    pub fn at(&mut self, slot: u32) -> Option<(Key, &mut T)> {
        let place = self.slots.get_mut(slot as usize)?;
        let key = Key { slot, generation: place.generation };
        place.value.as_mut().map(|value| (key, value))
    }

    /// Takes the value out and ends this use of the slot.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        if !self.same_use(key) {
            return None;
        }
        let place = self.slots.get_mut(key.slot as usize)?;
        let value = place.value.take()?;
        // No more bits than travel through the kernel, or a key would not equal itself come back.
        place.generation = (place.generation + 1) & GENERATION_MASK;
        self.used -= 1;
        self.free.push(key.slot);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut table = Table::new(1);
        let first = table.insert('a').unwrap();
        assert_eq!(table.insert('b'), Err('b'));
        assert_eq!(table.remove(first), Some('a'));
        let second = table.insert('c').unwrap();
        assert_eq!(first.slot, second.slot);
        assert_eq!(table.get(first), None);
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&'c'));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_key_equals_itself_come_back_from_the_kernel() {
        let mut table = Table::new(1);
        let first = table.insert(0).unwrap();
        table.slots[0].generation = GENERATION_MASK;
        let last = Key { generation: GENERATION_MASK, ..first };
        assert_eq!(table.remove(last), Some(0));
        let next = table.insert(1).unwrap();
        assert_eq!(next, next.travelling());
        assert_eq!(table.get(next), Some(&1));
    }
}
