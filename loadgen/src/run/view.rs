//! The view of a run on a terminal: what is drawn ([`Snapshot`]), how ([`draw`]), and the thread
//! that draws it ([`screen`]).
//!
//! The thread reads what the recorder and the stages left for it, and nothing of the workers; how
//! slow the terminal is disturbs nobody.

mod draw;
pub(super) mod screen;

use std::collections::VecDeque;

/// So many seconds are drawn at most.
const SECONDS: usize = 300;

/// What is drawn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// What runs, for people.
    pub(crate) plan: String,
    pub(crate) stage: Stage,
    /// The last of them, oldest first.
    pub(crate) seconds: VecDeque<Second>,
    pub(crate) totals: Totals,
    /// What happened that nobody expects, oldest first.
    pub(crate) notices: Vec<String>,
}

/// Where the run stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Stage {
    /// The name of the stage, or of the scenario's phase.
    pub(crate) name: String,
    /// How much of it is done, from 0 to 1.
    pub(crate) done: f64,
    /// Seconds since the run began.
    pub(crate) passed: f64,
    /// Seconds until nothing more is offered, where that is known.
    pub(crate) left: Option<f64>,
}

/// One sample of the recorder. CPU is in cores, memory in bytes, latencies are in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Second {
    /// Seconds since the run began.
    pub(crate) at: f64,
    pub(crate) offered: f64,
    /// Pushes and broadcasts that arrived a second.
    pub(crate) delivered: f64,
    pub(crate) errors: f64,
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) server_cpu: Option<f64>,
    pub(crate) client_cpu: Option<f64>,
    pub(crate) server_rss: Option<f64>,
    pub(crate) client_rss: Option<f64>,
}

/// The accounts so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) clients: u64,
    pub(crate) online: u64,
    pub(crate) offered: u64,
    /// Of those, answered as accepted, and not.
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) delivered: u64,
    pub(crate) broadcasts: u64,
    pub(crate) errors: u64,
}

impl Snapshot {
    /// Takes one sample more, and forgets the oldest where there are many.
    pub(crate) fn second(&mut self, second: Second) {
        if self.seconds.len() >= SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second);
    }
}
