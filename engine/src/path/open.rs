//! A mailbox of a store that several hosts share is fetched before it is used, and let go of when
//! nobody needs it: another host may be its home next. It is fetched again with each login: the
//! user may have been elsewhere since, and gets what came there. So it is where the store refused a
//! message, because of what another host stored, and where a message is not there any more.
//!
//! What comes for the user meanwhile waits here, in order. Where the store cannot be asked, the
//! user may log in all the same: with a sequence of this host's own block, which nobody else gives,
//! and without the durable broadcasts that it may have had. When the store is back the mailbox is
//! opened: the sequence goes on behind the user's greatest, and the session gets what waits and the
//! broadcasts that the user has not had.

use crate::broadcast::notices::Had;
use crate::directory::homes::{Home, HomeId, UserKey};
use crate::io::Io;
use crate::mailbox::Mailbox;
use crate::mailbox::load::Load;
use crate::mailbox::merge::{Answer, Merged};
use crate::mailbox::room::{Mailroom, Opening};
use crate::mesh::{ToHome, ToOrigin, ToSession};
use crate::shard::Shard;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::ErrorCode;
use holdfast_store::{Ask, Command, Event, Mark};
use std::collections::hash_map::Entry;

/// After how many milliseconds it is worth asking again for a mailbox that could not be fetched.
const RETRY_MILLIS: u32 = 1000;
/// How many mailboxes that could not be fetched are asked for in one second. One that is fetched
/// makes place for the next, so only what the store cannot answer has to wait for its turn.
const AGAIN: usize = 256;

impl<I: Io> Shard<I> {
    /// Takes a letter that needs the user's mailbox: deals with it at once where that is here, else
    /// fetches it first.
    pub(crate) fn with_mailbox(&mut self, letter: ToHome) {
        let shared = self.mailroom.as_ref().is_some_and(|room| room.shared);
        let Some(key) = user_of(&letter).filter(|_| shared) else {
            self.use_mailbox(letter);
            return;
        };
        // Who comes may have been at another host, and have been sent messages and broadcasts.
        let comes = matches!(letter, ToHome::Register(_));
        let home = self.homes.open(key);
        let Some(room) = self.mailroom.as_mut() else { return };
        if let Some(opening) = room.opening.get_mut(&home) {
            opening.letters.push(letter);
        } else if !comes && self.homes.get(home).is_some_and(|home| home.mailbox().is_some()) {
            self.use_mailbox(letter);
            self.let_go_if_idle(home);
        } else {
            self.fetch_first(home, vec![letter]);
        }
    }

    /// Has these wait until a mailbox is fetched, before what waits for it already.
    pub(crate) fn fetch_first(&mut self, home: HomeId, letters: Vec<ToHome>) {
        self.open_unused(home);
        let opening = self.mailroom.as_mut().and_then(|room| room.opening.get_mut(&home));
        if let Some(opening) = opening {
            opening.letters.splice(0..0, letters);
        }
    }

    fn ask_for_mailbox(&mut self, home: HomeId) {
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
        let Event::Opened { token, messages, last, keys, seen, mark } = event else { return };
        let Some(room) = self.mailroom.as_mut() else { return };
        let Some(Load { home, .. }) = room.loads.answered(token) else { return };
        let Opening { letters, asked, missing } = room.opening.remove(&home).unwrap_or_default();
        if self.homes.get(home).is_none() {
            self.fetch_anew(letters);
            return;
        }
        let late = room.unopened.remove(home);
        self.homes.await_mailbox(home, false);
        let new = self.take_mailbox(home, Answer { kept: messages, last, asked }, mark);
        self.lose_missing(home, &missing);
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
        if let Some(said) = late {
            self.make_up_for(home, said);
            self.open_next(1);
        }
        if let Some(first) = new {
            // Who could log in although the store was away, or is here with another device.
            self.feed_back_from(home, first);
        }
        for letter in letters {
            self.use_mailbox(letter);
        }
        self.let_go_if_idle(home);
    }

    /// What could not be done when the sessions of this home logged in: the greatest sequence that
    /// a client has dealt with is `said`.
    fn make_up_for(&mut self, home: HomeId, said: u64) {
        let Some(owner) = self.homes.get(home) else { return };
        let (product, hash) = (owner.product, owner.hash);
        let live: Vec<_> = owner.sessions.live().collect();
        if said < owner.next_sequence() {
            self.acknowledge(home, said);
        }
        for connection in live {
            let had = self.notices.had(product, hash, 0).unwrap_or_default();
            self.ends.session_out.send(connection.shard, ToSession::Had(connection, had));
        }
    }

    /// Which durable broadcasts a user has had who logs in, as far as this host knows.
    pub(crate) fn had(
        &self,
        (product, hash): (u16, u64),
        said: u64,
        home: HomeId,
    ) -> Option<Box<Had>> {
        let unopened = |room: &Mailroom| room.unopened.contains(home);
        if self.mailroom.as_ref().is_some_and(|room| unopened(room)) {
            return Some(Box::new(Had { numbers: Vec::new(), said, unsure: true }));
        }
        self.notices.had(product, hash, said)
    }

    /// The home went while its mailbox was fetched, and what it was told of that with it.
    fn fetch_anew(&mut self, letters: Vec<ToHome>) {
        for letter in letters {
            self.with_mailbox(letter);
        }
    }

    /// Takes a mailbox in, or what has changed of it where it is here already. Gives the sequence
    /// from which on there may be something that sessions do not have.
    fn take_mailbox(&mut self, home: HomeId, answer: Answer, mark: Option<Mark>) -> Option<u64> {
        let unix = self.unix_seconds();
        self.homes.begin_behind(home, answer.last);
        let (owner, room) = (self.homes.get_mut(home)?, self.mailroom.as_mut()?);
        if let Some(place) = owner.mailbox() {
            let Merged { first, lost } = room.merge(place, answer, unix);
            for sequence in lost {
                self.lose(home, sequence);
            }
            self.relieve(home);
            return first;
        }
        let mut mailbox = Mailbox::recovered(home, answer.kept).shared(answer.last);
        if mark.is_some_and(|mark| mailbox.resume_deliveries(mark)) {
            room.quarantined += 1;
        }
        let place = room.insert(mailbox);
        owner.set_mailbox(Some(place));
        self.expire(home);
        Some(0)
    }

    /// The store could not say what a mailbox holds.
    pub(crate) fn not_opened(&mut self, home: HomeId) {
        let Some(room) = self.mailroom.as_mut() else { return };
        let Opening { letters, .. } = room.opening.remove(&home).unwrap_or_default();
        if self.homes.get(home).is_none() {
            self.fetch_anew(letters);
            return;
        }
        let said = letters.iter().filter_map(|letter| match letter {
            ToHome::Register(register) => Some(register.resume.map_or(0, |resume| resume.sequence)),
            _ => None,
        });
        let said = said.max();
        let is_there = self.homes.get(home).is_some_and(|home| !home.is_offline());
        if is_there || said.is_some() {
            room.unopened.note(home, said.unwrap_or(0));
            // What a client has said is heard also if it goes before the store is back.
            let awaited = room.unopened.said(home) > 0;
            self.homes.await_mailbox(home, awaited);
        } else if letters.is_empty() {
            self.look_later(home);
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

    /// Asks again for mailboxes that could not be fetched, of who is there or has left word.
    pub(crate) fn open_again(&mut self) {
        if self.mailroom.as_ref().is_none_or(|room| room.journal.trouble().is_some()) {
            return;
        }
        self.open_next(AGAIN);
    }

    /// Asks for so many of them, in turn.
    fn open_next(&mut self, mut many: usize) {
        let unopened = self.mailroom.as_ref().map_or(0, |room| room.unopened.len());
        for _ in 0..AGAIN.min(unopened) {
            let Some(room) = self.mailroom.as_mut().filter(|_| many > 0) else { return };
            let Some(home) = room.unopened.turn() else { return };
            let is_said = room.unopened.said(home) > 0;
            let of_use = |owner: &Home| is_said || !owner.is_offline();
            if !self.homes.get(home).is_some_and(of_use) {
                room.unopened.remove(home);
            } else if self.open_unused(home) {
                many -= 1;
            }
        }
    }

    /// Fetches a mailbox that nothing waits for; `false` where it was asked for already.
    pub(crate) fn open_unused(&mut self, home: HomeId) -> bool {
        if self.homes.get(home).is_none() {
            return false;
        }
        let asked = self.mailbox(home).map_or(0, |mailbox| mailbox.known());
        let Some(room) = self.mailroom.as_mut() else { return false };
        let Entry::Vacant(opening) = room.opening.entry(home) else { return false };
        opening.insert(Opening { asked, ..Opening::default() });
        self.ask_for_mailbox(home);
        true
    }

    /// A message of a user has gone out of date, and somebody wants to hear of it.
    pub(crate) fn look(&mut self, product: u16, user: &str) {
        let Some(known) = self.settings.products.get(usize::from(product)) else { return };
        let hash = known.placer.hash(user);
        let home = self.homes.open(UserKey { product, user, hash });
        if self.homes.get(home).is_some_and(|home| home.mailbox().is_some()) {
            self.expire(home);
            self.let_go_if_idle(home);
        } else {
            self.open_unused(home);
        }
    }

    /// The mailbox of a home that nobody uses could not be fetched: it is looked at later.
    fn look_later(&mut self, home: HomeId) {
        let expires = self.unix_seconds();
        let Some(owner) = self.homes.get(home) else { return };
        let (product, user) = (owner.product, owner.user.clone());
        if let Some(room) = self.mailroom.as_mut() {
            room.journal.order(Command::Due { product, user, expires });
        }
    }

    /// Has the store remember of a user who has gone what it would not know: how the deliveries
    /// stand, and sequences that another host could give again.
    fn leave_word(&mut self, home: HomeId) {
        let given = self.homes.given_elsewhere(home);
        let mark = self.mailbox(home).and_then(Mailbox::deliveries_to_remember);
        let Some(owner) = self.homes.get(home) else { return };
        let (product, user) = (owner.product, &owner.user);
        let Some(room) = self.mailroom.as_mut() else { return };
        if let Some(upto) = given {
            room.journal.order(Command::Given { product, user: user.clone(), upto });
        }
        if let Some(mark) = mark {
            room.journal.order(Command::Mark { product, user: user.clone(), mark });
        }
    }

    /// Lets go of a shared mailbox that has no session, once nothing of it is on its way to the
    /// store: who fetches it next must find all of it there.
    pub(crate) fn let_go_if_idle(&mut self, home: HomeId) {
        let idle = |home: &Home| home.sessions.is_empty() && home.mailbox().is_some();
        let shared = self.mailroom.as_ref().is_some_and(|room| room.shared);
        if !shared || !self.homes.get(home).is_some_and(idle) {
            return;
        }
        self.leave_word(home);
        let Some(room) = self.mailroom.as_mut() else { return };
        let safe = room.journal.safe_after();
        if safe > room.journal.answered() {
            match room.leaving.back_mut().filter(|(_, last)| *last == home) {
                Some((last, _)) => *last = safe,
                None => room.leaving.push_back((safe, home)),
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
        // Who asked meanwhile gets an answer that is older than what was done since.
        let asked = room.opening.contains_key(&home);
        if asked || room.get(place).is_none_or(|mailbox| on_its_way(mailbox)) {
            return;
        }
        room.remove(place);
        room.refusals.remove(&home);
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
