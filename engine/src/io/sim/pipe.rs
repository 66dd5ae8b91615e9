//! One direction of a simulated connection: bytes with a bound and a time of arrival.
//!
//! Invariants: bytes and the end of stream arrive in the order of their writing; what is on the way
//! or unread never exceeds the capacity.

use std::collections::VecDeque;

/// Bytes on the way from a writer to a reader.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Written and not yet read: first what has arrived, then what is on the way.
    bytes: VecDeque<u8>,
    arrived: usize,
    on_the_way: VecDeque<Segment>,
    capacity: usize,
    /// When the last segment arrives; nothing later may overtake it.
    last_arrival: u64,
    ended: Ended,
    written: u64,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    arrival: u64,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    No,
    ArrivesAt(u64),
    Arrived,
}

impl Pipe {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            arrived: 0,
            on_the_way: VecDeque::new(),
            capacity,
            last_arrival: 0,
            ended: Ended::No,
            written: 0,
        }
    }

    /// How many bytes it takes now.
    pub(super) fn room(&self) -> usize {
        self.capacity - self.bytes.len()
    }

    /// Whether a writer that waits for room is told: a third is free, as TCP has it.
    pub(super) fn has_room(&self) -> bool {
        self.room() * 3 >= self.capacity
    }

    /// How many bytes were ever written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// How many bytes can be read.
    pub(super) fn readable(&self) -> usize {
        self.arrived
    }

    /// Whether something is written that has not arrived.
    pub(super) fn in_flight(&self) -> bool {
        !self.on_the_way.is_empty()
    }

    /// Whether the end of stream is next.
    pub(super) fn at_end(&self) -> bool {
        self.ended == Ended::Arrived && self.arrived == 0
    }

    /// Whether the end of stream has arrived, perhaps behind bytes.
    pub(super) fn end_arrived(&self) -> bool {
        self.ended == Ended::Arrived
    }

    /// Whether the writer ended it.
    pub(super) fn is_ended(&self) -> bool {
        self.ended != Ended::No
    }

    /// Takes as much as there is room for, to arrive at `arrival` or behind what was written
    /// before; gives how much and when.
    pub(super) fn write(&mut self, bytes: &[u8], arrival: u64) -> (usize, u64) {
        debug_assert!(!self.is_ended(), "a write behind the end of stream");
        let taken = bytes.len().min(self.room());
        let arrival = arrival.max(self.last_arrival);
        if taken > 0 {
            self.bytes.extend(&bytes[..taken]);
            self.on_the_way.push_back(Segment { arrival, bytes: taken });
            self.last_arrival = arrival;
            self.written += taken as u64;
        }
        (taken, arrival)
    }

    /// Ends the stream behind what was written; gives when the end arrives.
    pub(super) fn end(&mut self, arrival: u64) -> u64 {
        let arrival = arrival.max(self.last_arrival);
        if self.ended == Ended::No {
            self.ended = Ended::ArrivesAt(arrival);
            self.last_arrival = arrival;
        }
        arrival
    }

    /// Lets arrive what is due at `now`; whether anything did.
    pub(super) fn arrive(&mut self, now: u64) -> bool {
        let mut came = false;
        while let Some(segment) = self.on_the_way.front().filter(|next| next.arrival <= now) {
            self.arrived += segment.bytes;
            self.on_the_way.pop_front();
            came = true;
        }
        if matches!(self.ended, Ended::ArrivesAt(at) if at <= now) {
            self.ended = Ended::Arrived;
            came = true;
        }
        came
    }

    /// Reads what has arrived; gives how many bytes.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.arrived.min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.bytes.drain(..count)) {
            *to = from;
        }
        self.arrived -= count;
        count
    }

    /// Forgets what nobody will read; the capacity and the counts stay.
    pub(super) fn clear(&mut self) {
        self.bytes = VecDeque::new();
        self.on_the_way = VecDeque::new();
        self.arrived = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_order_and_not_before_their_time() {
        let mut pipe = Pipe::new(10);
        assert_eq!(pipe.write(b"abc", 50), (3, 50));
        assert_eq!(pipe.write(b"de", 20), (2, 50));
        assert_eq!(pipe.end(10), 50);
        assert!(!pipe.arrive(49));
        assert!(pipe.arrive(50));
        let mut buffer = [0; 4];
        assert_eq!(pipe.read(&mut buffer), 4);
        assert_eq!(&buffer, b"abcd");
        assert!(!pipe.at_end());
        assert_eq!(pipe.read(&mut buffer), 1);
        assert!(pipe.at_end());
    }

    #[test]
    fn only_what_there_is_room_for_is_taken() {
        let mut pipe = Pipe::new(6);
        assert_eq!(pipe.write(b"abcdefgh", 1).0, 6);
        assert_eq!(pipe.write(b"i", 1).0, 0);
        assert!(!pipe.has_room());
        pipe.arrive(1);
        pipe.read(&mut [0; 2]);
        assert!(pipe.has_room());
        assert_eq!(pipe.room(), 2);
        assert_eq!(pipe.written(), 6);
    }
}
