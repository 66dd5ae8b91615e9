//! The sending side of one stage: a ring to every shard, and a backlog for what finds its ring
//! full.

use crate::io::spsc::Producer;
use std::collections::VecDeque;

/// One shard's letters of one stage, on their way out.
#[derive(Debug)]
pub struct Outbound<L> {
    rings: Vec<Producer<L>>,
    backlog: VecDeque<(u16, L)>,
    sent: u64,
}

impl<L: Send> Outbound<L> {
    /// Over these rings, one for each destination.
    pub fn new(rings: Vec<Producer<L>>) -> Self {
        Self { rings, backlog: VecDeque::new(), sent: 0 }
    }

    /// Sends a letter. It is never refused and never overtakes an earlier one; see
    /// [`Outbound::blocked`].
    pub fn send(&mut self, to: u16, letter: L) {
        self.sent += 1;
        if !self.backlog.is_empty() {
            self.backlog.push_back((to, letter));
            return;
        }
        if let Err(letter) = self.rings[usize::from(to)].push(letter) {
            self.backlog.push_back((to, letter));
        }
    }

    /// Whether letters wait for room. Whoever feeds this stage from outside must stop while they
    /// do.
    pub fn blocked(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// How many letters wait for room.
    pub fn backlog(&self) -> usize {
        self.backlog.len()
    }

    /// How many letters were sent since the last time this was asked.
    pub fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// Moves what waits into the rings, as far as there is room, in order.
    pub fn retry(&mut self) {
        while let Some((to, letter)) = self.backlog.pop_front() {
            if let Err(letter) = self.rings[usize::from(to)].push(letter) {
                self.backlog.push_front((to, letter));
                return;
            }
        }
    }

    /// Shows one destination what it was sent, without waking it.
    pub fn publish_to(&mut self, to: u16) {
        self.rings[usize::from(to)].publish();
    }

    /// Shows the destinations what was sent, and tells `rung` each one that has something new.
    pub fn publish(&mut self, mut rung: impl FnMut(usize)) {
        for (to, ring) in self.rings.iter_mut().enumerate() {
            if ring.publish() {
                rung(to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::spsc::ring;

    #[test]
    fn a_full_ring_delays_and_neither_loses_nor_reorders() {
        let (producer, mut consumer) = ring(2);
        let mut outbound = Outbound::new(vec![producer]);
        (0..5).for_each(|n| outbound.send(0, n));
        assert_eq!(outbound.backlog(), 3);
        let mut seen = Vec::new();
        while seen.len() < 5 {
            outbound.retry();
            outbound.publish(|_| ());
            consumer.take(8, |n| seen.push(n));
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert!(!outbound.blocked());
    }
}
