//! Several hosts store messages for one user: each goes behind what the others have stored (see
//! [`crate::mailbox::merge`]).
//!
//! What the store refuses, because another host was faster, is taken back with everything of its
//! mailbox that is still to be written; the mailbox is fetched, and then all of it is kept anew, in
//! its order, behind what is there. Its backend waits a little longer, and need not know. What
//! comes for the user meanwhile waits too.
//!
//! A message of a shared store goes to sessions here, once it is stored.

use crate::directory::homes::HomeId;
use crate::io::Io;
use crate::mailbox::journal::Message;
use crate::mailbox::room::{MailboxPolicy, WhenFull};
use crate::mailbox::{Mailbox, Why};
use crate::mesh::ToHome;
use crate::mesh::letter::{Keep, Parcel};
use crate::metrics::Counter;
use crate::shard::Shard;
use holdfast_protocol::backend::answer::DropReason;
use holdfast_store::Trouble;
use std::collections::{BTreeMap, BTreeSet};

/// How often in a row what a user is sent is refused before its backend is told to come back
/// later: each time another host stored something, but a store may be confused.
const REFUSALS: u32 = 16;

/// What did not come to be stored in a batch.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    /// What the store refused, in order.
    pub(crate) refused: Vec<Message>,
    /// Whose messages the store may have or not.
    pub(crate) away: BTreeSet<HomeId>,
}

impl<I: Io> Shard<I> {
    /// The store has a message: it goes to sessions now where hosts share the store, and with it
    /// what had to wait for it.
    pub(crate) fn send_stored(&mut self, home: HomeId, sequence: u64, parcel: &Parcel) {
        let Some(room) = self.mailroom.as_mut().filter(|room| room.shared) else { return };
        if !room.refusals.is_empty() {
            room.refusals.remove(&home);
        }
        let waiting = self.mailbox(home).and_then(|mailbox| mailbox.waited_for(sequence));
        if waiting.is_some() {
            self.feed_back_from(home, sequence);
        } else {
            self.send_to_live(home, sequence, parcel);
        }
        self.make_room_late(home);
    }

    /// What was on its way could not make room for what came behind it.
    fn make_room_late(&mut self, home: HomeId) {
        let Some(owner) = self.homes.get(home) else { return };
        let MailboxPolicy { bounds, when_full } =
            self.settings.products[usize::from(owner.product)].mailbox;
        let over = |mailbox: &Mailbox| {
            mailbox.entries().len() > bounds.messages || mailbox.bytes() > bounds.bytes
        };
        if when_full == WhenFull::DropOldest && self.mailbox(home).is_some_and(|it| over(it)) {
            self.let_leave(home, Why::Dropped(DropReason::MadeRoom), over);
            self.relieve(home);
        }
    }

    /// A batch was answered, and these are not stored. What was to go behind them is kept anew, as
    /// what was refused is.
    pub(crate) fn keep_again(&mut self, unsettled: Unsettled) {
        let Unsettled { refused, away } = unsettled;
        if self.mailroom.as_ref().is_none_or(|room| !room.shared) {
            return;
        }
        let mut letters: BTreeMap<HomeId, Vec<ToHome>> = BTreeMap::new();
        for message in &refused {
            letters.entry(message.home).or_default();
        }
        let tired: Vec<_> = letters.keys().copied().filter(|home| self.is_tired(*home)).collect();
        for message in refused {
            let home = message.home;
            if tired.contains(&home) {
                self.not_stored(message, Trouble::Down);
            } else {
                letters.entry(home).or_default().extend(self.as_letters(message));
            }
        }
        let homes: BTreeSet<_> = letters.keys().copied().chain(away).collect();
        for home in homes {
            let behind = self.call_back(home);
            let unsure = self.mailbox(home).is_some_and(|mailbox| mailbox.has_a_gap());
            if let Some(letters) = letters.remove(&home) {
                self.fetch_first(home, letters.into_iter().chain(behind).collect());
            } else if unsure || !behind.is_empty() {
                self.fetch_first(home, behind);
            }
        }
    }

    /// Whether a home was refused once too often. It begins anew then.
    fn is_tired(&mut self, home: HomeId) -> bool {
        let Some(room) = self.mailroom.as_mut() else { return true };
        let refusals = room.refusals.entry(home).or_default();
        *refusals += 1;
        let tired = *refusals > REFUSALS;
        if tired {
            room.refusals.remove(&home);
        }
        tired
    }

    /// Takes what a home has in the batch that is not sent yet out of it again, in order.
    fn call_back(&mut self, home: HomeId) -> Vec<ToHome> {
        let tickets = self.mailbox(home).map(|mailbox| mailbox.on_their_way()).unwrap_or_default();
        let mut letters = Vec::new();
        for ticket in tickets {
            let room = self.mailroom.as_mut();
            if let Some(message) = room.and_then(|room| room.journal.skip(ticket)) {
                letters.extend(self.as_letters(message));
            }
        }
        letters
    }

    /// Takes a message back; gives the pushes that it was.
    fn as_letters(&mut self, mut message: Message) -> Vec<ToHome> {
        let owner = self.homes.get(message.home).map(|home| (home.product, home.hash));
        let (Some((product, hash)), Some(again)) = (owner, message.again.take()) else {
            self.not_stored(message, Trouble::Down);
            return Vec::new();
        };
        self.take_back(&message);
        self.metrics.count(Counter::DurableKeptAgain);
        let Message { parcel, origins, .. } = message;
        let keep = |origin| {
            let (ttl, key, parcel) = (again.ttl, again.key, parcel.clone());
            let receipt = again.receipt.clone();
            ToHome::Keep(Box::new(Keep { origin, product, hash, ttl, parcel, key, receipt }))
        };
        origins.into_iter().map(keep).collect()
    }
}
