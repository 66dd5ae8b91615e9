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
//! An acknowledgement is certainly *taken* when the gateway answered something that was sent
//! behind it, or welcomed a client that resumed with it; it is certainly *kept* when the gateway
//! that took it ended in order. A gateway that is killed may have taken it and forgotten it.

use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::{DropReason, Rejection};
use std::collections::{HashMap, HashSet};

/// A message, by the order in which they were made.
pub(crate) type Id = u64;

/// What was asked of a message.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of a push")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kind {
    pub(crate) durable: bool,
    /// Whether it has an idempotency key, and so is pushed again when its answer does not come.
    pub(crate) keyed: bool,
    pub(crate) receipt: bool,
    /// Whether its time to live is short.
    pub(crate) short: bool,
    /// Bytes of its body.
    pub(crate) size: usize,
}

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
    /// Under which numbers it came.
    came: Vec<u64>,
    /// The number under which it was stored for certain.
    stored: Option<u64>,
    receipt: Option<Outcome>,
}

/// One user's side.
#[derive(Debug, Default)]
struct Seat {
    /// What each number is.
    numbers: HashMap<u64, Id>,
    /// The greatest number of a durable message that came.
    last: u64,
    /// The greatest that was acknowledged, whether or not anybody heard it.
    acked: u64,
    /// The greatest whose acknowledgement this connection's gateway certainly took.
    confirmed: u64,
    /// The greatest that this gateway certainly took on an earlier connection, or at login.
    taken: u64,
    /// The greatest that is certainly on disk.
    kept: u64,
    /// Its messages, in the order made.
    messages: Vec<Id>,
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
}

/// Whether a push may be answered so; `room` says whether the mailbox makes room for what is new.
const fn fits(outcome: Outcome, kind: Kind, room: bool) -> bool {
    match outcome {
        Outcome::Delivered(_)
        | Outcome::Offline
        | Outcome::Dropped(
            DropReason::OutboxFull | DropReason::ConnectionLost | DropReason::Shutdown,
        ) => !kind.durable,
        Outcome::Stored(_) | Outcome::Acked(_) | Outcome::Rejected(Rejection::StoreFull) => {
            kind.durable
        }
        Outcome::Dropped(DropReason::MadeRoom) => kind.durable && room,
        Outcome::Rejected(Rejection::MailboxFull) => kind.durable && !room,
        Outcome::Expired => kind.short,
        Outcome::Rejected(_) | Outcome::Dropped(_) | Outcome::Busy(_) => false,
    }
}

/// More faults than this are not kept: the first ones say what is wrong.
const ENOUGH: usize = 20;

impl Ledger {
    /// For users whose mailboxes make room for new messages at this size, or never.
    pub(crate) fn new(makes_room: Vec<Option<usize>>) -> Self {
        let seats = makes_room.iter().map(|_| Seat::default()).collect();
        let (messages, excused, faults) = (Vec::new(), HashSet::new(), Vec::new());
        Self { messages, seats, makes_room, excused, life: 0, faults }
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
        let life = self.life;
        let message = self.at(id);
        message.tries += 1;
        message.last_try = life;
    }

    /// It was stored under this number for certain; a second number is one too many.
    fn stored(&mut self, id: Id, sequence: u64) {
        let before = *self.at(id).stored.get_or_insert(sequence);
        if before != sequence {
            let message = self.at(id);
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
            other if fits(other, kind, self.makes_room[user].is_some()) => {}
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
        let room = self.makes_room[user].is_some();
        let message = self.at(id);
        let kind = message.kind;
        message.receipt = Some(outcome);
        let fits = match outcome {
            Outcome::Acked(_) => true,
            Outcome::Expired => kind.short,
            Outcome::Dropped(reason) => room && reason == DropReason::MadeRoom,
            _ => false,
        };
        if !fits || !kind.receipt {
            self.fault(format!("{user}: {sequence} has the receipt {outcome:?} of {kind:?}"));
        }
    }

    // ---- clients ----

    /// A client was welcomed; it resumed with this sequence, if it did.
    pub(crate) fn welcomed(&mut self, user: usize, resumed: Option<u64>, next: u64) {
        let seat = &mut self.seats[user];
        seat.confirmed = 0;
        let last = seat.last.max(seat.acked);
        if let Some(sequence) = resumed {
            seat.acked = seat.acked.max(sequence);
            seat.taken = seat.taken.max(sequence);
        }
        if next <= last {
            self.fault(format!("{user}: the next sequence is {next}, and {last} was there"));
        }
    }

    /// A message came.
    pub(crate) fn got(&mut self, user: usize, got: Got) {
        let Got { sequence, id, durable, again } = got;
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
        let seat = &mut self.seats[user];
        let (last, taken) = (seat.last, seat.taken);
        let message = &mut self.messages[usize::try_from(id).unwrap()];
        let first = !message.came.contains(&sequence);
        if first {
            message.came.push(sequence);
        }
        let numbers = message.came.len();
        let (tries, old) = (message.tries, message.last_try < self.life);
        if !durable {
            if !first || again || numbers > 1 {
                self.fault(format!("{user}: {got:?} is of class online and came again"));
            }
            return;
        }
        if first {
            seat.last = last.max(sequence);
        }
        // What made room in the last moments of a gateway that was killed is there again.
        let came_back = self.makes_room[user].is_some() && again && old;
        if first && sequence < last && !came_back {
            self.fault(format!("{user}: {got:?} came behind {last}"));
        }
        if first && numbers > tries as usize {
            self.fault(format!("{user}: {got:?} came under {numbers} numbers, sent {tries} times"));
        }
        if !first && !again {
            self.fault(format!("{user}: {got:?} came again and does not say so"));
        }
        if old {
            // This gateway was not told of it: the one before had stored it.
            self.stored(id, sequence);
        }
        if sequence <= taken {
            self.fault(format!("{user}: {got:?} came, and {taken} was acknowledged for certain"));
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

    /// The gateway answered what a client sent behind this acknowledgement.
    pub(crate) fn confirmed(&mut self, user: usize, sequence: u64) {
        let seat = &mut self.seats[user];
        seat.confirmed = seat.confirmed.max(sequence);
    }

    /// A client's connection is over.
    pub(crate) fn parted(&mut self, user: usize) {
        let seat = &mut self.seats[user];
        // What was on its way while it was acknowledged still came; now nothing does.
        seat.taken = seat.taken.max(std::mem::take(&mut seat.confirmed));
    }

    /// Whether a message came.
    pub(crate) fn has_come(&self, id: Id) -> bool {
        !self.messages[usize::try_from(id).unwrap()].came.is_empty()
    }

    // ---- gateways ----

    /// The gateway was killed; its connections are over.
    pub(crate) fn killed(&mut self) {
        self.life += 1;
        for seat in &mut self.seats {
            seat.taken = seat.kept;
        }
    }

    /// The gateway ended in order; its connections are over.
    pub(crate) fn ended(&mut self) {
        self.life += 1;
        for seat in &mut self.seats {
            seat.kept = seat.taken;
        }
    }

    // ---- the end ----

    /// Whether a message may be gone because newer ones took its place.
    fn made_room(&self, user: usize, id: Id, sequence: u64) -> bool {
        let Some(room) = self.makes_room[user] else { return false };
        let later = self.seats[user].messages.iter().filter(|&&other| {
            let message = &self.messages[usize::try_from(other).unwrap()];
            let behind = match message.answer {
                Some(Outcome::Stored(at) | Outcome::Acked(at)) => at > sequence,
                _ => message.tries > 0 || message.came.iter().any(|&at| at > sequence),
            };
            other != id && message.kind.durable && behind
        });
        later.count() >= room
    }

    /// Adds up: everything should have been received and acknowledged by now.
    pub(crate) fn sums(&self) -> (Sums, Vec<String>) {
        let mut sums = Sums::default();
        let mut missing = Vec::new();
        for (id, message) in (0..).zip(&self.messages) {
            sums.repeats += u64::from(message.came.len() > 1);
            sums.retries += u64::from(message.tries > 1);
            sums.receipts += u64::from(message.receipt.is_some());
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
