//! A wheel of one-second buckets: each slot has at most one timer, set and cancelled in constant
//! time.
//!
//! A heartbeat does not touch the wheel. The connection notes when it was last heard; when its
//! timer runs out, its owner looks at the note and sets the timer anew. So a timer may be early,
//! never late, and what is further away than the wheel is long comes by on each round.

/// Buckets, a power of two: the longest time ahead, in seconds, plus one.
const BUCKETS: u32 = 512;
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    next: u32,
    prev: u32,
    bucket: u32,
}

const FREE: Link = Link { next: NONE, prev: NONE, bucket: NONE };

/// The timers of one shard, by slot.
#[derive(Debug)]
pub struct Wheel {
    heads: Vec<u32>,
    links: Vec<Link>,
    /// Every bucket before this second is empty.
    second: u32,
    set: usize,
}

impl Wheel {
    /// A wheel for slots below `capacity` that starts at `second`.
    pub fn new(capacity: usize, second: u32) -> Self {
        let heads = vec![NONE; BUCKETS as usize];
        Self { heads, links: Vec::with_capacity(capacity), second, set: 0 }
    }

    /// How many timers are set.
    pub fn len(&self) -> usize {
        self.set
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.set == 0
    }

    /// Sets the slot's timer to `due` seconds, in place of any other; what is past is due at once.
    pub fn set(&mut self, slot: u32, due: u32) {
        self.cancel(slot);
        if self.links.len() <= slot as usize {
            self.links.resize(slot as usize + 1, FREE);
        }
        let due = due.clamp(self.second, self.second.saturating_add(BUCKETS - 1));
        let bucket = due % BUCKETS;
        let next = self.heads[bucket as usize];
        self.links[slot as usize] = Link { next, prev: NONE, bucket };
        if let Some(link) = self.links.get_mut(next as usize) {
            link.prev = slot;
        }
        self.heads[bucket as usize] = slot;
        self.set += 1;
    }

    /// Cancels the slot's timer, if it has one.
    pub fn cancel(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize) else { return };
        let Link { next, prev, bucket } = std::mem::replace(link, FREE);
        if bucket == NONE {
            return;
        }
        if prev == NONE {
            self.heads[bucket as usize] = next;
        } else {
            self.links[prev as usize].next = next;
        }
        if let Some(link) = self.links.get_mut(next as usize) {
            link.prev = prev;
        }
        self.set -= 1;
    }

    /// Whether a timer that is due at `now` seconds may wait to be taken.
    pub fn is_behind(&self, now: u32) -> bool {
        let here = self.heads[(self.second % BUCKETS) as usize];
        self.set > 0 && (self.second < now || here != NONE)
    }

    /// Takes one timer that is due at `now` seconds.
    pub fn pop(&mut self, now: u32) -> Option<u32> {
        while self.second <= now {
            let slot = self.heads[(self.second % BUCKETS) as usize];
            if slot != NONE {
                self.cancel(slot);
                return Some(slot);
            }
            if self.second == now {
                return None;
            }
            // An empty wheel has nothing to step over.
            self.second = if self.set == 0 { now } else { self.second + 1 };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_their_second_and_once() {
        let mut wheel = Wheel::new(8, 0);
        wheel.set(0, 3);
        wheel.set(1, 1);
        wheel.set(2, 3);
        wheel.set(3, 2);
        wheel.cancel(3);
        wheel.set(1, 2);
        assert_eq!(wheel.pop(1), None);
        assert_eq!(wheel.pop(2), Some(1));
        assert_eq!(wheel.pop(2), None);
        let mut due = [wheel.pop(9), wheel.pop(9)];
        due.sort_unstable();
        wheel.set(4, 1);
        assert!(wheel.is_behind(9), "what is past is due at once");
        wheel.cancel(4);
        assert_eq!(due, [Some(0), Some(2)]);
        assert!(!wheel.is_behind(9));
        assert_eq!(wheel.pop(9), None);
        assert!(wheel.is_empty());
    }

    #[test]
    fn what_is_beyond_the_wheel_comes_early_and_never_late() {
        let mut wheel = Wheel::new(1, 0);
        wheel.set(0, 10_000);
        assert_eq!(wheel.pop(BUCKETS - 2), None);
        assert_eq!(wheel.pop(BUCKETS - 1), Some(0));
    }

    #[test]
    fn a_long_sleep_finds_every_timer() {
        let mut wheel = Wheel::new(4, 0);
        (0..4).for_each(|slot| wheel.set(slot, slot * 100 + 1));
        let popped = std::iter::from_fn(|| wheel.pop(1_000_000)).count();
        assert_eq!(popped, 4);
    }
}
