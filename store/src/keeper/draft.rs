//! Writing commands as the records of one group.

use crate::disk::Disk;
use crate::letter::{Append, Broadcast, BroadcastState, Command, Place};
use crate::log::Spot;
use crate::log::segment::Tally;
use crate::log::shelf::{Missing, Shelf};
use crate::own::{CastName, Held, Own};
use crate::record::{Cast, HEAD, KEY_MARK, Message, Pen, Record, parse_payload};
use compact_str::CompactString;
use std::io;
use std::sync::Arc;

/// The buffer that is kept from group to group, in bytes.
const BUFFER: usize = 4 << 20;

/// Turns commands into bytes.
pub(super) struct Scribe {
    pen: Pen,
    products: Vec<CompactString>,
    shelf: Shelf,
    /// How long an idempotency key counts, in seconds.
    window: u32,
}

/// What a group will have changed once it is synced.
#[derive(Debug)]
pub(super) struct Draft {
    /// Where the group begins.
    start: Place,
    pub(super) tally: Tally,
    /// Of what is answered, in order.
    pub(super) places: Vec<Place>,
    pub(super) casts: Vec<(CastName, Held, BroadcastState)>,
    pub(super) reserved: u64,
    pub(super) appended: u64,
    pub(super) moved: u64,
    pub(super) skipped: u64,
    /// The disk failed under a copy: the group must not be written, for what lies there may be
    /// whole.
    pub(super) failure: Option<io::Error>,
}

impl Scribe {
    pub(super) fn new(disk: Arc<dyn Disk>, products: &[String], window: u32) -> Self {
        let products = products.iter().map(CompactString::from).collect();
        Self { pen: Pen::default(), products, shelf: Shelf::new(disk), window }
    }

    /// Begins a group.
    pub(super) fn begin(&mut self, spot: Spot) -> Draft {
        self.pen.begin(spot.salt);
        if let Some(header) = spot.header {
            self.pen.header(header);
        }
        if let Some(synced) = spot.unmarked {
            self.pen.mark(synced);
        }
        Draft {
            start: spot.place,
            tally: Tally::default(),
            places: Vec::new(),
            casts: Vec::new(),
            reserved: 0,
            appended: 0,
            moved: 0,
            skipped: 0,
            failure: None,
        }
    }

    /// The group's bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.pen.bytes()
    }

    /// Keeps the buffer, unless it has grown beyond what groups usually take.
    pub(super) fn end(&mut self) {
        self.pen.shrink(BUFFER);
    }

    /// Closes handles of segments that are gone.
    pub(super) fn forget_before(&mut self, segment: u32) {
        self.shelf.forget_before(segment);
    }

    fn here(&self, draft: &Draft) -> Place {
        let written = u32::try_from(self.pen.bytes().len()).unwrap_or(u32::MAX);
        Place { offset: draft.start.offset.saturating_add(written), ..draft.start }
    }

    fn length_since(&self, draft: &Draft, place: Place) -> usize {
        (self.here(draft).offset - place.offset) as usize
    }

    pub(super) fn put(&mut self, command: &Command, own: &mut Own, draft: &mut Draft) {
        match command {
            Command::Append(append) => self.append(append, draft),
            Command::Trim { product, user, upto } => {
                self.pen.trim(name(&self.products, *product), user, *upto);
            }
            Command::Move(place) => self.copy(*place, own, draft),
            Command::Broadcast(broadcast) => self.broadcast(broadcast, draft),
            Command::Steer { product, number, state } => {
                let name = name(&self.products, *product);
                // At once: even if this group fails, it is what stands.
                own.steer(&(name.clone(), *number), *state);
                self.pen.steer(name, *number, *state);
            }
            Command::Seen(seen) => {
                let place = self.here(draft);
                self.pen.seen(name(&self.products, seen.product), seen);
                draft.tally.soft(seen.until, self.length_since(draft, place));
            }
            Command::Keys(marks) => {
                self.pen.keys(marks);
                let until = marks.iter().map(|mark| mark.at).max().unwrap_or_default();
                let until = until.saturating_add(self.window);
                draft.tally.soft(until, HEAD + marks.len() * KEY_MARK);
            }
            Command::Reserve(upto) => {
                self.pen.reserve(*upto);
                draft.reserved = draft.reserved.max(*upto);
            }
            // The last three are for stores that are shared.
            Command::Cleaned(_)
            | Command::Mark { .. }
            | Command::Given { .. }
            | Command::Due { .. } => {}
        }
    }

    fn append(&mut self, append: &Append, draft: &mut Draft) {
        let place = self.here(draft);
        let bytes = &append.bytes;
        let (key, body) = (append.key.of(bytes), append.body.of(bytes));
        self.pen.message(&Message {
            product: name(&self.products, append.product),
            // A shard has checked that it is text; what is not would be kept for nobody.
            user: std::str::from_utf8(append.user.of(bytes)).unwrap_or_default(),
            sequence: append.sequence,
            at: append.at,
            expires: append.expires,
            key,
            receipt: append.receipt.as_deref(),
            body,
        });
        if !key.is_empty() {
            draft.tally.soft(append.at.saturating_add(self.window), KEY_MARK);
        }
        draft.tally.live(self.length_since(draft, place), body.len());
        draft.appended += 1;
        draft.places.push(place);
    }

    fn broadcast(&mut self, broadcast: &Broadcast, draft: &mut Draft) {
        let place = self.here(draft);
        let product = name(&self.products, broadcast.product);
        self.pen.broadcast(&Cast {
            product,
            number: broadcast.number,
            job: broadcast.job,
            at: broadcast.at,
            expires: broadcast.expires,
            state: broadcast.state,
            tag: &broadcast.tag,
            key: &broadcast.key,
            body: &broadcast.body,
        });
        let length = self.length_since(draft, place);
        // The store itself knows how long it is needed: see `Own`.
        draft.appended += 1;
        draft.places.push(place);
        let held = Held { place, until: broadcast.expires, bytes: short(length) };
        draft.casts.push(((product.clone(), broadcast.number), held, broadcast.state));
    }

    /// Copies a record for a shard, which gets its new place.
    fn copy(&mut self, from: Place, own: &Own, draft: &mut Draft) {
        let place = self.here(draft);
        match self.again(from, own) {
            Ok(Copied { body, key_until, cast }) => {
                let length = self.length_since(draft, place);
                draft.tally.soft(key_until, if key_until == 0 { 0 } else { KEY_MARK });
                match cast {
                    None => draft.tally.live(length, body),
                    Some((name, until, state)) => {
                        let held = Held { place, until, bytes: short(length) };
                        draft.casts.push((name, held, state));
                    }
                }
                draft.moved += 1;
                draft.places.push(place);
            }
            Err(Missing::Disk { error, .. }) => {
                draft.failure = Some(error);
                draft.places.push(from);
            }
            Err(error) => {
                tracing::error!(%error, "a stored record could not be moved");
                draft.skipped += 1;
                draft.places.push(from);
            }
        }
    }

    /// Copies a record that the store itself carries; says where it is now.
    pub(super) fn carry(&mut self, held: &Held, own: &Own, draft: &mut Draft) -> Option<Place> {
        let place = self.here(draft);
        match self.again(held.place, own) {
            Ok(_) => {
                draft.moved += 1;
                Some(place)
            }
            Err(Missing::Disk { error, .. }) => {
                draft.failure = Some(error);
                None
            }
            Err(error) => {
                tracing::error!(%error, "a stored record could not be moved and is lost");
                draft.skipped += 1;
                None
            }
        }
    }

    fn again(&mut self, from: Place, own: &Own) -> Result<Copied, Missing> {
        let (kind, payload) = self.shelf.fetch(from, 0)?;
        let mut copied = Copied { body: 0, key_until: 0, cast: None };
        match parse_payload(kind, payload) {
            Some(Record::Message(message)) => {
                copied.body = message.body.len();
                if !message.key.is_empty() {
                    copied.key_until = message.at.saturating_add(self.window);
                }
                self.pen.again(kind, payload);
            }
            Some(Record::Broadcast(cast)) => {
                let name = (CompactString::from(cast.product), cast.number);
                // As it stands, not as it stood: the copy lies behind the records that steered it.
                let state = own.state(&name).unwrap_or(cast.state);
                let cancelled = state == BroadcastState::Cancelled;
                let body = if cancelled { &[] } else { cast.body };
                self.pen.broadcast(&Cast { state, body, ..cast });
                copied.cast = Some((name, cast.expires, state));
            }
            Some(Record::Seen { .. }) => self.pen.again(kind, payload),
            _ => {
                let file = from.segment.to_string();
                return Err(Missing::Damaged { file, offset: from.offset });
            }
        }
        Ok(copied)
    }
}

/// What a copied record was.
struct Copied {
    body: usize,
    key_until: u32,
    cast: Option<(CastName, u32, BroadcastState)>,
}

fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn name(products: &[CompactString], number: u16) -> &CompactString {
    static NONE: CompactString = CompactString::const_new("");
    products.get(usize::from(number)).unwrap_or(&NONE)
}
