//! A broadcast walks over the members of this shard, a bounded slice in each turn.

use crate::broadcast::part::{Part, Walk};
use crate::broadcast::{News, Order, PartReport, PartStart, owner_of};
use crate::directory::roster::{Cursor, ListId};
use crate::io::Io;
use crate::mesh::ToOrigin;
use crate::metrics::Counter;
use crate::path::deliver::Fate;
use crate::shard::Shard;
use holdfast_protocol::backend::JobId;
use holdfast_store::Seen;
use std::sync::Arc;

impl<I: Io> Shard<I> {
    pub(crate) fn start_part(&mut self, start: Arc<PartStart>) {
        if let Some(kept) = &start.kept {
            let users = self.notices.begin(Arc::clone(kept));
            let (product, number, until) = (kept.product, kept.number, kept.expires);
            if !users.is_empty() {
                self.seen.push(Seen { product, number, until, users });
            }
        }
        let product = start.product;
        let list: Option<ListId> = if start.tag.is_empty() {
            self.members.get(usize::from(product)).copied()
        } else {
            self.tagged.get(&(product, start.tag.clone())).copied()
        };
        let total = list.map_or(0, |list| u64::from(self.roster.len(list)));
        self.tell_owner(start.job, News::Counted(total));
        let Some(list) = list.filter(|_| total > 0) else {
            self.tell_owner(
                start.job,
                News::Progress { delivered: 0, dropped: 0, met: true, done: true },
            );
            return;
        };
        let cursor = self.roster.walk(list);
        self.parts.insert(Part::new(start, cursor, total, self.now.micros));
    }

    pub(crate) fn steer_part(&mut self, job: JobId, order: Order) {
        let now = self.now.micros;
        if let Some(state) = order.state() {
            self.notices.steer(job, state);
            self.reconsider_late();
        }
        let part = self.parts.iter_mut().find(|(_, part)| part.start.job == job);
        let given_up = part.and_then(|(_, part)| part.obey(order, now));
        if let Some(cursor) = given_up {
            self.end_walk(cursor);
        }
    }

    /// A job names its owner in its id.
    fn tell_owner(&mut self, job: JobId, news: News) {
        let (host, shards) = (self.settings.host, self.settings.shards);
        let Some(owner) = owner_of(job, host, shards) else { return };
        let report = PartReport { job, shard: self.number, news };
        self.ends.origin_out.send(owner, ToOrigin::Part(report));
    }

    fn end_walk(&mut self, cursor: Cursor) {
        let Some(list) = self.roster.end(cursor) else { return };
        self.close_if_empty(list);
    }

    /// Gives up the list of a tag that nobody has any more.
    pub(crate) fn close_if_empty(&mut self, list: ListId) {
        let unused = self.roster.len(list) == 0 && !self.roster.is_walked(list);
        if unused && !self.members.contains(&list) {
            if let Some(name) = self.tag_of.remove(&list) {
                self.tagged.remove(&name);
            }
            self.roster.close(list);
        }
    }

    /// Serves the next slice of every broadcast, in turn, within one budget for all.
    pub(crate) fn walk_broadcasts(&mut self) {
        if self.parts.is_empty() || self.ends.origin_out.blocked() {
            return;
        }
        let running = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        let slice = (self.settings.slice / running).max(1);
        for index in 0..self.parts.capacity() {
            if self.parts.contains(index) {
                self.serve(index, slice);
                self.report_part(index);
            }
        }
    }

    fn serve(&mut self, index: usize, slice: u32) {
        let now = self.now;
        let Some(part) = self.parts.get_mut(index) else { return };
        if part.start.expires < now.seconds() {
            part.expired = true;
            if let Some(cursor) = part.stop(Walk::Over) {
                self.end_walk(cursor);
            }
            return;
        }
        let Some((cursor, allowed)) = part.allowance(slice, now.micros) else { return };
        let (frame, expires) = (Arc::clone(&part.start.frame), part.start.expires);
        let kept = part.start.kept.as_ref().map(|kept| kept.number);
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        for _ in 0..allowed {
            let Some(slot) = self.roster.next(cursor) else {
                if let Some(part) = self.parts.get_mut(index) {
                    part.stop(Walk::Over);
                }
                self.end_walk(cursor);
                return;
            };
            if let Some(part) = self.parts.get_mut(index) {
                part.unsettled += 1;
            }
            self.broadcast_to(slot, &frame, (number, kept), expires);
        }
    }

    fn report_part(&mut self, index: usize) {
        let Some(part) = self.parts.get_mut(index) else { return };
        let (job, dropped) = (part.start.job, part.dropped);
        let Some(news) = part.report(self.now.micros) else { return };
        let why = if part.expired { Counter::BroadcastExpired } else { Counter::BroadcastMissed };
        self.metrics.add(why, part.dropped - dropped);
        if part.done() {
            self.parts.remove(index);
        }
        self.tell_owner(job, news);
    }

    pub(crate) fn settle_part(&mut self, part: u32, fate: Fate) {
        let Some(part) = self.parts.get_mut(part as usize) else { return };
        debug_assert!(part.unsettled > 0, "settled more than was sent: {part:?}");
        part.unsettled -= 1;
        match fate {
            Fate::Written => part.delivered += 1,
            Fate::Expired | Fate::Dropped(_) => part.dropped += 1,
        }
    }
}
