//! Giving disk back: oldest segment first, when nobody needs it or what is needed was moved.

use super::{Events, Keeper};
use crate::letter::{Batch, Command, Event};
use crate::log::Log;
use crate::log::segment::Segment;
use std::collections::BTreeMap;
use std::io;

/// Records, and their bytes, that the store moves in one group.
const CARRIED: usize = 4096;
const CARRIED_BYTES: u64 = 4 << 20;

/// Sealed segments that may stay whatever is in them.
const MANY: usize = 16;

/// A question to all shards: [`Event::Clean`].
#[derive(Debug)]
pub(super) struct Round {
    upto: u32,
    /// Whether each shard has answered.
    answered: Vec<bool>,
}

impl Round {
    fn is_over(&self) -> bool {
        self.answered.iter().all(|answered| *answered)
    }
}

impl Keeper {
    /// Takes note of answers to the question, in a batch that is safe.
    pub(super) fn note_cleaned(&mut self, batch: &Batch) {
        let Some(round) = &mut self.round else { return };
        for command in &batch.commands {
            if let Command::Cleaned(upto) = command
                && *upto >= round.upto
                && let Some(answered) = round.answered.get_mut(usize::from(batch.shard))
            {
                *answered = true;
            }
        }
    }

    /// Does one step of what is not in a hurry: removes a segment that can go, asks shards for more
    /// if the disk holds too much, or makes the next segment's file; `true` if there may be more to
    /// do.
    pub fn tidy(&mut self, now: u32, out: &mut Events) -> bool {
        let done = self.remove_dead(now).and_then(|more| Ok(self.finish_round(now)? || more));
        let more = done.unwrap_or_else(|error| {
            self.fail(&error, now, out);
            false
        });
        if !more && !self.health.is_stuck(now) {
            if self.round.is_none() {
                self.ask(now, out);
            }
            if self.health.trouble().is_none() {
                // Should that fail, it is tried again with the next group.
                let _ = self.log.witness();
                // Should that fail, the group that needs it tries again and says so.
                let _ = self.log.prepare();
            }
        }
        self.scribe.forget_before(self.log.oldest());
        self.show(now);
        more
    }

    fn ask(&mut self, now: u32, out: &mut Events) {
        let upto = match self.health.trouble() {
            Some(_) => self.cheap(now),
            None => self.too_old(now),
        };
        if let Some(upto) = upto {
            let answered = vec![false; usize::from(self.shards)];
            self.round = Some(Round { upto, answered });
            out.extend((0..self.shards).map(|shard| (shard, Event::Clean(upto))));
        }
    }

    /// Removes the oldest segment if nobody needs it; `true` if it did.
    fn remove_dead(&mut self, now: u32) -> io::Result<bool> {
        let dead = self.log.sealed().front().filter(|oldest| oldest.is_dead(now));
        let Some(number) = dead.map(|oldest| oldest.id.number) else { return Ok(false) };
        self.own.expire(number, now);
        // What the store carries waits for a round, or little would be carried again and again.
        Ok(!self.own.is_in(number) && self.remove(number)?)
    }

    /// Ends the round if it is over; `true` if it did.
    fn finish_round(&mut self, now: u32) -> io::Result<bool> {
        let over = self.round.as_ref().filter(|round| round.is_over()).map(|round| round.upto);
        let Some(upto) = over else { return Ok(false) };
        self.own.expire(upto, now);
        if self.own.is_in(upto) {
            if self.health.is_stuck(now) {
                return Ok(false);
            }
            self.carry(upto)?;
        }
        let removed = self.remove(upto)?;
        if removed {
            self.round = None;
        }
        Ok(removed)
    }

    /// Removes segments up to this one; `false` if one of them has to stay for now.
    fn remove(&mut self, upto: u32) -> io::Result<bool> {
        // The newest header says which sequences may have been given out.
        let stays = usize::from(self.log.written().is_none() && self.log.begin().is_err());
        let old = |log: &Log| log.sealed().front().is_some_and(|it| it.id.number <= upto);
        while old(&self.log) && self.log.sealed().len() > stays {
            self.log.remove_oldest(self.health.trouble().is_none())?;
            self.health.spent = 0;
        }
        Ok(!old(&self.log))
    }

    fn carry(&mut self, upto: u32) -> io::Result<()> {
        loop {
            let mut load = self.own.within(upto, CARRIED);
            let mut bytes = 0;
            load.retain(|(_, held)| {
                let first = bytes == 0;
                bytes += u64::from(held.bytes);
                first || bytes <= CARRIED_BYTES
            });
            if load.is_empty() {
                return Ok(());
            }
            let mut draft = self.scribe.begin(self.log.ready()?);
            let moved: Vec<_> = load
                .iter()
                .map(|(_, held)| self.scribe.carry(held, &self.own, &mut draft))
                .collect();
            self.seal_group(draft)?;
            for ((which, _), place) in load.iter().zip(moved) {
                self.own.moved(which, place);
            }
        }
    }

    /// The segment up to which things are to be moved, if the disk holds over twice what is needed
    /// and two segments, or many segments with little in each.
    fn too_old(&self, now: u32) -> Option<u32> {
        let disk: u64 = self.log.segments().map(|segment| u64::from(segment.length)).sum();
        let needed: u64 = self.log.segments().map(|segment| segment.needed(now)).sum();
        let allowed = 2 * (needed + self.own.bytes() + u64::from(self.log.segment_bytes()));
        let allowed = if self.is_scattered() { 0 } else { allowed };
        let (mut left, mut moved) = (disk, 0);
        let mut upto = None;
        for Segment { id, length, tally } in self.log.sealed() {
            if left <= allowed || (upto.is_some() && moved >= self.log.segment_bytes() / 2) {
                break;
            }
            left -= u64::from(*length);
            moved += u32::try_from(tally.bodies).unwrap_or(u32::MAX).min(*length);
            upto = Some(id.number);
        }
        upto
    }

    /// Whether many segments hold little each: every life begins one, and the oldest may be needed
    /// for long.
    fn is_scattered(&self) -> bool {
        let sealed = self.log.sealed();
        let bytes: u64 = sealed.iter().map(|segment| u64::from(segment.length)).sum();
        let eighths = u64::from(self.log.segment_bytes() / 8) * sealed.len() as u64;
        sealed.len() > MANY && bytes < eighths
    }

    /// While the disk is full: the segment up to which more than half can be had back by writing
    /// no more than the reserve has room for.
    fn cheap(&self, now: u32) -> Option<u32> {
        let own = self.own.by_segment();
        let (mut needed, mut length, mut upto) = (0, 0, None);
        for segment in self.log.sealed() {
            needed += cost(segment, &own, now);
            length += u64::from(segment.length);
            if needed > self.budget() {
                break;
            }
            if length > 2 * needed {
                upto = Some(segment.id.number);
            }
        }
        upto
    }

    /// Bytes of the reserve that are for cleaning.
    const fn budget(&self) -> u64 {
        self.reserve.bytes() / 4 * 3
    }

    /// Bytes of the reserve that are for trims; those that find no room wait until a segment was
    /// given back. (The rest is for headers and marks.)
    pub(super) const fn for_trims(&self) -> u64 {
        self.reserve.bytes() / 8
    }

    /// Begins a new segment if the one that is written holds nothing of use and is a good part
    /// full: so an idle store takes little disk, and little time to start. On a full disk, also if
    /// most of it is of no use.
    pub(super) fn roll_if_useless(&mut self, now: u32) {
        if self.health.is_stuck(now) {
            return;
        }
        let Some(segment) = self.log.written() else { return };
        let dead = segment.is_dead(now) && segment.length > self.log.segment_bytes() / 4;
        let cost = || cost(segment, &self.own.by_segment(), now);
        let wasted = self.health.trouble().is_some()
            && u64::from(segment.length) > self.reserve.bytes()
            && cost() <= self.budget()
            && u64::from(segment.length) > 2 * cost();
        if dead || wasted {
            self.log.seal();
            // Should that fail, the next group tries again and says so.
            let _ = self.log.begin();
        }
    }
}

/// The bytes that are written again before this segment can go.
fn cost(segment: &Segment, own: &BTreeMap<u32, u64>, now: u32) -> u64 {
    segment.needed(now) + own.get(&segment.id.number).copied().unwrap_or_default()
}
