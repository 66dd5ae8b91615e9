//! What shards and a store tell each other.

use compact_str::CompactString;
use std::sync::Arc;

/// Where a store keeps something. Only the store reads it; shards compare segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Place {
    /// The part of the store, which goes as a whole. They grow with age.
    pub segment: u32,
    /// Where in it.
    pub offset: u32,
}

impl Place {
    /// In place of a place: this one was not taken, while the store and the rest of the batch are
    /// well. Another host stored something for the user that the shard did not know of (see
    /// [`Append::behind`]), or has given the product this number.
    pub const REFUSED: Self = Self { segment: u32::MAX, offset: u32::MAX };
    /// In place of a place: the part of a shared store that this one belongs to is away, while the
    /// rest of the batch is well. It may be there all the same.
    pub const AWAY: Self = Self { segment: u32::MAX, offset: u32::MAX - 1 };

    /// Whether this is a place.
    pub fn is_one(self) -> bool {
        self != Self::REFUSED && self != Self::AWAY
    }
}

/// What a shared store remembers of the deliveries to a user while no host has the mailbox: how far
/// a client was sent its messages without acknowledging the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// The greatest sequence that was sent.
    pub sent: u64,
    /// How often it was sent again.
    pub rounds: u16,
    /// Whether nothing is sent any more.
    pub quarantined: bool,
}

/// A part of some shared bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Where it starts.
    pub at: u32,
    /// How long it is.
    pub length: u32,
}

impl Span {
    /// The bytes; empty where they are not there.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        let (at, length) = (self.at as usize, self.length as usize);
        bytes.get(at..).and_then(|rest| rest.get(..length)).unwrap_or_default()
    }
}

/// Work for a store, of one shard. Commands are carried out in their order; a shard sends the next
/// batch when the one before was answered by [`Event::Written`] or [`Event::Failed`].
#[derive(Debug)]
pub struct Batch {
    /// Whose.
    pub shard: u16,
    /// What is to be done.
    pub commands: Vec<Command>,
    /// What the shard needs no more of what was written earlier, by segment.
    pub freed: Vec<Freed>,
}

/// So many records of a segment are of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freed {
    /// Which segment.
    pub segment: u32,
    /// Records.
    pub records: u32,
    /// The bytes of their bodies.
    pub bytes: u64,
}

/// One thing to do. What is *answered* gets a [`Place`] in [`Event::Written`], in order; the rest
/// is carried out with the same sync, or, where that fails, with a later one: the store does not
/// forget it.
#[derive(Debug)]
pub enum Command {
    /// Keep a message. Answered.
    Append(Append),
    /// Forget all of a user's messages up to this sequence. Where several hosts share the store, a
    /// shard says this only of what it knows all of: see [`Append::behind`].
    Trim {
        /// The product's number.
        product: u16,
        /// The user.
        user: CompactString,
        /// The greatest sequence to forget.
        upto: u64,
    },
    /// Copy the record at this place to the end, because its segment is to go. Answered, with the
    /// same place where it could not be read.
    Move(Place),
    /// Keep a durable broadcast. Answered.
    Broadcast(Arc<Broadcast>),
    /// A durable broadcast stands so now. Where that is not safe although its batch is written,
    /// [`Event::Unsteered`] says so.
    Steer {
        /// The product's number.
        product: u16,
        /// Which broadcast.
        number: u64,
        /// How it stands.
        state: BroadcastState,
    },
    /// These users have had a broadcast.
    Seen(Seen),
    /// These idempotency keys were used. (Said again where the segment of the first record goes.)
    Keys(Vec<KeyMark>),
    /// Sequences up to this may be given out, so a later life begins behind it.
    Reserve(u64),
    /// The shard needs nothing of the segments up to this one: the answer to [`Event::Clean`].
    Cleaned(u32),
    /// Remember this of the deliveries to a user, until the next trim. For stores that several
    /// hosts share, as those that follow.
    Mark {
        /// The product's number.
        product: u16,
        /// The user.
        user: CompactString,
        /// What; `None` to forget it.
        mark: Option<Mark>,
    },
    /// The user was given sequences up to this, stored or not.
    Given {
        /// The product's number.
        product: u16,
        /// The user.
        user: CompactString,
        /// The greatest.
        upto: u64,
    },
    /// Somebody wants to hear when a message of this user goes out of date: see [`Event::Look`].
    Due {
        /// The product's number.
        product: u16,
        /// The user.
        user: CompactString,
        /// The last second of its time to live, since 1970 UTC.
        expires: u32,
    },
}

/// A message to keep.
#[derive(Debug, Clone)]
pub struct Append {
    /// The product's number.
    pub product: u16,
    /// Its place in the user's order.
    pub sequence: u64,
    /// Only for stores that several hosts share: the greatest sequence that the store knows of the
    /// user, as the shard believes. Everything that the store has up to it, the shard has. Where it
    /// is not so any more, another host stored something in between, and this is refused.
    pub behind: u64,
    /// Whether that sequence is of a message of this shard which the store has not answered yet. It
    /// may be refused, and another host's have its sequence: then this is refused too.
    pub chained: bool,
    /// When it was accepted, in seconds since 1970 UTC.
    pub at: u32,
    /// The second since 1970 UTC after which it is of no use.
    pub expires: u32,
    /// What user, key and body are parts of.
    pub bytes: Arc<[u8]>,
    /// The user, 1 to 64 bytes of UTF-8.
    pub user: Span,
    /// The idempotency key, up to 64 bytes; empty for none.
    pub key: Span,
    /// The body; not empty.
    pub body: Span,
    /// The backend that wants a receipt.
    pub receipt: Option<CompactString>,
}

/// How a durable broadcast stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BroadcastState {
    /// It goes to everybody who has not had it.
    Running,
    /// Nobody gets it until it runs again.
    Paused,
    /// Nobody gets it any more.
    Cancelled,
}

/// A durable broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    /// The product's number.
    pub product: u16,
    /// Its number in the product.
    pub number: u64,
    /// The job that backends know it by.
    pub job: u64,
    /// Only for sessions with this tag; empty for all.
    pub tag: CompactString,
    /// When it was accepted, in seconds since 1970 UTC.
    pub at: u32,
    /// The second since 1970 UTC after which it is of no use.
    pub expires: u32,
    /// How it stands.
    pub state: BroadcastState,
    /// The idempotency key; empty for none.
    pub key: Box<[u8]>,
    /// The message.
    pub body: Arc<[u8]>,
}

/// Users that have had a broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The product's number.
    pub product: u16,
    /// Which broadcast.
    pub number: u64,
    /// Until when that matters: the broadcast's end, in seconds since 1970 UTC.
    pub until: u32,
    /// The users' hashes.
    pub users: Vec<u64>,
}

/// An idempotency key that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyMark {
    /// The hash of the user (which depends on the product).
    pub user: u64,
    /// The hash of the key, by [`crate::port::key_hash`].
    pub key: u64,
    /// The sequence of the message that it is for.
    pub sequence: u64,
    /// When it was used, in seconds since 1970 UTC.
    pub at: u32,
}

/// A question about what is stored; answered by an event with the same token.
#[derive(Debug)]
pub struct Ask {
    /// Whose question.
    pub shard: u16,
    /// The shard's own number for it.
    pub token: u64,
    /// The product's number.
    pub product: u16,
    /// The user.
    pub user: CompactString,
    /// What of the user's mailbox; all that it holds where this is empty (see [`Event::Opened`]).
    pub wanted: Vec<Wanted>,
}

/// One message to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its sequence.
    pub sequence: u64,
    /// Where it lies.
    pub place: Place,
    /// The bytes of its body.
    pub length: u32,
}

/// A loaded message.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its sequence.
    pub sequence: u64,
    /// What the body is a part of; the store may put several messages into one.
    pub bytes: Arc<[u8]>,
    /// The body; empty where the message is not there or is not what was stored.
    pub body: Span,
}

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No room.
    Full,
    /// It fails, or cannot be reached. The store's own log line says how.
    Down,
}

/// What a shard hears from its store.
#[derive(Debug)]
pub enum Event {
    /// Everything in the batch is safe, but for what has [`Place::REFUSED`]; these are the places
    /// of what is answered, in order.
    Written(Vec<Place>),
    /// How durable broadcasts stand by the batch that is answered next is not safe, or not all of
    /// it, whatever becomes of the rest. Where a server is away it is carried out later.
    Unsteered(Trouble),
    /// Nothing of what is answered in the batch is kept, nor may it be called so.
    Failed(Trouble),
    /// What was asked for, in the order asked.
    Loaded {
        /// The question's.
        token: u64,
        /// One for each that was wanted; the first ones alone where the store could not say now
        /// what the next one is.
        messages: Vec<Loaded>,
    },
    /// What the user's mailbox holds. Only stores that several hosts share are asked that.
    Opened {
        /// The question's.
        token: u64,
        /// By sequence, ascending.
        messages: Vec<crate::Kept>,
        /// The greatest sequence that the store knows of this user; 0 for none.
        last: u64,
        /// The user's idempotency keys whose window is not over.
        keys: Vec<KeyMark>,
        /// Numbers of the product's live broadcasts that the user has had.
        seen: Vec<u64>,
        /// What is remembered of the deliveries to the user.
        mark: Option<Mark>,
    },
    /// A message of this user has gone out of date, and somebody wants to hear of that: open the
    /// mailbox. Said at least once.
    Look {
        /// The product's number.
        product: u16,
        /// The user.
        user: CompactString,
    },
    /// Sequences behind this one, as many as a shard reserves at once, are this process's alone.
    Block(u64),
    /// Another process that shares the store keeps this durable broadcast.
    Broadcast(Arc<Broadcast>),
    /// A durable broadcast of another process stands so now.
    Steered {
        /// The product's number.
        product: u16,
        /// Which broadcast.
        number: u64,
        /// How it stands.
        state: BroadcastState,
    },
    /// Could not be answered now.
    Unanswered {
        /// The question's.
        token: u64,
    },
    /// The segments up to this are to go: move what is still needed of them, then say
    /// [`Command::Cleaned`].
    Clean(u32),
    /// How the store is from now on; `None` is well.
    State(Option<Trouble>),
}
