//! A session that is new gets the durable broadcasts that its user has not had.
//!
//! Who was there when a broadcast began is met by its walk ([`super::spread`]); who comes later, or
//! comes again without having had it, gets it here, and so does who was met and had no room for it.
//! All who are behind are served in turn, a slice in each turn of the shard, and nobody whose peer
//! has not read the slice before. While a broadcast is paused it is owed.
//!
//! Its home hears of each that was written, also of one that was written while the session closed:
//! until the connection has gone, the home remembers whose it was.

use crate::broadcast::late::Owed;
use crate::broadcast::notices::{Due, Had};
use crate::broadcast::owner_of;
use crate::connection::Connection;
use crate::connection::id::ConnectionId;
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

/// Most frames that one session gets in one turn.
const FRAMES: u32 = 64;
/// No more for one session in one turn, once it has got so many bytes.
const BYTES: usize = 128 << 10;

impl<I: Io> Shard<I> {
    /// Notes what a new session's user has not had.
    pub(crate) fn catch_up(&mut self, key: Key, login: &Login) {
        let Some(product) = self.product_of(key) else { return };
        let nothing = Had::default();
        let had = login.had.as_deref().unwrap_or(&nothing);
        if had.unsure {
            self.withhold(key, product, had.said);
            return;
        }
        self.owe_all(key, had, |_| true);
    }

    /// Notes what of these broadcasts a session's user has not had.
    pub(crate) fn owe_all(&mut self, key: Key, had: &Had, which: impl Fn(u64) -> bool) {
        let Some(product) = self.product_of(key) else { return };
        let mut owed = Vec::new();
        let notices = self.notices.of(product).iter();
        for notice in notices.filter(|notice| which(notice.broadcast.number)) {
            let due = self.notices.due(notice, had);
            if due != Due::No && self.has_tag(key, product, &notice.broadcast.tag) {
                let number = notice.broadcast.number;
                owed.push(Owed { number, again: due == Due::Again });
            }
        }
        #[cfg(feature = "planted-bugs")]
        self.forget_one(&mut owed);
        self.late.owe(key, owed);
    }

    /// A broadcast stands so now. One that this host owns is steered here alone.
    pub(crate) fn learn_state(&mut self, (product, number): (u16, u64), state: BroadcastState) {
        let (host, shards) = (self.settings.host, self.settings.shards);
        let job = self.notices.find(product, number).map(|notice| notice.broadcast.job);
        if let Some(job) = job.filter(|&job| owner_of(job, host, shards).is_none()) {
            self.notices.steer(job, state);
            self.reconsider_late();
        }
    }

    /// Plants a fault for the simulator to find: every fourth broadcast is not made up for.
    #[cfg(feature = "planted-bugs")]
    fn forget_one(&self, owed: &mut Vec<Owed>) {
        let planted = self.mailroom.as_ref().and_then(|room| room.planted);
        if planted == Some(crate::mailbox::room::Planted::ForgottenBroadcast) {
            owed.retain(|owed| !owed.number.is_multiple_of(4));
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

    /// Gives those who are behind what they may have now, within one slice for all.
    pub(crate) fn serve_late(&mut self) {
        let mut left = self.settings.slice;
        while left > 0 {
            // What is written is told to the homes.
            let turn = if self.blocked() { None } else { self.late.take() };
            let Some((key, owed)) = turn else { return };
            left -= self.serve_one(key, owed, left.min(FRAMES)).max(1);
        }
    }

    /// Gives one session at most `most` of what it is owed; says how many it got.
    fn serve_one(&mut self, key: Key, owed: Vec<Owed>, most: u32) -> u32 {
        let Some(product) = self.product_of(key) else { return 0 };
        if self.connections.get(key).is_some_and(Connection::is_parked) {
            // The flush says when its peer has read.
            self.late.note(key, owed);
            return 0;
        }
        let (mut given, mut bytes, mut waits) = (0, 0, Vec::new());
        let mut owed = owed.into_iter();
        for one in owed.by_ref() {
            match self.notices.find(product, one.number).map(|notice| notice.state) {
                Some(BroadcastState::Running) => {}
                Some(BroadcastState::Paused) => {
                    waits.push(one);
                    continue;
                }
                Some(BroadcastState::Cancelled) | None => continue,
            }
            if given == most || bytes >= BYTES {
                waits.push(one);
                break;
            }
            given += 1;
            bytes += self.send_kept(key, product, one);
        }
        let goes_on = given == most || bytes >= BYTES;
        waits.extend(owed);
        self.late.note(key, waits);
        if goes_on {
            self.late.ready(key);
        }
        given
    }

    /// Queues one; gives its bytes.
    fn send_kept(&mut self, key: Key, product: u16, owed: Owed) -> usize {
        let Owed { number, again } = owed;
        let Some(notice) = self.notices.find(product, number) else { return 0 };
        let frame = if again { notice.frame_again() } else { Arc::clone(&notice.frame) };
        let expires = notice.broadcast.expires;
        self.metrics.count(Counter::BroadcastsCaughtUp);
        let left = expires.saturating_sub(self.unix_seconds());
        let expires = self.now.seconds().saturating_add(left);
        let length = frame.len();
        let receipt = Receipt::Kept { part: None, key, number, again };
        self.queue(key, Queued { frame: Frame::Shared(frame), receipt, expires });
        length
    }

    /// One found no room: the session gets it when its peer has read, if it stays.
    pub(crate) fn refuse_kept(&mut self, key: Key, owed: Owed) {
        if self.product_of(key).is_some() {
            self.late.refuse(key, owed);
        }
    }

    /// A broadcast was steered, or is kept no more: who is behind with it is looked at.
    pub(crate) fn reconsider_late(&mut self) {
        self.late.all_ready();
    }

    /// Tells the home of a session that a durable broadcast was written to it.
    pub(crate) fn tell_seen(&mut self, key: Key, number: u64) {
        let id = self.id(key);
        let connection = self.connections.get_mut(key);
        if let Some(client) = connection.and_then(|connection| connection.client()) {
            self.ends.home_out.send(client.home_shard, ToHome::Seen(client.home, id, number));
        }
    }

    /// A session leaves its home: whose it was is remembered there for as long as broadcasts may
    /// still be written to it, `writes`.
    pub(crate) fn part_from(&mut self, home: HomeId, connection: ConnectionId, writes: bool) {
        let owner = self.homes.get(home).map(|owner| (owner.product, owner.hash));
        if !writes {
            self.parting.remove(&connection);
        } else if let Some(owner) = owner {
            self.parting.insert(connection, owner);
        }
    }

    /// A user whose home is here has had a durable broadcast.
    pub(crate) fn saw(&mut self, home: HomeId, connection: ConnectionId, number: u64) {
        let owner = self.homes.get(home).map(|owner| (owner.product, owner.hash));
        let owner = owner.or_else(|| self.parting.get(&connection).copied());
        let Some((product, user)) = owner else { return };
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

/// Whether a receipt is of a durable broadcast.
pub(crate) fn is_kept(receipt: Receipt) -> bool {
    matches!(receipt, Receipt::Kept { .. })
}
