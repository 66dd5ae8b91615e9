//! What the generator itself can offer: the asked rate, and then more than anybody can, against the
//! null server.
//!
//! Both are ordinary runs, so the path is the one that the load itself takes: the schedule, the
//! backend's client, the window, the threads of clients. What is left out is what a rate does not
//! depend on: phases, broadcasts, drops.

use super::facts::Facts;
use crate::floor::{machine, started};
use crate::interrupt::Interrupt;
use crate::options::{Asked, Options};
use crate::report::Report;
use crate::run;
use serde::Serialize;
use std::net::SocketAddr;

/// How long each of the two runs pushes, seconds: enough for whole seconds in its timeline.
const SECONDS: u32 = 4;
/// The null server's clients are in one descriptor table, of which it needs a little itself.
const SPARE: u64 = 100;
/// Connecting takes at most so many seconds.
const CONNECTING: u32 = 3;
/// More than one pushing thread can hand over, messages a second.
const TOO_MANY: u32 = 1_000_000;

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Calibrated {
    /// The asked rate: of the busiest phase, in pushes a second.
    pub(super) rate: u32,
    /// With so many clients.
    pub(super) clients: u32,
    /// Why the generator was the bottleneck at that rate; empty if it was not.
    pub(super) bottleneck: Vec<String>,
    /// The share of the time in which its busiest thread ran or waited for a core then, percent.
    pub(super) busy_percent: Option<f64>,
    /// What arrived a second when more was offered than can be.
    pub(super) peak: Option<f64>,
}

/// Measures what the options ask for.
///
/// # Errors
/// It could not be tried; the text says why.
pub(super) fn measure(
    options: &Options,
    facts: &Facts,
    interrupt: &Interrupt,
) -> Result<Calibrated, String> {
    let core = (facts.cores > 1).then(machine::last_core).flatten();
    let (server, addresses) = started::null(core)?;
    let mut asked = pushes_alone(options, facts, addresses);
    let (rate, clients) = (asked.push.rate, asked.clients.connections);
    asked.push.rate = rate.min(TOO_MANY);
    let report = run::once(&asked, interrupt.clone()).map_err(String::from)?;
    asked.push.rate = TOO_MANY;
    let flooded = if interrupt.came() { None } else { run::once(&asked, interrupt.clone()).ok() };
    drop(server);
    Ok(Calibrated {
        rate,
        clients,
        bottleneck: report.generator.bottleneck,
        busy_percent: report.generator.busy.map(|share| share * 100.0),
        peak: flooded.as_ref().and_then(arrivals),
    })
}

/// What arrived a second while pushing.
fn arrivals(report: &Report) -> Option<f64> {
    let line = &report.timeline;
    let known: Vec<Option<f64>> = line.delivered.iter().copied().map(Some).collect();
    line.mean(&known)
}

/// The pushes of the busiest phase to the null server, for some seconds, and nothing besides.
fn pushes_alone(options: &Options, facts: &Facts, [clients, api]: [SocketAddr; 2]) -> Options {
    let mut options = options.clone();
    let pushes = options.asked.phases.iter().filter_map(|phase| phase.pushes.as_ref());
    if let Some(busiest) = pushes.max_by_key(|pushes| pushes.rate) {
        options.push.rate = busiest.rate;
        options.push.size = busiest.sizes.clone();
        options.push.burst = busiest.burst;
        options.push.scatter = busiest.scatter;
    }
    options.choice.scenario = None;
    options.asked = Asked::default();
    options.push.api = api;
    options.push.duration = SECONDS;
    options.push.settle = 0;
    options.push.drain = 2;
    // The null server stores nothing.
    options.push.durable = Some(0.0);
    options.push.receipts = false;
    options.broadcast.count = 0;
    let table = u32::try_from(facts.descriptors.saturating_sub(SPARE)).unwrap_or(u32::MAX);
    let few = options.clients.connect_rate.saturating_mul(CONNECTING).min(table);
    options.clients.connections = options.clients.connections.min(few).max(1);
    options.clients.gateway = vec![clients];
    options.clients.source = Vec::new();
    options.clients.churn = 0.0;
    options.clients.offline = 0.0;
    options.output.slo = None;
    options.output.admin = None;
    options.output.server_pid = None;
    options.output.quiet = true;
    options.output.allow_disconnects = true;
    options
}
