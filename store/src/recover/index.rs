//! What all records together say: who still waits for what.
//!
//! A user's trims count by sequence, wherever they lie: sequences are never given twice, so a
//! message at or below one is of no use, and of two copies of a message the later is the one.

use super::{Past, Terms};
use crate::letter::{Broadcast, KeyMark, Place, Seen};
use crate::log::scan::Lying;
use crate::log::segment::{Segment, Tally};
use crate::own::{CastName, Held, Own};
use crate::port::key_hash;
use crate::record::{Cast, KEY_MARK, Message, Record};
use crate::{Homes, Kept, Mailbox, Recovered};
use compact_str::CompactString;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A process that serves looks through all mailboxes in less than this many seconds.
const ROUND: u32 = 10;

/// Who waits for what, as far as the log was read.
pub(crate) struct Index<'t> {
    homes: &'t dyn Homes,
    now: u32,
    window: u32,
    /// First those of this process, by number, then others as they turned up.
    products: Vec<Product>,
    keys: HashMap<(u64, u64), KeyMark>,
    casts: BTreeMap<CastName, (Held, Broadcast)>,
    seen: BTreeMap<CastName, Seers>,
    sequence: u64,
    /// The last second in which a message was accepted.
    latest: u32,
}

struct Product {
    name: CompactString,
    users: HashMap<CompactString, User>,
}

#[derive(Default)]
struct User {
    trimmed: u64,
    messages: Vec<(Kept, u32)>,
}

/// Who has had a broadcast.
#[derive(Default)]
struct Seers {
    until: u32,
    users: HashSet<u64>,
    held: Vec<Held>,
}

impl<'t> Index<'t> {
    pub(crate) fn new(terms: &Terms<'t>) -> Self {
        let products = terms.homes.products().iter();
        let product = |name: &String| Product { name: name.into(), users: HashMap::new() };
        Self {
            homes: terms.homes,
            now: terms.now,
            window: terms.window,
            products: products.map(product).collect(),
            keys: HashMap::new(),
            casts: BTreeMap::new(),
            seen: BTreeMap::new(),
            sequence: 0,
            latest: 0,
        }
    }

    /// Reads one record; adds what matters of it by itself to its segment's sums.
    pub(crate) fn take(&mut self, lying: &Lying<'_>, tally: &mut Tally) {
        let bytes = u32::try_from(lying.length).unwrap_or(u32::MAX);
        match lying.record {
            Record::Header(_) | Record::Mark(_) => {}
            Record::Message(message) => self.message(&message, lying, tally),
            Record::Trim { product, user, upto } => {
                let user = self.user(product, user);
                user.trimmed = user.trimmed.max(upto);
            }
            Record::Broadcast(cast) => {
                let held = Held { place: lying.place, until: cast.expires, bytes };
                let name = (CompactString::from(cast.product), cast.number);
                self.casts.insert(name, (held, broadcast(&cast)));
            }
            Record::Steer { product, number, state } => {
                if let Some((_, cast)) = self.casts.get_mut(&(product.into(), number)) {
                    cast.state = state;
                }
            }
            Record::Seen { product, number, until, users } => {
                let seers = self.seen.entry((product.into(), number)).or_default();
                seers.until = seers.until.max(until);
                seers.users.extend(users.iter());
                seers.held.push(Held { place: lying.place, until, bytes });
                tally.soft(until, lying.length);
            }
            Record::Keys(marks) => marks.iter().for_each(|mark| self.key(mark, tally)),
            Record::Reserve(upto) => self.sequence = self.sequence.max(upto),
        }
    }

    fn message(&mut self, message: &Message<'_>, lying: &Lying<'_>, tally: &mut Tally) {
        self.sequence = self.sequence.max(message.sequence);
        self.latest = self.latest.max(message.at);
        tally.answered += 1;
        tally.overhead += (lying.length - message.body.len()) as u64;
        let number = self.number(message.product);
        if !message.key.is_empty() && usize::from(number) < self.homes.products().len() {
            let user = self.homes.hash(number, message.user);
            let key = key_hash(message.key);
            self.key(KeyMark { user, key, sequence: message.sequence, at: message.at }, tally);
        }
        let kept = Kept {
            sequence: message.sequence,
            place: lying.place,
            length: u32::try_from(message.body.len()).unwrap_or(u32::MAX),
            expires: message.expires,
            receipt: message.receipt.map(CompactString::from),
        };
        let bytes = u32::try_from(lying.length).unwrap_or(u32::MAX);
        self.user(message.product, message.user).messages.push((kept, bytes));
    }

    fn key(&mut self, mark: KeyMark, tally: &mut Tally) {
        let until = mark.at.saturating_add(self.window);
        if until >= self.now {
            tally.soft(until, KEY_MARK);
            let known = self.keys.entry((mark.user, mark.key)).or_insert(mark);
            if known.at <= mark.at {
                *known = mark;
            }
        }
    }

    fn number(&mut self, name: &str) -> u16 {
        let found = self.products.iter().position(|product| product.name == name);
        let number = found.unwrap_or_else(|| {
            self.products.push(Product { name: name.into(), users: HashMap::new() });
            self.products.len() - 1
        });
        u16::try_from(number).unwrap_or(u16::MAX)
    }

    fn user(&mut self, product: &str, user: &str) -> &mut User {
        let number = usize::from(self.number(product));
        let users = &mut self.products[number].users;
        // Asked first, so that no name is copied for those who are known.
        if !users.contains_key(user) {
            users.insert(user.into(), User::default());
        }
        users.get_mut(user).unwrap_or_else(|| unreachable!("it was put in above"))
    }

    /// Hands out what was found, by shard, and says what of each segment is still needed.
    pub(crate) fn finish(mut self, mut segments: Vec<Segment>, reserved: u64) -> Past {
        let shards = usize::from(self.homes.shards());
        let sequence = reserved.max(self.sequence);
        let fresh = || Recovered { sequence, ..Recovered::default() };
        let mut recovered: Vec<_> = (0..shards).map(|_| fresh()).collect();
        let (mut expired, now) = (0, self.now);
        // What had expired so long before something was accepted, an earlier life has told of.
        let untold = self.latest.saturating_sub(ROUND);
        let mut own = Own::default();
        let known = self.homes.products().len();
        for (number, product) in std::mem::take(&mut self.products).into_iter().enumerate() {
            for (name, mut user) in product.users {
                expired += user.settle(now, if number < known { untold } else { now });
                if number >= known {
                    user.stray(&mut own);
                } else if !user.messages.is_empty() {
                    count(&user, &mut segments);
                    let number = u16::try_from(number).unwrap_or(u16::MAX);
                    self.deliver(&mut recovered, number, name, user);
                }
            }
        }
        for mark in std::mem::take(&mut self.keys).into_values() {
            recovered[self.shard(mark.user)].keys.push(mark);
        }
        self.give_casts(&mut recovered, &mut own);
        if own.strays() > 0 {
            let records = own.strays();
            tracing::warn!(records, "records of products that are not configured are kept");
        }
        Past { segments, reserved: sequence, recovered, own, expired }
    }

    fn shard(&self, hash: u64) -> usize {
        usize::from(self.homes.shard(hash))
    }

    fn deliver(&self, to: &mut [Recovered], product: u16, name: CompactString, user: User) {
        let shard = self.shard(self.homes.hash(product, &name));
        let messages = user.messages.into_iter().map(|(kept, _)| kept).collect();
        to[shard].mailboxes.push(Mailbox { product, user: name, messages });
    }

    fn give_casts(self, recovered: &mut [Recovered], own: &mut Own) {
        let products = self.homes.products();
        for (name, (held, mut cast)) in self.casts {
            if cast.expires < self.now {
                continue;
            }
            let state = cast.state;
            let seers = self.seen.get(&name);
            let number = products.iter().position(|product| **product == *name.0);
            own.cast(name, held, state);
            let Some(number) = number.and_then(|number| u16::try_from(number).ok()) else {
                let held = seers.into_iter().flat_map(|seers| &seers.held);
                held.for_each(|held| own.stray(*held));
                continue;
            };
            cast.product = number;
            if let Some(seers) = seers {
                spread(self.homes, seers, &cast, recovered);
            }
            for shard in &mut *recovered {
                shard.broadcasts.push(cast.clone());
            }
        }
    }
}

impl User {
    /// Leaves one copy of each message that is not trimmed, by sequence; says how many of them it
    /// drops since they have expired. One of which somebody wants a receipt stays, to be told of,
    /// unless its time ended before the second `untold`.
    fn settle(&mut self, now: u32, untold: u32) -> u64 {
        let trimmed = self.trimmed;
        self.messages.retain(|(kept, _)| kept.sequence > trimmed);
        self.messages.sort_unstable_by_key(|(kept, _)| (kept.sequence, kept.place));
        // What `dedup_by` drops is the second of the two: so the later copy goes first.
        self.messages.dedup_by(|later, earlier| {
            let same = later.0.sequence == earlier.0.sequence;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        let before = self.messages.len();
        self.messages.retain(|(kept, _)| {
            kept.expires >= if kept.receipt.is_some() { untold.min(now) } else { now }
        });
        let expired = before - self.messages.len();
        self.messages.shrink_to_fit();
        expired as u64
    }

    fn stray(&self, own: &mut Own) {
        for (kept, bytes) in &self.messages {
            own.stray(Held { place: kept.place, until: kept.expires, bytes: *bytes });
        }
    }
}

/// Notes what of the segments this user needs.
fn count(user: &User, segments: &mut [Segment]) {
    let first = segments.first().map_or(0, |segment| segment.id.number);
    for (kept, _) in &user.messages {
        let Place { segment, .. } = kept.place;
        if let Some(segment) = segments.get_mut((segment - first) as usize) {
            segment.tally.live += 1;
            segment.tally.bodies += u64::from(kept.length);
        }
    }
}

/// Tells each shard which of its users have had a broadcast.
fn spread(homes: &dyn Homes, seers: &Seers, cast: &Broadcast, recovered: &mut [Recovered]) {
    let mut shares: Vec<Vec<u64>> = vec![Vec::new(); recovered.len()];
    for user in &seers.users {
        shares[usize::from(homes.shard(*user))].push(*user);
    }
    for (shard, mut users) in recovered.iter_mut().zip(shares) {
        if !users.is_empty() {
            users.sort_unstable();
            let (product, number) = (cast.product, cast.number);
            shard.seen.push(Seen { product, number, until: seers.until, users });
        }
    }
}

fn broadcast(cast: &Cast<'_>) -> Broadcast {
    Broadcast {
        product: u16::MAX,
        number: cast.number,
        job: cast.job,
        tag: cast.tag.into(),
        at: cast.at,
        expires: cast.expires,
        state: cast.state,
        key: cast.key.into(),
        body: Arc::from(cast.body),
    }
}
