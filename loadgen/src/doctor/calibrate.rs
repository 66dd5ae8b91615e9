//! What the generator itself can offer: what is asked for, and then more pushes than anybody can,
//! against the null server.
//!
//! Both are ordinary runs, so the path is the one that the load itself takes: the schedule, the
//! backend's client, the window, the threads of clients. The first has all that the busiest phase
//! has ([`mix`]): pushes, broadcasts, drops, and pings; the second has pushes alone.

mod mix;

pub(super) use self::mix::Mix;
use super::facts::Facts;
use crate::floor::{machine, started};
use crate::interrupt::Interrupt;
use crate::options::{Asked, ClassName, Options, Pushes};
use crate::report::Report;
use crate::run;
use serde::Serialize;
use std::net::SocketAddr;

/// How long each of the two runs offers, seconds: enough for whole seconds in its timeline.
const SECONDS: u32 = 4;
/// The null server's clients are in one descriptor table, of which it needs a little itself.
const SPARE: u64 = 100;
/// Connecting takes at most so many seconds.
const CONNECTING: u32 = 3;
/// More than one pushing thread can hand over, messages a second.
pub(super) const TOO_MANY: u32 = 1_000_000;

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Calibrated {
    /// The asked rate: of the busiest phase, in pushes a second.
    pub(super) rate: u32,
    /// What is asked for beside it.
    pub(super) beside: Mix,
    /// With so many clients.
    pub(super) clients: u32,
    /// What went through of it.
    pub(super) through: Through,
    /// Why the generator was the bottleneck then; empty if it was not.
    pub(super) bottleneck: Vec<String>,
    /// The share of the time in which its busiest thread ran or waited for a core then, percent.
    pub(super) busy_percent: Option<f64>,
    /// What arrived a second when more was pushed than can be.
    pub(super) peak: Option<f64>,
    /// Whether the generator had room left then: the null server, or others on the host, were what
    /// gave out, and it may do better.
    pub(super) room_left: bool,
}

/// Counts of what arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Through {
    pushes: u64,
    broadcast: u64,
    pongs: u64,
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
    let mut asked = busiest(options, facts, addresses);
    let (rate, clients) = (asked.push.rate, asked.clients.connections);
    let beside = Mix::of(options);
    asked.push.rate = rate.min(TOO_MANY);
    let flood = Options { push: Pushes { rate: TOO_MANY, ..asked.push.clone() }, ..asked.clone() };
    beside.put_into(&mut asked, SECONDS);
    let report = run::once(&asked, interrupt.clone()).map_err(String::from)?;
    let flooded = (rate > 0 && !interrupt.came())
        .then(|| run::once(&flood, interrupt.clone()).ok())
        .flatten();
    drop(server);
    Ok(Calibrated {
        rate,
        beside,
        clients,
        through: Through {
            pushes: report.pushes.delivered,
            broadcast: report.broadcasts.delivered,
            pongs: report.counts.get("pongs").copied().unwrap_or_default(),
        },
        bottleneck: report.generator.bottleneck,
        busy_percent: report.generator.busy.map(|share| share * 100.0),
        peak: flooded.as_ref().and_then(arrivals),
        room_left: flooded.is_some_and(|report| report.generator.kept_up()),
    })
}

/// What arrived a second while pushing.
fn arrivals(report: &Report) -> Option<f64> {
    let line = &report.timeline;
    let known: Vec<Option<f64>> = line.delivered.iter().copied().map(Some).collect();
    line.mean(&known)
}

/// The pushes of the busiest phase, of a replay its busiest interval, to the null server, for some
/// seconds, and nothing besides.
fn busiest(options: &Options, facts: &Facts, [clients, api]: [SocketAddr; 2]) -> Options {
    let mut options = options.clone();
    let pushes = options.asked.phases.iter().filter_map(|phase| phase.pushes.as_ref());
    if let Some(busiest) = pushes.max_by_key(|pushes| pushes.peak().0) {
        let (rate, sizes) = busiest.peak();
        (options.push.rate, options.push.size) = (rate, sizes.clone());
        options.push.burst = busiest.burst;
        options.push.scatter = busiest.scatter;
    } else if !options.asked.phases.is_empty() {
        options.push.rate = 0;
    }
    options.choice.scenario = None;
    options.asked = Asked::default();
    options.push.api = api;
    options.push.duration = SECONDS;
    options.push.settle = 0;
    options.push.drain = 2;
    // The null server stores nothing.
    options.push.class = ClassName::Online;
    options.push.durable = Some(0.0);
    options.push.receipts = false;
    options.broadcast.count = 0;
    let table = u32::try_from(facts.descriptors.saturating_sub(SPARE)).unwrap_or(u32::MAX);
    let few = options.clients.connect_rate.saturating_mul(CONNECTING).min(table);
    options.clients.connections = options.clients.connections.min(few).max(1);
    options.clients.gateway = vec![clients];
    options.clients.source = Vec::new();
    options.clients.pings = 0;
    options.clients.churn = 0.0;
    options.clients.offline = 0.0;
    options.output.slo = None;
    options.output.admin = None;
    options.output.server_pid = None;
    options.output.quiet = true;
    options.output.allow_disconnects = true;
    options
}
