//! A message of class durable at its user's home: it gets its place in the user's order, goes to
//! the store and, at the same time, to the sessions that are there. Where several hosts share the
//! store it goes to them when the store has it: only then is its place in the order certain (see
//! [`crate::mailbox::merge`]).
//!
//! The backend is answered when the store has it, or when a client acknowledged it before.

use crate::connection::id::ConnectionId;
use crate::directory::homes::HomeId;
use crate::io::Io;
use crate::mailbox::journal::{Again, Message, Refusal};
use crate::mailbox::keys::Known;
#[cfg(feature = "planted-bugs")]
use crate::mailbox::room::Planted;
use crate::mailbox::room::{MailboxPolicy, RESERVE, WhenFull};
use crate::mailbox::{Mailbox, Subscriber, Why};
use crate::mesh::ToSession;
use crate::mesh::letter::{Keep, Parcel};
use crate::metrics::Counter;
use crate::shard::Shard;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::{DropReason, Rejection};
use holdfast_store::port::key_hash;
use holdfast_store::{Append, Command, Span};

/// After how many milliseconds a busy store is worth another try.
const RETRY_MILLIS: u32 = 200;

impl<I: Io> Shard<I> {
    /// Keeps a message, or says at once what became of it.
    pub(crate) fn keep(&mut self, keep: Keep) {
        let origin = keep.origin;
        if let Err(outcome) = self.try_keep(keep) {
            self.report(origin, outcome);
        }
    }

    fn try_keep(&mut self, keep: Keep) -> Result<(), Outcome> {
        let key = keep.key_id();
        if let Some(known) = key.and_then(|key| self.mailroom.as_ref()?.keys.find(key)) {
            self.metrics.count(Counter::IdempotentRepeats);
            return self.kept_before(&keep, known);
        }
        self.store_takes(key.is_some())?;
        let home = self.homes.open(keep.user_key());
        let made = self.make_room(home, &keep);
        if made.is_err() {
            self.homes.tidy(home);
        }
        made?;
        self.metrics.count(Counter::DurableTaken);
        self.take_in(home, keep, key);
        Ok(())
    }

    /// Why the store takes nothing now, as an outcome.
    fn store_takes(&self, with_key: bool) -> Result<(), Outcome> {
        let room = self.mailroom.as_ref().ok_or(Outcome::Rejected(Rejection::NoStore))?;
        match room.journal.refusal(self.now.micros) {
            Some(Refusal::Full) => Err(Outcome::Rejected(Rejection::StoreFull)),
            Some(Refusal::Busy) => Err(Outcome::Busy(RETRY_MILLIS)),
            None if with_key && room.keys.is_full() => Err(Outcome::Busy(RETRY_MILLIS)),
            None => Ok(()),
        }
    }

    /// The same message was pushed before: it has the same outcome, now or with the first.
    fn kept_before(&mut self, keep: &Keep, known: Known) -> Result<(), Outcome> {
        let sequence = match known {
            Known::Stored(sequence) => return Err(Outcome::Stored(sequence)),
            Known::Acked(sequence) => return Err(Outcome::Acked(sequence)),
            Known::OnItsWay(sequence) => sequence,
        };
        let home = self.homes.find(keep.user_key());
        let entry = home.and_then(|home| self.mailbox(home)?.entry(sequence).copied());
        let ticket = entry.and_then(|entry| entry.ticket());
        let room = self.mailroom.as_mut();
        let message = ticket.and_then(|ticket| room?.journal.message(ticket));
        match message {
            Some(message) => message.origins.push(keep.origin),
            None => return Err(Outcome::Busy(RETRY_MILLIS)),
        }
        Ok(())
    }

    /// The mailbox of a home.
    pub(crate) fn mailbox(&mut self, home: HomeId) -> Option<&mut Mailbox> {
        let place = self.homes.get(home)?.mailbox()?;
        self.mailroom.as_mut()?.get(place)
    }

    /// Sees to it that the message fits into its mailbox, as its product's policy wants.
    fn make_room(&mut self, home: HomeId, keep: &Keep) -> Result<(), Outcome> {
        let length = keep.parcel.body_length;
        let MailboxPolicy { bounds, when_full } =
            self.settings.products[usize::from(keep.product)].mailbox;
        let full = Outcome::Rejected(Rejection::MailboxFull);
        if u64::from(length) > bounds.bytes {
            return Err(full);
        }
        if when_full == WhenFull::Reject {
            let fits = self.mailbox(home).is_none_or(|it| it.has_room(length, bounds));
            return if fits { Ok(()) } else { Err(full) };
        }
        let made_room = Why::Dropped(DropReason::MadeRoom);
        self.let_leave(home, made_room, |mailbox| !mailbox.has_room(length, bounds));
        self.relieve(home);
        Ok(())
    }

    /// Numbers the message, has it written, and sends it to the sessions that are not behind.
    fn take_in(&mut self, home: HomeId, keep: Keep, key: Option<(u64, u64)>) {
        let sequence = self.homes.number(home);
        self.reserve();
        let unix = self.unix_seconds();
        let (Some(owner), Some(room)) = (self.homes.get_mut(home), self.mailroom.as_mut()) else {
            return;
        };
        let shared = room.shared;
        let new = || if shared { Mailbox::new(home).shared(0) } else { Mailbox::new(home) };
        let place = owner.mailbox().unwrap_or_else(|| room.insert(new()));
        owner.set_mailbox(Some(place));
        let behind = room.get(place).map_or((0, false), |mailbox| mailbox.behind());
        let append = append(&keep, sequence, behind, unix);
        let (expires, length) = (append.expires, append.body.length);
        let Keep { origin, ttl, parcel, receipt, .. } = keep;
        let again = || Box::new(Again { ttl, key: keep.key, receipt: receipt.clone() });
        let again = shared.then(again);
        let origins = vec![origin];
        let message = Message { home, sequence, parcel: parcel.clone(), key, origins, again };
        let ticket = room.journal.keep(append, message);
        if let Some(key) = key {
            let segment = room.journal.newest();
            room.keys.insert(key, Known::OnItsWay(sequence), unix, segment);
        }
        room.messages += 1;
        room.bytes += u64::from(length);
        if let Some(mailbox) = room.get(place) {
            mailbox.push(sequence, length, expires, ticket);
            if let Some(name) = receipt {
                let connection = Some(origin.connection);
                mailbox.subscribe(sequence, Subscriber { connection, name });
            }
        }
        #[cfg(feature = "planted-bugs")]
        self.answer_early(ticket);
        if !shared {
            self.send_to_live(home, sequence, &parcel);
        }
    }

    /// Plants a fault for the simulator to find, where there is a store.
    #[cfg(feature = "planted-bugs")]
    pub fn plant(&mut self, planted: Planted) {
        if let Some(room) = self.mailroom.as_mut() {
            room.planted = Some(planted);
        }
    }

    #[cfg(feature = "planted-bugs")]
    fn answer_early(&mut self, ticket: u32) {
        let room = self.mailroom.as_mut().filter(|room| room.planted == Some(Planted::EarlyAnswer));
        let Some(message) = room.and_then(|room| room.journal.message(ticket)) else { return };
        let (sequence, origins) = (message.sequence, std::mem::take(&mut message.origins));
        for origin in origins {
            self.report(origin, Outcome::Stored(sequence));
        }
    }

    /// A new message goes to every session of its user that has all before it.
    pub(crate) fn send_to_live(&mut self, home: HomeId, sequence: u64, parcel: &Parcel) {
        let rules = self.settings.rules.redelivery;
        let now = self.now.seconds();
        let Some(owner) = self.homes.get(home) else { return };
        let Some(room) = self.mailroom.as_mut() else { return };
        let Some(mailbox) = owner.mailbox().and_then(|place| room.get(place)) else { return };
        if mailbox.is_quarantined() {
            return;
        }
        let mut handed = false;
        for connection in owner.sessions.live() {
            if mailbox.is_behind(connection) {
                continue;
            }
            handed = true;
            let parcel = parcel.clone();
            let letter = durable(connection, sequence, parcel);
            self.ends.session_out.send(connection.shard, letter);
        }
        if handed {
            mailbox.hand_over(sequence, now, rules);
        }
    }

    /// Has sequences reserved before they run out, so that none is given out twice, however the
    /// process ends.
    pub(crate) fn reserve(&mut self) {
        let sequence = self.homes.high();
        let Some(room) = self.mailroom.as_mut() else { return };
        if sequence + RESERVE / 2 > room.reserved {
            room.reserved = sequence + RESERVE;
            room.journal.order(Command::Reserve(room.reserved));
        }
    }

    /// Seconds since 1970 UTC.
    pub(crate) fn unix_seconds(&self) -> u32 {
        u32::try_from(self.now.unix_millis / 1000).unwrap_or(u32::MAX)
    }
}

/// What the store is to keep of a push that has this sequence and goes behind that one.
fn append(keep: &Keep, sequence: u64, (behind, chained): (u64, bool), unix: u32) -> Append {
    let Keep { product, ttl, parcel, key, receipt, .. } = keep;
    Append {
        product: *product,
        sequence,
        behind,
        chained,
        at: unix,
        expires: unix.saturating_add(*ttl),
        bytes: parcel.request.clone(),
        user: Span { at: parcel.user_at, length: u32::from(parcel.user_length) },
        key: *key,
        body: Span { at: parcel.body_at, length: parcel.body_length },
        receipt: receipt.clone(),
    }
}

/// A message that was never sent before, for a session that has all before it.
fn durable(connection: ConnectionId, sequence: u64, parcel: Parcel) -> ToSession {
    ToSession::Durable { connection, sequence, parcel, again: false, first: false, last: false }
}

impl Keep {
    /// The user and the idempotency key, hashed; `None` without a key.
    fn key_id(&self) -> Option<(u64, u64)> {
        let key = self.key.of(&self.parcel.request);
        (!key.is_empty()).then(|| (self.hash, key_hash(key)))
    }
}
