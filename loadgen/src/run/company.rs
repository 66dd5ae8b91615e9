//! Who else runs: nobody, or the other agents of a run, with whom it begins each stage together.

use crate::fleet::shared::Shared;
use crate::report::timeline::Timeline;
use crate::verify::judge::Sent;

/// What nobody begins before everybody is there. In the order of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
}

/// Nobody else.
#[derive(Debug)]
pub(crate) struct Alone;

impl Company for Alone {
    fn pass(&self, _: Barrier, sent: Vec<Sent>, shared: &Shared) -> Result<Passing, String> {
        Ok(Passing { at: shared.clock.now(), sent })
    }
}
