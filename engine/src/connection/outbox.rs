//! Frames on their way to a connection.
//!
//! In a turn, frames only gather: [`Staging`] chains those of one connection, and at the end of the
//! turn each connection's chain leaves in one send. What the kernel does not take is *parked* with
//! its connection, in pieces that own their bytes, so that one slow reader does not pin a whole
//! request.

use crate::io::Key;
use crate::mesh::letter::{Origin, Parcel};
use holdfast_protocol::client::from_server::PushHead;
use std::sync::Arc;

const NONE: u32 = u32::MAX;

/// The bytes of one frame.
#[derive(Debug)]
pub enum Frame {
    /// The same bytes each time.
    Fixed(&'static [u8]),
    /// Made for this connection.
    Owned(Box<[u8]>),
    /// A message to one user.
    Push(PushHead, Parcel),
    /// A message to many, whole.
    Shared(Arc<[u8]>),
}

impl Frame {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Fixed(bytes) => bytes.len(),
            Self::Owned(bytes) => bytes.len(),
            Self::Push(head, parcel) => head.as_bytes().len() + parcel.body().len(),
            Self::Shared(bytes) => bytes.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its kind on the wire; of several frames in one piece, the first one's.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Push(head, _) => head.as_bytes().first().copied().unwrap_or_default(),
            Self::Fixed(_) | Self::Owned(_) | Self::Shared(_) => {
                self.whole().and_then(|bytes| bytes.first()).copied().unwrap_or_default()
            }
        }
    }

    /// The bytes, where they stand in one piece.
    pub fn whole(&self) -> Option<&[u8]> {
        match self {
            Self::Fixed(bytes) => Some(bytes),
            Self::Owned(bytes) => Some(bytes),
            Self::Push(..) => None,
            Self::Shared(bytes) => Some(bytes),
        }
    }

    /// Appends the bytes.
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Push(head, parcel) => {
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(parcel.body());
            }
            Self::Fixed(_) | Self::Owned(_) | Self::Shared(_) => {
                out.extend_from_slice(self.whole().unwrap_or_default());
            }
        }
    }
}

/// Who is to be told when a frame was written or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Nobody.
    None,
    /// The backend that pushed it, with its sequence.
    Push(Origin, u64),
    /// The home of the user, of a durable message: this connection, the message's sequence, and
    /// whether more may come once it is written.
    Durable(Key, u64, bool),
    /// This shard's part of a broadcast.
    Part(u32),
    /// The home of this connection's user, of a durable broadcast.
    Kept {
        /// This shard's part of it, where the session was met by that.
        part: Option<u32>,
        /// The connection.
        key: Key,
        /// The broadcast's number.
        number: u64,
        /// Whether it may have come before.
        again: bool,
    },
}

/// A frame, and what goes with it.
#[derive(Debug)]
pub struct Queued {
    /// The bytes.
    pub frame: Frame,
    /// Who is to be told.
    pub receipt: Receipt,
    /// The second after which it is of no use; `u32::MAX` for never.
    pub expires: u32,
}

impl Queued {
    /// A frame that is always of use and of which nobody is told.
    pub fn control(frame: Frame) -> Self {
        Self { frame, receipt: Receipt::None, expires: u32::MAX }
    }
}

/// What the kernel did not take of one frame, or of several of which nobody is told.
#[derive(Debug)]
pub struct Parked {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many of them the kernel has.
    pub written: usize,
    /// Who is to be told.
    pub receipt: Receipt,
    /// The second after which it is of no use, unless it was begun.
    pub expires: u32,
    /// Since which second it waits.
    pub since: u32,
}

impl Parked {
    /// Whether a frame of which nobody is told, and which waits since `now`, may be joined to this.
    pub fn takes_more(&self, now: u32) -> bool {
        self.receipt == Receipt::None && self.since == now
    }
}

/// A connection's chain of frames in this turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    head: u32,
    tail: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self { head: NONE, tail: NONE }
    }
}

impl Queue {
    /// Whether nothing is queued.
    pub fn is_empty(self) -> bool {
        self.head == NONE
    }
}

#[derive(Debug)]
struct Link {
    queued: Queued,
    next: u32,
}

/// The frames of one turn, of all connections of the shard.
#[derive(Debug, Default)]
pub struct Staging {
    links: Vec<Link>,
    dirty: Vec<u32>,
    /// Bytes of frames that were made for one connection.
    owned: usize,
}

impl Staging {
    /// Adds a frame to the chain of the connection in `slot`.
    #[inline]
    pub fn push(&mut self, slot: u32, queue: &mut Queue, queued: Queued) {
        let index = u32::try_from(self.links.len()).unwrap_or(NONE);
        if let Frame::Owned(bytes) = &queued.frame {
            self.owned += bytes.len();
        }
        self.links.push(Link { queued, next: NONE });
        if queue.is_empty() {
            self.dirty.push(slot);
            queue.head = index;
        } else {
            self.links[queue.tail as usize].next = index;
        }
        queue.tail = index;
    }

    /// Bytes of frames that were made for one connection: answers, mostly.
    pub fn owned_bytes(&self) -> usize {
        self.owned
    }

    /// What is left of a chain after its first `count` frames.
    pub fn rest(&self, queue: Queue, count: usize) -> Queue {
        let mut head = queue.head;
        for _ in 0..count {
            head = self.links.get(head as usize).map_or(NONE, |link| link.next);
        }
        if head == NONE { Queue::default() } else { Queue { head, tail: queue.tail } }
    }

    /// Has the connection in `slot`, whose queue is not empty, gathered once more.
    pub fn again(&mut self, slot: u32) {
        self.dirty.push(slot);
    }

    /// Slots with frames, in the order in which they got their first.
    pub fn dirty(&self) -> &[u32] {
        &self.dirty
    }

    /// The frames of a chain, in order.
    pub fn chain(&self, queue: Queue) -> impl Iterator<Item = &Queued> {
        let mut at = queue.head;
        std::iter::from_fn(move || {
            let link = self.links.get(at as usize)?;
            at = link.next;
            Some(&link.queued)
        })
    }

    /// Forgets everything, once each chain was dealt with.
    pub fn clear(&mut self) {
        self.links.clear();
        self.dirty.clear();
        self.owned = 0;
    }
}
