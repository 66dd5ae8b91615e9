//! Giving disk back: oldest segment first, when nobody needs it or what is needed was moved.

use super::{Events, Keeper};
use crate::letter::{Batch, Command, Event};
use crate::log::segment::Segment;
use std::io;

/// Records, and their bytes, that the store moves in one group.
const CARRIED: usize = 4096;
const CARRIED_BYTES: u64 = 4 << 20;

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

    /// Removes what can go, and asks shards for more if the disk holds too much.
    pub(super) fn tidy(&mut self, now: u32, out: &mut Events) {
        let done = self.remove_dead(now).and_then(|()| self.finish_round(now));
        if let Err(error) = done {
            self.fail(&error, now, out);
        }
        if self.health.trouble().is_some() || self.round.is_some() {
            return;
        }
        if let Some(upto) = self.too_old(now) {
            let answered = vec![false; usize::from(self.shards)];
            self.round = Some(Round { upto, answered });
            out.extend((0..self.shards).map(|shard| (shard, Event::Clean(upto))));
        }
        self.scribe.forget_before(self.log.oldest());
    }

    fn remove_dead(&mut self, now: u32) -> io::Result<()> {
        while let Some(oldest) = self.log.sealed().front() {
            if !oldest.is_dead(now) {
                break;
            }
            let number = oldest.id.number;
            if !self.retire(number, now)? {
                break;
            }
        }
        Ok(())
    }

    fn finish_round(&mut self, now: u32) -> io::Result<()> {
        let over = self.round.as_ref().filter(|round| round.is_over()).map(|round| round.upto);
        if let Some(upto) = over
            && self.retire(upto, now)?
        {
            self.round = None;
        }
        Ok(())
    }

    /// Moves what the store carries, then removes segments up to this one; `false` if that has to
    /// wait.
    fn retire(&mut self, upto: u32, now: u32) -> io::Result<bool> {
        self.own.expire(upto, now);
        if self.own.is_in(upto) {
            if self.health.trouble().is_some() {
                return Ok(false);
            }
            self.carry(upto)?;
        }
        // The newest header says which sequences may have been given out: one has to stay.
        if !self.log.is_begun() {
            if self.health.trouble().is_some() {
                return Ok(false);
            }
            self.log.ready()?;
        }
        while self.log.sealed().front().is_some_and(|oldest| oldest.id.number <= upto) {
            self.log.remove_oldest()?;
        }
        Ok(true)
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
    /// and two segments.
    fn too_old(&self, now: u32) -> Option<u32> {
        let disk: u64 = self.log.segments().map(|segment| u64::from(segment.length)).sum();
        let needed: u64 = self.log.segments().map(|segment| segment.needed(now)).sum();
        let allowed = 2 * (needed + self.own.bytes() + u64::from(self.log.segment_bytes()));
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

    /// Begins a new segment if the one that is written holds nothing of use and is a good part
    /// full: so an idle store takes little disk, and little time to start.
    pub(super) fn roll_if_useless(&mut self, now: u32) {
        let useless = self.log.written().is_some_and(|segment| {
            segment.is_dead(now) && segment.length > self.log.segment_bytes() / 4
        });
        if useless && self.health.trouble().is_none() {
            self.log.seal();
            // Should that fail, the next group tries again and says so.
            let _ = self.log.ready();
        }
    }
}
