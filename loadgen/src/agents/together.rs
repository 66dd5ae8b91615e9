//! The agent's run among others: it waits at each barrier until the controller lets it go on.

use super::lease::Lease;
use super::wire::{Second, ToAgent};
use crate::clock::milliseconds;
use crate::fleet::shared::{Counts, Shared};
use crate::report::timeline::Timeline;
use crate::run::Findings;
use crate::run::company::{Barrier, Company, Passing, sleep_until};
use crate::run::failure::Failure;
use crate::verify::judge::{self, Sent};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A client that logged in so shortly before a broadcast of another host may have been too late
/// for it: this long the clocks of two hosts may be apart, milliseconds.
const APART: u32 = 250;

/// What an agent's session hears.
pub(super) enum Word {
    /// The run is at the barrier, with the broadcasts that were made here.
    Ready(Barrier, Vec<Sent>),
    /// A second of the run is over.
    Second(Box<Second>),
    /// The run is over, or could not be set up.
    Ended(Result<Box<Findings>, Failure>),
    /// The controller says something, or is gone.
    Controller(Result<ToAgent, String>),
}

/// All go on at this moment.
pub(super) struct Release {
    pub(super) at: Instant,
    /// The broadcasts that were made; their times are since the timeline began.
    pub(super) sent: Vec<Sent>,
}

/// The others, seen from the run.
pub(super) struct Together {
    out: Mutex<Sender<Word>>,
    gate: Mutex<Receiver<Release>>,
    from: Arc<AtomicU64>,
    lease: Arc<Lease>,
}

impl Together {
    /// Says its words to `out`, and goes on when `gate` says so; when that is closed, the run is
    /// called off. Broadcasts that are due `from` then on are made here, and nothing is begun
    /// without the `lease`.
    pub(super) fn new(
        out: Sender<Word>,
        gate: Receiver<Release>,
        (from, lease): (&Arc<AtomicU64>, &Arc<Lease>),
    ) -> Self {
        let (from, lease) = (Arc::clone(from), Arc::clone(lease));
        Self { out: Mutex::new(out), gate: Mutex::new(gate), from, lease }
    }

    fn say(&self, word: Word) {
        // Who does not listen any more has called the run off.
        let _ = self.out.lock().unwrap_or_else(PoisonError::into_inner).send(word);
    }
}

impl Company for Together {
    fn pass(&self, barrier: Barrier, sent: Vec<Sent>, shared: &Shared) -> Result<Passing, String> {
        let start = milliseconds(shared.start.load(Ordering::Relaxed));
        let since = |at: u32| at.saturating_sub(start);
        let told = sent.iter().map(|one| Sent { at: since(one.at), ..one.clone() });
        self.say(Word::Ready(barrier, told.collect()));
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let release = gate.recv().map_err(|_| "the run is called off".to_owned())?;
        let left = release.at.saturating_duration_since(Instant::now());
        let at = shared.clock.now() + u64::try_from(left.as_nanos()).unwrap_or_default();
        sleep_until(at, shared);
        let here = |at: u32| at.saturating_add(start).saturating_sub(APART);
        let all = release.sent.into_iter().map(|one| Sent { at: here(one.at), ..one });
        let mut all: Vec<Sent> = all.collect();
        judge::renew(&mut all, &sent, shared.scenario.share.number);
        Ok(Passing { at, sent: all })
    }

    fn second(&self, timeline: &Timeline, shared: &Shared) {
        let tally = shared.sums().all.clone();
        let counts = Counts::of(&shared.gauges);
        self.say(Word::Second(Box::new(Second { line: timeline.last(), tally, counts })));
    }

    fn makes(&self, due: u64) -> bool {
        due >= self.from.load(Ordering::Relaxed)
    }

    fn may_begin(&self) -> bool {
        self.lease.holds(Instant::now())
    }

    fn is_called_off(&self) -> bool {
        self.lease.is_over()
    }

    fn watches_gateway(&self) -> bool {
        false
    }
}
