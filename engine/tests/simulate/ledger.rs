//! What was promised and what was seen, message by message.
//!
//! The ledger knows each session from the bytes that the gateway put into its pipe ([`Tap`]), so
//! that nothing depends on whether the client reads them. Every broken promise becomes a line in
//! `failures`; nothing here panics.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast::io::sim::LinkId;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::client::{Class, FromServer, Push};
use holdfast_protocol::close::Code;
use holdfast_protocol::frame;
use holdfast_protocol::limits::PUSH_PAYLOAD;

use crate::broadcasts::Broadcasts;
use crate::durable::reading::Copy;
use crate::durable::{Durables, End, Judged};

/// A number that stands in the body of a message and says which it is.
pub(crate) type MessageId = u32;

/// Who a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) product: usize,
    pub(crate) user: String,
    pub(crate) tags: Vec<&'static str>,
}

/// What the gateway said to one client, as it entered the pipe.
#[derive(Debug)]
pub(crate) struct Tap {
    /// `None` for one that can never be logged in.
    pub(crate) identity: Option<Identity>,
    unread: Vec<u8>,
    /// When the first byte of `unread` was written.
    begun: u64,
    /// Its hello names a session of this life.
    pub(crate) may_resume: bool,
    /// When the welcome was sent.
    pub(crate) welcomed: Option<u64>,
    next_sequence: u64,
    /// What the client had acknowledged when it sent each ping that was not answered yet.
    pub(crate) pings: VecDeque<u64>,
    pub(crate) closed: Option<u16>,
    /// Whether the client has done anything that may end the session or fill its outbox.
    pub(crate) careless: bool,
}

/// One target of a push.
#[derive(Debug)]
struct Message {
    product: usize,
    user: String,
    fate: Fate,
    /// In which life of the gateway it was sent.
    life: u32,
    written: Option<(LinkId, u64)>,
    /// To how many sessions.
    copies: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unknown,
    Told(Outcome),
    /// The request was refused as a whole.
    Refused,
    /// The backend's connection ended before the answer.
    Unasked,
}

/// Everything that is remembered about one run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    taps: BTreeMap<LinkId, Tap>,
    messages: Vec<Message>,
    /// The connections that said hello as a user.
    hellos: BTreeMap<(usize, String), Vec<LinkId>>,
    /// Users that a backend has wanted kicked, at any time.
    kicked: BTreeSet<(usize, String)>,
    /// Connections may be refused for want of a slot.
    pub(crate) crowded: bool,
    /// The most sessions of a user.
    pub(crate) sessions: usize,
    life: u32,
    pub(crate) broadcasts: Broadcasts,
    pub(crate) durables: Durables,
    pub(crate) failures: Vec<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// An empty one; `crowded` where connections may be refused for want of a slot.
    pub(crate) fn new(crowded: bool, sessions: usize, durables: Durables) -> Self {
        Self { crowded, sessions, durables, ..Self::default() }
    }

    /// The gateway is gone, and with it all that it had not stored.
    pub(crate) fn over(&mut self, end: End) {
        self.life += 1;
        self.count(if end.in_order { "stops" } else { "crashes" });
        self.durables.over(end);
        self.broadcasts.over(end);
        // A hello that was on its way may yet reach the next gateway.
        self.taps.values_mut().for_each(|tap| tap.careless = true);
    }

    /// A promise about durable messages was kept, or not.
    pub(crate) fn judged(&mut self, judged: Judged) {
        self.failures.extend(judged.err());
    }

    pub(crate) fn fail(&mut self, what: String) {
        self.failures.push(what);
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A client connects.
    pub(crate) fn open(&mut self, link: LinkId, identity: Option<Identity>) {
        if let Some(identity) = &identity {
            let user = (identity.product, identity.user.clone());
            self.hellos.entry(user).or_default().push(link);
        }
        let tap = Tap {
            identity,
            unread: Vec::new(),
            begun: 0,
            may_resume: false,
            welcomed: None,
            next_sequence: 0,
            pings: VecDeque::new(),
            closed: None,
            careless: false,
        };
        self.taps.insert(link, tap);
    }

    pub(crate) fn tap(&mut self, link: LinkId) -> &mut Tap {
        self.taps.get_mut(&link).expect("a client has opened it")
    }

    pub(crate) fn taps(&self) -> impl Iterator<Item = (LinkId, &Tap)> {
        self.taps.iter().map(|(&link, tap)| (link, tap))
    }

    /// A backend pushes; gives the message's number for its body.
    pub(crate) fn ask(&mut self, product: usize, user: &str) -> MessageId {
        let (user, fate, life) = (user.to_owned(), Fate::Unknown, self.life);
        self.messages.push(Message { product, user, fate, life, written: None, copies: 0 });
        u32::try_from(self.messages.len() - 1).expect("a run has fewer messages")
    }

    /// The gateway put bytes into the pipe of a client.
    pub(crate) fn written(&mut self, link: LinkId, bytes: &[u8], now: u64) {
        let Some(tap) = self.taps.get_mut(&link) else { return };
        if tap.unread.is_empty() {
            tap.begun = now;
        }
        tap.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut tap.unread);
        let mut at = 0;
        loop {
            let split = frame::split(&unread[at..], PUSH_PAYLOAD);
            let understood = split.and_then(|found| match found {
                Some((frame, taken)) => FromServer::decode(frame).map(|said| Some((said, taken))),
                None => Ok(None),
            });
            match understood {
                Ok(Some((said, taken))) => {
                    self.said(link, &said, now);
                    at += taken;
                    self.tap(link).begun = now;
                }
                Ok(None) => break,
                Err(violation) => {
                    self.fail(format!("connection {link} is sent nonsense: {violation}"));
                    break;
                }
            }
        }
        self.tap(link).unread = unread[at..].to_vec();
    }

    fn said(&mut self, link: LinkId, said: &FromServer<'_>, now: u64) {
        let tap = self.tap(link);
        if let Some(code) = tap.closed {
            self.fail(format!("connection {link} is sent {said:?} behind its close {code}"));
            return;
        }
        match said {
            FromServer::Welcome(welcome) => {
                tap.next_sequence = welcome.next_sequence;
                // Nothing is kept of a session that ended, so none goes on.
                let wrong = tap.identity.is_none() || (welcome.resumed && !tap.may_resume);
                if tap.welcomed.replace(now).is_some() || wrong {
                    self.fail(format!("connection {link} is welcomed without reason"));
                }
                if welcome.resumed {
                    self.count("resumed");
                }
                let judged = self.durables.welcomed(link, welcome.next_sequence);
                self.judged(judged);
                self.count("welcomed");
            }
            FromServer::Close { code, .. } => {
                tap.closed = Some(*code);
                self.count(Code::from_number(*code).map_or("closed with a riddle", Code::name));
            }
            FromServer::Push(push) => self.pushed(link, push, now),
            FromServer::Pong => self.ponged(link, now),
            FromServer::Notice(_) => {}
            FromServer::Skipped => self.fail(format!("connection {link} is sent an unknown kind")),
        }
    }

    /// What a client said before a ping is known to the gateway that answers it.
    fn ponged(&mut self, link: LinkId, now: u64) {
        let tap = self.tap(link);
        let (heard, identity) = (tap.pings.pop_front(), tap.identity.as_ref());
        let user = identity.map(|identity| (identity.product, identity.user.clone()));
        if let (Some(sequence), Some(user)) = (heard.filter(|&it| it > 0), user) {
            self.count("acknowledgements surely heard");
            self.durables.heard(&user, sequence, now);
        }
    }

    fn pushed(&mut self, link: LinkId, push: &Push<'_>, now: u64) {
        let tap = &self.taps[&link];
        let Some(identity) = tap.identity.clone().filter(|_| tap.welcomed.is_some()) else {
            self.fail(format!("connection {link} is pushed to before its welcome"));
            return;
        };
        let Some(id) = message_id(push.body) else {
            self.fail(format!("connection {link} is pushed a body that nobody sent"));
            return;
        };
        if push.broadcast {
            let failure = self.broadcasts.written(
                link,
                &identity,
                (id, push.sequence),
                (push.redelivered, now),
            );
            self.failures.extend(failure);
            let durable = push.class == Class::Durable;
            self.count(if durable { "durable broadcast copies" } else { "broadcast copies" });
            return;
        }
        if push.wants_ack() {
            let copy = Copy {
                link,
                id,
                sequence: push.sequence,
                again: push.redelivered,
                begun: tap.begun,
                now,
            };
            let judged = self.durables.written(&copy);
            self.judged(judged);
            self.count(if push.redelivered { "durable again" } else { "durable copies" });
            return;
        }
        let next = tap.next_sequence;
        if push.sequence < next {
            self.fail(format!(
                "connection {link} is pushed {} after {next} was next",
                push.sequence
            ));
        }
        self.tap(link).next_sequence = push.sequence + 1;
        self.count("pushes");
        let failure = self.judge_written(link, &identity, id, push.sequence);
        self.failures.extend(failure);
    }

    fn judge_written(
        &mut self,
        link: LinkId,
        to: &Identity,
        id: MessageId,
        sequence: u64,
    ) -> Option<String> {
        let (life, most) = (self.life, self.sessions);
        let user = (to.product, to.user.clone());
        if self.durables.is_kept()
            && let Err(failure) = self.durables.number(&user, sequence, id)
        {
            return Some(failure);
        }
        let Some(message) = self.messages.get_mut(id as usize) else {
            return Some(format!("connection {link} is pushed message {id}, which nobody sent"));
        };
        if message.product != to.product || message.user != to.user {
            return Some(format!("message {id} for {} is written to {to:?}", message.user));
        }
        if message.life != life {
            return Some(format!("message {id} is written to {link} by another gateway"));
        }
        message.copies += 1;
        if let Some((first, before)) = message.written.replace((link, sequence))
            && (first == link || before != sequence || message.copies > most)
        {
            return Some(format!("message {id} is written to {first} and to {link}"));
        }
        match message.fate {
            Fate::Unknown | Fate::Unasked => None,
            fate => Some(format!("message {id} is written to {link} after its fate was {fate:?}")),
        }
    }

    /// A backend was told what became of a target.
    pub(crate) fn outcome(&mut self, id: MessageId, outcome: Outcome) {
        self.count(outcome.name());
        let message = &mut self.messages[id as usize];
        let before = std::mem::replace(&mut message.fate, Fate::Told(outcome));
        let written = message.written;
        if before != Fate::Unknown {
            self.fail(format!("message {id} is {outcome:?} and was {before:?}"));
        }
        let agrees = match outcome {
            Outcome::Delivered(sequence) => written.is_some_and(|(_, wrote)| wrote == sequence),
            _ => written.is_none(),
        };
        if !agrees {
            self.fail(format!("message {id} is {outcome:?}, but it was written as {written:?}"));
        }
    }

    /// A request was refused as a whole.
    pub(crate) fn refused(&mut self, id: MessageId) {
        let message = &mut self.messages[id as usize];
        let before = std::mem::replace(&mut message.fate, Fate::Refused);
        if before != Fate::Unknown || message.written.is_some() {
            let written = message.written;
            self.fail(format!("message {id} is refused, was {before:?}, is written {written:?}"));
        }
    }

    /// The backend is gone and will never know.
    pub(crate) fn unasked(&mut self, id: MessageId) {
        self.messages[id as usize].fate = Fate::Unasked;
    }

    /// The connection on which a user has been online without a doubt since before `since`:
    /// welcomed, not closed, careful, never kicked, and the last of this user's logins.
    pub(crate) fn surely_online(&self, product: usize, user: &str, since: u64) -> Option<LinkId> {
        let user = (product, user.to_owned());
        let links = self.hellos.get(&user)?;
        // A login that has not been answered may yet be, and replace a later one.
        let known = links.iter().all(|link| self.taps[link].welcomed.is_some_and(|at| at < since));
        let link = *links.last()?;
        let tap = &self.taps[&link];
        let online = known && tap.closed.is_none() && !tap.careless;
        (online && !self.kicked.contains(&user)).then_some(link)
    }

    /// A backend wants a user's session ended.
    pub(crate) fn kick(&mut self, product: usize, user: &str) {
        self.kicked.insert((product, user.to_owned()));
    }

    /// Whether anybody has given a reason to close a session with this code.
    pub(crate) fn has_reason(&self, code: Code, identity: &Identity) -> bool {
        let user = (identity.product, identity.user.clone());
        match code {
            Code::Kicked => self.kicked.contains(&user),
            Code::Overloaded => self.crowded,
            Code::Replaced => self.hellos.get(&user).is_some_and(|links| links.len() > 1),
            _ => true,
        }
    }

    /// At the end: nothing may be open.
    pub(crate) fn settle(&mut self) {
        let open: Vec<usize> = (0..self.messages.len())
            .filter(|&id| self.messages[id].fate == Fate::Unknown)
            .collect();
        if let Some(id) = open.first() {
            let count = open.len();
            self.fail(format!("{count} messages have no outcome, the first is {id}"));
        }
    }
}

/// A body that says which message it is and proves itself to its last byte.
pub(crate) fn write_body(id: MessageId, length: usize) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend((4..length).map(|index| filler(id, index)));
    body
}

/// Which message has this body.
pub(crate) fn message_id(body: &[u8]) -> Option<MessageId> {
    let (id, rest) = body.split_first_chunk::<4>()?;
    let id = u32::from_be_bytes(*id);
    let whole = rest.iter().enumerate().all(|(index, &byte)| byte == filler(id, index + 4));
    whole.then_some(id)
}

fn filler(id: MessageId, index: usize) -> u8 {
    let mixed = id.wrapping_mul(31).wrapping_add(u32::try_from(index).unwrap_or(0));
    (mixed % 251) as u8
}
