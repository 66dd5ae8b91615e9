//! What a run found: judged and added up here, then shown as a table for people and written for
//! machines and browsers. What is kept is [`crate::report`].

pub(super) mod findings;
mod phases;
pub(super) mod publish;
mod table;

pub(crate) use crate::report::Passed;
use findings::Findings;

use crate::bottleneck::{Generator, Starved};
use crate::gateway;
use crate::histogram::{Distribution, Latency, Tally};
use crate::host::{self, Process, Sample};
use crate::options::{ClassName, Options};
use crate::report::timeline::Timeline;
use crate::report::{Agent, Covers, Cpu, Durable, Memory, Report, Seconds, float};
use crate::scenario::Scenario;
use crate::units::{agreeing, counted};
use crate::verify::judge::{self, Broadcasts, Pushes};
use crate::verify::ledger::Code;
use std::collections::BTreeMap;

/// Options whose value is a secret.
const SECRETS: [&str; 2] = ["--secret", "--api-key"];
/// What stands in a report instead of one.
const HIDDEN: &str = "(hidden)";
/// No gateway keeps a connection in less than this, in bytes.
const PLAUSIBLE: f64 = 64.0;
/// A gateway that one login in so many was not this run's has memory of others.
const MANY: u64 = 20;

/// How a run went, besides what was found.
pub(crate) struct Course {
    /// When it began, seconds since 1970 UTC.
    pub(crate) began: u64,
    /// Its phases, those that were begun.
    pub(crate) phases: Vec<Passed>,
    /// Second by second.
    pub(crate) timeline: Timeline,
    /// Whether it was ended early.
    pub(crate) interrupted: bool,
    /// The agents, where others than this process ran it.
    pub(crate) agents: Vec<Agent>,
}

/// What is wrong with the receipts: each message that was stored has one.
fn receipts_missing(durable: &Durable) -> Option<String> {
    let (came, stored) = (durable.receipts? + durable.given_up, durable.stored);
    (came != stored).then(|| format!("{came} receipts of {stored} stored messages"))
}

/// Judges and adds up. The SLO is judged last, by all the rest.
pub(crate) fn build(
    options: &Options,
    scenario: &Scenario,
    findings: Findings,
    course: Course,
) -> Report {
    let Findings { pushes, tally, samples, .. } = &findings;
    let broadcasts = findings.broadcasts();
    let durable = findings.durable(scenario.receipts);
    let whole = course.agents.iter().all(|agent| agent.died.is_none());
    let mut verdict = verdict((pushes, &broadcasts, tally), findings.away, options);
    if whole {
        verdict.extend(receipts_missing(&durable));
    }
    verdict.extend(course.agents.iter().filter_map(Agent::lost_in_words));
    let [before, ramped, settled, push_end, drained, left] = samples;
    let deliveries = pushes.delivered + broadcasts.delivered;
    // Those of later ramps came after memory and CPU of the first were looked at.
    let ramp = scenario.plan.joined(scenario.clients, None);
    let logins = tally.logins.saturating_sub(tally.returns);
    let metrics = gateway::metrics(options);
    let others = whole && had_others(metrics.as_deref(), tally.logins);
    let mut report = Report {
        command: command(std::env::args()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: host::COMMIT.to_owned(),
        gateway: metrics.as_deref().and_then(gateway::version),
        began: course.began,
        scenario: scenario.plan.scenario.clone(),
        plan: scenario.plan.in_words().unwrap_or_else(|| plan(options)),
        phases: course.phases.iter().map(|phase| phase.timed(tally)).collect(),
        kernel: host::kernel(),
        processor: host::processor(),
        clients: scenario.clients,
        threads: findings.threads,
        source_addresses: findings.sources,
        seconds: Seconds {
            ramp: seconds(before, ramped),
            push: seconds(settled, push_end),
            drain: seconds(push_end, drained),
            leave: seconds(drained, left),
        },
        latencies: named(&latencies(tally), Latency::summary),
        distributions: distributions(tally),
        cpu: stages(samples, (logins.min(u64::from(ramp)), deliveries, tally.byes), whole),
        memory: memory(ramp, [before, settled], others),
        counts: counts(tally),
        connection_reasons: tally.reasons.clone(),
        durable: scenario.schedule.has_durable().then_some(durable),
        samples: named_samples(samples),
        pushes: findings.pushes,
        broadcasts,
        timeline: course.timeline,
        generator: Generator::default(),
        starved: None,
        covers: Covers::of(&course.agents),
        agents: course.agents,
        slo: Vec::new(),
        interrupted: course.interrupted,
        verdict,
    };
    report.generator = Generator::of(&report);
    report.starved = Starved::of(&report);
    for agent in &report.agents {
        // One host that could not keep up is few among many, and spoils its share all the same.
        report.generator.add(&agent.name, &agent.generator);
    }
    report.slo = options.output.slo.as_ref().map(|slo| slo.judge(&report)).unwrap_or_default();
    report
}

/// The command line without what others must not read: reports are shown around.
pub(crate) fn command(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut secret = false;
    let hide = |word: String| {
        let hidden = std::mem::replace(&mut secret, SECRETS.contains(&word.as_str()));
        let name = word.split_once('=').map(|(name, _)| name).filter(|name| SECRETS.contains(name));
        match name {
            _ if hidden => HIDDEN.to_owned(),
            Some(name) => format!("{name}={HIDDEN}"),
            None => word,
        }
    };
    words.map(hide).collect()
}

/// What the options offer, in words.
fn plan(options: &Options) -> String {
    let (push, broadcast) = (&options.push, &options.broadcast);
    let class = match push.durable {
        Some(share) => format!("{:.0} % durable ", share * 100.0),
        None if push.class == ClassName::Durable => "durable ".to_owned(),
        None => String::new(),
    };
    let pings = match options.clients.pings {
        0 => String::new(),
        rate => format!("{rate} pings/s, "),
    };
    format!(
        "connected at {}/s; {pings}{} {class}pushes/s of {} B for {} s, {} of {} B",
        options.clients.connect_rate,
        push.rate,
        push.size,
        push.duration,
        counted(u64::from(broadcast.count), "broadcast"),
        broadcast.size,
    )
}

/// What is wrong, each in a sentence.
fn verdict(
    (pushes, broadcasts, tally): (&Pushes, &Broadcasts, &Tally),
    away: u64,
    options: &Options,
) -> Vec<String> {
    let disconnects = u64::from(!options.output.allow_disconnects);
    let nothing = if pushes.delivered == 0 { pushes.offered } else { 0 };
    let never_sent =
        |refused: &judge::Reasons| refused.get(judge::NEVER_SENT).copied().unwrap_or_default();
    // What was in flight when the gateway ended the API's connection is no more than that.
    let unanswered = |reasons: &judge::Reasons| {
        let excused = |why: &str| disconnects == 0 && why == Code::CUT_OFF.name();
        reasons.iter().filter(|(why, _)| !excused(why)).map(|(_, count)| count).sum()
    };
    let findings = [
        (nothing, "{message was|messages were} offered and none was delivered"),
        (never_sent(&pushes.refused), "{message|messages} could not be handed to the API in time"),
        (
            never_sent(&broadcasts.refused),
            "{copy|copies} of broadcasts could not be handed to the API",
        ),
        (pushes.lost_total(), "pushed {message is|messages are} lost"),
        (broadcasts.lost, "{copy of a broadcast is|copies of broadcasts are} lost"),
        (
            unanswered(&pushes.unanswered),
            "pushed {message|messages} did not arrive and {has|have} no answer: whether the \
             gateway took {it|them} is not known",
        ),
        (
            unanswered(&broadcasts.unanswered),
            "{copy|copies} of broadcasts did not arrive, and whether the gateway took {it|them} \
             is not known",
        ),
        (pushes.contradicted, "{message|messages} arrived that the gateway had refused"),
        (tally.duplicates, "{message|messages} came twice"),
        (tally.disorder, "{message|messages} came out of order"),
        (tally.corrupt, "{body is|bodies are} corrupt"),
        (tally.misdelivered, "{message|messages} came to another user"),
        (
            tally.foreign,
            "{message|messages} came that this run did not send (kept from before it, or somebody \
             else's)",
        ),
        (tally.sequence_fell_back, "resumed {session|sessions} fell back in sequence"),
        (tally.unasked_ends * disconnects, "{connection|connections} ended unasked"),
        (away * disconnects, "{client was|clients were} not logged in when the run ended"),
        (u64::from(!pushes.closes()), "sum of pushes does not close: a bug of the generator"),
        (
            u64::from(!broadcasts.closes()),
            "sum of broadcasts does not close: a bug of the generator",
        ),
    ];
    findings
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {}", agreeing(count, what)))
        .collect()
}

fn latencies(tally: &Tally) -> [(&'static str, &Latency); 16] {
    [
        ("connect_and_login", &tally.login),
        ("reconnect_and_login", &tally.relogin),
        ("push", &tally.push),
        ("push_during_broadcast", &tally.push_during_broadcast),
        ("push_arrival", &tally.push_arrival),
        ("push_arrival_during_broadcast", &tally.push_arrival_during_broadcast),
        ("api_answer", &tally.answer),
        ("broadcast_spread", &tally.spread),
        ("generator_lateness", &tally.late),
        ("generator_own_lateness", &tally.own_late),
        ("generator_turn_lag", &tally.lag),
        ("ping", &tally.echo),
        ("weak_network_login", &tally.login_weak),
        ("weak_network_push", &tally.push_weak),
        ("weak_network_broadcast", &tally.spread_weak),
        ("weak_network_itself", &tally.network),
    ]
}

fn named<T>(latencies: &[(&'static str, &Latency)], of: fn(&Latency) -> T) -> BTreeMap<String, T> {
    latencies.iter().map(|(name, latency)| ((*name).to_owned(), of(latency))).collect()
}

fn distributions(tally: &Tally) -> BTreeMap<String, Distribution> {
    let mut latencies = latencies(tally).to_vec();
    latencies.retain(|(_, latency)| !latency.is_empty());
    named(&latencies, Latency::distribution)
}

fn named_samples(samples: &[Sample; 6]) -> BTreeMap<String, Sample> {
    let names = ["before", "ramped", "settled", "pushed", "drained", "left"];
    names.map(str::to_owned).into_iter().zip(*samples).collect()
}

fn counts(tally: &Tally) -> BTreeMap<String, u64> {
    let counts = [
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
        ("network_ends", tally.network_ends),
        ("failures", tally.failures),
        ("closed_after_bye", tally.byes),
        ("pings", tally.pings),
        ("pongs", tally.pongs),
        ("acks", tally.acks),
        ("bytes_received", tally.bytes),
    ];
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

/// CPU time of each stage, with so many logins, deliveries and byes.
fn stages(
    [before, ramped, settled, _, drained, left]: &[Sample; 6],
    (logins, deliveries, byes): (u64, u64, u64),
    whole: bool,
) -> Vec<Cpu> {
    let mut all = vec![
        cpu("ramp", "login", logins, (before, ramped)),
        cpu("push", "delivery", deliveries, (settled, drained)),
        cpu("leave", "close", byes, (drained, left)),
    ];
    if !whole {
        // The gateway worked for those too whose operations nobody told.
        for cpu in &mut all {
            cpu.server_us_per_operation = None;
        }
    }
    all
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
        stage: stage.to_owned(),
        operation: operation.to_owned(),
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

/// Whether many have logged in to a gateway with these metrics besides this run's clients.
fn had_others(metrics: Option<&str>, logins: u64) -> bool {
    let all = metrics.and_then(gateway::logins);
    all.is_some_and(|all| all.saturating_sub(logins) > logins / MANY)
}

/// What a connection takes; of a gateway that had others that is not known, since it uses their
/// memory again.
fn memory(clients: u32, [before, settled]: [&Sample; 2], others: bool) -> Memory {
    let each = |from: u64, to: u64| (float(to) - float(from)) / f64::from(clients);
    let server = before.server.zip(settled.server);
    let anonymous = server.map(|(from, to)| each(from.anonymous, to.anonymous));
    let served_before = others || anonymous.is_some_and(|bytes| bytes < PLAUSIBLE);
    let server = server.filter(|_| !served_before);
    Memory {
        server_anonymous_per_connection: server.and(anonymous),
        server_rss_per_connection: server.map(|(from, to)| each(from.rss, to.rss)),
        server_served_before: served_before,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_takes_is_not_known_of_a_gateway_that_had_others() {
        let sample = |anonymous| {
            let server = Process { anonymous, rss: anonymous * 2, ..Process::default() };
            Sample { server: Some(server), ..Sample::default() }
        };
        let of = |grown: u64, others| {
            let memory = memory(10, [&sample(1_000), &sample(1_000 + grown)], others);
            let each = (memory.server_anonymous_per_connection, memory.server_rss_per_connection);
            (each, memory.server_served_before)
        };
        assert_eq!(of(2_000, false), ((Some(200.0), Some(400.0)), false));
        assert_eq!(of(2_000, true), ((None, None), true));
        assert_eq!(of(630, false), ((None, None), true), "no connection takes so little");
    }

    #[test]
    fn secrets_are_not_in_the_command() {
        let typed = "run --secret s3cret --api-key=k3y --secret-file f --rate 5 --api-key k3y";
        let shown = command(typed.split(' ').map(str::to_owned)).join(" ");
        let right = "run --secret (hidden) --api-key=(hidden) --secret-file f --rate 5 \
                     --api-key (hidden)";
        assert_eq!(shown, right);
    }
}
