//! A mailbox of a store that several hosts share is fetched before it is used, and let go of when
//! nobody needs it: another host may be its home next.
//!
//! What comes for the user meanwhile waits here, in order. Where the store cannot be asked, the
//! user may log in all the same, and gets what waits when the store is back.

use crate::directory::homes::{Home, HomeId, UserKey};
use crate::io::Io;
use crate::mailbox::Mailbox;
use crate::mailbox::load::Load;
use crate::mesh::{ToHome, ToOrigin};
use crate::shard::Shard;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::ErrorCode;
use holdfast_store::{Ask, Event, Kept};

/// After how many milliseconds it is worth asking again for a mailbox that could not be fetched.
const RETRY_MILLIS: u32 = 1000;

impl<I: Io> Shard<I> {
    /// Takes a letter that needs the user's mailbox: deals with it at once where that is here, else
    /// fetches it first.
    pub(crate) fn with_mailbox(&mut self, letter: ToHome) {
        let shared = self.mailroom.as_ref().is_some_and(|room| room.shared);
        let Some(key) = user_of(&letter).filter(|_| shared) else {
            self.use_mailbox(letter);
            return;
        };
        let home = self.homes.open(key);
        if self.homes.get(home).is_some_and(|home| home.mailbox().is_some()) {
            self.use_mailbox(letter);
            return;
        }
        let Some(room) = self.mailroom.as_mut() else { return };
        let asked = room.opening.contains_key(&home);
        room.opening.entry(home).or_default().push(letter);
        if !asked {
            self.ask_for_mailbox(home);
        }
    }

    pub(crate) fn ask_for_mailbox(&mut self, home: HomeId) {
        let Some(owner) = self.homes.get(home) else { return };
        let (product, user) = (owner.product, owner.user.clone());
        let Some(room) = self.mailroom.as_mut() else { return };
        let token = room.loads.ask(Load { home, connection: None, wanted: Vec::new() });
        let (shard, token) = (self.number, u64::from(token));
        room.port.ask(Ask { shard, token, product, user, wanted: Vec::new() });
    }

    fn use_mailbox(&mut self, letter: ToHome) {
        match letter {
            ToHome::Register(register) => self.register(&register),
            ToHome::Keep(keep) => self.keep(*keep),
            ToHome::Mailbox(about, action) => self.manage(&about, action),
            _ => {}
        }
    }

    /// The store says what a mailbox holds.
    pub(crate) fn opened(&mut self, event: Event) {
        let Event::Opened { token, messages, last, keys, seen } = event else { return };
        let Some(room) = self.mailroom.as_mut() else { return };
        let Some(Load { home, .. }) = room.loads.answered(token) else { return };
        let letters = room.opening.remove(&home).unwrap_or_default();
        if self.homes.get(home).is_none() {
            self.fetch_anew(letters);
            return;
        }
        self.take_mailbox(home, messages, last);
        if let Some((product, hash)) = self.homes.get(home).map(|home| (home.product, home.hash)) {
            for number in seen {
                self.notices.saw(product, number, hash);
            }
        }
        if let Some(room) = self.mailroom.as_mut() {
            for mark in keys {
                if room.keys.find((mark.user, mark.key)).is_none() {
                    room.remember(mark);
                }
            }
        }
        for letter in letters {
            self.use_mailbox(letter);
        }
        self.let_go_if_idle(home);
    }

    /// The home went while its mailbox was fetched, and what it was told of that with it.
    fn fetch_anew(&mut self, letters: Vec<ToHome>) {
        for letter in letters {
            self.with_mailbox(letter);
        }
    }

    fn take_mailbox(&mut self, home: HomeId, messages: Vec<Kept>, last: u64) {
        self.homes.begin_behind(home, last);
        let Some(owner) = self.homes.get_mut(home) else { return };
        let Some(room) = self.mailroom.as_mut().filter(|_| owner.mailbox().is_none()) else {
            return;
        };
        let place = room.insert(Mailbox::recovered(home, messages));
        owner.set_mailbox(Some(place));
        self.expire(home);
        // Who could log in although the store was away gets what waits now.
        self.feed_all(home);
    }

    /// The store could not say what a mailbox holds.
    pub(crate) fn not_opened(&mut self, home: HomeId) {
        let Some(room) = self.mailroom.as_mut() else { return };
        let letters = room.opening.remove(&home).unwrap_or_default();
        if self.homes.get(home).is_none() {
            self.fetch_anew(letters);
            return;
        }
        let logs_in = |letter: &ToHome| matches!(letter, ToHome::Register(_));
        let is_there = self.homes.get(home).is_some_and(|home| !home.is_offline());
        if is_there || letters.iter().any(logs_in) {
            room.unopened.insert(home);
        }
        for letter in letters {
            match letter {
                ToHome::Register(register) => self.register(&register),
                ToHome::Keep(keep) => self.report(keep.origin, Outcome::Busy(RETRY_MILLIS)),
                ToHome::Mailbox(about, _) => {
                    let letter = ToOrigin::Job(about.origin, Err(ErrorCode::StoreBusy));
                    self.ends.origin_out.send(about.origin.connection.shard, letter);
                }
                _ => {}
            }
        }
        self.homes.tidy(home);
    }

    /// Asks again for mailboxes that could not be fetched, of users who are there.
    pub(crate) fn open_again(&mut self) {
        let Some(room) = self.mailroom.as_mut() else { return };
        if room.journal.trouble().is_some() {
            return;
        }
        for home in std::mem::take(&mut room.unopened) {
            let waits = |home: &Home| home.mailbox().is_none() && !home.is_offline();
            let asked = self.mailroom.as_ref().is_some_and(|it| it.opening.contains_key(&home));
            if self.homes.get(home).is_some_and(waits) && !asked {
                if let Some(room) = self.mailroom.as_mut() {
                    room.opening.insert(home, Vec::new());
                }
                self.ask_for_mailbox(home);
            }
        }
    }

    /// Lets go of a shared mailbox that has no session, once nothing of it is on its way to the
    /// store: who fetches it next must find all of it there.
    pub(crate) fn let_go_if_idle(&mut self, home: HomeId) {
        let Some(room) = self.mailroom.as_mut().filter(|room| room.shared) else { return };
        let safe = room.journal.safe_after();
        if safe > room.journal.answered() {
            if room.leaving.back().is_none_or(|&(_, last)| last != home) {
                room.leaving.push_back((safe, home));
            }
            return;
        }
        self.let_go(home);
    }

    /// Lets go of those whose last command the store has answered.
    pub(crate) fn let_go_of_leaving(&mut self) {
        while let Some(room) = self.mailroom.as_mut()
            && let Some(&(safe, home)) = room.leaving.front()
            && safe <= room.journal.answered()
        {
            room.leaving.pop_front();
            self.let_go(home);
        }
    }

    fn let_go(&mut self, home: HomeId) {
        let Some(room) = self.mailroom.as_mut() else { return };
        let Some(owner) = self.homes.get_mut(home).filter(|home| home.sessions.is_empty()) else {
            return;
        };
        let Some(place) = owner.mailbox() else { return };
        let on_its_way = |mailbox: &Mailbox| mailbox.entries().any(|it| it.place().is_none());
        if room.get(place).is_none_or(|mailbox| on_its_way(mailbox)) {
            return;
        }
        room.remove(place);
        owner.set_mailbox(None);
        self.homes.tidy(home);
    }
}

/// Whose mailbox a letter needs; `None` where it needs none.
fn user_of(letter: &ToHome) -> Option<UserKey<'_>> {
    match letter {
        ToHome::Register(register) => Some(register.user_key()),
        ToHome::Keep(keep) => Some(keep.user_key()),
        ToHome::Mailbox(about, _) => Some(about.user_key()),
        _ => None,
    }
}
