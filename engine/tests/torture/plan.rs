//! What a seed means: how long each gateway lives, how it ends, and what is found on its disk.
//!
//! The same seed gives the same plan. What the kernel and the threads make of it differs.

use holdfast::io::sim::Chance;
use std::time::Duration;

/// The products: a mailbox of the first refuses what is new when it is full, one of the second
/// gives up its oldest message.
pub(crate) const PRODUCTS: [&str; 2] = ["chat", "shop"];
/// Users of both products together.
pub(crate) const USERS: usize = 240;
/// Of these, so many get far more messages than the others.
pub(crate) const BUSY_USERS: usize = 4;
/// Messages that a mailbox of each product holds.
pub(crate) const MAILBOX: [usize; 2] = [40, 12];
/// Backends.
pub(crate) const BACKENDS: usize = 3;

/// Whose product a user is of.
pub(crate) fn product(user: usize) -> usize {
    user % PRODUCTS.len()
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

/// The lives of a run, the last one not among them: that one is left in peace.
pub(crate) fn draw(seed: u64, lives: u64) -> Vec<Life> {
    let mut chance = Chance::new(seed, "lives");
    (0..lives).map(|_| Life::draw(&mut chance)).collect()
}
