//! What epoll's edges mean for each connection slot.
//!
//! Edges come once. A slot that is not armed when one comes remembers it, and an end of stream is
//! remembered for good, since it comes once while bytes may still be read before it: arming then
//! reports at once. At worst a report is spurious; none is missed.

use rustix::event::epoll::EventFlags;

use crate::io::slots::Slots;
use crate::io::socket::Socket;
use crate::io::{Event, Interest, Key};

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
    /// Have the kernel look again at what it knows: nothing will make an edge of what waits.
    LookAgain,
    /// The edge has come already.
    ReadyNow,
}

/// The watches of all slots.
#[derive(Debug, Default)]
pub(super) struct Edges {
    slots: Slots,
}

impl Edges {
    /// Arms the watch of `key` and says what the caller must do for it.
    pub(super) fn arm(&mut self, key: Key, interest: Interest) -> Arming {
        let slot = self.slots.claim(key);
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
        let Some(slot) = self.slots.current(key) else { return false };
        let armed = slot.has(ARMED);
        if armed {
            slot.set(WRITABLE_ASKED);
        }
        armed
    }

    /// Takes an edge; returns the report, if a watch was armed for it.
    pub(super) fn edge(&mut self, key: Key, flags: EventFlags) -> Option<Event<Socket>> {
        let slot = self.slots.current(key)?;
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
        let slot = self.slots.current(key)?;
        slot.clear(ARMED | WRITABLE_ASKED);
        Some(Event::Ready { key: key.travelling(), readable: true, writable: false })
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
        let mut edges = Edges::default();
        assert_eq!(edges.arm(KEY, Interest::Read), Arming::Add { writable: false });
        assert_eq!(readable(edges.edge(KEY, EventFlags::IN)), Some(KEY));
        assert!(edges.edge(KEY, EventFlags::IN).is_none());
    }

    #[test]
    fn an_edge_between_watches_is_reported_at_the_next() {
        let mut edges = Edges::default();
        edges.arm(KEY, Interest::Read);
        edges.edge(KEY, EventFlags::IN);
        edges.edge(KEY, EventFlags::IN);
        assert_eq!(edges.arm(KEY, Interest::Read), Arming::ReadyNow);
        assert_eq!(readable(edges.report_now(KEY)), Some(KEY));
        assert_eq!(edges.arm(KEY, Interest::Read), Arming::Done);
    }

    #[test]
    fn an_end_is_reported_at_every_watch() {
        let mut edges = Edges::default();
        edges.arm(KEY, Interest::Read);
        edges.edge(KEY, EventFlags::IN | EventFlags::RDHUP);
        for _ in 0..3 {
            assert_eq!(edges.arm(KEY, Interest::Read), Arming::ReadyNow);
            assert!(edges.report_now(KEY).is_some());
        }
    }

    #[test]
    fn room_to_send_is_reported_only_where_asked() {
        let mut edges = Edges::default();
        edges.arm(KEY, Interest::Read);
        assert!(edges.edge(KEY, EventFlags::OUT).is_none());
        assert!(edges.widen(KEY));
        let event = edges.edge(KEY, EventFlags::OUT);
        assert!(matches!(event, Some(Event::Ready { readable: false, writable: true, .. })));
        assert!(!edges.widen(KEY));
    }

    #[test]
    fn a_new_generation_starts_afresh() {
        let mut edges = Edges::default();
        edges.arm(KEY, Interest::Read);
        assert_eq!(edges.arm(NEXT, Interest::Read), Arming::Add { writable: false });
        assert!(edges.edge(KEY, EventFlags::IN).is_none());
        assert!(edges.edge(NEXT, EventFlags::IN).is_some());
    }
}
