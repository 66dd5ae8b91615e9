//! What backends were told and what clients received, and whether the two agree.
//!
//! Pure: the run says what happened, in the order in which it saw it; [`Ledger::faults`] are the
//! promises that were broken. What is promised to one user:
//!
//! - a durable message that was answered *stored* or *acked* is received, for the first time in
//!   the order of its sequences, and acknowledged;
//! - what comes again says so, and nothing comes again whose acknowledgement was certainly kept;
//! - no number has two messages; one message has two numbers only if it was pushed again because
//!   its first push was never answered, and is stored under one of them alone.
//!
//! A server that is away may carry out late what nobody waits for any more: a message that was
//! pushed meanwhile and was not accepted may be stored all the same, beside the one of its next
//! push. That one is in *doubt*: it may come under both numbers, the late one saying that it may
//! have come before.
//!
//! Of a user with several devices each gets what comes in that order, and the first
//! acknowledgement counts for all. `news.rs` has what is promised of broadcasts.
//!
//! An acknowledgement is certainly *taken* when the gateway answered two things that were sent
//! behind it, one after the other, or welcomed a client that resumed with it; it is certainly
//! *kept* when the gateway that took it ended in order, and its store was there. A gateway that is
//! killed may have taken it and forgotten it.

pub(crate) use crate::kind::Kind;
use crate::news::News;
use crate::plan::{Who, devices};
use crate::seat::Seat;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::DropReason;
use std::collections::HashSet;

/// A message, by the order in which they were made.
pub(crate) type Id = u64;

/// A message as a client got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) sequence: u64,
    pub(crate) id: Id,
    pub(crate) durable: bool,
    pub(crate) again: bool,
}

#[derive(Debug)]
struct Message {
    user: usize,
    kind: Kind,
    /// How often it was sent to a gateway, and in which life of one last.
    tries: u32,
    last_try: u32,
    answer: Option<Outcome>,
    /// Whether a push of it that was not answered, or was refused, may have been stored.
    doubt: bool,
    /// Under which numbers it came.
    came: Vec<u64>,
    /// The number under which it was stored for certain.
    stored: Option<u64>,
    receipt: Option<Outcome>,
}

/// What happened to whom.
#[derive(Debug)]
pub(crate) struct Ledger {
    messages: Vec<Message>,
    seats: Vec<Seat>,
    /// For each user, how many messages its mailbox holds before the oldest makes room.
    makes_room: Vec<Option<usize>>,
    /// Messages that a damaged file took along.
    pub(crate) excused: HashSet<Id>,
    /// Broadcasts.
    pub(crate) news: News,
    /// Whether the store is a server, which may carry out late what it was told.
    pub(crate) is_late: bool,
    /// Whether it is away.
    away: bool,
    /// Which gateway lives.
    life: u32,
    faults: Vec<String>,
}

/// Where every message went whose push was answered *stored* or *acked*:
/// `accepted = acked + expired + dropped + excused + missing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub(crate) accepted: u64,
    pub(crate) acked: u64,
    pub(crate) expired: u64,
    pub(crate) dropped: u64,
    pub(crate) excused: u64,
    pub(crate) missing: u64,
    /// Refused, or never answered, or of class online.
    pub(crate) others: u64,
    /// Came under more than one number.
    pub(crate) repeats: u64,
    /// Pushed more than once.
    pub(crate) retries: u64,
    /// Receipts that came.
    pub(crate) receipts: u64,
    /// Pushed while the store was away.
    pub(crate) doubted: u64,
}

/// More faults than this are not kept: the first ones say what is wrong.
const ENOUGH: usize = 20;

impl Ledger {
    /// For users whose mailboxes make room for new messages at this size, or never.
    pub(crate) fn new(makes_room: Vec<Option<usize>>) -> Self {
        let users = makes_room.len();
        Self {
            messages: Vec::new(),
            seats: (0..users).map(|user| Seat::new(devices(user))).collect(),
            makes_room,
            excused: HashSet::new(),
            news: News::new(users),
            is_late: false,
            away: false,
            life: 0,
            faults: Vec::new(),
        }
    }

    /// What is broken.
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Something is wrong that the run itself saw.
    pub(crate) fn fault(&mut self, what: String) {
        if self.faults.len() < ENOUGH {
            self.faults.push(what);
        }
    }

    // ---- backends ----

    /// A new message; it is not sent yet.
    pub(crate) fn make(&mut self, user: usize, kind: Kind) -> Id {
        let id = self.messages.len() as u64;
        self.messages.push(Message {
            user,
            kind,
            tries: 0,
            last_try: 0,
            answer: None,
            doubt: false,
            came: Vec::new(),
            stored: None,
            receipt: None,
        });
        self.seats[user].messages.push(id);
        id
    }

    /// Whose it is, and what was asked of it.
    pub(crate) fn message(&self, id: Id) -> Option<(usize, Kind)> {
        let message = self.messages.get(usize::try_from(id).ok()?)?;
        Some((message.user, message.kind))
    }

    fn at(&mut self, id: Id) -> &mut Message {
        &mut self.messages[usize::try_from(id).unwrap()]
    }

    /// It was sent, perhaps once more.
    pub(crate) fn tried(&mut self, id: Id) {
        let (life, away) = (self.life, self.away);
        let message = self.at(id);
        message.tries += 1;
        message.last_try = life;
        message.doubt |= away;
    }

    /// A push of it was not accepted, or its answer did not come in time.
    pub(crate) fn doubted(&mut self, id: Id) {
        let is_late = self.is_late;
        self.at(id).doubt |= is_late;
    }

    /// The store goes away, or is back: what is on its way is in doubt.
    pub(crate) fn store_away(&mut self, away: bool) {
        self.away = away;
        let on_its_way = self.messages.iter_mut().filter(|it| it.tries > 0 && it.answer.is_none());
        on_its_way.for_each(|message| message.doubt |= away);
        self.news.store_away(away);
    }

    /// It was stored under this number for certain; a second number is one too many.
    fn stored(&mut self, id: Id, sequence: u64) {
        let message = self.at(id);
        let before = *message.stored.get_or_insert(sequence);
        if before != sequence && !message.doubt {
            let what =
                format!("message {id} was stored under {before} and {sequence}: {message:?}");
            self.fault(what);
        }
    }

    /// Its push was answered for good.
    pub(crate) fn answered(&mut self, id: Id, outcome: Outcome) {
        let message = self.at(id);
        let (user, kind) = (message.user, message.kind);
        if let Some(before) = message.answer.replace(outcome) {
            self.fault(format!("message {id} was answered twice: {before:?}, {outcome:?}"));
        }
        match outcome {
            Outcome::Stored(sequence) | Outcome::Acked(sequence) => {
                self.number(user, sequence, id, "an answer");
                self.stored(id, sequence);
                let acked = self.seats[user].acked;
                if matches!(outcome, Outcome::Acked(_)) && acked < sequence {
                    self.fault(format!("{user}: {sequence} is acked; the client said {acked}"));
                }
            }
            other if kind.fits(other, self.makes_room[user].is_some()) => {}
            other => self.fault(format!("message {id} of {user}, {kind:?}, got {other:?}")),
        }
    }

    /// A receipt came.
    pub(crate) fn receipt(&mut self, user: usize, sequence: u64, outcome: Outcome) {
        let seat = &self.seats[user];
        let acked = seat.acked;
        if matches!(outcome, Outcome::Acked(_)) && acked < sequence {
            self.fault(format!("{user}: a receipt of {sequence}; the client said {acked}"));
        }
        // The answer to its push may have been lost with a gateway.
        let Some(&id) = self.seats[user].numbers.get(&sequence) else { return };
        let (room, is_late) = (self.makes_room[user].is_some(), self.is_late);
        let message = self.at(id);
        let kind = message.kind;
        message.receipt = Some(outcome);
        let fits = match outcome {
            Outcome::Acked(_) => true,
            Outcome::Expired => kind.short,
            Outcome::Dropped(DropReason::MadeRoom) => room,
            // A server may forget it a moment before the gateway does.
            Outcome::Dropped(DropReason::Unreadable) => kind.short && is_late,
            _ => false,
        };
        if !fits || !kind.receipt {
            self.fault(format!("{user}: {sequence} has the receipt {outcome:?} of {kind:?}"));
        }
    }

    // ---- clients ----

    /// A client connects.
    pub(crate) fn connects(&mut self, who: impl Into<Who>) {
        let Who { user, device } = who.into();
        let seat = &mut self.seats[user];
        let (barrier, floor) = (seat.taken, seat.last());
        let own = &mut seat.devices[device];
        (own.barrier, own.floor) = (barrier, floor);
    }

    /// A client was welcomed; it resumed with this sequence, if it did.
    pub(crate) fn welcomed(&mut self, who: impl Into<Who>, resumed: Option<u64>, next: u64) {
        let Who { user, device } = who.into();
        let seat = &mut self.seats[user];
        let last = seat.devices[device].floor;
        if let Some(sequence) = resumed {
            seat.acked = seat.acked.max(sequence);
            seat.taken = seat.taken.max(sequence);
            let own = &mut seat.devices[device];
            own.barrier = own.barrier.max(sequence);
        }
        if next <= last {
            self.fault(format!("{user}: the next sequence is {next}, and {last} was there"));
        }
    }

    /// A message came.
    pub(crate) fn got(&mut self, who: impl Into<Who>, got: Got) {
        let (who, Got { sequence, id, durable, again }) = (who.into(), got);
        let Who { user, device } = who;
        match self.message(id) {
            Some((owner, kind)) if owner == user && kind.durable == durable => {}
            Some((owner, kind)) => {
                self.fault(format!("{user} got {got:?}, which is of {owner}, {kind:?}"));
                return;
            }
            None => {
                self.fault(format!("{user} got {got:?}, which nobody sent"));
                return;
            }
        }
        self.number(user, sequence, id, "a delivery");
        let message = self.at(id);
        if !message.came.contains(&sequence) {
            message.came.push(sequence);
        }
        let (numbers, tries) = (message.came.len(), message.tries);
        if numbers > tries as usize {
            self.fault(format!("{user}: {got:?} came under {numbers} numbers, sent {tries} times"));
        }
        let first = self.seats[user].devices[device].came.insert(sequence);
        if durable {
            self.got_durable(who, got, first);
        } else if !first || again || numbers > 1 {
            self.fault(format!("{user}: {got:?} is of class online and came again"));
        }
    }

    /// A durable message came, perhaps for the `first` time to this device.
    fn got_durable(&mut self, Who { user, device }: Who, got: Got, first: bool) {
        let Got { sequence, id, again, .. } = got;
        let life = self.life;
        let message = self.at(id);
        let (doubt, old) = (message.doubt, message.last_try < life);
        let makes_room = self.makes_room[user].is_some();
        let seat = &mut self.seats[user];
        let elsewhere = seat.was_acked_elsewhere(sequence);
        let own = &mut seat.devices[device];
        let (last, barrier) = (own.last, own.barrier);
        if first {
            own.last = last.max(sequence);
        }
        // What made room in the last moments of a gateway that was killed is there again.
        let came_back = again && ((makes_room && old) || doubt || elsewhere);
        if first && sequence < last && !came_back {
            self.fault(format!("{user}: {got:?} came behind {last}"));
        }
        if !first && !again {
            self.fault(format!("{user}: {got:?} came again and does not say so"));
        }
        if old {
            // This gateway was not told of it: the one before had stored it.
            self.stored(id, sequence);
        }
        if sequence <= barrier {
            self.fault(format!("{user}: {got:?} came, and {barrier} was acknowledged for certain"));
        }
    }

    /// A number belongs to one message.
    fn number(&mut self, user: usize, sequence: u64, id: Id, whence: &str) {
        let before = *self.seats[user].numbers.entry(sequence).or_insert(id);
        if before != id {
            self.fault(format!("{user}: {whence} says that {sequence} is {id}; it was {before}"));
        }
    }

    /// A client sent an acknowledgement.
    pub(crate) fn acked(&mut self, user: usize, sequence: u64) {
        let seat = &mut self.seats[user];
        seat.acked = seat.acked.max(sequence);
    }

    /// The gateway answered what a client sent behind this acknowledgement. (What was on its way
    /// meanwhile still comes on the connections that are there; to later ones it does not.)
    pub(crate) fn confirmed(&mut self, user: usize, sequence: u64) {
        let seat = &mut self.seats[user];
        seat.taken = seat.taken.max(sequence);
    }

    /// Whether a message came.
    pub(crate) fn has_come(&self, id: Id) -> bool {
        !self.messages[usize::try_from(id).unwrap()].came.is_empty()
    }

    /// Whether a message was refused.
    pub(crate) fn is_refused(&self, id: Id) -> bool {
        let answer = self.messages[usize::try_from(id).unwrap()].answer;
        matches!(answer, Some(Outcome::Rejected(_)))
    }

    /// Whether a message came to this device.
    pub(crate) fn has_come_to(&self, who: Who, id: Id) -> bool {
        let came = &self.messages[usize::try_from(id).unwrap()].came;
        came.iter().any(|at| self.seats[who.user].devices[who.device].came.contains(at))
    }

    // ---- gateways ----

    /// The gateway was killed; its connections are over.
    pub(crate) fn killed(&mut self) {
        self.over(false);
    }

    /// The gateway ended in order; its connections are over.
    pub(crate) fn ended(&mut self) {
        self.over(true);
    }

    fn over(&mut self, in_order: bool) {
        self.life += 1;
        // A store that is away cannot be told, however the gateway ends.
        let keeps = in_order && !self.away;
        self.seats.iter_mut().for_each(|seat| seat.orphaned(keeps));
        self.news.over(keeps);
    }

    // ---- the end ----

    /// Whether a message may be gone because newer ones took its place.
    fn made_room(&self, user: usize, id: Id, sequence: u64) -> bool {
        let Some(room) = self.makes_room[user] else { return false };
        let others = self.seats[user].messages.iter().filter(|&&other| other != id);
        let later = others.map(|&other| {
            let message = &self.messages[usize::try_from(other).unwrap()];
            if !message.kind.durable {
                return 0;
            }
            if message.doubt {
                // Each try may have taken a place.
                return message.tries as usize;
            }
            usize::from(match message.answer {
                Some(Outcome::Stored(at) | Outcome::Acked(at)) => at > sequence,
                _ => message.tries > 0 || message.came.iter().any(|&at| at > sequence),
            })
        });
        later.sum::<usize>() >= room
    }

    /// Adds up: everything should have been received and acknowledged by now.
    pub(crate) fn sums(&self) -> (Sums, Vec<String>) {
        let mut sums = Sums::default();
        let mut missing = Vec::new();
        for (id, message) in (0..).zip(&self.messages) {
            sums.repeats += u64::from(message.came.len() > 1);
            sums.retries += u64::from(message.tries > 1);
            sums.receipts += u64::from(message.receipt.is_some());
            sums.doubted += u64::from(message.doubt);
            let Some(Outcome::Stored(sequence) | Outcome::Acked(sequence)) = message.answer else {
                sums.others += 1;
                continue;
            };
            sums.accepted += 1;
            let seat = &self.seats[message.user];
            if message.came.contains(&sequence) && seat.acked >= sequence {
                sums.acked += 1;
            } else if message.kind.short {
                sums.expired += 1;
            } else if self.excused.contains(&id) {
                sums.excused += 1;
            } else if self.made_room(message.user, id, sequence) {
                sums.dropped += 1;
            } else {
                sums.missing += 1;
                missing.push(format!("{}: {sequence} ({id}): {message:?}", message.user));
            }
        }
        (sums, missing)
    }

    /// What must not be there at all: messages that were refused and came, and an order of pushes
    /// that is not the order of their sequences.
    pub(crate) fn close(&mut self) {
        let mut found = Vec::new();
        for (id, message) in (0..).zip(&self.messages) {
            let refused = matches!(message.answer, Some(Outcome::Rejected(_) | Outcome::Offline));
            if refused && message.tries == 1 && !message.came.is_empty() {
                found.push(format!("message {id} was refused and came: {message:?}"));
            }
            if let Some(Outcome::Stored(told) | Outcome::Acked(told)) = message.answer
                && message.tries == 1
                && message.came.iter().any(|&at| at != told)
            {
                found.push(format!("message {id} came under another number: {message:?}"));
            }
        }
        for what in found {
            self.fault(what);
        }
    }
}
