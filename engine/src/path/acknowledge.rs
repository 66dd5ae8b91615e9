//! Messages leave their mailbox: acknowledged, out of date, purged, or pushed out by newer ones.

use crate::connection::id::ConnectionId;
use crate::directory::homes::HomeId;
use crate::io::Io;
use crate::mailbox::keys::Known;
#[cfg(feature = "planted-bugs")]
use crate::mailbox::room::Planted;
use crate::mailbox::{Gone, Mailbox, Why};
use crate::mesh::ToOrigin;
use crate::mesh::letter::{About, Origin, Receipt};
use crate::metrics::Counter;
use crate::shard::Shard;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::{self, DropReason};
use holdfast_protocol::backend::request::MailboxAction;
use holdfast_store::Command;

impl<I: Io> Shard<I> {
    /// A client has everything up to this sequence.
    pub(crate) fn acknowledge(&mut self, home: HomeId, sequence: u64) {
        let (rules, now) = (self.settings.rules.redelivery, self.now.seconds());
        let covered = self.mailbox(home).and_then(|mailbox| mailbox.covered(sequence));
        let Some(upto) = covered else { return };
        #[cfg(feature = "planted-bugs")]
        let upto = upto + self.trims_too_much();
        let Some(mailbox) = self.mailbox(home) else { return };
        let released = mailbox.progressed(now, rules);
        self.let_leave(home, Why::Acked, |mailbox| mailbox.first() <= upto);
        if released {
            self.released(home);
        }
        self.give_up_if_empty(home);
    }

    /// Has messages leave for this reason, from the oldest on, for as long as `leaves` says so.
    pub(crate) fn let_leave(&mut self, home: HomeId, why: Why, leaves: impl Fn(&Mailbox) -> bool) {
        let mut upto = None;
        while self.mailbox(home).is_some_and(|mailbox| !mailbox.is_empty() && leaves(mailbox)) {
            let Some(gone) = self.mailbox(home).and_then(Mailbox::pop) else { break };
            let written = self.depart(home, &gone, why);
            upto = written.then_some(gone.entry.sequence).or(upto);
        }
        self.trim(home, upto);
    }

    #[cfg(feature = "planted-bugs")]
    fn trims_too_much(&self) -> u64 {
        let planted = self.mailroom.as_ref().and_then(|room| room.planted);
        u64::from(planted == Some(Planted::LongTrim))
    }

    /// A message left its mailbox: who waits for it is told, the store need not keep it. Whether
    /// the store has, or will have, a record of it, which is then to be trimmed.
    pub(crate) fn depart(&mut self, home: HomeId, gone: &Gone, why: Why) -> bool {
        let Gone { entry, subscriber } = gone;
        let outcome = match why {
            Why::Acked => Outcome::Acked(entry.sequence),
            Why::Expired => Outcome::Expired,
            Why::Dropped(reason) => Outcome::Dropped(reason),
        };
        let Some(room) = self.mailroom.as_mut() else { return false };
        room.messages -= 1;
        room.bytes -= u64::from(entry.length);
        self.metrics.count(match why {
            Why::Acked => Counter::DurableAcked,
            Why::Expired => Counter::DurableExpired,
            Why::Dropped(_) => Counter::DurableDropped,
        });
        let mut written = true;
        let mut told = false;
        if let Some(place) = entry.place() {
            room.journal.free(place, entry.length);
        } else if let Some(ticket) = entry.ticket() {
            // A record with a key is what remembers the key over a restart. (What is on its way to
            // a shared store stays here until that is done.)
            let waits = room.journal.message(ticket);
            let skipped = waits.as_ref().is_some_and(|message| message.key.is_none());
            let key = waits.as_ref().and_then(|message| message.key);
            // With a key the answer waits for the store all the same: it must outlive a restart.
            let waits = waits.filter(|_| key.is_none() || why != Why::Acked);
            let origins: Vec<Origin> =
                waits.map(|message| std::mem::take(&mut message.origins)).unwrap_or_default();
            told = !origins.is_empty();
            if skipped && room.journal.skip(ticket).is_some() {
                self.metrics.count(Counter::StoreSkipped);
                written = false;
            }
            match (key, why) {
                (Some(key), Why::Acked) => room.keys.settle(key, Known::Acked(entry.sequence)),
                // It was not accepted after all, and may be pushed again.
                (Some(key), Why::Expired | Why::Dropped(_)) => room.keys.forget(key),
                (None, _) => {}
            }
            for origin in origins {
                self.report(origin, outcome);
            }
        }
        // The outcome was the last word: a receipt is for what was answered as stored.
        if let Some(subscriber) = subscriber.as_ref().filter(|_| !told) {
            let Some(owner) = self.homes.get(home) else { return written };
            let receipt = Receipt {
                connection: subscriber.connection,
                backend: subscriber.name.clone(),
                hops: 0,
                product: owner.product,
                user: owner.user.clone(),
                sequence: entry.sequence,
                outcome,
            };
            let to = subscriber.connection.map_or(self.number, |connection| connection.shard);
            self.ends.origin_out.send(to, ToOrigin::Receipt(Box::new(receipt)));
        }
        written
    }

    /// Behind which sequence the store must keep what a user still has, where `last` is the
    /// greatest that left.
    pub(crate) fn needed_behind(&mut self, home: HomeId, last: u64) -> u64 {
        let first = self.mailbox(home).map_or(0, |mailbox| mailbox.first());
        if first == 0 { last } else { first - 1 }
    }

    /// Has the store forget a user's messages up to `upto`.
    pub(crate) fn trim(&mut self, home: HomeId, upto: Option<u64>) {
        let (Some(upto), Some(owner)) = (upto, self.homes.get(home)) else { return };
        let (product, user) = (owner.product, owner.user.clone());
        let upto = self.mailbox(home).map_or(upto, |mailbox| mailbox.forgets(upto));
        if let Some(room) = self.mailroom.as_mut() {
            room.journal.order(Command::Trim { product, user, upto });
        }
    }

    /// Gives up a mailbox that holds nothing, and a home that nothing needs.
    pub(crate) fn give_up_if_empty(&mut self, home: HomeId) {
        let Some(owner) = self.homes.get_mut(home) else { return };
        let (Some(place), Some(room)) = (owner.mailbox(), self.mailroom.as_mut()) else { return };
        if room.shared {
            // While the user is here, that it is empty is worth knowing.
            self.let_go_if_idle(home);
        } else if room.get(place).is_some_and(|mailbox| mailbox.is_empty()) {
            room.remove(place);
            owner.set_mailbox(None);
            self.homes.tidy(home);
        }
    }

    /// Ends a quarantine for what is not there any more: no acknowledgement could.
    pub(crate) fn relieve(&mut self, home: HomeId) {
        let sent_nothing =
            |mailbox: &mut Mailbox| mailbox.is_empty() || mailbox.first() > mailbox.sent();
        if self.mailbox(home).is_some_and(sent_nothing) {
            self.release_mailbox(home);
        }
    }

    /// What was in quarantine is delivered again.
    fn released(&mut self, home: HomeId) {
        if let Some(room) = self.mailroom.as_mut() {
            room.quarantined -= 1;
        }
        self.feed_all(home);
    }

    /// An operator asks about a mailbox, or acts on it.
    pub(crate) fn manage(&mut self, about: &About, action: MailboxAction) {
        let mut told = answer::Mailbox::default();
        if let Some(home) = self.homes.find(about.user_key()) {
            match action {
                MailboxAction::Show => {}
                MailboxAction::Purge => self.purge(home),
                MailboxAction::Release => self.release_mailbox(home),
            }
            told = self.describe(home);
        }
        let letter = ToOrigin::Mailbox(about.origin, Box::new(told));
        self.ends.origin_out.send(about.origin.connection.shard, letter);
    }

    fn purge(&mut self, home: HomeId) {
        self.let_leave(home, Why::Dropped(DropReason::Purged), |_| true);
        self.give_up_if_empty(home);
    }

    fn release_mailbox(&mut self, home: HomeId) {
        let (rules, now) = (self.settings.rules.redelivery, self.now.seconds());
        if self.mailbox(home).is_some_and(|mailbox| mailbox.progressed(now, rules)) {
            self.released(home);
        }
    }

    fn describe(&mut self, home: HomeId) -> answer::Mailbox {
        let mut told = answer::Mailbox::default();
        if let Some(owner) = self.homes.get(home) {
            told.online = !owner.is_offline();
            told.sessions = u32::try_from(owner.sessions.all().len()).unwrap_or(u32::MAX);
        }
        if let Some(mailbox) = self.mailbox(home) {
            told.messages = u32::try_from(mailbox.entries().len()).unwrap_or(u32::MAX);
            told.bytes = mailbox.bytes();
            told.first = mailbox.first();
            told.last = mailbox.last();
            told.deliveries = u32::from(mailbox.rounds());
            told.quarantined = mailbox.is_quarantined();
        }
        told
    }

    /// A session ended: nothing is loaded for it any more.
    pub(crate) fn end_feed(&mut self, home: HomeId, connection: ConnectionId) {
        if let Some(mailbox) = self.mailbox(home) {
            mailbox.end_feed(connection);
        }
    }
}
