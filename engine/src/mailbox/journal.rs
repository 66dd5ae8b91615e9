//! The way to the store and back: what is to be written gathers here while the store writes the
//! batch before, and waits here until the store has it.
//!
//! A message that is acknowledged before its batch was sent is taken out of it: it needs no disk
//! any more. So the slower the disk, the less it has to write for clients that acknowledge fast.

use crate::directory::homes::HomeId;
use crate::mesh::letter::{Origin, Parcel};
use compact_str::CompactString;
use holdfast_protocol::backend::JobId;
use holdfast_store::{Append, Batch, Command, Freed, Place, Span, Trouble};
use std::collections::{BTreeMap, VecDeque};

/// Who waits for the store to have a message.
#[derive(Debug)]
pub struct Message {
    /// The user's home.
    pub home: HomeId,
    /// The message's sequence.
    pub sequence: u64,
    /// The user and the body, for sessions that are to have it now.
    pub parcel: Parcel,
    /// The idempotency key and its user, hashed; `None` without one.
    pub key: Option<(u64, u64)>,
    /// Where the outcome goes; empty once it was told.
    pub origins: Vec<Origin>,
    /// Where hosts share the store: with what it is kept again, behind what others stored.
    pub again: Option<Box<Again>>,
}

/// What a push says beside user and body.
#[derive(Debug, Clone)]
pub struct Again {
    /// For how many seconds it is of use.
    pub ttl: u32,
    /// Where the idempotency key lies in the parcel's request; empty for none.
    pub key: Span,
    /// The backend's name, where it wants a receipt.
    pub receipt: Option<CompactString>,
}

/// What the store answers with a place, in order.
#[derive(Debug)]
pub enum Waiting {
    /// A message.
    Message(Message),
    /// A message was copied before its segment goes.
    Moved(Moved),
    /// A durable broadcast of this job. (The store itself copies it before its segment goes.)
    Broadcast(JobId),
    /// A message that was taken out of its batch again. It has no place.
    Skipped,
}

/// A message that is being copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The user's home.
    pub home: HomeId,
    /// The message's sequence.
    pub sequence: u64,
    /// Where it lay.
    pub from: Place,
    /// The bytes of its body.
    pub length: u32,
}

/// Why the store takes nothing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is slow, or cannot be reached.
    Busy,
    /// It has no room.
    Full,
}

/// The batch that the store has.
#[derive(Debug, Clone, Copy)]
struct Sent {
    answered: usize,
    bytes: usize,
    /// When it was sent, in microseconds.
    since: u64,
}

/// One shard's way to its store.
#[derive(Debug)]
pub struct Journal {
    shard: u16,
    /// The batch that grows. A command that is needed no more is `None`.
    next: Vec<Option<Command>>,
    bytes: usize,
    /// What the store will answer: first what it has, then what is in the batch that grows.
    waiting: VecDeque<(Waiting, u32)>,
    sent: Option<Sent>,
    /// The ticket of the first that waits.
    first: u32,
    freed: Vec<Freed>,
    /// How many records each segment still holds for this shard.
    live: BTreeMap<u32, u32>,
    trouble: Option<Trouble>,
    bytes_max: usize,
    /// Batches sent, and batches answered.
    batches: (u64, u64),
}

/// A batch on its way for so long, in microseconds, means that the store is stuck.
const STUCK_MICROS: u64 = 2_000_000;

impl Journal {
    /// Of this shard; at most `bytes_max` bytes of messages may wait for the store.
    pub fn new(shard: u16, bytes_max: usize) -> Self {
        Self {
            shard,
            next: Vec::new(),
            bytes: 0,
            waiting: VecDeque::new(),
            sent: None,
            first: 0,
            freed: Vec::new(),
            live: BTreeMap::new(),
            trouble: None,
            bytes_max,
            batches: (0, 0),
        }
    }

    /// How many batches the store must have answered for everything that was said so far to be
    /// carried out.
    pub fn safe_after(&self) -> u64 {
        self.batches.0 + u64::from(!self.next.is_empty())
    }

    /// How many batches the store has answered.
    pub fn answered(&self) -> u64 {
        self.batches.1
    }

    /// Why nothing more can be taken at `now` microseconds.
    pub fn refusal(&self, now: u64) -> Option<Refusal> {
        match self.trouble {
            Some(Trouble::Full) => Some(Refusal::Full),
            Some(Trouble::Down) => Some(Refusal::Busy),
            None => {
                let sent = self.sent.map_or(0, |sent| sent.bytes);
                let slow = self.is_stuck(now) || self.bytes + sent > self.bytes_max;
                slow.then_some(Refusal::Busy)
            }
        }
    }

    /// Whether the store has not answered for long.
    pub fn is_stuck(&self, now: u64) -> bool {
        self.sent.is_some_and(|sent| now.saturating_sub(sent.since) > STUCK_MICROS)
    }

    /// The store's trouble.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// The store says how it is.
    pub fn set_trouble(&mut self, trouble: Option<Trouble>) {
        self.trouble = trouble;
    }

    /// Bytes of messages that wait for the store.
    pub fn waiting_bytes(&self) -> usize {
        self.bytes + self.sent.map_or(0, |sent| sent.bytes)
    }

    /// When the batch that the store has was sent, in microseconds.
    pub fn since(&self) -> Option<u64> {
        self.sent.map(|sent| sent.since)
    }

    /// Whether everything is in the store.
    pub fn is_idle(&self) -> bool {
        self.sent.is_none() && self.next.is_empty() && self.freed.is_empty()
    }

    fn expect(&mut self, command: Command, waiting: Waiting) -> u32 {
        let ticket = self.first.wrapping_add(narrow(self.waiting.len()));
        self.waiting.push_back((waiting, narrow(self.next.len())));
        self.next.push(Some(command));
        ticket
    }

    /// Has a message kept; gives its ticket.
    pub fn keep(&mut self, append: Append, message: Message) -> u32 {
        self.bytes += append.body.length as usize;
        self.expect(Command::Append(append), Waiting::Message(message))
    }

    /// Has something else of so many bytes written that is answered with a place.
    pub fn write(&mut self, command: Command, waiting: Waiting, bytes: usize) {
        self.bytes += bytes;
        self.expect(command, waiting);
    }

    /// Has something done that is not answered.
    pub fn order(&mut self, command: Command) {
        self.next.push(Some(command));
    }

    fn index(&self, ticket: u32) -> usize {
        ticket.wrapping_sub(self.first) as usize
    }

    /// The message of this ticket, while it waits.
    pub fn message(&mut self, ticket: u32) -> Option<&mut Message> {
        let index = self.index(ticket);
        match &mut self.waiting.get_mut(index)?.0 {
            Waiting::Message(message) => Some(message),
            _ => None,
        }
    }

    /// The message is needed no more, before the store has it. Takes it out of its batch if that
    /// was not sent yet, and gives it; `None` where the store will still write it.
    pub fn skip(&mut self, ticket: u32) -> Option<Message> {
        let index = self.index(ticket);
        if index < self.sent.map_or(0, |sent| sent.answered) {
            return None;
        }
        let (waiting, command) = self.waiting.get_mut(index)?;
        let Waiting::Message(_) = waiting else { return None };
        let Waiting::Message(message) = std::mem::replace(waiting, Waiting::Skipped) else {
            return None;
        };
        if let Some(command) = self.next.get_mut(*command as usize)
            && let Some(Command::Append(append)) = command.take()
        {
            self.bytes -= append.body.length as usize;
        }
        Some(message)
    }

    /// A record that lies here is of no use any more.
    pub fn free(&mut self, place: Place, length: u32) {
        super::free(&mut self.freed, place, length);
        if let Some(live) = self.live.get_mut(&place.segment) {
            *live -= 1;
            if *live == 0 {
                self.live.remove(&place.segment);
            }
        }
    }

    /// A record of this shard lies here.
    pub fn holds(&mut self, place: Place) {
        *self.live.entry(place.segment).or_default() += 1;
    }

    /// Whether this shard needs any record of the segments up to this one.
    pub fn needs(&self, upto: u32) -> bool {
        self.live.range(..=upto).next().is_some()
    }

    /// The newest segment that this shard knows to have records in.
    pub fn newest(&self) -> u32 {
        self.live.last_key_value().map_or(0, |(&segment, _)| segment)
    }

    /// The batch to send at `now` microseconds, if there is something and the one before is
    /// answered.
    pub fn dispatch(&mut self, now: u64) -> Option<Batch> {
        if self.sent.is_some() || (self.next.is_empty() && self.freed.is_empty()) {
            return None;
        }
        let commands: Vec<_> = self.next.drain(..).flatten().collect();
        let freed = std::mem::take(&mut self.freed);
        let answered = self.waiting.len();
        if commands.is_empty() && freed.is_empty() {
            // Everything was skipped.
            self.first = self.first.wrapping_add(narrow(answered));
            self.waiting.clear();
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.sent = Some(Sent { answered, bytes, since: now });
        self.batches.0 += 1;
        Some(Batch { shard: self.shard, commands, freed })
    }

    /// What is left, whether or not the batch before is answered: the shard ends, and nobody waits
    /// for the places any more.
    pub fn dispatch_last(&mut self) -> Option<Batch> {
        self.sent = None;
        self.dispatch(0)
    }

    /// The store answered the batch; gives what waited for it, in order.
    pub fn answered_batch(&mut self) -> Vec<Waiting> {
        let Some(Sent { answered, .. }) = self.sent.take() else { return Vec::new() };
        self.batches.1 += 1;
        self.first = self.first.wrapping_add(narrow(answered));
        let done = self.waiting.drain(..answered).map(|(waiting, _)| waiting);
        done.filter(|waiting| !matches!(waiting, Waiting::Skipped)).collect()
    }
}

fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
