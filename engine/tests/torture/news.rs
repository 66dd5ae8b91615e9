//! What backends were told of durable broadcasts and what clients received of them, and whether the
//! two agree.
//!
//! Pure, as [`crate::ledger`] is. What is promised:
//!
//! - a broadcast that was answered with its job is received by every user that it is for, unless it
//!   was cancelled; of users whose clients do not remember what they had, some may miss it;
//! - a device gets it once. It comes again only with a greater number than the client resumed with,
//!   and says so; or because a gateway was killed before it was kept who had it, and then not to a
//!   client that resumed with this very number;
//! - those that were answered before a client came are received in the order of their numbers;
//! - one that was paused reaches nobody until somebody asks to resume it, whatever becomes of the
//!   gateway, and one that was cancelled reaches nobody any more.
//!
//! The last counts from the answer on for whoever connects behind it. To a device that was there
//! before it may still come what was queued already: until the gateway answered two things that the
//! client sent behind that answer, one after the other.

use crate::ledger::Id;
use crate::plan::{Who, devices, is_tagged, product, remembers};
use holdfast_client::{Job, JobId};
use std::collections::HashMap;

/// Broadcasts have numbers of their own kind, so that a body says which kind of message it is.
pub(crate) const FIRST: Id = 1 << 40;

/// More bytes than what surrounds a body on disk, and than what says that a user had it.
const RECORD: u64 = 128;

/// A broadcast that is to reach nobody: paused, or cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stopped {
    for_good: bool,
    /// In which life that was answered, and when.
    life: u32,
    at: u64,
}

/// A broadcast.
#[derive(Debug)]
struct Item {
    product: usize,
    tagged: bool,
    size: usize,
    tries: u32,
    /// Whether a request that was not answered, or was refused, may have been kept.
    doubt: bool,
    /// Under which numbers it is known.
    numbers: Vec<u64>,
    /// Its number, its job, and when that was answered.
    began: Option<(u64, JobId, u64)>,
    /// Whether somebody asked to cancel it.
    unwanted: bool,
    stopped: Option<Stopped>,
    /// How often it was resumed, and how often in a later life than the one that paused it.
    resumed: u64,
    slept: u64,
}

impl Item {
    fn is_cancelled(&self) -> bool {
        self.stopped.is_some_and(|stopped| stopped.for_good)
    }
}

/// How a device had a broadcast.
#[derive(Debug, Clone, Copy)]
struct Had {
    at: u64,
    life: u32,
    /// Whether the gateway certainly knows that, while it lives.
    known: bool,
    /// Whether the gateway certainly keeps that.
    kept: bool,
}

/// One device.
#[derive(Debug, Default)]
struct Reader {
    had: HashMap<u64, Had>,
    /// With which number this connection resumed; 0 for none.
    said: u64,
    /// When it was made.
    since: u64,
    /// What happened up to then is known to the gateway, and nothing older is on its way to it.
    aware: u64,
    /// The greatest number, of those that were answered before, that came on it.
    last: u64,
}

/// All broadcasts, and what became of them.
#[derive(Debug)]
pub(crate) struct News {
    items: Vec<Item>,
    /// What each number of a product is.
    numbers: HashMap<(usize, u64), Id>,
    readers: Vec<Vec<Reader>>,
    /// Counts what happens.
    now: u64,
    life: u32,
    away: bool,
    repeats: u64,
    pub(crate) faults: Vec<String>,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct NewsSums {
    pub(crate) asked: usize,
    pub(crate) accepted: usize,
    pub(crate) cancelled: usize,
    /// Resumed, of those that were paused.
    pub(crate) resumed: u64,
    /// Of these, those that were paused over the end of a gateway.
    pub(crate) slept: u64,
    /// First copies that came to a device.
    pub(crate) came: u64,
    /// Copies that came again.
    pub(crate) repeats: u64,
}

impl News {
    /// Nothing yet, for so many users.
    pub(crate) fn new(users: usize) -> Self {
        let readers = |user| (0..devices(user)).map(|_| Reader::default()).collect();
        Self {
            items: Vec::new(),
            numbers: HashMap::new(),
            readers: (0..users).map(readers).collect(),
            now: 0,
            life: 0,
            away: false,
            repeats: 0,
            faults: Vec::new(),
        }
    }

    fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    fn at(&mut self, id: Id) -> &mut Item {
        &mut self.items[usize::try_from(id - FIRST).unwrap()]
    }

    // ---- backends ----

    /// A new broadcast; it is not sent yet.
    pub(crate) fn make(&mut self, product: usize, tagged: bool, size: usize) -> Id {
        self.items.push(Item {
            product,
            tagged,
            size,
            tries: 0,
            doubt: false,
            numbers: Vec::new(),
            began: None,
            unwanted: false,
            stopped: None,
            resumed: 0,
            slept: 0,
        });
        FIRST + self.items.len() as u64 - 1
    }

    /// It was sent, perhaps once more.
    pub(crate) fn tried(&mut self, id: Id) {
        let away = self.away;
        let item = self.at(id);
        item.tries += 1;
        item.doubt |= away;
    }

    /// It was not accepted, or its answer did not come in time.
    pub(crate) fn doubted(&mut self, id: Id) {
        self.at(id).doubt = true;
    }

    /// The store goes away, or is back.
    pub(crate) fn store_away(&mut self, away: bool) {
        self.away = away;
        let on_their_way = self.items.iter_mut().filter(|it| it.tries > 0 && it.began.is_none());
        on_their_way.for_each(|item| item.doubt |= away);
    }

    /// It was answered with its job.
    pub(crate) fn began(&mut self, id: Id, job: &Job) {
        self.now += 1;
        let (now, number) = (self.now, job.sequence);
        let item = self.at(id);
        item.began = Some((number, job.id, now));
        let product = item.product;
        self.number(product, number, id);
        let item = self.at(id);
        if item.numbers.len() > 1 && !item.doubt {
            self.fault(format!("broadcast {id} has {number} and another number"));
        }
    }

    /// Somebody asks to cancel it.
    pub(crate) fn unwanted(&mut self, id: Id) {
        self.at(id).unwanted = true;
    }

    /// It was answered that it is cancelled, or, where that is not for good, that it is paused.
    pub(crate) fn stopped(&mut self, id: Id, for_good: bool) {
        self.now += 1;
        let (life, at) = (self.life, self.now);
        self.at(id).stopped = Some(Stopped { for_good, life, at });
    }

    /// Somebody asks to resume it: from now on it may come.
    pub(crate) fn resumes(&mut self, id: Id) {
        let life = self.life;
        let item = self.at(id);
        if let Some(stopped) = item.stopped.take_if(|stopped| !stopped.for_good) {
            item.resumed += 1;
            item.slept += u64::from(stopped.life < life);
        }
    }

    // ---- clients ----

    /// A client connects, and says which number it had.
    pub(crate) fn connects(&mut self, who: Who, said: u64) {
        self.now += 1;
        let reader = &mut self.readers[who.user][who.device];
        (reader.said, reader.since, reader.last, reader.aware) = (said, self.now, 0, self.now);
    }

    /// A broadcast came.
    pub(crate) fn got(&mut self, who: Who, number: u64, id: Id, again: bool) {
        let what = format!("{who:?} got broadcast {id} as {number}, again: {again}");
        let known = id.checked_sub(FIRST).and_then(|at| self.items.get(usize::try_from(at).ok()?));
        let Some(item) = known.filter(|item| item.tries > 0) else {
            self.fault(format!("{what}, which nobody sent"));
            return;
        };
        if item.product != product(who.user) || item.tagged && !is_tagged(who.user) {
            self.fault(format!("{what}, which is not for it: {item:?}"));
            return;
        }
        let product = item.product;
        self.number(product, number, id);
        for why in self.wrong(who, number, id, again) {
            self.fault(format!("{what}: {why}"));
        }
        self.now += 1;
        let had = Had { at: self.now, life: self.life, known: false, kept: false };
        let before = self.readers[who.user][who.device].had.insert(number, had);
        self.repeats += u64::from(before.is_some());
    }

    /// What is wrong with that.
    fn wrong(&mut self, who: Who, number: u64, id: Id, again: bool) -> Vec<String> {
        let life = self.life;
        let item = &self.items[usize::try_from(id - FIRST).unwrap()];
        let (began, doubt, stopped) = (item.began, item.doubt, item.stopped);
        let reader = &mut self.readers[who.user][who.device];
        let (said, since) = (reader.said, reader.since);
        let mut wrong = Vec::new();
        if again && (said == 0 || number <= said) {
            wrong.push(format!("it resumed with {said}"));
        }
        match reader.had.get(&number) {
            Some(had) if !again && (had.kept || had.known && had.life == life) => {
                wrong.push(format!("it had it, {had:?}, in life {life}"));
            }
            Some(_) if number == said => wrong.push("it resumed with that".to_owned()),
            _ => {}
        }
        if began.is_some_and(|(told, ..)| told != number) && !doubt {
            wrong.push(format!("the backend was told {began:?}"));
        }
        if began.is_some_and(|(.., at)| at < since) {
            if number < reader.last {
                wrong.push(format!("it came behind {}", reader.last));
            }
            reader.last = number.max(reader.last);
        }
        // Its answer waited for the store, and all shards had been told by then. One in doubt may
        // be there under a number that nobody steered.
        let holds = |it: &Stopped| it.at <= reader.aware && began.is_some_and(|it| it.0 == number);
        if let Some(stopped) = stopped.filter(holds) {
            wrong.push(format!("it was stopped before, {stopped:?}, in life {life}"));
        }
        wrong
    }

    /// How much has happened so far.
    pub(crate) fn moment(&self) -> u64 {
        self.now
    }

    /// The gateway knows what was written to a device up to this moment. It answered a client that
    /// had first asked at the moment `asked`.
    pub(crate) fn confirmed(&mut self, who: Who, asked: u64, moment: u64) {
        let reader = &mut self.readers[who.user][who.device];
        reader.aware = reader.aware.max(asked);
        let before = reader.had.values_mut().filter(|had| had.at <= moment);
        before.for_each(|had| had.known = true);
    }

    /// A number belongs to one broadcast.
    fn number(&mut self, product: usize, number: u64, id: Id) {
        let before = *self.numbers.entry((product, number)).or_insert(id);
        let numbers = &mut self.at(id).numbers;
        if !numbers.contains(&number) {
            numbers.push(number);
        }
        if before != id {
            self.fault(format!("number {number} of product {product} is {before} and {id}"));
        }
    }

    // ---- gateways ----

    /// The gateway was told to leave: from now on what it writes may be too late to be kept.
    pub(crate) fn leaves(&mut self) {
        let life = self.life;
        let all = self.readers.iter_mut().flatten().flat_map(|reader| reader.had.values_mut());
        all.filter(|had| had.life == life).for_each(|had| had.kept = true);
    }

    /// The gateway is gone, in order or not.
    pub(crate) fn over(&mut self, in_order: bool) {
        self.life += 1;
        if !in_order {
            // It was not let finish: what it wrote after it was told to leave counts for nothing.
            let all = self.readers.iter_mut().flatten().flat_map(|it| it.had.values_mut());
            all.filter(|had| had.life + 1 == self.life).for_each(|had| had.kept = false);
        }
    }

    // ---- the end ----

    fn has(&self, who: Who, item: &Item) -> bool {
        let had = &self.readers[who.user][who.device].had;
        item.numbers.iter().any(|number| had.contains_key(number))
    }

    /// Whether it came to every device that it is for.
    pub(crate) fn is_everywhere(&self, id: Id) -> bool {
        let item = &self.items[usize::try_from(id - FIRST).unwrap()];
        let meant = |&user: &usize| product(user) == item.product;
        (0..self.readers.len())
            .filter(meant)
            .all(|user| (0..devices(user)).all(|device| self.has(Who { user, device }, item)))
    }

    /// What should have come by now and did not.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (id, item) in (FIRST..).zip(&self.items) {
            if item.began.is_none() || item.unwanted {
                continue;
            }
            let meant = |&user: &usize| {
                let tagged = !item.tagged || is_tagged(user);
                product(user) == item.product && tagged && remembers(user)
            };
            for user in (0..self.readers.len()).filter(meant) {
                if !(0..devices(user)).any(|device| self.has(Who { user, device }, item)) {
                    missing.push(format!("{user} never had broadcast {id}: {item:?}"));
                }
            }
        }
        missing
    }

    /// At most so many bytes are on disk of them: bodies, records, and who had which.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let had = self.readers.iter().flatten().map(|reader| reader.had.len() as u64).sum::<u64>();
        self.items.iter().map(|item| item.size as u64 + RECORD).sum::<u64>() + had * RECORD
    }

    /// Adds up.
    pub(crate) fn sums(&self) -> NewsSums {
        let readers = self.readers.iter().flatten();
        NewsSums {
            asked: self.items.len(),
            accepted: self.items.iter().filter(|item| item.began.is_some()).count(),
            cancelled: self.items.iter().filter(|item| item.is_cancelled()).count(),
            resumed: self.items.iter().map(|item| item.resumed).sum(),
            slept: self.items.iter().map(|item| item.slept).sum(),
            came: readers.map(|reader| reader.had.len() as u64).sum(),
            repeats: self.repeats,
        }
    }
}
