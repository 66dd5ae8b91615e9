//! What the store itself carries over when a segment goes, because no shard does: durable
//! broadcasts, and what belongs to products that this process does not serve.
//!
//! It knows where the last copy of each lies, and until when that matters.

use crate::letter::{BroadcastState, Place};
use compact_str::CompactString;
use std::collections::BTreeMap;

/// Where something lies that must not be lost with its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) place: Place,
    /// The second after which it does not matter.
    pub(crate) until: u32,
    /// Its record's bytes.
    pub(crate) bytes: u32,
}

/// What a cancelled broadcast takes at most when it is written again: without its body, but with
/// its key, which is still used.
const CANCELLED_BYTES: u32 = 512;

/// A broadcast by its product's name and its number.
pub(crate) type CastName = (CompactString, u64);

/// Everything that is carried.
#[derive(Debug, Default)]
pub(crate) struct Own {
    casts: BTreeMap<CastName, (Held, BroadcastState)>,
    strays: BTreeMap<Place, Held>,
    bytes: u64,
}

/// One thing to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carried {
    Cast(CastName),
    Stray(Place),
}

impl Own {
    /// A broadcast lies here now.
    pub(crate) fn cast(&mut self, name: CastName, mut held: Held, state: BroadcastState) {
        if state == BroadcastState::Cancelled {
            held.bytes = held.bytes.min(CANCELLED_BYTES);
        }
        self.bytes += u64::from(held.bytes);
        if let Some((before, _)) = self.casts.insert(name, (held, state)) {
            self.bytes -= u64::from(before.bytes);
        }
    }

    /// A broadcast stands so now.
    pub(crate) fn steer(&mut self, name: &CastName, now: BroadcastState) {
        if let Some((held, state)) = self.casts.get_mut(name) {
            *state = now;
            if now == BroadcastState::Cancelled {
                self.bytes -= u64::from(held.bytes.saturating_sub(CANCELLED_BYTES));
                held.bytes = held.bytes.min(CANCELLED_BYTES);
            }
        }
    }

    /// How a broadcast stands.
    pub(crate) fn state(&self, name: &CastName) -> Option<BroadcastState> {
        self.casts.get(name).map(|(_, state)| *state)
    }

    /// Something of a product that is not served lies here.
    pub(crate) fn stray(&mut self, held: Held) {
        self.bytes += u64::from(held.bytes);
        self.strays.insert(held.place, held);
    }

    /// How many things of products that are not served there are.
    pub(crate) fn strays(&self) -> usize {
        self.strays.len()
    }

    /// The bytes that carrying all of it would write.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Forgets what does not matter any more, of segments up to this one.
    pub(crate) fn expire(&mut self, upto: u32, now: u32) {
        let mut gone = 0;
        let mut stays = |held: &Held| {
            let stays = held.place.segment > upto || held.until >= now;
            gone += if stays { 0 } else { u64::from(held.bytes) };
            stays
        };
        self.casts.retain(|_, (held, _)| stays(held));
        // The strays of later segments need no look.
        let later = self.strays.split_off(&Place { segment: upto.saturating_add(1), offset: 0 });
        self.strays.retain(|_, held| stays(held));
        self.strays.extend(later);
        self.bytes -= gone;
    }

    /// Whether something lies in segments up to this one.
    pub(crate) fn is_in(&self, upto: u32) -> bool {
        self.strays.first_key_value().is_some_and(|(place, _)| place.segment <= upto)
            || self.casts.values().any(|(held, _)| held.place.segment <= upto)
    }

    /// The bytes of what lies in each segment.
    pub(crate) fn by_segment(&self) -> BTreeMap<u32, u64> {
        let mut sums = BTreeMap::new();
        let casts = self.casts.values().map(|(held, _)| held);
        for held in casts.chain(self.strays.values()) {
            *sums.entry(held.place.segment).or_default() += u64::from(held.bytes);
        }
        sums
    }

    /// What lies in segments up to this one, at most so many.
    pub(crate) fn within(&self, upto: u32, limit: usize) -> Vec<(Carried, Held)> {
        let casts = self.casts.iter().filter(|(_, (held, _))| held.place.segment <= upto);
        let casts = casts.map(|(name, (held, _))| (Carried::Cast(name.clone()), *held));
        let strays = self.strays.values().take_while(|held| held.place.segment <= upto);
        let strays = strays.map(|held| (Carried::Stray(held.place), *held));
        casts.chain(strays).take(limit).collect()
    }

    /// Something lies here now; `None` if it could not be read and is lost.
    pub(crate) fn moved(&mut self, which: &Carried, to: Option<Place>) {
        let held = match which {
            Carried::Cast(name) => match (self.casts.get_mut(name), to) {
                (Some((held, _)), Some(place)) => return held.place = place,
                _ => self.casts.remove(name).map(|(held, _)| held),
            },
            Carried::Stray(place) => self.strays.remove(place),
        };
        let Some(held) = held else { return };
        self.bytes -= u64::from(held.bytes);
        if let Some(place) = to {
            self.stray(Held { place, ..held });
        }
    }
}
