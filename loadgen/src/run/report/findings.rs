//! What a run found on one host: counts and histograms that can be added to those of other hosts
//! before anything is judged.

use crate::fleet::shared::Shared;
use crate::histogram::Tally;
use crate::host::Sample;
use crate::options::Options;
use crate::report::Durable;
use crate::verify::away::Absences;
use crate::verify::judge::{self, Broadcasts, Copies, Pushes, Sent};
use std::sync::atomic::Ordering;

/// What the stages hand over.
pub(in crate::run) struct Evidence {
    /// When the push phase began, nanoseconds of the run's clock.
    pub(in crate::run) start: u64,
    /// Messages handed to the API.
    pub(in crate::run) sent: u64,
    /// Broadcasts handed to the API.
    pub(in crate::run) broadcasts: Vec<Sent>,
    /// Clients that are to be there at the end: all, or of an interrupted run those of the first
    /// ramp.
    pub(in crate::run) expected: u32,
    /// Whether the run was ended early.
    pub(in crate::run) interrupted: bool,
    /// Before the first client; after the ramp; settled; after the push phase; drained; after the
    /// byes.
    pub(in crate::run) samples: [Sample; 6],
}

/// What was found.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Findings {
    /// Where every message went.
    pub(crate) pushes: Pushes,
    /// The broadcasts, and how the clients stand with each.
    pub(crate) sent: Vec<Sent>,
    pub(crate) copies: Vec<Copies>,
    /// Clients that should have been there at the end and were not.
    pub(crate) away: u64,
    /// Receipts of durable messages: acknowledged, and given up.
    pub(crate) receipts: u64,
    pub(crate) given_up: u64,
    /// What the clients and the pusher counted.
    pub(crate) tally: Tally,
    /// How many threads had clients, and how many addresses they came from.
    pub(crate) threads: u32,
    pub(crate) sources: usize,
    /// As in the evidence.
    pub(crate) samples: [Sample; 6],
}

impl Findings {
    /// Puts every message into its class.
    pub(in crate::run) fn gather(options: &Options, shared: &Shared, evidence: Evidence) -> Self {
        let scenario = &shared.scenario;
        let absences = Absences::new(shared.take_absences());
        let pushes = judge::pushes(&judge::Evidence {
            schedule: &scenario.schedule,
            ledger: &shared.ledger,
            offered: if evidence.interrupted { evidence.sent } else { scenario.schedule.count },
            sent: evidence.sent,
            start: evidence.start,
            absences: &absences,
            expires: options.push.ttl > 0,
        });
        let heard = shared.take_heard();
        let online = heard.iter().filter(|client| client.since != u32::MAX).count() as u64;
        Self {
            pushes,
            copies: judge::copies(&evidence.broadcasts, &heard),
            sent: evidence.broadcasts,
            away: u64::from(evidence.expected).saturating_sub(online),
            receipts: shared.gauges.receipts.load(Ordering::Relaxed),
            given_up: shared.gauges.given_up.load(Ordering::Relaxed),
            tally: shared.sums().all.clone(),
            threads: scenario.threads,
            sources: scenario.sources.len(),
            samples: evidence.samples,
        }
    }

    /// Nothing yet, with what the machine looked like.
    pub(crate) fn nothing(samples: &[Sample; 6]) -> Self {
        Self {
            pushes: Pushes::default(),
            sent: Vec::new(),
            copies: Vec::new(),
            away: 0,
            receipts: 0,
            given_up: 0,
            tally: Tally::new(),
            threads: 0,
            sources: 0,
            samples: *samples,
        }
    }

    /// Adds what was found on another host, but for the broadcasts that there were, which are the
    /// same for all. Of its samples only the generator's own count: the
    /// gateway is looked at from one place.
    pub(crate) fn add(&mut self, other: &Self) {
        self.pushes.add(&other.pushes);
        let more = other.copies.len().max(self.copies.len());
        self.copies.resize(more, Copies::default());
        for (sum, copies) in self.copies.iter_mut().zip(&other.copies) {
            sum.add(*copies);
        }
        self.away += other.away;
        self.receipts += other.receipts;
        self.given_up += other.given_up;
        self.tally.add(&other.tally);
        self.threads = self.threads.saturating_add(other.threads);
        self.sources = self.sources.saturating_add(other.sources);
        for (sum, sample) in self.samples.iter_mut().zip(&other.samples) {
            sum.client.add(&sample.client);
        }
    }

    /// Where every copy of a broadcast went.
    pub(super) fn broadcasts(&self) -> Broadcasts {
        judge::broadcasts(&self.sent, &self.copies)
    }

    /// What became of the durable class; `asked` says whether receipts were.
    pub(super) fn durable(&self, asked: bool) -> Durable {
        let lost = |name| self.pushes.lost.get(name).copied().unwrap_or_default();
        Durable {
            stored: self.pushes.stored,
            acked: self.pushes.acked,
            missing: lost("answered_stored") + lost("answered_acked"),
            receipts: asked.then_some(self.receipts),
            given_up: self.given_up,
        }
    }
}
