//! A session that is behind is brought up to date: after a login, after its outbox was full, and
//! when what it was sent was not acknowledged in time.
//!
//! It is handed a slice at a time and asks for the next when the last of a slice is written, so
//! what a slow reader holds is bounded. When it has everything, it is sent each message as it
//! comes, like any other session: until then new messages only gather in the mailbox.

use crate::connection::id::ConnectionId;
use crate::directory::homes::{Home, HomeId};
use crate::io::Io;
use crate::mailbox::load::Load;
use crate::mailbox::{Bounds, Entry, Waits};
use crate::mesh::ToSession;
use crate::mesh::letter::Parcel;
use crate::metrics::Counter;
use crate::shard::Shard;
use holdfast_store::{Ask, Loaded, Trouble, Wanted};

/// Sessions that ask again in one second.
const STALLED: usize = 4096;
/// What a session is handed at once.
const SLICE: Bounds = Bounds { messages: 64, bytes: 128 << 10 };

impl<I: Io> Shard<I> {
    /// A session is new: it gets what waits, from the oldest on.
    pub(crate) fn begin_feed(&mut self, home: HomeId, connection: ConnectionId) {
        let (rules, now) = (self.settings.rules.redelivery, self.now.seconds());
        let Some(mailbox) = self.mailbox(home) else { return };
        let before = mailbox.is_quarantined();
        if mailbox.again(now, rules) {
            self.feed_from(home, connection, 0);
        } else if !before {
            self.quarantined(home);
        }
    }

    /// Too many rounds without an acknowledgement: nothing is sent until there is one.
    fn quarantined(&mut self, home: HomeId) {
        self.metrics.count(Counter::Quarantines);
        if let Some(room) = self.mailroom.as_mut() {
            room.quarantined += 1;
        }
        if let Some(held) = self.may_log(|gates| &mut gates.quarantine) {
            let Some(owner) = self.homes.get(home) else { return };
            let product = self.settings.products[usize::from(owner.product)].name.as_str();
            let user = owner.user.as_str();
            tracing::warn!(
                product,
                user,
                held,
                "takes messages and acknowledges none: quarantined until it does, or until \
                 `holdfast mailbox release`"
            );
        }
    }

    /// Every session gets what waits, from the oldest on; those that are behind go on from where
    /// they are, also where the word that they have room was lost.
    pub(crate) fn feed_all(&mut self, home: HomeId) {
        let Some(owner) = self.homes.get(home) else { return };
        let live: Vec<_> = owner.sessions.live().collect();
        for connection in live {
            match self.mailbox(home).map(|mailbox| mailbox.is_behind(connection)) {
                Some(true) => self.feed_on(home, connection),
                Some(false) => self.feed_from(home, connection, 0),
                None => return,
            }
        }
    }

    /// Messages have turned up of which `first` is the oldest: every session gets what waits from
    /// there on, or from where it is.
    pub(crate) fn feed_back_from(&mut self, home: HomeId, first: u64) {
        let Some(owner) = self.homes.get(home) else { return };
        let live: Vec<_> = owner.sessions.live().collect();
        let before = first.saturating_sub(1);
        for connection in live {
            let Some(mailbox) = self.mailbox(home) else { return };
            let quarantined = mailbox.is_quarantined();
            let cursor = match mailbox.feed(connection) {
                Some(feed) => feed.cursor.min(before),
                // What came since the quarantine began went to nobody: its end feeds from the
                // oldest on.
                None if quarantined => continue,
                None => before,
            };
            self.feed_from(home, connection, cursor);
        }
    }

    /// What was sent and not acknowledged in time is sent again.
    pub(crate) fn redeliver(&mut self, home: HomeId) {
        let (rules, now) = (self.settings.rules.redelivery, self.now.seconds());
        let offline = self.homes.get(home).is_none_or(Home::is_offline);
        if offline {
            return;
        }
        let Some(mailbox) = self.mailbox(home) else { return };
        if mailbox.again(now, rules) {
            self.metrics.count(Counter::RedeliveryRounds);
            self.feed_all(home);
        } else {
            self.quarantined(home);
        }
    }

    fn feed_from(&mut self, home: HomeId, connection: ConnectionId, cursor: u64) {
        if let Some(mailbox) = self.mailbox(home) {
            mailbox.set_feed(connection, cursor, Waits::Room);
            self.feed_on(home, connection);
        }
    }

    /// The session could not take this message, nor what came behind it.
    pub(crate) fn stuck(&mut self, home: HomeId, connection: ConnectionId, sequence: u64) {
        if self.mailbox(home).is_some_and(|mailbox| mailbox.stuck(connection, sequence)) {
            self.metrics.count(Counter::SessionsStuck);
        }
    }

    /// The session may be handed more.
    pub(crate) fn feed_on(&mut self, home: HomeId, connection: ConnectionId) {
        let unix = self.unix_seconds();
        let Some(owner) = self.homes.get(home) else { return };
        let (product, user) = (owner.product, owner.user.clone());
        let Some(room) = self.mailroom.as_mut() else { return };
        let Some(mailbox) = owner.mailbox().and_then(|place| room.boxes.get_mut(place as usize))
        else {
            return;
        };
        let Some(feed) = mailbox.feed(connection).copied() else { return };
        if mailbox.is_quarantined() || feed.waits != Waits::Room {
            return;
        }
        let slice = mailbox.next_slice(feed.cursor, unix, SLICE);
        let Some(first) = slice.first() else {
            mailbox.end_feed(connection);
            return;
        };
        if first.place().is_none() {
            self.hand_from_journal(home, connection, &slice);
            return;
        }
        if !room.loads.has_room() {
            mailbox.set_feed(connection, feed.cursor, Waits::Turn);
            room.queue.push_back((home, connection));
            return;
        }
        let wanted = slice.iter().filter_map(|entry| {
            let Entry { sequence, length, .. } = *entry;
            entry.place().map(|place| Wanted { sequence, place, length })
        });
        let wanted = wanted.collect();
        let token = room.loads.ask(Load { home, connection: Some(connection), wanted: slice });
        mailbox.set_feed(connection, feed.cursor, Waits::Store(token));
        let shard = self.number;
        room.port.ask(Ask { shard, token: u64::from(token), product, user, wanted });
    }

    /// Others have been answered: those whose turn it is ask.
    pub(crate) fn feed_queued(&mut self) {
        while let Some(room) = self.mailroom.as_mut().filter(|room| room.loads.has_room()) {
            let Some((home, connection)) = room.queue.pop_front() else { return };
            let feed = self.mailbox(home).and_then(|mailbox| mailbox.feed(connection));
            // Whoever was fed from elsewhere meanwhile waits for something else now.
            if let Some(feed) = feed.filter(|feed| feed.waits == Waits::Turn) {
                feed.waits = Waits::Room;
                self.feed_on(home, connection);
            }
        }
    }

    /// Messages that the store does not have yet are still in memory.
    fn hand_from_journal(&mut self, home: HomeId, connection: ConnectionId, slice: &[Entry]) {
        let Some(room) = self.mailroom.as_mut() else { return };
        let parcels: Vec<_> = slice
            .iter()
            .filter_map(|entry| {
                let message = room.journal.message(entry.ticket()?)?;
                Some((*entry, message.parcel.clone()))
            })
            .collect();
        self.hand(home, connection, parcels, slice.last().map_or(0, |entry| entry.sequence));
    }

    /// The store loaded what a session gets next.
    pub(crate) fn loaded(&mut self, token: u64, messages: &[Loaded]) {
        let Some(room) = self.mailroom.as_mut() else { return };
        let Some(Load { home, connection, wanted }) = room.loads.answered(token) else { return };
        let Some(connection) = connection else { return };
        let Some(mailbox) = self.mailbox(home) else { return };
        let waits = mailbox.feed(connection).map(|feed| feed.waits);
        if !matches!(waits, Some(Waits::Store(asked)) if u64::from(asked) == token) {
            return;
        }
        let mut parcels = Vec::with_capacity(messages.len());
        let mut cursor = wanted.first().map_or(0, |entry| entry.sequence.saturating_sub(1));
        let mut unreadable = Vec::new();
        for (asked, loaded) in wanted.iter().zip(messages) {
            let moved = match mailbox.entry(asked.sequence) {
                // It was acknowledged meanwhile.
                None => None,
                Some(_) if loaded.body.length > 0 => {
                    parcels.push((*asked, parcel(loaded)));
                    None
                }
                Some(now) => Some(now.place() != asked.place()),
            };
            match moved {
                // Its segment went meanwhile: it is asked for where it is now.
                Some(true) => break,
                Some(false) => unreadable.push(asked.sequence),
                None => {}
            }
            cursor = asked.sequence;
        }
        self.hand(home, connection, parcels, cursor);
        for sequence in unreadable {
            self.unreadable(home, sequence);
        }
    }

    /// The store could not say now: it is asked again in a moment, see [`Shard::feed_stalled`], or
    /// at once where the message has been moved meanwhile.
    pub(crate) fn unanswered(&mut self, token: u64) {
        let Some(room) = self.mailroom.as_mut() else { return };
        let Some(Load { home, connection, wanted }) = room.loads.answered(token) else { return };
        let Some(connection) = connection else {
            self.not_opened(home);
            return;
        };
        let Some(mailbox) = self.mailbox(home) else { return };
        let stays = |asked: &Entry| {
            mailbox.entry(asked.sequence).is_some_and(|now| now.place() == asked.place())
        };
        let stays = wanted.first().is_none_or(stays);
        let Some(feed) = mailbox.feed(connection) else { return };
        if !matches!(feed.waits, Waits::Store(asked) if u64::from(asked) == token) {
            return;
        }
        feed.waits = Waits::Room;
        match self.mailroom.as_mut().filter(|_| stays) {
            Some(room) => room.stalled.push((home, connection)),
            None => self.feed_on(home, connection),
        }
    }

    /// Asks again what the store could not answer.
    pub(crate) fn feed_stalled(&mut self) {
        let Some(room) = self.mailroom.as_mut() else { return };
        if room.journal.trouble() == Some(Trouble::Down) {
            return;
        }
        let few = room.stalled.len().min(STALLED);
        for (home, connection) in room.stalled.drain(..few).collect::<Vec<_>>() {
            self.feed_on(home, connection);
        }
    }

    /// Hands messages to a session, which then has everything up to `cursor`.
    fn hand(
        &mut self,
        home: HomeId,
        connection: ConnectionId,
        parcels: Vec<(Entry, Parcel)>,
        cursor: u64,
    ) {
        let (rules, now) = (self.settings.rules.redelivery, self.now.seconds());
        let unix = self.unix_seconds();
        let Some(place) = self.homes.get(home).and_then(Home::mailbox) else { return };
        let Some(mailbox) = self.mailroom.as_mut().and_then(|room| room.get(place)) else { return };
        let complete = cursor >= mailbox.last();
        // What went out of date while it was loaded goes with the next sweep.
        let parcels: Vec<_> =
            parcels.into_iter().filter(|(entry, _)| entry.expires >= unix).collect();
        let count = parcels.len();
        for (index, (entry, mut parcel)) in parcels.into_iter().enumerate() {
            let again = mailbox.hand_over(entry.sequence, now, rules);
            parcel.expires = now.saturating_add(entry.expires.saturating_sub(unix));
            let (first, last) = (index == 0, index + 1 == count && !complete);
            let sequence = entry.sequence;
            let letter = ToSession::Durable { connection, sequence, parcel, again, first, last };
            self.ends.session_out.send(connection.shard, letter);
        }
        if complete {
            mailbox.end_feed(connection);
            return;
        }
        mailbox.set_feed(connection, cursor, Waits::Room);
        if count == 0 {
            self.feed_on(home, connection);
        }
    }
}

fn parcel(loaded: &Loaded) -> Parcel {
    Parcel {
        request: loaded.bytes.clone(),
        user_at: 0,
        user_length: 0,
        body_at: loaded.body.at,
        body_length: loaded.body.length,
        expires: 0,
    }
}
