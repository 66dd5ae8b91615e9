//! A bounded lock-free ring from one thread to one other.
//!
//! The road between two shards. It is made whole at creation and allocates nothing later; a full
//! ring gives the item back, and the sender must hold back its own source: there is no other queue
//! behind it. The producer writes without telling and tells once a turn ([`Producer::publish`]);
//! the consumer takes up to a bound and gives the room back once. So the two cores exchange two
//! cache lines a turn, not two an item.
//!
//! It wakes nobody: that is [`super::sleep`]. The orders here are checked by `tests/mesh_model.rs`.

#![allow(unsafe_code, reason = "the slots are shared memory, handed over by the two indices")]

use std::fmt;
use std::mem::MaybeUninit;

use super::sync::{Arc, AtomicUsize, Ordering, UnsafeCell};

/// Keeps what one core writes off the cache lines of the other. Two lines, as processors fetch
/// pairs of lines ahead.
#[repr(align(128))]
struct Padded<T>(T);

/// Indices only grow; a slot's place is its index below the capacity, a power of two.
struct Shared<T> {
    /// The next to be taken. Written by the consumer.
    head: Padded<AtomicUsize>,
    /// The next to be written, as far as told. Written by the producer.
    tail: Padded<AtomicUsize>,
    /// `head..tail` hold items and are the consumer's; all others are the producer's.
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a slot is touched by one side at a time, as the indices say, and they are handed over
// with release and acquire; an item goes to another thread, hence `T: Send`.
unsafe impl<T: Send> Sync for Shared<T> {}

// SAFETY: the slots hold items of `T: Send` and nothing tied to a thread.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Shared<T> {
    fn slot(&self, index: usize) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[index & (self.slots.len() - 1)]
    }

    /// Takes the item out of a slot.
    ///
    /// # Safety
    /// The slot at `index` holds an item and is the caller's.
    unsafe fn read(&self, index: usize) -> T {
        self.slot(index).with_mut(|slot| {
            // SAFETY: the slot is the caller's alone, so nobody else refers to it now.
            let slot = unsafe { &*slot };
            // SAFETY: it holds an item, which the caller will not read again.
            unsafe { slot.assume_init_read() }
        })
    }

    /// Puts an item into a slot.
    ///
    /// # Safety
    /// The slot at `index` is the caller's.
    unsafe fn write(&self, index: usize, item: T) {
        self.slot(index).with_mut(|slot| {
            // SAFETY: the slot is the caller's alone and was taken out of, so nothing is lost.
            unsafe { slot.write(MaybeUninit::new(item)) };
        });
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Both sides are gone; the last one's reference count orders their writes before this.
        let head = self.head.0.load(Ordering::Relaxed);
        let tail = self.tail.0.load(Ordering::Relaxed);
        let mut index = head;
        while index != tail {
            // SAFETY: `head..tail` hold items, and nobody else is left.
            drop(unsafe { self.read(index) });
            index = index.wrapping_add(1);
        }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("capacity", &self.slots.len()).finish_non_exhaustive()
    }
}

/// A ring for `capacity` items, rounded up to a power of two.
///
/// # Panics
/// If the capacity is 0 or its power of two does not exist: it comes from a checked configuration.
pub fn ring<T: Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity > 0, "a ring without room would refuse everything for ever");
    let slots =
        (0..capacity.next_power_of_two()).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let (head, tail) = (Padded(AtomicUsize::new(0)), Padded(AtomicUsize::new(0)));
    let shared = Arc::new(Shared { head, tail, slots });
    let producer = Producer { shared: Arc::clone(&shared), tail: 0, told: 0, head: 0 };
    (producer, Consumer { shared, head: 0, tail: 0 })
}

/// The side that puts in.
#[derive(Debug)]
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// The next to be written.
    tail: usize,
    /// What the consumer was told of.
    told: usize,
    /// The consumer's head as last seen; the true one is at or after it.
    head: usize,
}

impl<T: Send> Producer<T> {
    /// Puts an item in, to be seen by the consumer after [`Producer::publish`].
    ///
    /// # Errors
    /// Gives the item back where the ring is full.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.room() == 0 {
            return Err(item);
        }
        // SAFETY: `room` says that the slot at `tail` is not among the consumer's.
        unsafe { self.shared.write(self.tail, item) };
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// How many more items there is room for, at least.
    pub fn room(&mut self) -> usize {
        let capacity = self.shared.slots.len();
        if self.tail.wrapping_sub(self.head) == capacity {
            // Acquire: the consumer has read the slots before `head` to the end.
            self.head = self.shared.head.0.load(Ordering::Acquire);
        }
        capacity - self.tail.wrapping_sub(self.head)
    }

    /// Shows the consumer all that was put in; `false` where there is nothing new to show.
    pub fn publish(&mut self) -> bool {
        let new = self.told != self.tail;
        if new {
            // Release: the items are written before the consumer can see their index.
            self.shared.tail.0.store(self.tail, Ordering::Release);
            self.told = self.tail;
        }
        new
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        // What was put in and not shown is the consumer's too, or nobody would drop it.
        self.shared.tail.0.store(self.tail, Ordering::Release);
    }
}

/// The side that takes out.
#[derive(Debug)]
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// The next to be taken.
    head: usize,
    /// The producer's tail as last seen; the true one is at or after it.
    tail: usize,
}

impl<T: Send> Consumer<T> {
    /// Hands at most `bound` items to `take`, in order, and returns how many. Their room goes back
    /// to the producer together, at the end.
    pub fn take(&mut self, bound: usize, mut take: impl FnMut(T)) -> usize {
        let taken = self.waiting().min(bound);
        // Given back also where `take` panics, so that no item is read twice.
        let mut release = Release { consumer: self };
        for _ in 0..taken {
            take(release.read());
        }
        taken
    }

    /// How many items the ring holds at most.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }

    /// How many items wait, as far as told.
    pub fn waiting(&mut self) -> usize {
        // Acquire: the items before `tail` are written to the end.
        self.tail = self.shared.tail.0.load(Ordering::Acquire);
        self.tail.wrapping_sub(self.head)
    }
}

/// Gives the room of what was read back to the producer, once.
struct Release<'a, T> {
    consumer: &'a mut Consumer<T>,
}

impl<T> Release<'_, T> {
    fn read(&mut self) -> T {
        let consumer = &mut *self.consumer;
        debug_assert_ne!(consumer.head, consumer.tail, "nothing waits");
        let index = consumer.head;
        consumer.head = index.wrapping_add(1);
        // SAFETY: `take` reads no further than `tail`, and `head` has moved past this slot.
        unsafe { consumer.shared.read(index) }
    }
}

impl<T> Drop for Release<'_, T> {
    fn drop(&mut self) {
        // Release: the slots are read to the end before the producer can see them free.
        self.consumer.shared.head.0.store(self.consumer.head, Ordering::Release);
    }
}
