//! What a run found: a table for people, JSON for machines, and the verdict.

mod phases;
pub(super) mod publish;
mod table;

pub(super) use phases::Passed;

use crate::fleet::shared::Shared;
use crate::histogram::{Percentiles, Tally};
use crate::host::{self, Process, Sample};
use crate::options::{ClassName, Options};
use crate::verify::away::Absences;
use crate::verify::judge::{self, Broadcasts, Pushes, Reasons, Sent};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// What the stages hand over.
pub(super) struct Evidence {
    /// When the push phase began, nanoseconds of the run's clock.
    pub(super) start: u64,
    /// Messages handed to the API.
    pub(super) sent: u64,
    /// Broadcasts handed to the API.
    pub(super) broadcasts: Vec<Sent>,
    /// Clients that were logged in when the ramp was over.
    pub(super) logged_in: u32,
    /// Whether the run was ended early.
    pub(super) interrupted: bool,
    /// Those that were begun.
    pub(super) phases: Vec<Passed>,
    /// Before the first client; after the ramp; settled; after the push phase; drained; after the
    /// byes.
    pub(super) samples: [Sample; 6],
}

/// Everything that a run found.
#[derive(Debug, serde::Serialize)]
pub(super) struct Report {
    /// The whole command line.
    command: Vec<String>,
    version: &'static str,
    commit: String,
    /// The name or file of the scenario, where one was chosen.
    scenario: Option<String>,
    /// What was offered, in words.
    plan: String,
    phases: Vec<Passed>,
    kernel: String,
    processor: String,
    clients: u32,
    threads: u32,
    source_addresses: usize,
    seconds: Seconds,
    latencies: BTreeMap<&'static str, Percentiles>,
    pushes: Pushes,
    broadcasts: Broadcasts,
    /// Absent where nothing was durable.
    durable: Option<Durable>,
    counts: BTreeMap<&'static str, u64>,
    /// Why connections failed or ended.
    connection_reasons: Reasons,
    cpu: Vec<Cpu>,
    memory: Memory,
    samples: BTreeMap<&'static str, Sample>,
    /// Whether it was ended early; then what was not sent counts as not offered.
    pub(super) interrupted: bool,
    /// What is wrong; empty if nothing is.
    pub(super) verdict: Vec<String>,
}

/// How long each stage took.
#[derive(Debug, serde::Serialize)]
struct Seconds {
    ramp: f64,
    push: f64,
    drain: f64,
    leave: f64,
}

/// CPU time of one stage.
#[derive(Debug, serde::Serialize)]
struct Cpu {
    stage: &'static str,
    /// What the stage did so many of.
    operation: &'static str,
    operations: u64,
    /// CPU time of the gateway, milliseconds; absent if it could not be read.
    server_ms: Option<f64>,
    server_us_per_operation: Option<f64>,
    client_ms: f64,
    /// Soft interrupts on all cores, milliseconds; part of it is in the processes' times.
    softirq_ms: u64,
    /// Deferred to the kernel's own threads, in no process's time, milliseconds.
    ksoftirqd_ms: u64,
}

/// Memory for each connection, bytes, from before the first client to settled.
#[derive(Debug, serde::Serialize)]
struct Memory {
    server_anonymous_per_connection: Option<f64>,
    server_rss_per_connection: Option<f64>,
    client_anonymous_per_connection: f64,
    /// Kernel memory of the whole machine: both ends of a connection on loopback.
    slab_per_connection: f64,
    server_rss: Option<u64>,
    client_rss: u64,
}

/// What became of the durable class, besides the accounts of all pushes.
#[derive(Debug, serde::Serialize)]
struct Durable {
    /// Answered as stored, and as acknowledged at once.
    stored: u64,
    acked: u64,
    /// Accepted and never received.
    missing: u64,
    /// Receipts that a client acknowledged; absent where none were asked for.
    receipts: Option<u64>,
    /// Receipts that it expired or was dropped.
    given_up: u64,
}

impl Durable {
    fn new(shared: &Shared, pushes: &Pushes) -> Self {
        let gauges = &shared.gauges;
        let receipts = gauges.receipts.load(Ordering::Relaxed);
        let lost = |name| pushes.lost.get(name).copied().unwrap_or_default();
        Self {
            stored: pushes.stored,
            acked: pushes.acked,
            missing: lost("answered_stored") + lost("answered_acked"),
            receipts: shared.scenario.receipts.then_some(receipts),
            given_up: gauges.given_up.load(Ordering::Relaxed),
        }
    }

    /// What is wrong with the receipts: each message that was stored has one.
    fn finding(&self, stored: u64) -> Option<String> {
        let came = self.receipts? + self.given_up;
        (came != stored).then(|| format!("{came} receipts of {stored} stored messages"))
    }
}

/// Judges and adds up.
pub(super) fn build(options: &Options, shared: &Shared, evidence: &Evidence) -> Report {
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
    let broadcasts = judge::broadcasts(&evidence.broadcasts, &heard);
    let online = heard.iter().filter(|client| client.since != u32::MAX).count() as u64;
    let away = u64::from(evidence.logged_in).saturating_sub(online);
    let tally = shared.sums().all.clone();
    let durable = Durable::new(shared, &pushes);
    let mut verdict = verdict((&pushes, &broadcasts, &tally), away, options);
    verdict.extend(durable.finding(pushes.stored));
    let [before, ramped, settled, push_end, drained, left] = &evidence.samples;
    Report {
        command: std::env::args().collect(),
        version: env!("CARGO_PKG_VERSION"),
        commit: host::commit(),
        scenario: scenario.plan.scenario.clone(),
        plan: scenario.plan.in_words().unwrap_or_else(|| plan(options)),
        phases: evidence.phases.clone(),
        kernel: host::kernel(),
        processor: host::processor(),
        clients: scenario.clients,
        threads: scenario.threads,
        source_addresses: scenario.sources.len(),
        seconds: Seconds {
            ramp: seconds(before, ramped),
            push: seconds(settled, push_end),
            drain: seconds(push_end, drained),
            leave: seconds(drained, left),
        },
        latencies: latencies(&tally),
        cpu: vec![
            cpu("ramp", "login", tally.logins - tally.returns, (before, ramped)),
            cpu("push", "delivery", pushes.delivered + broadcasts.delivered, (settled, drained)),
            cpu("leave", "close", tally.byes, (drained, left)),
        ],
        memory: memory(scenario.clients, before, settled),
        counts: counts(&tally),
        connection_reasons: tally.reasons,
        durable: scenario.schedule.has_durable().then_some(durable),
        pushes,
        broadcasts,
        samples: ["before", "ramped", "settled", "pushed", "drained", "left"]
            .into_iter()
            .zip(evidence.samples)
            .collect(),
        interrupted: evidence.interrupted,
        verdict,
    }
}

/// What the options offer, in words.
fn plan(options: &Options) -> String {
    let (push, broadcast) = (&options.push, &options.broadcast);
    let class = match push.durable {
        Some(share) => format!("{:.0} % durable ", share * 100.0),
        None if push.class == ClassName::Durable => "durable ".to_owned(),
        None => String::new(),
    };
    format!(
        "connected at {}/s; {} {class}pushes/s of {} B for {} s, {} of {} B",
        options.clients.connect_rate,
        push.rate,
        push.size,
        push.duration,
        counted(u64::from(broadcast.count), "broadcast"),
        broadcast.size,
    )
}

/// A count with its word, which gets an s where it needs one.
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What is wrong, each in a sentence.
fn verdict(
    (pushes, broadcasts, tally): (&Pushes, &Broadcasts, &Tally),
    away: u64,
    options: &Options,
) -> Vec<String> {
    let disconnects = u64::from(!options.output.allow_disconnects);
    let nothing = if pushes.delivered == 0 { pushes.offered } else { 0 };
    let never_sent = pushes.refused.get(judge::NEVER_SENT).copied().unwrap_or_default();
    let findings = [
        (nothing, "messages were offered and none was delivered"),
        (never_sent, "messages could not be handed to the API in time"),
        (pushes.lost_total(), "pushed messages are lost"),
        (broadcasts.lost, "copies of broadcasts are lost"),
        (pushes.contradicted, "messages arrived that the gateway had refused"),
        (tally.duplicates, "messages came twice"),
        (tally.disorder, "messages came out of order"),
        (tally.corrupt, "bodies are corrupt"),
        (tally.misdelivered, "messages came to another user"),
        (
            tally.foreign,
            "messages came that this run did not send (kept from before it, or somebody else's)",
        ),
        (tally.sequence_fell_back, "resumed sessions fell back in their sequence"),
        (tally.unasked_ends * disconnects, "connections ended unasked"),
        (away * disconnects, "clients were not logged in when the run ended"),
        (u64::from(!pushes.closes()), "sum of pushes does not close: a bug of the generator"),
        (
            u64::from(!broadcasts.closes()),
            "sum of broadcasts does not close: a bug of the generator",
        ),
    ];
    findings
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}

fn latencies(tally: &Tally) -> BTreeMap<&'static str, Percentiles> {
    BTreeMap::from([
        ("connect_and_login", tally.login.summary()),
        ("reconnect_and_login", tally.relogin.summary()),
        ("push", tally.push.summary()),
        ("push_during_broadcast", tally.push_during_broadcast.summary()),
        ("push_arrival", tally.push_arrival.summary()),
        ("push_arrival_during_broadcast", tally.push_arrival_during_broadcast.summary()),
        ("api_answer", tally.answer.summary()),
        ("broadcast_spread", tally.spread.summary()),
        ("generator_lateness", tally.late.summary()),
    ])
}

fn counts(tally: &Tally) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("duplicates", tally.duplicates),
        ("redelivered", tally.redelivered),
        ("out_of_order", tally.disorder),
        ("corrupt", tally.corrupt),
        ("misdelivered", tally.misdelivered),
        ("foreign", tally.foreign),
        ("sequence_fell_back", tally.sequence_fell_back),
        ("logins", tally.logins),
        ("returns", tally.returns),
        ("churned", tally.churned),
        ("unasked_ends", tally.unasked_ends),
        ("failures", tally.failures),
        ("closed_after_bye", tally.byes),
        ("pings", tally.pings),
        ("pongs", tally.pongs),
        ("acks", tally.acks),
        ("bytes_received", tally.bytes),
    ])
}

fn cpu(
    stage: &'static str,
    operation: &'static str,
    operations: u64,
    (from, to): (&Sample, &Sample),
) -> Cpu {
    let spent =
        |from: &Process, to: &Process| ratio(to.run_ns.saturating_sub(from.run_ns), 1_000_000);
    let server_ms = from.server.zip(to.server).map(|(from, to)| spent(&from, &to));
    Cpu {
        stage,
        operation,
        operations,
        server_ms,
        server_us_per_operation: server_ms
            .filter(|_| operations > 0)
            .map(|ms| ms * 1e3 / float(operations)),
        client_ms: spent(&from.client, &to.client),
        softirq_ms: to.machine.softirq_ms.saturating_sub(from.machine.softirq_ms),
        ksoftirqd_ms: to.machine.ksoftirqd_ms.saturating_sub(from.machine.ksoftirqd_ms),
    }
}

fn memory(clients: u32, before: &Sample, settled: &Sample) -> Memory {
    let each = |from: u64, to: u64| (float(to) - float(from)) / f64::from(clients);
    let server = before.server.zip(settled.server);
    Memory {
        server_anonymous_per_connection: server
            .map(|(from, to)| each(from.anonymous, to.anonymous)),
        server_rss_per_connection: server.map(|(from, to)| each(from.rss, to.rss)),
        client_anonymous_per_connection: each(before.client.anonymous, settled.client.anonymous),
        slab_per_connection: each(before.machine.slab, settled.machine.slab),
        server_rss: settled.server.map(|server| server.rss),
        client_rss: settled.client.rss,
    }
}

fn seconds(from: &Sample, to: &Sample) -> f64 {
    ratio(to.at_ns.saturating_sub(from.at_ns), crate::clock::SECOND)
}

fn ratio(value: u64, unit: u64) -> f64 {
    float(value) / float(unit)
}

#[expect(clippy::cast_precision_loss, reason = "figures are rounded for people anyway")]
fn float(value: u64) -> f64 {
    value as f64
}
