//! What the store says, and what it is told at the end of a turn.

use crate::directory::homes::HomeId;
use crate::io::Io;
use crate::mailbox::Why;
use crate::mailbox::journal::{Message, Moved, Waiting};
use crate::mailbox::keys::Known;
use crate::mailbox::room::Clearing;
use crate::metrics::{Counter, Histogram};
use crate::path::merge::Unsettled;
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
                let unsteered = self.mailroom.as_mut().and_then(|room| room.unsteered.take());
                self.answer_steered(unsteered);
                self.let_go_of_leaving();
            }
            Event::Unsteered(trouble) => {
                if let Some(room) = self.mailroom.as_mut() {
                    room.unsteered = Some(trouble);
                }
            }
            Event::Failed(trouble) => {
                if let Some(room) = self.mailroom.as_mut() {
                    room.unsteered = None;
                }
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
        let (shared, waiting) = (room.shared, room.journal.answered_batch());
        debug_assert_eq!(waiting.len(), places.len(), "every command is answered");
        let mut unsettled = Unsettled::default();
        for (waiting, &place) in waiting.into_iter().zip(places) {
            match waiting {
                Waiting::Message(message) if place == Place::REFUSED && shared => {
                    unsettled.refused.push(message);
                }
                Waiting::Message(message) if !place.is_one() => {
                    unsettled.away.insert(message.home);
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
        self.keep_again(unsettled);
    }

    fn stored(&mut self, message: Message, place: Place) {
        let Message { home, sequence, parcel, key, origins, .. } = message;
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
        self.send_stored(home, sequence, &parcel);
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

    /// The store does not give back what it had. Where hosts share it, one of them may have had it
    /// forgotten: the store is asked, and what it still knows of then is lost.
    pub(crate) fn unreadable(&mut self, home: HomeId, sequence: u64) {
        if self.mailroom.as_ref().is_some_and(|room| room.shared) {
            let now = self.open_unused(home);
            let opening = self.mailroom.as_mut().and_then(|room| room.opening.get_mut(&home));
            // One that was asked for before may not know yet that it was forgotten.
            if let Some(opening) = opening.filter(|it| now || !it.missing.is_empty()) {
                opening.missing.push(sequence);
            }
        } else {
            self.lose(home, sequence);
            self.give_up_if_empty(home);
        }
    }

    /// A message that was stored is lost, and that is said. The mailbox stays, also if it is empty.
    pub(crate) fn lose(&mut self, home: HomeId, sequence: u64) {
        self.metrics.count(Counter::StoreUnreadable);
        if let Some(gone) = self.mailbox(home).and_then(|mailbox| mailbox.take(sequence)) {
            self.depart(home, &gone, Why::Dropped(DropReason::Unreadable));
        }
    }

    /// The store knows of these messages, if they are still in their mailbox, and has no bodies.
    pub(crate) fn lose_missing(&mut self, home: HomeId, missing: &[u64]) {
        let mut lost = None;
        for &sequence in missing {
            if self.mailbox(home).is_some_and(|mailbox| mailbox.entry(sequence).is_some()) {
                self.lose(home, sequence);
                lost = lost.max(Some(sequence));
            }
        }
        let Some(greatest) = lost else { return };
        let upto = self.needed_behind(home, greatest);
        if greatest <= upto {
            self.trim(home, Some(upto));
        }
    }

    /// Nothing of a batch is safe: what it had is not accepted.
    fn not_written(&mut self, trouble: Trouble) {
        let Some(room) = self.mailroom.as_mut() else { return };
        let mut unsettled = Unsettled::default();
        for waiting in room.journal.answered_batch() {
            match waiting {
                Waiting::Message(message) => {
                    unsettled.away.insert(message.home);
                    self.not_stored(message, trouble);
                }
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
        self.keep_again(unsettled);
    }

    pub(crate) fn not_stored(&mut self, message: Message, trouble: Trouble) {
        let (home, sequence) = (message.home, message.sequence);
        let taken = self.take_back(&message);
        let origins = message.origins;
        if !taken {
            // A client has it, which is all that was asked for.
            for origin in origins {
                self.report(origin, Outcome::Acked(sequence));
            }
            return;
        }
        self.metrics.count(Counter::DurableNotStored);
        let outcome = match trouble {
            Trouble::Full => Outcome::Rejected(Rejection::StoreFull),
            Trouble::Down => Outcome::Busy(RETRY_MILLIS),
        };
        for origin in origins {
            self.report(origin, outcome);
        }
        self.give_up_if_empty(home);
    }

    /// Takes a message out of its mailbox that is not to be stored; whether it was there.
    pub(crate) fn take_back(&mut self, message: &Message) -> bool {
        let Some(mailbox) = self.mailbox(message.home) else { return false };
        mailbox.unsettled(message.sequence);
        let taken = mailbox.take(message.sequence);
        let (Some(room), Some(gone)) = (self.mailroom.as_mut(), taken) else { return false };
        room.messages -= 1;
        room.bytes -= u64::from(gone.entry.length);
        if let Some(key) = message.key {
            room.keys.forget(key);
        }
        true
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
