//! The homes of users: who orders a user's messages and knows the user's session.
//!
//! One shard holds the home of a user (see [`super::place`]). A home exists while the user has a
//! session; its sequence starts at 1 with the first message after the first login. The table is
//! reserved for its capacity when it is made, so that it does not rehash in the middle of a storm.

use crate::connection::id::ConnectionId;
use compact_str::CompactString;
use hashbrown::HashTable;

/// Names one home on its shard; a stale one finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomeId {
    /// Its place in the shard's homes.
    pub slot: u32,
    /// Which use of the place.
    pub generation: u32,
}

/// A user, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserKey<'a> {
    /// The product's number.
    pub product: u16,
    /// The user's name.
    pub user: &'a str,
    /// From [`super::place::Placer::hash`].
    pub hash: u64,
}

#[derive(Debug)]
struct Home {
    generation: u32,
    product: u16,
    /// Whether the place is in use.
    live: bool,
    user: CompactString,
    /// Kept, so that growing the table does not hash every name again.
    hash: u64,
    next_sequence: u64,
    session: ConnectionId,
}

/// The homes of one shard.
#[derive(Debug)]
pub struct Homes {
    table: HashTable<u32>,
    slots: Vec<Home>,
    free: Vec<u32>,
}

/// What a login gets from the user's home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// The home, to leave it by.
    pub home: HomeId,
    /// The sequence of the user's next message.
    pub next_sequence: u64,
    /// The session that was there before and is to be ended.
    pub replaced: Option<ConnectionId>,
}

impl Homes {
    /// Homes for `capacity` users without rehashing.
    pub fn new(capacity: usize) -> Self {
        Self {
            table: HashTable::with_capacity(capacity),
            slots: Vec::with_capacity(capacity),
            free: Vec::new(),
        }
    }

    /// How many users have their home here.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nobody has.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    fn find(&self, key: UserKey<'_>) -> Option<u32> {
        let same = |&slot: &u32| {
            let home = &self.slots[slot as usize];
            home.product == key.product && home.user == key.user
        };
        self.table.find(key.hash, same).copied()
    }

    /// Makes `session` the user's session, in place of any other.
    pub fn register(&mut self, key: UserKey<'_>, session: ConnectionId) -> Registered {
        if let Some(slot) = self.find(key) {
            let home = &mut self.slots[slot as usize];
            let replaced = Some(std::mem::replace(&mut home.session, session));
            let id = HomeId { slot, generation: home.generation };
            return Registered { home: id, next_sequence: home.next_sequence, replaced };
        }
        let home = self.insert(key, session);
        Registered { home, next_sequence: 1, replaced: None }
    }

    fn insert(&mut self, key: UserKey<'_>, session: ConnectionId) -> HomeId {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
            self.slots.push(Home {
                generation: 0,
                product: 0,
                live: false,
                user: CompactString::const_new(""),
                hash: 0,
                next_sequence: 1,
                session,
            });
            slot
        });
        let home = &mut self.slots[slot as usize];
        debug_assert!(!home.live, "home {slot} is free and in use");
        home.live = true;
        home.product = key.product;
        home.user = CompactString::new(key.user);
        home.hash = key.hash;
        home.next_sequence = 1;
        home.session = session;
        let id = HomeId { slot, generation: home.generation };
        let slots = &self.slots;
        self.table.insert_unique(key.hash, slot, |&slot| slots[slot as usize].hash);
        id
    }

    /// Ends the home when `session` is still the user's session; says whether it was.
    pub fn unregister(&mut self, id: HomeId, session: ConnectionId) -> bool {
        let Some(home) = self.slots.get_mut(id.slot as usize) else { return false };
        if !home.live || home.generation != id.generation || home.session != session {
            return false;
        }
        self.forget(id.slot);
        true
    }

    /// Ends the user's home, whoever has it; gives the session.
    pub fn remove(&mut self, key: UserKey<'_>) -> Option<ConnectionId> {
        let slot = self.find(key)?;
        self.forget(slot);
        Some(self.slots[slot as usize].session)
    }

    fn forget(&mut self, slot: u32) {
        let home = &mut self.slots[slot as usize];
        home.live = false;
        home.generation = home.generation.wrapping_add(1);
        home.user = CompactString::const_new("");
        let hash = home.hash;
        self.free.push(slot);
        if let Ok(entry) = self.table.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
    }

    /// Gives the user's next message its sequence and says where it goes; `None` while offline.
    pub fn address(&mut self, key: UserKey<'_>) -> Option<(ConnectionId, u64)> {
        let slot = self.find(key)?;
        let home = &mut self.slots[slot as usize];
        let sequence = home.next_sequence;
        home.next_sequence += 1;
        Some((home.session, sequence))
    }

    /// The user's session; `None` while offline.
    pub fn session(&self, key: UserKey<'_>) -> Option<ConnectionId> {
        self.find(key).map(|slot| self.slots[slot as usize].session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: &str) -> UserKey<'_> {
        let hash = super::super::place::Placer::new("p").hash(user);
        UserKey { product: 0, user, hash }
    }

    fn session(slot: u32) -> ConnectionId {
        ConnectionId { shard: 0, slot, generation: 0 }
    }

    #[test]
    fn a_second_login_replaces_the_first_and_keeps_the_sequence() {
        let mut homes = Homes::new(4);
        let first = homes.register(key("u"), session(1));
        assert_eq!((first.next_sequence, first.replaced), (1, None));
        assert_eq!(homes.address(key("u")), Some((session(1), 1)));
        let second = homes.register(key("u"), session(2));
        assert_eq!((second.next_sequence, second.replaced), (2, Some(session(1))));
        assert!(!homes.unregister(first.home, session(1)), "the first has no say any more");
        assert_eq!(homes.address(key("u")), Some((session(2), 2)));
        assert!(homes.unregister(second.home, session(2)));
        assert_eq!(homes.address(key("u")), None);
        assert!(homes.is_empty());
    }

    #[test]
    fn who_is_removed_is_offline_at_once_and_may_come_back() {
        let mut homes = Homes::new(4);
        let old = homes.register(key("u"), session(1)).home;
        assert_eq!(homes.remove(key("u")), Some(session(1)));
        assert_eq!(homes.remove(key("u")), None);
        let new = homes.register(key("u"), session(2));
        assert_eq!(new.replaced, None);
        assert!(!homes.unregister(old, session(1)), "the old session has no say");
        assert_eq!(homes.session(key("u")), Some(session(2)));
    }

    #[test]
    fn a_stale_home_finds_nothing() {
        let mut homes = Homes::new(4);
        let old = homes.register(key("u"), session(1)).home;
        homes.unregister(old, session(1));
        let new = homes.register(key("v"), session(1)).home;
        assert_eq!(old.slot, new.slot);
        assert!(!homes.unregister(old, session(1)));
        assert_eq!(homes.session(key("v")), Some(session(1)));
    }

    #[test]
    fn products_keep_the_same_user_apart() {
        let mut homes = Homes::new(4);
        homes.register(key("u"), session(1));
        let other = UserKey { product: 1, ..key("u") };
        assert_eq!(homes.session(other), None);
    }
}
