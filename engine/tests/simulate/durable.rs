//! What was promised and seen of each durable message, over crashes of the gateway.
//!
//! A message may be seen under a sequence that was never promised: it was delivered before the
//! store had it, and the gateway died. What was promised, by an outcome *stored* or *acked*, is
//! held to for ever; so is what was written to a client by a gateway that ended in order. Where it
//! cannot be known from outside what the gateway did, it is believed.
//!
//! [`reading`] has what is owed to one connection, [`receipts`] what backends are told later.

use std::collections::BTreeMap;

use holdfast::io::sim::LinkId;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::{DropReason, Rejection};

use self::reading::Reading;
use crate::ledger::MessageId;
use crate::plan::{Keeping, SECOND};

#[path = "reading.rs"]
pub(crate) mod reading;
#[path = "receipts.rs"]
mod receipts;

/// Durable messages have numbers of their own kind.
pub(crate) const FIRST_ID: MessageId = 1 << 30;
/// What was done so long before a crash is safe from it, in microseconds, while the disk is well.
pub(crate) const SAFE: u64 = 5 * SECOND;

/// A product and a user.
pub(crate) type User = (usize, String);

/// In which life of the gateway something was said, and when it was heard of.
pub(crate) type Told = (u32, u64);

/// The end of a gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) at: u64,
    /// It was told to stop, and all that it knew is stored where the disk was well.
    pub(crate) in_order: bool,
}

/// What a broken promise is told as.
pub(crate) type Judged = Result<(), String>;

/// A sequence under which a message was seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    sequence: u64,
    at: u64,
    life: u32,
    /// When it was first written to a client.
    written: Option<u64>,
}

/// One message, with all its tries.
#[derive(Debug)]
struct Message {
    user: User,
    keyed: bool,
    /// In seconds; 0 for the gateway's own, which is longer than a run.
    ttl: u32,
    asked: u64,
    answered: Option<u64>,
    /// Its sequence is greater.
    floor: u64,
    seen: Vec<Seen>,
    promised: Option<u64>,
    /// When a backend was told that it was not accepted, and may try again.
    turned_away: Option<u64>,
    /// When a backend was told that a client acknowledged it, and in which life.
    told_acked: Option<Told>,
    /// A client has read it.
    received: bool,
}

impl Message {
    fn may_be_expired(&self, now: u64) -> bool {
        self.ttl > 0 && now / SECOND > self.asked / SECOND + u64::from(self.ttl)
    }
}

fn troubled(troubles: &[(u64, u64)], from: u64, until: u64) -> bool {
    troubles.iter().any(|&(begun, ended)| begun <= until && from <= ended)
}

/// A gateway answered what a client said behind its acknowledgement.
#[derive(Debug, Clone, Copy)]
struct Heard {
    sequence: u64,
    told: Told,
}

/// All that is known of one user.
#[derive(Debug, Default)]
struct Account {
    /// Online messages too: they share the sequence.
    by_sequence: BTreeMap<u64, MessageId>,
    /// The greatest that a client has acknowledged.
    acked: u64,
    /// What gateways have surely heard of that.
    heard: Vec<Heard>,
    durable: Vec<MessageId>,
    /// By sequence and the life of the gateway that sent them.
    receipts: BTreeMap<(u64, u32), (Outcome, u64)>,
}

impl Account {
    fn high(&self) -> u64 {
        self.by_sequence.last_key_value().map_or(0, |(&sequence, _)| sequence)
    }
}

/// All durable messages of a run.
#[derive(Debug, Default)]
pub(crate) struct Durables {
    keeping: Option<Keeping>,
    all: Vec<Message>,
    accounts: BTreeMap<User, Account>,
    readings: BTreeMap<LinkId, Reading>,
    /// How each life ended.
    ends: Vec<End>,
    /// When the disk was not well.
    troubles: Vec<(u64, u64)>,
    /// When it was slow.
    slow: Vec<(u64, u64)>,
    /// Until when messages may have been purged, by user.
    purged: BTreeMap<User, u64>,
    /// What gateways did about what was not acknowledged.
    rounds: Rounds,
}

/// How often all gateways of a run sent again what was not acknowledged in time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rounds {
    pub(crate) begun: u64,
    /// Mailboxes that were given up, for a while, because that was in vain.
    pub(crate) quarantines: u64,
}

impl Durables {
    pub(crate) fn new(keeping: Option<Keeping>) -> Self {
        Self { keeping, ..Self::default() }
    }

    /// Whether the gateway has a store, so that no sequence comes twice.
    pub(crate) fn is_kept(&self) -> bool {
        self.keeping.is_some()
    }

    /// How many gateways ended before this one.
    pub(crate) fn life(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// What a backend reads after the end of a gateway was said before it.
    fn dated(&self, (life, now): Told) -> Told {
        (life, self.ends.get(life as usize).map_or(now, |end| end.at.min(now)))
    }

    /// Whether the gateway of this life may have ended without having stored what it did at `at`.
    fn may_have_lost(&self, (life, at): Told, sooner: u64) -> bool {
        self.ends.get(life as usize).is_some_and(|end| {
            (!end.in_order && end.at < at.saturating_add(sooner)) || self.troubled(at, end.at)
        })
    }

    fn account(&mut self, user: &User) -> &mut Account {
        self.accounts.entry(user.clone()).or_default()
    }

    fn message(&self, id: MessageId) -> Option<&Message> {
        self.all.get(id.checked_sub(FIRST_ID)? as usize)
    }

    fn message_mut(&mut self, id: MessageId) -> Option<&mut Message> {
        self.all.get_mut(id.checked_sub(FIRST_ID)? as usize)
    }

    /// A backend pushes a message for the first time; gives its number for its body.
    pub(crate) fn ask(&mut self, user: User, ttl: u32, keyed: bool, now: u64) -> MessageId {
        let id = FIRST_ID + u32::try_from(self.all.len()).expect("a run has fewer messages");
        let account = self.account(&user);
        account.durable.push(id);
        let floor = account.high();
        self.all.push(Message {
            floor,
            user,
            keyed,
            ttl,
            asked: now,
            answered: None,
            seen: Vec::new(),
            promised: None,
            turned_away: None,
            told_acked: None,
            received: false,
        });
        id
    }

    /// A backend pushes a message once more.
    pub(crate) fn ask_again(&mut self, id: MessageId) {
        if let Some(message) = self.message_mut(id) {
            message.answered = None;
        }
    }

    /// The gateway is gone.
    pub(crate) fn over(&mut self, end: End) {
        let life = self.life();
        self.ends.push(end);
        if !end.in_order {
            return;
        }
        let troubles = std::mem::take(&mut self.troubles);
        let well = |from| !troubled(&troubles, from, end.at);
        // What went out of date on a slow disk may not have been accepted after all.
        let held = |it: &Message| it.turned_away.is_none() && !it.may_be_expired(end.at);
        for message in self.all.iter_mut().filter(|it| held(it)) {
            let written = |seen: &&Seen| seen.life == life && seen.written.is_some();
            if let Some(seen) = message.seen.iter().find(written).filter(|seen| well(seen.at)) {
                message.promised.get_or_insert(seen.sequence);
            }
        }
        self.troubles = troubles;
    }

    /// The disk is not well from and until.
    pub(crate) fn trouble(&mut self, from: u64, until: u64) {
        self.troubles.push((from, until));
    }

    /// The disk is slow from and until, so that the store may take nothing.
    pub(crate) fn slow(&mut self, from: u64, until: u64) {
        self.slow.push((from, until));
    }

    fn troubled(&self, from: u64, until: u64) -> bool {
        troubled(&self.troubles, from, until)
    }

    /// A message of any class has this sequence.
    pub(crate) fn number(&mut self, user: &User, sequence: u64, id: MessageId) -> Judged {
        match self.account(user).by_sequence.insert(sequence, id) {
            Some(other) if other != id => {
                Err(format!("{user:?} has {sequence} twice: messages {other} and {id}"))
            }
            _ => Ok(()),
        }
    }

    /// A durable message was seen under this sequence.
    fn place(&mut self, id: MessageId, sequence: u64, (life, now): Told) -> Judged {
        let Some(message) = self.message(id) else {
            return Err(format!("durable message {id} was never sent"));
        };
        let user = message.user.clone();
        if message.seen.iter().any(|seen| seen.sequence == sequence) {
            return Ok(());
        }
        if let Some(last) = message.seen.last() {
            // A copy that was on its way may be seen after its backend was turned away.
            let excused = message.keyed
                && message.promised.is_none()
                && (self.may_have_lost((last.life, last.at), u64::MAX)
                    || message.turned_away.is_some()
                    || self.troubled(last.at, now));
            if !excused {
                return Err(format!("message {id} is there twice: {last:?} and as {sequence}"));
            }
        }
        if sequence <= message.floor {
            return Err(format!("message {id} has {sequence}, not over {}", message.floor));
        }
        self.number(&user, sequence, id)?;
        if let Some(message) = self.message_mut(id) {
            message.seen.push(Seen { sequence, at: now, life, written: None });
        }
        Ok(())
    }

    fn promise(&mut self, id: MessageId, sequence: u64, told: Told) -> Judged {
        self.place(id, sequence, told)?;
        let Some(message) = self.message_mut(id) else { return Ok(()) };
        match message.promised.replace(sequence) {
            Some(other) if other != sequence => {
                Err(format!("message {id} was promised as {other}, and is as {sequence}"))
            }
            _ => Ok(()),
        }
    }

    /// A backend was told what became of a push.
    pub(crate) fn outcome(&mut self, id: MessageId, outcome: Outcome, told: Told) -> Judged {
        let (told, now) = (self.dated(told), told.1);
        let known = self.message(id).and_then(|it| it.promised);
        if let Some(message) = self.message_mut(id) {
            message.answered = message.answered.max(Some(now));
        }
        match outcome {
            Outcome::Stored(sequence) => return self.promise(id, sequence, told),
            Outcome::Acked(sequence) => {
                self.promise(id, sequence, told)?;
                self.check_acked(id, sequence)?;
                if let Some(message) = self.message_mut(id) {
                    message.told_acked.get_or_insert(told);
                }
                return Ok(());
            }
            _ => {}
        }
        let message = self.message(id);
        let fair = message.is_some_and(|message| match outcome {
            Outcome::Expired => message.may_be_expired(now),
            Outcome::Rejected(Rejection::MailboxFull) => self.may_be_full(message),
            Outcome::Dropped(DropReason::MadeRoom) => self.may_have_made_room(message),
            Outcome::Dropped(DropReason::Purged) => self.may_be_purged(message),
            Outcome::Rejected(Rejection::StoreFull) => self.troubled(message.asked, now),
            Outcome::Busy(_) => {
                self.troubled(message.asked, now) || troubled(&self.slow, message.asked, now)
            }
            _ => false,
        });
        if !fair || known.is_some() {
            let message = self.message(id);
            return Err(format!("message {id} is {outcome:?} without a reason: {message:?}"));
        }
        if let Some(message) = self.message_mut(id) {
            message.turned_away = Some(now);
        }
        Ok(())
    }

    fn check_acked(&self, id: MessageId, sequence: u64) -> Judged {
        let Some(message) = self.message(id) else { return Ok(()) };
        let acked = self.accounts.get(&message.user).map_or(0, |account| account.acked);
        if acked < sequence {
            return Err(format!("message {id} is acked as {sequence}, clients acked {acked}"));
        }
        Ok(())
    }

    fn limit(&self, user: &User, rejects: bool) -> Option<usize> {
        let keeping = self.keeping.as_ref()?;
        (keeping.rejects[user.0] == rejects).then_some(keeping.messages_max)
    }

    /// Whether as many messages as a mailbox holds may have been in it.
    fn may_be_full(&self, message: &Message) -> bool {
        let asked = self.accounts.get(&message.user).map_or(0, |account| account.durable.len());
        self.limit(&message.user, true).is_some_and(|limit| asked > limit)
    }

    /// Whether so many messages may have come behind it that it had to go.
    fn may_have_made_room(&self, message: &Message) -> bool {
        let Some(account) = self.accounts.get(&message.user) else { return false };
        let others = account.durable.iter().filter_map(|&id| self.message(id));
        let later = |other: &Message| other.answered.is_none_or(|at| at >= message.asked);
        let behind = others.filter(|other| later(other)).count();
        self.limit(&message.user, false).is_some_and(|limit| behind > limit)
    }

    fn may_be_gone(&self, message: &Message, now: u64) -> bool {
        message.may_be_expired(now)
            || self.may_have_made_room(message)
            || self.may_be_purged(message)
    }

    /// A mailbox is to be purged; what is asked for up to `until` may go with that.
    pub(crate) fn purge(&mut self, user: User, until: u64) {
        self.purged.insert(user, until);
    }

    fn may_be_purged(&self, message: &Message) -> bool {
        self.purged.get(&message.user).is_some_and(|&until| message.asked <= until)
    }

    /// A gateway sent again what was not acknowledged.
    pub(crate) fn again(&mut self, rounds: Rounds) {
        self.rounds.begun += rounds.begun;
        self.rounds.quarantines += rounds.quarantines;
    }

    /// A client has read it.
    pub(crate) fn received(&mut self, id: MessageId) {
        if let Some(message) = self.message_mut(id) {
            message.received = true;
        }
    }

    /// A client says that it has all of the user's up to this.
    pub(crate) fn acked(&mut self, user: &User, sequence: u64) {
        let account = self.account(user);
        account.acked = account.acked.max(sequence);
    }

    /// The gateway has heard that a client has all of the user's up to this.
    pub(crate) fn heard(&mut self, user: &User, sequence: u64, now: u64) {
        let told = (self.life(), now);
        let account = self.account(user);
        // In one life only the first word of each is worth anything.
        if account.heard.last().is_none_or(|it| it.sequence < sequence || it.told.0 < told.0) {
            account.heard.push(Heard { sequence, told });
        }
    }

    /// When a gateway that is gone heard that a client has this message, and stored that.
    fn surely_trimmed(&self, user: &User, seen: Seen) -> Option<Told> {
        let heard = &self.accounts.get(user)?.heard;
        let before = |it: &&Heard| {
            let (life, at) = it.told;
            let covers = it.sequence >= seen.sequence && seen.written.is_some_and(|it| it <= at);
            covers && life < self.life() && !self.may_have_lost(it.told, SAFE)
        };
        heard.iter().find(before).map(|heard| heard.told)
    }

    /// Users that ever were sent anything durable.
    pub(crate) fn users(&self) -> Vec<User> {
        let some = self.accounts.iter().filter(|(_, account)| !account.durable.is_empty());
        some.map(|(user, _)| user.clone()).collect()
    }

    /// Promises that are not kept yet at this time.
    pub(crate) fn open(&self, now: u64) -> Vec<String> {
        let mut open = Vec::new();
        for (number, message) in self.all.iter().enumerate() {
            let Some(sequence) = message.promised else { continue };
            let acked = self.accounts.get(&message.user).map_or(0, |account| account.acked);
            let kept = message.received && acked >= sequence;
            if !kept && !self.may_be_gone(message, now) {
                open.push(format!(
                    "message {number} was promised, clients acked {acked}: {message:?}"
                ));
            }
        }
        open
    }
}
