//! The embedded store without threads: it works when it is told to, at the time it is told.

use crate::disk::Disk;
use crate::keeper::{Keeper, Settings};
use crate::port::{Bell, Port, Server, connect};
use crate::reader::Reader;
use crate::recover::OpenError;
use crate::stats::Stats;
use crate::{Homes, Recovered};
use std::sync::Arc;

/// A store that a simulator drives. Dropping it is a crash of the process: what was not synced is
/// for the disk to keep or to lose.
pub struct Stepped {
    keeper: Keeper,
    reader: Reader,
    server: Server,
    ticked: u32,
}

impl Stepped {
    /// Opens the store on this disk, at `now` seconds since 1970 UTC.
    ///
    /// # Errors
    ///
    /// As of [`super::start`].
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: Settings,
        homes: &dyn Homes,
        bells: Vec<Arc<dyn Bell>>,
        now: u32,
    ) -> Result<(Self, Vec<Port>, Vec<Recovered>), OpenError> {
        let (mut keeper, recovered) =
            Keeper::open(disk.clone(), settings, homes, now, &mut |_, _| {})?;
        let reader = Reader::new(disk, homes.products(), keeper.stats());
        let (ports, server) = connect(bells);
        super::tell(&server.ears, &mut keeper.news());
        Ok((Self { keeper, reader, server, ticked: now }, ports, recovered))
    }

    /// Commits the batches that wait as one group, at `now` seconds since 1970 UTC.
    pub fn write(&mut self, now: u32) {
        let mut events = Vec::new();
        let group: Vec<_> = self.server.batches.try_iter().collect();
        if !group.is_empty() {
            self.keeper.group(group, now, &mut events);
        }
        if now != self.ticked {
            self.ticked = now;
            self.keeper.tick(now, &mut events);
        }
        while self.keeper.tidy(now, &mut events) {}
        self.keeper.rest();
        super::tell(&self.server.ears, &mut events);
    }

    /// Answers the questions that wait, at most so many.
    pub fn read(&mut self, limit: usize, now: u32) {
        for ask in self.server.asks.try_iter().take(limit) {
            let event = self.reader.answer(&ask, now);
            if let Some(ear) = self.server.ears.get(usize::from(ask.shard)) {
                ear.tell(event);
            }
        }
    }

    /// Whether batches wait.
    pub fn has_to_write(&self) -> bool {
        !self.server.batches.is_empty()
    }

    /// Whether questions wait.
    pub fn has_to_read(&self) -> bool {
        !self.server.asks.is_empty()
    }

    /// Ends in order: writes what waits.
    pub fn stop(mut self, now: u32) {
        self.write(now);
        self.keeper.stop(now);
    }

    /// The store's numbers.
    pub fn stats(&self) -> Arc<Stats> {
        self.keeper.stats()
    }
}
