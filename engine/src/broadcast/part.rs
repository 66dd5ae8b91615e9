//! One shard's part of a broadcast: a walk over its members, and what became of each.

use super::pace::Bucket;
use super::{News, Order, PartStart};
use crate::directory::roster::Cursor;
use std::sync::Arc;

/// How often a part reports while it goes on, in microseconds.
const REPORT_MICROS: u64 = 100_000;

/// Whether the walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// It has a cursor.
    On(Cursor),
    /// Everybody was met.
    Over,
    /// Stopped for good before everybody was met.
    Cancelled,
}

/// One shard's part of a broadcast.
#[derive(Debug)]
pub struct Part {
    /// The job, the same on all shards.
    pub start: Arc<PartStart>,
    /// Where the walk is.
    pub walk: Walk,
    paused: bool,
    bucket: Option<Bucket>,
    /// Sessions that were here at the start.
    pub total: u64,
    /// Sessions served.
    pub delivered: u64,
    /// Sessions that were met and could not be served.
    pub dropped: u64,
    /// Sessions met whose outcome is not known yet.
    pub unsettled: u64,
    /// Whether its time to live ended the walk.
    pub expired: bool,
    reported_at: u64,
    met_told: bool,
}

impl Part {
    /// A part that is to serve `total` sessions along `cursor`.
    pub fn new(start: Arc<PartStart>, cursor: Cursor, total: u64, now: u64) -> Self {
        // A rate of zero until the owner has added up who is where.
        let bucket = start.paced.then(|| Bucket::new(0, now));
        Self {
            start,
            walk: Walk::On(cursor),
            paused: false,
            bucket,
            total,
            delivered: 0,
            dropped: 0,
            unsettled: 0,
            expired: false,
            reported_at: now,
            met_told: false,
        }
    }

    /// Follows an order; gives the cursor that a cancelled walk gives up.
    pub fn obey(&mut self, order: Order, now: u64) -> Option<Cursor> {
        match order {
            Order::Pace(rate) => self.bucket = Some(Bucket::new(rate, now)),
            Order::Pause => self.paused = true,
            Order::Resume => self.paused = false,
            Order::Cancel => return self.stop(Walk::Cancelled),
        }
        None
    }

    /// Ends the walk; gives the cursor that it gives up.
    pub fn stop(&mut self, how: Walk) -> Option<Cursor> {
        match std::mem::replace(&mut self.walk, how) {
            Walk::On(cursor) => Some(cursor),
            ended @ (Walk::Over | Walk::Cancelled) => {
                self.walk = ended;
                None
            }
        }
    }

    /// How many of at most `slice` sessions may be served now, and the cursor to find them.
    pub fn allowance(&mut self, slice: u32, now: u64) -> Option<(Cursor, u32)> {
        let Walk::On(cursor) = self.walk else { return None };
        if self.paused {
            return None;
        }
        let allowed = self.bucket.as_mut().map_or(slice, |bucket| bucket.take(slice, now));
        (allowed > 0).then_some((cursor, allowed))
    }

    /// The microsecond at which [`Part::allowance`] is worth asking; `None` while only an order can
    /// change that.
    pub fn due(&self, now: u64) -> Option<u64> {
        if self.done() {
            // The end is still to be reported.
            return Some(now);
        }
        match (self.walk, self.paused, &self.bucket) {
            (Walk::On(_), false, None) => Some(now),
            (Walk::On(_), false, Some(bucket)) => bucket.ready_at(),
            (Walk::On(_), true, _) | (Walk::Over | Walk::Cancelled, _, _) => None,
        }
    }

    /// Whether nothing is left to do.
    pub fn done(&self) -> bool {
        !matches!(self.walk, Walk::On(_)) && self.unsettled == 0
    }

    /// What to tell the owner: when done, and else now and then.
    pub fn report(&mut self, now: u64) -> Option<News> {
        let (met, done) = (!matches!(self.walk, Walk::On(_)), self.done());
        // That everybody was met is told at once, since it makes room for another job.
        let news = done || met != self.met_told;
        if !news && now < self.reported_at + REPORT_MICROS {
            return None;
        }
        self.met_told = met;
        self.reported_at = now;
        if done && self.walk == Walk::Over {
            // Who left before the walk came by was not served either.
            self.dropped = self.total - self.delivered;
        }
        let Self { delivered, dropped, .. } = *self;
        Some(News::Progress { delivered, dropped, met, done })
    }
}
