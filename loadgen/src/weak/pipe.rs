//! One direction of a connection over a weak network: when does which byte leave.
//!
//! Bytes leave in the order in which they came and as they came. Each segment of them is delayed
//! by a draw of its own; one that would overtake the segment before it leaves with that. What is
//! decided is decided when a segment comes, from the time and the seed alone: this has no clock
//! and no socket.

use super::{Weak, happens};
use crate::schedule::chance;
use std::collections::VecDeque;

/// What a TCP segment carries on most networks, bytes: so many are delayed, or lost, together.
pub(super) const SEGMENT: usize = 1_448;
/// A segment is lost at most so often in a row.
const TRIES: u64 = 6;
/// An empty pipe keeps no more room than this, bytes.
const KEPT: usize = 4 << 10;

/// Bytes on their way.
#[derive(Debug)]
pub(super) struct Pipe {
    bytes: VecDeque<u8>,
    segments: VecDeque<Segment>,
    /// What chance begins with, for this direction.
    seed: u64,
    /// The same for both directions, which stall together.
    stalls: u64,
    drawn: u64,
    last: u64,
}

/// Bytes that leave together. Times are nanoseconds of the run's clock.
#[derive(Debug, Clone, Copy)]
struct Segment {
    length: usize,
    came: u64,
    due: u64,
    /// Until when all that the source had written is before this.
    clear: u64,
}

impl Pipe {
    /// An empty one of the connection with this seed; the two directions differ in `way`.
    pub(super) fn new(connection: u64, way: u64) -> Self {
        Self {
            bytes: VecDeque::new(),
            segments: VecDeque::new(),
            seed: chance::hash(connection, way),
            stalls: connection,
            drawn: 0,
            last: 0,
        }
    }

    /// How many bytes it takes now.
    pub(super) fn room(&self, weak: &Weak) -> usize {
        weak.buffer.saturating_sub(self.bytes.len())
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes bytes that came at `now`, at most as many as there is room for; until `clear` the
    /// source had written nothing that did not come before them.
    pub(super) fn take(&mut self, weak: &Weak, bytes: &[u8], (now, clear): (u64, u64)) {
        self.bytes.extend(bytes);
        for segment in bytes.chunks(SEGMENT) {
            let due = self.leaves(weak, now);
            let length = segment.len();
            self.segments.push_back(Segment { length, came: now, due, clear });
        }
    }

    /// When what comes at `now` leaves.
    fn leaves(&mut self, weak: &Weak, now: u64) -> u64 {
        let seed = chance::hash(self.seed, self.drawn);
        self.drawn += 1;
        let least = weak.delay.saturating_sub(weak.jitter);
        let drawn = part(2 * weak.jitter + 1, chance::hash(seed, 0));
        let lost = (1..=TRIES).take_while(|number| {
            let draw = chance::hash(seed, *number);
            happens(weak.loss, draw)
        });
        let again: u64 = lost.map(|number| weak.retry() << (number - 1)).sum();
        self.last = moves(weak, self.stalls, (now + least + drawn + again).max(self.last));
        self.last
    }

    /// When the next bytes leave; `None` if there are none.
    pub(super) fn next(&self) -> Option<u64> {
        self.segments.front().map(|segment| segment.due)
    }

    /// Until when all that the source had written has left; `None` if nothing is on its way.
    pub(super) fn clear(&self) -> Option<u64> {
        self.segments.front().map(|segment| segment.clear)
    }

    /// The bytes that are to leave by `now`, or the first of them where they are in two pieces.
    pub(super) fn due(&self, now: u64) -> &[u8] {
        let due = self.segments.iter().take_while(|segment| segment.due <= now);
        let length: usize = due.map(|segment| segment.length).sum();
        let (first, _) = self.bytes.as_slices();
        &first[..length.min(first.len())]
    }

    /// Forgets the first `length` bytes, which left; tells when each segment of them came.
    pub(super) fn left(&mut self, mut length: usize, mut whole: impl FnMut(u64)) {
        self.bytes.drain(..length);
        while let Some(segment) = self.segments.front_mut() {
            if length < segment.length {
                segment.length -= length;
                break;
            }
            length -= segment.length;
            whole(segment.came);
            self.segments.pop_front();
        }
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            (self.bytes, self.segments) = (VecDeque::new(), VecDeque::new());
        }
    }
}

/// The first moment from `at` on at which the connection does not stall.
fn moves(weak: &Weak, connection: u64, at: u64) -> u64 {
    let Some(stall) = weak.stall else { return at };
    let offset = part(stall.every, chance::hash(connection, u64::MAX));
    let into = at.wrapping_add(offset) % stall.every;
    if into < stall.length { at + (stall.length - into) } else { at }
}

/// The part of `whole` that `draw` is of all 64-bit numbers.
fn part(whole: u64, draw: u64) -> u64 {
    u64::try_from((u128::from(draw) * u128::from(whole)) >> 64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{Stall, sample};
    use super::*;
    use crate::clock::{MILLISECOND, SECOND};
    use proptest::prelude::*;

    fn steady() -> Weak {
        Weak { loss: 0.0, stall: None, ..sample() }
    }

    /// Everything that is due by `now`.
    fn drain(pipe: &mut Pipe, now: u64, most: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let due = pipe.due(now);
            let some = due[..due.len().min(most)].to_vec();
            if some.is_empty() {
                return all;
            }
            pipe.left(some.len(), |_| {});
            all.extend(some);
        }
    }

    proptest! {
        #[test]
        fn bytes_leave_as_they_came_in_their_order_and_none_before_its_time(
            reads in prop::collection::vec((0_u64..300, 1_usize..5_000), 1..60),
            seed: u64, most in 1_usize..4_000, loss in 0.0..0.5,
        ) {
            let weak = Weak { loss, ..sample() };
            let mut pipe = Pipe::new(seed, 0);
            let (mut sent, mut came, mut now) = (Vec::new(), Vec::new(), 0);
            for (gap, length) in reads {
                now += gap * MILLISECOND;
                came.extend(drain(&mut pipe, now, most));
                let length = length.min(pipe.room(&weak));
                let first = sent.len();
                let number = |at: usize| u8::try_from(at % 251).unwrap();
                let bytes: Vec<u8> = (first..first + length).map(number).collect();
                pipe.take(&weak, &bytes, (now, now));
                sent.extend(bytes);
                prop_assert!(pipe.bytes.len() <= weak.buffer, "the buffer is bounded");
                prop_assert!(pipe.due(now).is_empty(), "nothing leaves at once");
            }
            while let Some(next) = pipe.next() {
                prop_assert!(drain(&mut pipe, next - 1, most).is_empty());
                came.extend(drain(&mut pipe, next, most));
            }
            prop_assert_eq!(came, sent);
        }

        #[test]
        fn nothing_leaves_while_its_connection_stalls(seed: u64, at in 0..100 * SECOND) {
            let weak = Weak {
                stall: Some(Stall { every: 5 * SECOND, length: SECOND }),
                ..steady()
            };
            let left = moves(&weak, seed, at);
            prop_assert!(left >= at && left - at <= SECOND);
            prop_assert_eq!(moves(&weak, seed, left), left);
            // In each five seconds there is a moment that waits.
            let moments = (0..50).map(|tenth| at + tenth * SECOND / 10);
            let waits = moments.filter(|moment| moves(&weak, seed, *moment) > *moment).count();
            prop_assert!(waits > 0);
        }
    }

    #[test]
    fn each_segment_takes_the_delay_and_no_more_jitter_than_was_asked_for() {
        let weak = steady();
        let taken = |seed: u64| {
            let mut pipe = Pipe::new(seed, 1);
            pipe.take(&weak, &[7; SEGMENT], (SECOND, 0));
            pipe.next().unwrap() - SECOND
        };
        let all: Vec<u64> = (0..2_000).map(taken).collect();
        let (least, most) = (*all.iter().min().unwrap(), *all.iter().max().unwrap());
        assert!((40 * MILLISECOND..42 * MILLISECOND).contains(&least), "{least}");
        assert!((118 * MILLISECOND..=120 * MILLISECOND).contains(&most), "{most}");
        let mean = all.iter().sum::<u64>() / 2_000;
        assert!(mean.abs_diff(80 * MILLISECOND) < 2 * MILLISECOND, "{mean}");
    }

    #[test]
    fn as_many_segments_are_lost_as_asked_and_wait_for_their_second_sending() {
        let weak = Weak { jitter: 0, loss: 0.1, ..steady() };
        let late = |seed: &u64| {
            let mut pipe = Pipe::new(*seed, 1);
            pipe.take(&weak, &[7], (0, 0));
            let due = pipe.next().unwrap();
            assert!(due == weak.delay || due >= weak.delay + weak.retry(), "{due}");
            due > weak.delay
        };
        let lost = (0..10_000).filter(late).count();
        assert!((900..1_100).contains(&lost), "{lost}");
    }

    #[test]
    fn it_tells_when_each_segment_came_and_what_has_surely_left() {
        let weak = steady();
        let mut pipe = Pipe::new(1, 1);
        pipe.take(&weak, &[1; SEGMENT + 1], (50, 40));
        pipe.take(&weak, &[2; 10], (60, 55));
        let mut came = Vec::new();
        pipe.left(SEGMENT - 1, |at| came.push(at));
        assert_eq!((came.len(), pipe.clear()), (0, Some(40)));
        pipe.left(2, |at| came.push(at));
        assert_eq!((&came[..], pipe.clear()), (&[50, 50][..], Some(55)));
        pipe.left(10, |at| came.push(at));
        assert_eq!((came.last(), pipe.clear(), pipe.is_empty()), (Some(&60), None, true));
    }
}
