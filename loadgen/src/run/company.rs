//! Who else runs: nobody, or the other agents of a run, with whom it begins each stage together.

use crate::clock::duration;
use crate::fleet::shared::Shared;
use crate::report::timeline::Timeline;
use crate::verify::judge::Sent;
use serde::{Deserialize, Serialize};
use std::thread;

/// What nobody begins before everybody is there. In the order of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Barrier {
    /// Connecting: all are set up, nobody has opened a client.
    Ramp,
    /// Holding still: all clients are logged in.
    Settle,
    /// The plan's timeline.
    Push,
    /// Waiting for what is in flight: all that is offered has its answer.
    Drain,
    /// Saying bye.
    Leave,
}

impl Barrier {
    /// In order.
    pub(crate) const ALL: [Self; 5] =
        [Self::Ramp, Self::Settle, Self::Push, Self::Drain, Self::Leave];

    /// A word for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ramp => "ramp",
            Self::Settle => "settle",
            Self::Push => "push",
            Self::Drain => "drain",
            Self::Leave => "leave",
        }
    }
}

/// Everybody is at a barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passing {
    /// When the stage begins, nanoseconds of the run's clock; it is past or now.
    pub(crate) at: u64,
    /// The broadcasts of the run, as far as they are told there.
    pub(crate) sent: Vec<Sent>,
}

/// Those who run together.
pub(crate) trait Company: Send + Sync {
    /// Waits until everybody is at `barrier`. `sent` are the broadcasts that were made here.
    ///
    /// # Errors
    /// The run is called off; the text says why.
    fn pass(&self, barrier: Barrier, sent: Vec<Sent>, shared: &Shared) -> Result<Passing, String>;

    /// One more sample stands at the end of the timeline.
    fn second(&self, _timeline: &Timeline, _shared: &Shared) {}

    /// Whether a broadcast is made here that is due so many nanoseconds after the plan's timeline
    /// began.
    fn makes(&self, _due: u64) -> bool {
        true
    }

    /// Whether something may be begun here now: the others cannot have taken this host for dead and
    /// given its part to another.
    fn may_begin(&self) -> bool {
        true
    }

    /// Whether nobody wants to know any more what is found here.
    fn is_called_off(&self) -> bool {
        false
    }

    /// Whether the gateway's own CPU and memory are looked at from here.
    fn watches_gateway(&self) -> bool {
        true
    }
}

/// Nobody else.
#[derive(Debug)]
pub(crate) struct Alone;

impl Company for Alone {
    fn pass(&self, _: Barrier, sent: Vec<Sent>, shared: &Shared) -> Result<Passing, String> {
        Ok(Passing { at: shared.clock.now(), sent })
    }
}

/// Sleeps until the moment `at` of the run's clock.
pub(crate) fn sleep_until(at: u64, shared: &Shared) {
    thread::sleep(duration(at.saturating_sub(shared.clock.now())));
}
