//! Who is asleep, so that a neighbour is woken once and not once a message.
//!
//! Waking costs 6 to 20 µs whatever the call; a flag costs nothing. The protocol, and why no
//! wake-up is lost:
//!
//! - The sleeper calls [`Sleeper::announce`], *then* looks at all its rings once more, and waits
//!   only where they are empty; else it calls [`Sleeper::awake`] and works.
//! - A producer publishes, *then* calls [`Sleeper::claim`], and wakes where that says so.
//!
//! Every write of the flag is a swap, so that a claim and the next sleep are ordered; both happen
//! only beside a system call, where their cost does not show. Between "then" and "then" both sides
//! have a sequentially consistent fence, so at least one sees what the other wrote before it.
//! `tests/mesh_model.rs` checks all interleavings of both.

use std::sync::Arc;

use super::Wake;
use super::sync::{AtomicBool, Ordering, fence};

/// Says whether one thread sleeps.
#[derive(Debug)]
pub struct Sleeper {
    asleep: AtomicBool,
}

impl Sleeper {
    /// Of a thread that is awake.
    #[must_use]
    #[allow(
        clippy::new_without_default,
        reason = "a shared flag with a protocol, not a value to fill a struct with"
    )]
    pub fn new() -> Self {
        Self { asleep: AtomicBool::new(false) }
    }

    /// By the thread itself: it is about to sleep. It must look at its rings after this.
    pub fn announce(&self) {
        self.asleep.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// By the thread itself: it does not sleep (any more).
    pub fn awake(&self) {
        self.asleep.swap(false, Ordering::AcqRel);
    }

    /// By a producer after it published: whether it is the one that must wake the thread. Of
    /// several producers only one is told so.
    #[must_use]
    pub fn claim(&self) -> bool {
        fence(Ordering::SeqCst);
        // Read first: a swap would take the cache line from a thread that is awake, which is usual.
        self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel)
    }
}

/// A neighbour's sleep and the means to end it.
#[derive(Debug, Clone)]
pub struct Doorbell<W> {
    sleeper: Arc<Sleeper>,
    waker: W,
}

impl<W: Wake> Doorbell<W> {
    /// Of the thread that announces its sleep on `sleeper` and is woken by `waker`.
    #[must_use]
    pub fn new(sleeper: Arc<Sleeper>, waker: W) -> Self {
        Self { sleeper, waker }
    }

    /// After publishing to the neighbour: wakes it if it sleeps. `true` where that took a wake-up.
    pub fn ring(&self) -> bool {
        let wakes = self.sleeper.claim();
        if wakes {
            self.waker.wake();
        }
        wakes
    }
}
