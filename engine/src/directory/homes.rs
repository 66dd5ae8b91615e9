//! The homes of users: who orders a user's messages and knows the user's sessions.
//!
//! One shard holds the home of a user (see [`super::place`]). A home exists while the user has a
//! session, one that lingers included, or messages in a mailbox. Without a store its sequence
//! starts at 1 with the first message after the first login; with one it starts behind every
//! sequence that was ever given out here, so that none comes twice although nothing is kept of a
//! user who is away. The table is reserved for its capacity when it is made, so that it does not
//! rehash in the middle of a storm.

use super::sessions::Sessions;
use crate::connection::id::ConnectionId;
use compact_str::CompactString;
use hashbrown::HashTable;

/// No mailbox.
const NONE: u32 = u32::MAX;

/// Names one home on its shard; a stale one finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// A user's home.
#[derive(Debug)]
pub struct Home {
    generation: u32,
    /// The user's mailbox, by its place in the shard's, or [`NONE`].
    mailbox: u32,
    /// The user.
    pub user: CompactString,
    /// The user's hash. Kept, so that growing the table does not hash every name again.
    pub hash: u64,
    next_sequence: u64,
    /// The user's sessions.
    pub sessions: Sessions,
    /// The product's number.
    pub product: u16,
    /// Whether the place is in use.
    live: bool,
    /// Whether the user was given a number since the store was last told.
    numbered: bool,
    /// Whether the home stays without a session and a mailbox, since something is still to be done.
    awaited: bool,
}

const _: () = assert!(size_of::<Home>() <= crate::limits::HOME_BYTES, "the memory sum is right");

impl Home {
    /// The user's mailbox, if it is not empty.
    pub fn mailbox(&self) -> Option<u32> {
        (self.mailbox != NONE).then_some(self.mailbox)
    }

    /// Makes `mailbox` the user's.
    pub fn set_mailbox(&mut self, mailbox: Option<u32>) {
        self.mailbox = mailbox.unwrap_or(NONE);
    }

    /// The sequence of the user's next message.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Whether no session's connection is there.
    pub fn is_offline(&self) -> bool {
        self.sessions.live().next().is_none()
    }

    /// The user, to be found by.
    pub fn key(&self) -> UserKey<'_> {
        UserKey { product: self.product, user: &self.user, hash: self.hash }
    }
}

/// The homes of one shard.
#[derive(Debug)]
pub struct Homes {
    table: HashTable<u32>,
    slots: Vec<Home>,
    free: Vec<u32>,
    /// How many homes have a session whose connection is there.
    online: usize,
    /// With a store: the greatest sequence of anybody, within the own block.
    high: Option<u64>,
    /// The last sequence that is this process's alone; without end where nobody else has the store.
    own_end: u64,
    /// What the own block begins behind: nobody is given a sequence up to it any more.
    floor: u64,
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
    /// Whether a session goes on.
    pub resumed: bool,
}

impl Homes {
    /// Homes for `capacity` users without rehashing.
    pub fn new(capacity: usize) -> Self {
        Self {
            table: HashTable::with_capacity(capacity),
            slots: Vec::with_capacity(capacity),
            free: Vec::new(),
            online: 0,
            high: None,
            own_end: u64::MAX,
            floor: 0,
        }
    }

    /// From now on with a store: nobody was ever given a sequence over `high`. Makes room for so
    /// many more users.
    pub fn with_store(&mut self, high: u64, users: usize) {
        self.high = Some(high);
        let slots = &self.slots;
        self.table.reserve(users, |&slot| slots[slot as usize].hash);
        self.slots.reserve_exact(users);
    }

    /// Hosts that share a store number users in blocks, of which each is one host's alone: so where
    /// nothing is known of a user, a number from the own block is none that another host gave. From
    /// now on it is so many behind `behind`, and nobody is given one before it: what stands there
    /// was given before, perhaps for a message that the store has lost since.
    pub fn own_block(&mut self, behind: u64, many: u64) {
        self.high = Some(behind);
        self.floor = behind;
        self.own_end = behind.saturating_add(many);
    }

    /// The last sequence that the user was given, where others than this host could give it again
    /// and the store was not told: it is not of the own block.
    pub fn given_elsewhere(&mut self, id: HomeId) -> Option<u64> {
        let end = self.own_end;
        let home = self.get_mut(id)?;
        let last = home.next_sequence - 1;
        (last > end && std::mem::take(&mut home.numbered)).then_some(last)
    }

    /// How many users have a session whose connection is there.
    pub fn online(&self) -> usize {
        self.online
    }

    /// How many users have their home here.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nobody has.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The greatest sequence that anybody was given; 0 without a store.
    pub fn high(&self) -> u64 {
        self.high.unwrap_or(0)
    }

    /// The user's home.
    pub fn find(&self, key: UserKey<'_>) -> Option<HomeId> {
        let same = |&slot: &u32| {
            let home = &self.slots[slot as usize];
            home.product == key.product && home.user == key.user
        };
        let slot = self.table.find(key.hash, same).copied()?;
        Some(HomeId { slot, generation: self.slots[slot as usize].generation })
    }

    /// The home of this name, if it is still that one.
    pub fn get(&self, id: HomeId) -> Option<&Home> {
        let home = self.slots.get(id.slot as usize)?;
        (home.live && home.generation == id.generation).then_some(home)
    }

    /// As [`Homes::get`], to change it.
    pub fn get_mut(&mut self, id: HomeId) -> Option<&mut Home> {
        let home = self.slots.get_mut(id.slot as usize)?;
        (home.live && home.generation == id.generation).then_some(home)
    }

    /// The user's home, made where there was none. One that gets neither a session nor a mailbox is
    /// to be given up by [`Homes::tidy`].
    pub fn open(&mut self, key: UserKey<'_>) -> HomeId {
        self.find(key).unwrap_or_else(|| self.insert(key))
    }

    /// Makes `session` a session of the user, who may have `most`. A session that is named in
    /// `resume` and still known goes on as this one.
    pub fn register(
        &mut self,
        key: UserKey<'_>,
        session: ConnectionId,
        most: usize,
        resume: Option<ConnectionId>,
    ) -> Registered {
        let id = self.open(key);
        let home = &mut self.slots[id.slot as usize];
        let first = home.is_offline();
        let earlier = resume.and_then(|earlier| home.sessions.remove(earlier));
        // A client that lost its connection is often back before its gateway knows.
        let mut replaced = earlier.filter(|old| !old.lingers).map(|old| old.connection);
        while home.sessions.all().len() >= most.max(1) {
            let all = home.sessions.all();
            let Some(&oldest) = all.iter().find(|it| it.lingers).or(all.first()) else { break };
            home.sessions.remove(oldest.connection);
            if !oldest.lingers {
                replaced = Some(oldest.connection);
            }
        }
        home.sessions.add(session);
        home.next_sequence = home.next_sequence.max(self.floor + 1);
        self.online += usize::from(first);
        let next_sequence = home.next_sequence;
        Registered { home: id, next_sequence, replaced, resumed: earlier.is_some() }
    }

    fn insert(&mut self, key: UserKey<'_>) -> HomeId {
        let next_sequence = self.high() + 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
            self.slots.push(Home {
                generation: 0,
                mailbox: NONE,
                user: CompactString::const_new(""),
                hash: 0,
                next_sequence,
                sessions: Sessions::None,
                product: 0,
                live: false,
                numbered: false,
                awaited: false,
            });
            slot
        });
        let home = &mut self.slots[slot as usize];
        debug_assert!(!home.live, "home {slot} is free and in use");
        home.live = true;
        home.numbered = false;
        home.product = key.product;
        home.user = CompactString::new(key.user);
        home.hash = key.hash;
        home.next_sequence = next_sequence;
        let id = HomeId { slot, generation: home.generation };
        let slots = &self.slots;
        self.table.insert_unique(key.hash, slot, |&slot| slots[slot as usize].hash);
        id
    }

    /// Ends a session, or lets it linger; whether it was there.
    pub fn unregister(&mut self, id: HomeId, session: ConnectionId, lingers: bool) -> bool {
        let Some(home) = self.get_mut(id) else { return false };
        let before = home.is_offline();
        let was_there = if lingers {
            home.sessions.linger(session)
        } else {
            home.sessions.remove(session).is_some()
        };
        let left = !before && home.is_offline();
        self.online -= usize::from(left);
        self.tidy(id);
        was_there
    }

    /// Ends a session that still lingers.
    pub fn linger_over(&mut self, id: HomeId, session: ConnectionId) {
        let lingers = |home: &Home| {
            home.sessions.all().iter().any(|it| it.lingers && it.connection == session)
        };
        if self.get(id).is_some_and(lingers) {
            self.unregister(id, session, false);
        }
    }

    /// Ends all sessions of the user; gives those whose connection is there.
    pub fn remove(&mut self, key: UserKey<'_>) -> Vec<ConnectionId> {
        let Some(id) = self.find(key) else { return Vec::new() };
        let home = &mut self.slots[id.slot as usize];
        self.online -= usize::from(!home.is_offline());
        let ended = std::mem::take(&mut home.sessions);
        self.tidy(id);
        ended.live().collect()
    }

    /// Has a home stay although nobody is there, or lets it go with the next [`Homes::tidy`].
    pub fn await_mailbox(&mut self, id: HomeId, awaited: bool) {
        if let Some(home) = self.get_mut(id) {
            home.awaited = awaited;
        }
    }

    /// Gives up a home that nothing needs.
    pub fn tidy(&mut self, id: HomeId) {
        let Some(home) = self.get_mut(id) else { return };
        if !home.sessions.is_empty() || home.mailbox != NONE || home.awaited {
            return;
        }
        home.live = false;
        home.generation = home.generation.wrapping_add(1);
        home.user = CompactString::const_new("");
        let hash = home.hash;
        self.free.push(id.slot);
        if let Ok(entry) = self.table.find_entry(hash, |&other| other == id.slot) {
            entry.remove();
        }
    }

    /// Gives the user's next message its sequence; 0 where there is no such home.
    pub fn number(&mut self, id: HomeId) -> u64 {
        let floor = self.floor;
        let Some(home) = self.get_mut(id) else { return 0 };
        let sequence = home.next_sequence.max(floor + 1);
        home.next_sequence = sequence + 1;
        home.numbered = true;
        if let Some(high) = self.high.as_mut().filter(|_| sequence <= self.own_end) {
            *high = (*high).max(sequence);
        }
        sequence
    }

    /// The next message of the user comes behind `sequence`, which is in a mailbox.
    pub fn begin_behind(&mut self, id: HomeId, sequence: u64) {
        if let Some(home) = self.get_mut(id) {
            home.next_sequence = home.next_sequence.max(sequence + 1);
        }
    }

    /// The user's sessions whose connection is there.
    pub fn sessions(&self, key: UserKey<'_>) -> impl Iterator<Item = ConnectionId> {
        let home = self.find(key).and_then(|id| self.get(id));
        home.into_iter().flat_map(|home| home.sessions.live())
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

    fn of(homes: &Homes, user: &str) -> Vec<ConnectionId> {
        homes.sessions(key(user)).collect()
    }

    #[test]
    fn a_second_login_replaces_the_first_and_keeps_the_sequence() {
        let mut homes = Homes::new(4);
        let first = homes.register(key("u"), session(1), 1, None);
        assert_eq!((first.next_sequence, first.replaced), (1, None));
        assert_eq!(homes.number(first.home), 1);
        let second = homes.register(key("u"), session(2), 1, None);
        assert_eq!((second.next_sequence, second.replaced), (2, Some(session(1))));
        assert!(!homes.unregister(first.home, session(1), false), "the first has no say any more");
        assert_eq!(of(&homes, "u"), [session(2)]);
        assert!(homes.unregister(second.home, session(2), false));
        assert!(homes.is_empty() && homes.online() == 0);
    }

    #[test]
    fn where_several_are_allowed_the_oldest_goes() {
        let mut homes = Homes::new(4);
        (1..=3).for_each(|slot| {
            assert_eq!(homes.register(key("u"), session(slot), 3, None).replaced, None);
        });
        let fourth = homes.register(key("u"), session(4), 3, None);
        assert_eq!(fourth.replaced, Some(session(1)));
        assert_eq!(of(&homes, "u"), [session(2), session(3), session(4)]);
        assert_eq!(homes.online(), 1);
    }

    #[test]
    fn a_dropped_session_lingers_and_goes_on() {
        let mut homes = Homes::new(4);
        let first = homes.register(key("u"), session(1), 1, None);
        homes.number(first.home);
        assert!(homes.unregister(first.home, session(1), true));
        assert!(of(&homes, "u").is_empty(), "nobody is there to be sent to");
        let back = homes.register(key("u"), session(2), 1, Some(session(1)));
        assert_eq!((back.resumed, back.replaced, back.next_sequence), (true, None, 2));
        homes.linger_over(first.home, session(1));
        assert_eq!(of(&homes, "u"), [session(2)], "who came back does not linger any more");
        let quick = homes.register(key("u"), session(3), 1, Some(session(2)));
        assert_eq!((quick.resumed, quick.replaced), (true, Some(session(2))));
        homes.unregister(quick.home, session(3), true);
        homes.linger_over(quick.home, session(3));
        assert!(homes.is_empty());
        assert!(!homes.register(key("u"), session(4), 1, Some(session(3))).resumed);
    }

    #[test]
    fn with_a_store_no_sequence_comes_twice() {
        let mut homes = Homes::new(4);
        homes.with_store(100, 0);
        let home = homes.register(key("u"), session(1), 1, None).home;
        assert_eq!(homes.number(home), 101);
        homes.unregister(home, session(1), false);
        assert!(homes.is_empty(), "nothing is kept of who is away");
        let again = homes.register(key("u"), session(1), 1, None);
        assert_eq!(again.next_sequence, 102);
    }

    #[test]
    fn who_is_not_known_is_numbered_in_the_own_block() {
        let mut homes = Homes::new(4);
        homes.with_store(100, 0);
        homes.own_block(100, 50);
        let ann = homes.register(key("ann"), session(1), 1, None).home;
        homes.begin_behind(ann, 500);
        assert_eq!(homes.given_elsewhere(ann), None, "she was given nothing");
        assert_eq!(homes.number(ann), 501);
        assert_eq!(homes.given_elsewhere(ann), Some(501));
        assert_eq!(homes.given_elsewhere(ann), None, "that was said");
        let bob = homes.register(key("bob"), session(2), 1, None);
        assert_eq!(bob.next_sequence, 101, "another host may have given 502");
        assert_eq!((homes.number(bob.home), homes.given_elsewhere(bob.home)), (101, None));
        homes.own_block(1000, 50);
        assert_eq!(homes.register(key("cid"), session(3), 1, None).next_sequence, 1001);
        homes.own_block(2000, 50);
        assert_eq!(homes.number(ann), 2001, "502 may be of a message that the store lost");
        assert_eq!(homes.register(key("bob"), session(2), 1, None).next_sequence, 2001);
    }

    #[test]
    fn who_is_removed_is_offline_at_once_and_may_come_back() {
        let mut homes = Homes::new(4);
        let old = homes.register(key("u"), session(1), 1, None).home;
        assert_eq!(homes.remove(key("u")), [session(1)]);
        assert!(homes.remove(key("u")).is_empty());
        let new = homes.register(key("u"), session(2), 1, None);
        assert_eq!(new.replaced, None);
        assert!(!homes.unregister(old, session(1), false), "the old session has no say");
        assert_eq!(of(&homes, "u"), [session(2)]);
    }

    #[test]
    fn a_stale_home_finds_nothing() {
        let mut homes = Homes::new(4);
        let old = homes.register(key("u"), session(1), 1, None).home;
        homes.unregister(old, session(1), false);
        let new = homes.register(key("v"), session(1), 1, None).home;
        assert_eq!(old.slot, new.slot);
        assert!(!homes.unregister(old, session(1), false));
        assert_eq!(of(&homes, "v"), [session(1)]);
    }

    #[test]
    fn products_keep_the_same_user_apart() {
        let mut homes = Homes::new(4);
        homes.register(key("u"), session(1), 1, None);
        let other = UserKey { product: 1, ..key("u") };
        assert_eq!(homes.sessions(other).count(), 0);
    }

    #[test]
    fn a_home_with_a_mailbox_stays() {
        let mut homes = Homes::new(4);
        homes.with_store(0, 0);
        let home = homes.open(key("u"));
        homes.get_mut(home).unwrap().set_mailbox(Some(0));
        homes.tidy(home);
        assert_eq!((homes.len(), homes.online()), (1, 0));
        homes.get_mut(home).unwrap().set_mailbox(None);
        homes.tidy(home);
        assert!(homes.is_empty());
    }
}
