//! What a seed means: who there is, how long each gateway lives, how it ends, what is found on its
//! disk, and when a store of its own process is away.
//!
//! The same seed gives the same plan. What the kernel and the threads make of it differs.

use holdfast::io::sim::Chance;
use std::time::Duration;

/// The products: a mailbox of the first refuses what is new when it is full, one of the second
/// gives up its oldest message, and users of the third have several devices.
pub(crate) const PRODUCTS: [&str; 3] = ["chat", "shop", "home"];
/// Users of all products together.
pub(crate) const USERS: usize = 240;
/// Of these, so many get far more messages than the others.
pub(crate) const BUSY_USERS: usize = 6;
/// One of them, whose client never leaves by itself.
pub(crate) const VISITOR: usize = USERS - 3;
/// Messages that a mailbox of each product holds.
pub(crate) const MAILBOX: [usize; 3] = [40, 12, 40];
/// The product whose users may log in several times, and how often.
pub(crate) const SHARED: usize = 2;
/// How often they may.
pub(crate) const SESSIONS: usize = 4;
/// Backends.
pub(crate) const BACKENDS: usize = 3;
/// What some users wear.
pub(crate) const TAG: &str = "beta";

/// A device of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    pub(crate) user: usize,
    pub(crate) device: usize,
}

impl From<usize> for Who {
    /// The first device.
    fn from(user: usize) -> Self {
        Self { user, device: 0 }
    }
}

/// Whose product a user is of.
pub(crate) const fn product(user: usize) -> usize {
    user % PRODUCTS.len()
}

/// How many devices a user has.
pub(crate) const fn devices(user: usize) -> usize {
    if product(user) == SHARED { 1 + user / PRODUCTS.len() % 3 } else { 1 }
}

/// Whether a user's clients remember always, over all connections, what they have dealt with.
pub(crate) const fn remembers(user: usize) -> bool {
    user / PRODUCTS.len() % 4 != 2
}

/// Whether a user wears the tag.
pub(crate) const fn is_tagged(user: usize) -> bool {
    user / PRODUCTS.len() % 5 < 2
}

/// A user's id.
pub(crate) fn name(user: usize) -> String {
    format!("user-{user:04}")
}

/// How a gateway ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// At once, wherever it is.
    Kill,
    /// At once, while it is stopped.
    KillFrozen,
    /// In order.
    Terminate,
}

/// One life of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    /// How long.
    pub(crate) length: Duration,
    /// Whether that counts from its first instant, before it is ready.
    pub(crate) unready: bool,
    /// It is stopped for so long in the middle.
    pub(crate) freeze: Option<Duration>,
    pub(crate) end: End,
    /// Bytes that stand behind the end of its newest segment when it is over, as after a write
    /// that the machine did not finish.
    pub(crate) tail: usize,
}

impl Life {
    fn draw(chance: &mut Chance) -> Self {
        let unready = chance.happens(80);
        let length = if unready { chance.between(1, 150) } else { chance.between(150, 1500) };
        let freeze = (!unready && chance.happens(120)).then(|| chance.between(20, 1200));
        let end = match chance.below(10) {
            0 => End::Terminate,
            1 => End::KillFrozen,
            _ => End::Kill,
        };
        let torn = end != End::Terminate && chance.happens(250);
        let tail = if torn { chance.between(1, 5000) } else { 0 };
        Self {
            length: Duration::from_millis(length),
            unready,
            freeze: freeze.map(Duration::from_millis),
            end: if unready { End::Kill } else { end },
            tail: usize::try_from(tail).unwrap(),
        }
    }
}

/// What a server that keeps the messages goes through while the gateway lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    /// It is killed and started again; else it stands still.
    pub(crate) kill: bool,
    /// Until the gateway says so, at the least.
    pub(crate) noticed: bool,
    /// And then for so long.
    pub(crate) length: Duration,
}

/// The outages of a run, at most one in each life.
pub(crate) fn outages(seed: u64, lives: u64) -> Vec<Option<Outage>> {
    let mut chance = Chance::new(seed, "outages");
    let mut draw = || {
        let length = Duration::from_millis(chance.between(1, 600));
        let outage = Outage { kill: chance.happens(500), noticed: chance.happens(400), length };
        chance.happens(350).then_some(outage)
    };
    (0..lives).map(|_| draw()).collect()
}

/// The lives of a run, the last one not among them: that one is left in peace.
pub(crate) fn draw(seed: u64, lives: u64) -> Vec<Life> {
    let mut chance = Chance::new(seed, "lives");
    (0..lives).map(|_| Life::draw(&mut chance)).collect()
}
