//! What epoll's edges mean for each connection slot, in four bytes a slot.
//!
//! Edges come once. A slot that is not armed when one comes remembers it, and an end of stream is
//! remembered for good, since it comes once while bytes may still be read before it: arming then
//! reports at once. At worst a report is spurious; none is missed.
//! The state of an earlier generation never speaks for a later one. No descriptor is known here.

use rustix::event::epoll::EventFlags;

use crate::io::socket::Socket;
use crate::io::{Event, Interest, Key};

const FLAG_BITS: u32 = 8;

/// The kernel has the socket.
const REGISTERED: u32 = 1;
/// A watch waits for its one report.
const ARMED: u32 = 1 << 1;
/// The armed watch waits for room to send as well.
const WRITABLE_ASKED: u32 = 1 << 2;
/// Something to read came while no watch was armed.
const MISSED: u32 = 1 << 3;
/// The peer's end of stream or an error came.
const ENDED: u32 = 1 << 4;

/// What is to be done for a watch to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arming {
    /// Register the socket.
    Add { writable: bool },
    /// Change its registration, which also has the kernel look again.
    AskWritable,
    /// Nothing; the next edge will do.
    Done,
    /// The edge has come already.
    ReadyNow,
}

/// The generation in the upper 24 bits, flags in the lower 8.
#[derive(Debug, Clone, Copy, Default)]
struct Slot(u32);

impl Slot {
    fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    fn set(&mut self, flags: u32) {
        self.0 |= flags;
    }

    fn clear(&mut self, flags: u32) {
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
    /// Arms the watch of `key` and says what the caller must do for it.
    pub(super) fn arm(&mut self, key: Key, interest: Interest) -> Arming {
        let slot = self.claim(key);
        debug_assert!(!slot.has(ARMED), "slot {} has an armed watch", key.slot);
        let writable = interest == Interest::ReadWrite;
        let came = slot.has(MISSED | ENDED);
        let registered = slot.has(REGISTERED);
        slot.clear(MISSED | WRITABLE_ASKED);
        slot.set(REGISTERED | ARMED | if writable { WRITABLE_ASKED } else { 0 });
        match (registered, came) {
            (false, _) => Arming::Add { writable },
            (true, true) => Arming::ReadyNow,
            (true, false) if writable => Arming::AskWritable,
            (true, false) => Arming::Done,
        }
    }

    /// Widens the armed watch of `key`; `false` where none is armed (any more).
    pub(super) fn widen(&mut self, key: Key) -> bool {
        let Some(slot) = self.current(key) else { return false };
        let armed = slot.has(ARMED);
        if armed {
            slot.set(WRITABLE_ASKED);
        }
        armed
    }

    /// Takes an edge; returns the report, if a watch was armed for it.
    pub(super) fn edge(&mut self, key: Key, flags: EventFlags) -> Option<Event<Socket>> {
        let slot = self.current(key)?;
        let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let readable = ended || flags.contains(EventFlags::IN);
        if ended {
            slot.set(ENDED);
        }
        if !slot.has(ARMED) {
            slot.set(if readable { MISSED } else { 0 });
            return None;
        }
        // An unasked edge of room to send needs no memory: asking has the kernel look again.
        let writable = slot.has(WRITABLE_ASKED) && flags.contains(EventFlags::OUT);
        if !readable && !writable {
            return None;
        }
        slot.clear(ARMED | WRITABLE_ASKED);
        Some(Event::Ready { key: key.travelling(), readable, writable })
    }

    /// Ends the armed watch of `key` with a report that no edge made.
    pub(super) fn report_now(&mut self, key: Key) -> Option<Event<Socket>> {
        let slot = self.current(key)?;
        slot.clear(ARMED | WRITABLE_ASKED);
        Some(Event::Ready { key: key.travelling(), readable: true, writable: false })
    }

    /// The slot of `key`, given over to its generation.
    fn claim(&mut self, key: Key) -> &mut Slot {
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
    fn current(&mut self, key: Key) -> Option<&mut Slot> {
        let generation = key.travelling().generation;
        self.slots.get_mut(key.slot as usize).filter(|slot| slot.generation() == generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key { slot: 3, generation: 9 };
    const NEXT: Key = Key { slot: 3, generation: 10 };

    fn readable(event: Option<Event<Socket>>) -> Option<Key> {
        match event? {
            Event::Ready { key, readable: true, .. } => Some(key),
            other => panic!("{other:?} is not a report of something to read"),
        }
    }

    #[test]
    fn an_armed_watch_is_reported_once() {
        let mut slots = Slots::default();
        assert_eq!(slots.arm(KEY, Interest::Read), Arming::Add { writable: false });
        assert_eq!(readable(slots.edge(KEY, EventFlags::IN)), Some(KEY));
        assert!(slots.edge(KEY, EventFlags::IN).is_none());
    }

    #[test]
    fn an_edge_between_watches_is_reported_at_the_next() {
        let mut slots = Slots::default();
        slots.arm(KEY, Interest::Read);
        slots.edge(KEY, EventFlags::IN);
        slots.edge(KEY, EventFlags::IN);
        assert_eq!(slots.arm(KEY, Interest::Read), Arming::ReadyNow);
        assert_eq!(readable(slots.report_now(KEY)), Some(KEY));
        assert_eq!(slots.arm(KEY, Interest::Read), Arming::Done);
    }

    #[test]
    fn an_end_is_reported_at_every_watch() {
        let mut slots = Slots::default();
        slots.arm(KEY, Interest::Read);
        slots.edge(KEY, EventFlags::IN | EventFlags::RDHUP);
        for _ in 0..3 {
            assert_eq!(slots.arm(KEY, Interest::Read), Arming::ReadyNow);
            assert!(slots.report_now(KEY).is_some());
        }
    }

    #[test]
    fn room_to_send_is_reported_only_where_asked() {
        let mut slots = Slots::default();
        slots.arm(KEY, Interest::Read);
        assert!(slots.edge(KEY, EventFlags::OUT).is_none());
        assert!(slots.widen(KEY));
        let event = slots.edge(KEY, EventFlags::OUT);
        assert!(matches!(event, Some(Event::Ready { readable: false, writable: true, .. })));
        assert!(!slots.widen(KEY));
    }

    #[test]
    fn a_new_generation_starts_afresh() {
        let mut slots = Slots::default();
        slots.arm(KEY, Interest::Read);
        assert_eq!(slots.arm(NEXT, Interest::Read), Arming::Add { writable: false });
        assert!(slots.edge(KEY, EventFlags::IN).is_none());
        assert!(slots.edge(NEXT, EventFlags::IN).is_some());
    }
}
