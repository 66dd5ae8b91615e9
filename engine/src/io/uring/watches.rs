//! Which polls the kernel holds for each slot, and what their ends mean for its watch.
//!
//! A watch for both directions that begins as such is one poll. One that is widened later is two,
//! as changing the first would mean a search (see [`super`]). When the second ends first, the first
//! stays with the kernel: the next watch finds it there and arms nothing, and if it ended in
//! between, that is remembered and reported at once. So each watch still ends with one report, and
//! a connection that is always read and never full knows only one poll.
//!
//! What stays with the kernel when a socket is dropped ends by the shutdown in its drop, and its
//! report finds another generation here.

use super::Event;
use super::poll::meaning;
use crate::io::slots::Slots;
use crate::io::{Interest, Key};

/// A watch waits for its one report.
const ARMED: u32 = 1;
/// The armed watch waits for room to send as well.
const ROOM_ASKED: u32 = 1 << 1;
/// Something to read came while no watch was armed.
const MISSED: u32 = 1 << 2;
/// The kernel holds the poll for something to read.
const POLLED: u32 = 1 << 3;
/// That poll waits for room to send as well.
const POLLED_FOR_BOTH: u32 = 1 << 4;
/// The kernel holds the poll for room to send.
const POLLED_FOR_ROOM: u32 = 1 << 5;

/// What the caller must do for a watch to stand.
#[derive(Debug)]
pub(super) enum Need {
    /// Arm a poll for this.
    Poll(Interest),
    /// Arm a poll for room to send; that for something to read is with the kernel.
    Room,
    /// All that it takes is with the kernel.
    Nothing,
    /// The watch has ended already, with this report.
    Report(Event),
}

/// The watches of all slots.
#[derive(Debug, Default)]
pub(super) struct Watches {
    slots: Slots,
}

impl Watches {
    pub(super) fn arm(&mut self, key: Key, interest: Interest) -> Need {
        let slot = self.slots.claim(key);
        debug_assert!(!slot.has(ARMED), "slot {} has an armed watch", key.slot);
        if slot.has(MISSED) {
            slot.clear(MISSED);
            return Need::Report(ready(key, true, false));
        }
        slot.set(ARMED);
        let room = interest == Interest::ReadWrite;
        slot.set(if room { ROOM_ASKED } else { 0 });
        let room = room && !slot.has(POLLED_FOR_ROOM | POLLED_FOR_BOTH);
        match (slot.has(POLLED), room) {
            (false, false) => {
                slot.set(POLLED);
                Need::Poll(Interest::Read)
            }
            (false, true) => {
                slot.set(POLLED | POLLED_FOR_BOTH);
                Need::Poll(Interest::ReadWrite)
            }
            (true, true) => {
                slot.set(POLLED_FOR_ROOM);
                Need::Room
            }
            (true, false) => Need::Nothing,
        }
    }

    /// Widens the armed watch of `key`; `true` where a poll for room to send must be armed for it.
    pub(super) fn widen(&mut self, key: Key) -> bool {
        let Some(slot) = self.slots.current(key).filter(|slot| slot.has(ARMED)) else {
            return false;
        };
        slot.set(ROOM_ASKED);
        let needed = !slot.has(POLLED_FOR_ROOM | POLLED_FOR_BOTH);
        slot.set(if needed { POLLED_FOR_ROOM } else { 0 });
        needed
    }

    /// The poll for something to read ended.
    pub(super) fn polled(&mut self, key: Key, result: i32) -> Option<Event> {
        let slot = self.slots.current(key)?;
        slot.clear(POLLED | POLLED_FOR_BOTH);
        let (readable, room) = meaning(result);
        if !slot.has(ARMED) {
            slot.set(MISSED);
            return None;
        }
        let writable = room && slot.has(ROOM_ASKED);
        slot.clear(ARMED | ROOM_ASKED);
        Some(ready(key, readable, writable))
    }

    /// The poll for room to send ended.
    pub(super) fn has_room(&mut self, key: Key, result: i32) -> Option<Event> {
        let slot = self.slots.current(key)?;
        slot.clear(POLLED_FOR_ROOM);
        if !slot.has(ARMED) || !slot.has(ROOM_ASKED) {
            return None;
        }
        slot.clear(ARMED | ROOM_ASKED);
        let (readable, writable) = meaning(result);
        Some(ready(key, readable, writable))
    }
}

fn ready(key: Key, readable: bool, writable: bool) -> Event {
    Event::Ready { key: key.travelling(), readable, writable }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key { slot: 3, generation: 9 };
    const NEXT: Key = Key { slot: 3, generation: 10 };
    const IN: i32 = libc::POLLIN as i32;
    const OUT: i32 = libc::POLLOUT as i32;

    fn directions(event: Option<Event>) -> Option<(bool, bool)> {
        match event? {
            Event::Ready { readable, writable, .. } => Some((readable, writable)),
            other => panic!("{other:?} is not a watch's end"),
        }
    }

    #[test]
    fn a_watch_for_both_is_one_poll() {
        let mut watches = Watches::default();
        let need = watches.arm(KEY, Interest::ReadWrite);
        assert!(matches!(need, Need::Poll(Interest::ReadWrite)));
        assert!(!watches.widen(KEY));
        assert_eq!(directions(watches.polled(KEY, IN | OUT)), Some((true, true)));
        assert!(matches!(watches.arm(KEY, Interest::Read), Need::Poll(Interest::Read)));
    }

    #[test]
    fn a_widened_watch_ends_once_and_leaves_its_first_poll_to_the_next() {
        let mut watches = Watches::default();
        watches.arm(KEY, Interest::Read);
        assert!(watches.widen(KEY));
        assert!(!watches.widen(KEY));
        assert_eq!(directions(watches.has_room(KEY, OUT)), Some((false, true)));
        assert!(matches!(watches.arm(KEY, Interest::Read), Need::Nothing));
        assert_eq!(directions(watches.polled(KEY, IN)), Some((true, false)));
    }

    #[test]
    fn what_comes_between_watches_is_reported_at_the_next() {
        let mut watches = Watches::default();
        watches.arm(KEY, Interest::Read);
        watches.widen(KEY);
        watches.has_room(KEY, OUT);
        assert!(watches.polled(KEY, IN).is_none());
        assert!(matches!(watches.arm(KEY, Interest::ReadWrite), Need::Report(_)));
        let need = watches.arm(KEY, Interest::ReadWrite);
        assert!(matches!(need, Need::Poll(Interest::ReadWrite)));
    }

    #[test]
    fn a_poll_for_room_that_is_left_over_ends_no_watch_for_reading() {
        let mut watches = Watches::default();
        watches.arm(KEY, Interest::Read);
        watches.widen(KEY);
        assert_eq!(directions(watches.polled(KEY, IN)), Some((true, false)));
        assert!(matches!(watches.arm(KEY, Interest::Read), Need::Poll(Interest::Read)));
        assert!(watches.has_room(KEY, OUT).is_none());
        assert!(watches.widen(KEY));
        assert_eq!(directions(watches.has_room(KEY, OUT)), Some((false, true)));
    }

    #[test]
    fn a_poll_for_room_that_is_left_over_serves_the_next_watch() {
        let mut watches = Watches::default();
        watches.arm(KEY, Interest::Read);
        watches.widen(KEY);
        watches.polled(KEY, IN);
        assert!(matches!(watches.arm(KEY, Interest::ReadWrite), Need::Poll(Interest::Read)));
        assert_eq!(directions(watches.has_room(KEY, OUT)), Some((false, true)));
        assert!(matches!(watches.arm(KEY, Interest::ReadWrite), Need::Room));
    }

    #[test]
    fn polls_of_an_earlier_use_say_nothing() {
        let mut watches = Watches::default();
        watches.arm(KEY, Interest::Read);
        watches.widen(KEY);
        assert!(matches!(watches.arm(NEXT, Interest::Read), Need::Poll(Interest::Read)));
        assert!(watches.polled(KEY, IN).is_none());
        assert!(watches.has_room(KEY, OUT).is_none());
        assert_eq!(directions(watches.polled(NEXT, IN)), Some((true, false)));
    }

    #[test]
    fn a_poll_that_could_not_stand_is_something_to_look_at() {
        let mut watches = Watches::default();
        watches.arm(KEY, Interest::Read);
        assert_eq!(directions(watches.polled(KEY, -libc::ENOMEM)), Some((true, false)));
    }
}
