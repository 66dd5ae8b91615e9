//! What the store says, and what it is told at the end of a turn.

use crate::directory::homes::HomeId;
use crate::io::Io;
use crate::mailbox::Why;
use crate::mailbox::journal::{Message, Moved, Waiting};
use crate::mailbox::keys::Known;
use crate::mailbox::room::Clearing;
use crate::metrics::{Counter, Histogram};
use crate::shard::Shard;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::{DropReason, Rejection};
use holdfast_store::{Event, Place, Trouble};

/// Most events taken in one turn.
const EVENTS: usize = 16;
/// After how many milliseconds a failed store is worth another try.
const RETRY_MILLIS: u32 = 1000;

impl<I: Io> Shard<I> {
    /// Takes what the store has to say.
    pub(crate) fn hear_store(&mut self) {
        for _ in 0..EVENTS {
            // What it says goes to sessions and backends: while those are stuck it waits.
            if self.ends.session_out.blocked() || self.ends.origin_out.blocked() {
                return;
            }
            let Some(event) = self.mailroom.as_ref().and_then(|room| room.port.hear()) else {
                return;
            };
            self.heard_from_store(event);
            self.feed_queued();
        }
    }

    fn heard_from_store(&mut self, event: Event) {
        match event {
            Event::Written(places) => {
                self.written(&places);
                self.answer_steered(None);
                self.let_go_of_leaving();
            }
            Event::Failed(trouble) => {
                self.not_written(trouble);
                self.answer_steered(Some(trouble));
                self.let_go_of_leaving();
            }
            Event::Loaded { token, messages } => self.loaded(token, &messages),
            Event::Unanswered { token } => self.unanswered(token),
            Event::Clean(upto) => self.clear(upto),
            Event::State(trouble) => {
                if let Some(room) = self.mailroom.as_mut() {
                    room.journal.set_trouble(trouble);
                }
            }
            opened @ Event::Opened { .. } => self.opened(opened),
            Event::Look { product, user } => self.look(product, &user),
            Event::Block(behind) => self.take_block(behind),
            Event::Broadcast(broadcast) => self.learn_broadcast(&broadcast),
            Event::Steered { product, number, state } => {
                self.learn_state((product, number), state);
            }
        }
    }

    /// A batch is safe.
    fn written(&mut self, places: &[Place]) {
        let now = self.now.micros;
        let Some(room) = self.mailroom.as_mut() else { return };
        if let Some(since) = room.journal.since() {
            self.metrics.observe(Histogram::StoreCommit, now.saturating_sub(since));
        }
        let waiting = room.journal.answered_batch();
        debug_assert_eq!(waiting.len(), places.len(), "every command is answered");
        for (waiting, &place) in waiting.into_iter().zip(places) {
            match waiting {
                Waiting::Message(message) if place == Place::REFUSED => self.refused(message),
                Waiting::Message(message) if place == Place::AWAY => {
                    self.not_stored(message, Trouble::Down);
                }
                Waiting::Broadcast(job) if !place.is_one() => {
                    self.not_kept(job, Trouble::Down);
                }
                Waiting::Message(message) => self.stored(message, place),
                Waiting::Moved(moved) => self.moved(moved, place),
                Waiting::Broadcast(job) => self.kept(job),
                Waiting::Skipped => {}
            }
        }
    }

    fn stored(&mut self, message: Message, place: Place) {
        let Message { home, sequence, parcel, key, origins } = message;
        self.metrics.count(Counter::DurableStored);
        let wanted = self.mailbox(home).is_some_and(|mailbox| mailbox.stored(sequence, place));
        let Some(room) = self.mailroom.as_mut() else { return };
        room.journal.holds(place);
        if !wanted {
            // It was acknowledged while it was written; without a key its backend was told so.
            room.journal.free(place, parcel.body_length);
            for origin in origins {
                self.report(origin, Outcome::Acked(sequence));
            }
            self.let_go_if_idle(home);
            return;
        }
        if let Some(key) = key {
            room.keys.settle(key, Known::Stored(sequence));
        }
        for origin in origins {
            self.report(origin, Outcome::Stored(sequence));
        }
        self.let_go_if_idle(home);
    }

    fn moved(&mut self, moved: Moved, to: Place) {
        let Moved { home, sequence, from, length } = moved;
        let still = self.mailbox(home).is_some_and(|mailbox| {
            mailbox.entry(sequence).is_some_and(|entry| entry.place() == Some(from))
        });
        self.metrics.count(Counter::StoreMoved);
        let Some(room) = self.mailroom.as_mut() else { return };
        if let Some(clearing) = &mut room.clearing {
            clearing.moving -= 1;
        }
        if from == to {
            self.unreadable(home, sequence);
            return;
        }
        room.journal.holds(to);
        // Where it was acknowledged meanwhile, its old place was freed then.
        room.journal.free(if still { from } else { to }, length);
        if still && let Some(mailbox) = self.mailbox(home) {
            mailbox.stored(sequence, to);
        }
    }

    /// The disk does not give back what was stored: the message is lost, and that is said.
    pub(crate) fn unreadable(&mut self, home: HomeId, sequence: u64) {
        self.metrics.count(Counter::StoreUnreadable);
        if let Some(gone) = self.mailbox(home).and_then(|mailbox| mailbox.take(sequence)) {
            self.depart(home, &gone, Why::Dropped(DropReason::Unreadable));
            self.give_up_if_empty(home);
        }
    }

    /// Nothing of a batch is safe: what it had is not accepted.
    fn not_written(&mut self, trouble: Trouble) {
        let Some(room) = self.mailroom.as_mut() else { return };
        for waiting in room.journal.answered_batch() {
            match waiting {
                Waiting::Message(message) => self.not_stored(message, trouble),
                Waiting::Moved(..) => {
                    let room = self.mailroom.as_mut();
                    if let Some(clearing) = room.and_then(|room| room.clearing.as_mut()) {
                        clearing.moving -= 1;
                    }
                }
                Waiting::Broadcast(job) => self.not_kept(job, trouble),
                Waiting::Skipped => {}
            }
        }
    }

    /// Another host gave this user a greater sequence: the message is not accepted, and the next
    /// ones go behind that.
    fn refused(&mut self, message: Message) {
        let home = message.home;
        self.not_stored(message, Trouble::Down);
        self.ask_for_mailbox(home);
    }

    fn not_stored(&mut self, message: Message, trouble: Trouble) {
        let Message { home, sequence, key, origins, .. } = message;
        self.metrics.count(Counter::DurableNotStored);
        let taken = self.mailbox(home).and_then(|mailbox| mailbox.take(sequence));
        let Some(room) = self.mailroom.as_mut() else { return };
        let Some(gone) = taken else {
            // A client has it, which is all that was asked for.
            for origin in origins {
                self.report(origin, Outcome::Acked(sequence));
            }
            return;
        };
        room.messages -= 1;
        room.bytes -= u64::from(gone.entry.length);
        if let Some(key) = key {
            room.keys.forget(key);
        }
        let outcome = match trouble {
            Trouble::Full => Outcome::Rejected(Rejection::StoreFull),
            Trouble::Down => Outcome::Busy(RETRY_MILLIS),
        };
        for origin in origins {
            self.report(origin, outcome);
        }
        self.give_up_if_empty(home);
    }

    /// Old segments are to go.
    fn clear(&mut self, upto: u32) {
        if let Some(room) = self.mailroom.as_mut() {
            // It is asked again where a round was in vain; copies may still be on their way.
            let moving = room.clearing.map_or(0, |clearing| clearing.moving);
            room.clearing = Some(Clearing { upto, next: 0, moving });
        }
    }

    /// Gives the store everything that is left for it: the shard ends.
    pub fn part_from_store(&mut self) {
        self.keep_seen();
        let Some(room) = self.mailroom.as_mut() else { return };
        if let Some(batch) = room.journal.dispatch_last() {
            room.port.send(batch);
        }
    }

    /// Sends the store what has gathered, if it has answered what it had.
    pub(crate) fn tell_store(&mut self) {
        self.keep_seen();
        let now = self.now.micros;
        let Some(room) = self.mailroom.as_mut() else { return };
        if let Some(batch) = room.journal.dispatch(now) {
            self.metrics.count(Counter::StoreBatches);
            room.port.send(batch);
        }
    }
}
