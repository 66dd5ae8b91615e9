//! What all agents found, as one report; what is not known of those that died is said, and never
//! taken for zero.

use super::board::One;
use super::makers::Makers;
use super::seconds::Seconds;
use crate::bottleneck::Generator;
use crate::fleet::shared::Shared;
use crate::histogram::Latency;
use crate::host::Sample;
use crate::options::Options;
use crate::report::timeline::Timeline;
use crate::report::{Agent, Died, Report};
use crate::run::{Course, Findings, Passed, build};
use crate::verify::judge;

/// What the controller saw itself.
pub(super) struct Watched {
    /// As of any run; the generator's own part is the controller's and counts for nothing.
    pub(super) samples: [Sample; 6],
    pub(super) timeline: Timeline,
    pub(super) phases: Vec<Passed>,
    pub(super) interrupted: bool,
}

/// Adds up and judges.
pub(super) fn report(
    options: &Options,
    shared: &Shared,
    (agents, makers, seconds): (Vec<One>, Makers, Seconds),
    watched: Watched,
) -> Report {
    let mut samples = watched.samples;
    for sample in &mut samples {
        sample.client = crate::host::Process::default();
    }
    let mut all = Findings { sent: makers.all(), ..Findings::nothing(&samples) };
    for (number, agent) in (0..).zip(&agents) {
        match &agent.findings {
            Some(findings) => {
                all.add(findings);
                judge::renew(&mut all.sent, &findings.sent, number);
            }
            // What it had counted when it was heard last did happen. Its latencies stand in its own
            // row alone: where its messages went is in no sum, and percentiles of all are of those
            // whose messages are.
            None => all.tally.add_counts(&agent.tally),
        }
    }
    let course = Course {
        began: shared.clock.began_utc(),
        phases: watched.phases,
        timeline: seconds.timeline(watched.timeline),
        interrupted: watched.interrupted,
        agents: agents.into_iter().enumerate().map(|one| row(one, &makers)).collect(),
    };
    build(options, &shared.scenario, all, course)
}

fn row((number, agent): (usize, One), makers: &Makers) -> Agent {
    let findings = agent.findings.as_ref();
    let tally = findings.map_or(&agent.tally, |findings| &findings.tally);
    let count = u32::try_from(agent.cpu.len()).unwrap_or(u32::MAX);
    let mean = |which: usize| {
        let all = agent.cpu.iter().map(|cpu| cpu[which]);
        (count > 0).then(|| all.sum::<f64>() / f64::from(count))
    };
    let p99 = |latency: &Latency| (!latency.is_empty()).then(|| latency.quantile(0.99));
    let pushes = findings.map(|findings| &findings.pushes);
    Agent {
        clients: agent.clients,
        rate: agent.rate,
        broadcasts: makers.made(number),
        offered: pushes.map_or(agent.counts.offered, |pushes| pushes.offered),
        delivered: pushes.map_or(agent.counts.deliveries, |pushes| pushes.delivered),
        lost: pushes.map(judge::Pushes::lost_total),
        lateness_p99_us: p99(&tally.late),
        push: (!tally.push.is_empty()).then(|| tally.push.summary()),
        cpu: mean(0),
        busiest: mean(1),
        generator: Generator::fared(
            mean(2),
            (p99(&tally.own_late), p99(&tally.lag)),
            p99(&tally.push),
        ),
        kernel: agent.host.kernel.0,
        processor: agent.host.processor.0,
        commit: agent.host.commit.0,
        ready: agent.ready,
        died: agent.died.map(|(at, why)| Died { at, why }),
        name: agent.name,
    }
}
