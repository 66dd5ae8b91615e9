//! The last turns of shards that leave together: no letter for a home stays behind.
//!
//! A shard that has no connection any more may still have letters for others, and others for it:
//! acknowledgements, above all, which are to reach the store before the process ends. So all go on
//! turning through three stages, and nobody enters one before everybody has ended the one before:
//! all connections have gone; everything that was written is in the rings; all of it was dealt
//! with. What homes write in the last stage is for connections, of which there are none.

use super::Shard;
use crate::io::Io;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many stages there are.
const STAGES: usize = 3;

/// Where the shards of one gateway say how far they are.
#[derive(Debug)]
pub struct Farewell {
    shards: usize,
    ended: [AtomicUsize; STAGES],
}

/// How far one shard is.
#[derive(Debug, Default)]
pub struct Parting {
    stage: usize,
    /// Whether it said that it ended this stage.
    said: bool,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is to turn once more.
    Waits,
    /// It is to turn once more, and so are its neighbours, which may wait for it.
    Ended,
    /// It may end.
    Over,
}

impl Farewell {
    /// Of so many shards.
    pub fn new(shards: usize) -> Self {
        Self { shards, ended: Default::default() }
    }
}

impl<I: Io> Shard<I> {
    /// To be called after each turn of a shard that leaves.
    pub fn part(&mut self, parting: &mut Parting, farewell: &Farewell) -> Step {
        let Some(all) = farewell.ended.get(parting.stage) else { return Step::Over };
        if !parting.said {
            if !self.has_ended(parting.stage) {
                return Step::Waits;
            }
            parting.said = true;
            all.fetch_add(1, Ordering::AcqRel);
        }
        if all.load(Ordering::Acquire) < farewell.shards {
            return Step::Waits;
        }
        *parting = Parting { stage: parting.stage + 1, said: false };
        if parting.stage == STAGES { Step::Over } else { Step::Ended }
    }

    fn has_ended(&mut self, stage: usize) -> bool {
        match stage {
            0 => self.drained().is_some(),
            1 => !self.ends.home_out.blocked(),
            _ => self.ends.home_in.iter_mut().all(|ring| ring.waiting() == 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;
    use crate::config::Config;
    use crate::directory::homes::HomeId;
    use crate::io::sim::{Chance, Faults, SimIo, World};
    use crate::limits::Limits;
    use crate::mesh::{ToHome, connect};
    use crate::metrics::ShardMetrics;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    /// More than a ring holds, and more than a shard takes in a turn.
    const LETTERS: usize = 5000;

    fn shards(count: usize) -> Vec<Shard<SimIo>> {
        let world = World::new(1, count, Faults::draw(&mut Chance::new(1, "faults")));
        let config = Config::parse("a test", "", &[], Path::new(".")).unwrap();
        let number = |number: usize| u16::try_from(number).unwrap();
        let limits =
            Limits { shards: number(count), connections: 16, backends: 4, lines: Vec::new() };
        let settings = Arc::new(crate::boot::settings::settings(&config, &limits, 1).unwrap());
        let metrics: Arc<[ShardMetrics]> = (0..count).map(|_| ShardMetrics::default()).collect();
        let worlds: Vec<_> = (0..count).map(|number| world.io(number)).collect();
        let wakers: Vec<_> = worlds.iter().map(Io::waker).collect();
        let ends = connect(&wakers, 2048);
        let shards = worlds.into_iter().zip(ends).enumerate().map(|(at, (io, ends))| {
            Shard::new(number(at), Arc::clone(&settings), io, ends, Arc::clone(&metrics))
        });
        shards.collect()
    }

    #[test]
    fn no_letter_to_a_home_stays_behind() {
        let mut shards = shards(3);
        let now = Now::default();
        for shard in &mut shards {
            shard.begin_drain(now, Duration::ZERO);
        }
        let home = HomeId { slot: 0, generation: 0 };
        for n in 0..LETTERS {
            shards[0].ends.home_out.send(2, ToHome::Ack(home, n as u64));
        }
        let farewell = Farewell::new(shards.len());
        let mut partings: Vec<_> = shards.iter().map(|_| Parting::default()).collect();
        let mut over = vec![false; shards.len()];
        for _ in 0..1000 {
            for (at, shard) in shards.iter_mut().enumerate() {
                if !over[at] {
                    shard.turn(now, &mut Vec::new());
                    over[at] = shard.part(&mut partings[at], &farewell) == Step::Over;
                }
            }
        }
        assert_eq!(over, [true; 3], "all come to an end");
        assert!(!shards[0].ends.home_out.blocked(), "nothing waits for room");
        assert_eq!(shards[2].ends.home_in[0].waiting(), 0, "nothing is unread");
    }
}
