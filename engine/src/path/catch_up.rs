//! A session that is new gets the durable broadcasts that its user has not had.
//!
//! Who was there when a broadcast began is met by its walk ([`super::spread`]); who comes later, or
//! comes again without having had it, gets it here. While a broadcast is paused it is owed to those
//! who come, and given to them when it goes on.

use crate::broadcast::notices::{Due, Had};
use crate::connection::outbox::{Frame, Queued, Receipt};
use crate::directory::homes::HomeId;
use crate::io::{Io, Key};
use crate::mesh::ToHome;
use crate::metrics::Counter;
use crate::path::login::Login;
use crate::shard::Shard;
use holdfast_protocol::session::State;
use holdfast_store::{BroadcastState, Command, Seen};
use std::sync::Arc;

impl<I: Io> Shard<I> {
    /// Queues for a new session what its user has not had, in the order of numbers.
    pub(crate) fn catch_up(&mut self, key: Key, login: &Login) {
        let Some(product) = self.product_of(key) else { return };
        let nothing = Had::default();
        let had = login.had.as_deref().unwrap_or(&nothing);
        let mut send = Vec::new();
        let mut owe = Vec::new();
        for notice in self.notices.of(product) {
            let due = self.notices.due(notice, had);
            if due == Due::No || !self.has_tag(key, product, &notice.broadcast.tag) {
                continue;
            }
            let (number, expires) = (notice.broadcast.number, notice.broadcast.expires);
            match notice.state {
                BroadcastState::Running if due == Due::Again => {
                    send.push((number, notice.frame_again(), expires));
                }
                BroadcastState::Running => {
                    send.push((number, Arc::clone(&notice.frame), expires));
                }
                BroadcastState::Paused => owe.push(notice.broadcast.job),
                BroadcastState::Cancelled => {}
            }
        }
        for (number, frame, expires) in send {
            self.send_kept(key, number, frame, expires);
        }
        for job in owe {
            if let Some(notice) = self.notices.by_job(job) {
                notice.owe(key);
            }
        }
    }

    fn product_of(&mut self, key: Key) -> Option<u16> {
        let client = self.connections.get_mut(key)?.client()?;
        (client.state == State::Online).then_some(client.product)
    }

    fn has_tag(&self, key: Key, product: u16, tag: &str) -> bool {
        if tag.is_empty() {
            return true;
        }
        let list = self.tagged.get(&(product, tag.into()));
        let connection = self.connections.get(key);
        let tags = connection.and_then(|connection| connection.tags());
        list.is_some_and(|list| tags.is_some_and(|tags| tags.iter().any(|it| it.list == *list)))
    }

    fn send_kept(&mut self, key: Key, number: u64, frame: Arc<[u8]>, expires: u32) {
        self.metrics.count(Counter::BroadcastsCaughtUp);
        let left = expires.saturating_sub(self.unix_seconds());
        let expires = self.now.seconds().saturating_add(left);
        let receipt = Receipt::Kept(None, key, number);
        self.queue(key, Queued { frame: Frame::Shared(frame), receipt, expires });
    }

    /// Gives what was owed, within one slice for all.
    pub(crate) fn give_owed(&mut self) {
        for _ in 0..self.settings.slice {
            let owed = self.notices.all_mut().find_map(|notice| {
                let key = notice.next_owed()?;
                let broadcast = &notice.broadcast;
                Some((key, broadcast.number, Arc::clone(&notice.frame), broadcast.expires))
            });
            let Some((key, number, frame, expires)) = owed else { return };
            if self.product_of(key).is_some() {
                self.send_kept(key, number, frame, expires);
            }
        }
    }

    /// Tells the home of a session that a durable broadcast was written to it.
    pub(crate) fn tell_seen(&mut self, key: Key, number: u64) {
        let connection = self.connections.get_mut(key);
        let client = connection.and_then(|connection| connection.client());
        if let Some(client) = client.filter(|client| client.state == State::Online) {
            self.ends.home_out.send(client.home_shard, ToHome::Seen(client.home, number));
        }
    }

    /// A user whose home is here has had a durable broadcast.
    pub(crate) fn saw(&mut self, home: HomeId, number: u64) {
        let Some(owner) = self.homes.get(home) else { return };
        let (product, user) = (owner.product, owner.hash);
        let Some(until) = self.notices.saw(product, number, user) else { return };
        let seen = &mut self.seen;
        match seen.iter_mut().find(|seen| seen.product == product && seen.number == number) {
            Some(seen) => seen.users.push(user),
            None => seen.push(Seen { product, number, until, users: vec![user] }),
        }
    }

    /// Has the store keep who has had which broadcast.
    pub(crate) fn keep_seen(&mut self) {
        let Some(room) = self.mailroom.as_mut() else { return };
        for seen in self.seen.drain(..) {
            room.journal.order(Command::Seen(seen));
        }
    }
}
