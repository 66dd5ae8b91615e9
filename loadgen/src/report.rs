//! What a run found, as it is kept: the JSON file holds this and nothing else.
//!
//! [`crate::run`] fills it in; the table, the HTML page ([`html`]) and `compare` read it, from the
//! run or from a file. What was added later has a default, so that older files can still be read.
//! Nothing here measures or judges.

pub(crate) mod command;
pub(crate) mod html;
pub(crate) mod legend;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod timeline;

use crate::bottleneck::{Generator, Starved};
use crate::histogram::{Distribution, Percentiles};
use crate::host::Sample;
use crate::slo::Judged;
use crate::verify::judge::{Broadcasts, Pushes, Reasons};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use timeline::Timeline;

/// What is said of broadcasts that one host made for the clients of several.
pub(crate) const OWN_CLOCK: &str = "latencies of broadcasts, and of pushes beside them, are of the \
                                    clients of the agent that made them";

/// Everything that a run found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The whole command line, without secrets.
    pub(crate) command: Vec<String>,
    pub(crate) version: String,
    pub(crate) commit: String,
    /// The gateway's version, and its commit; absent where its admin page is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gateway: Option<String>,
    /// When the run began, seconds since 1970 UTC; 0 where it is not known.
    #[serde(default)]
    pub(crate) began: u64,
    /// The name or file of the scenario, where one was chosen.
    #[serde(default)]
    pub(crate) scenario: Option<String>,
    /// What was offered, in words.
    pub(crate) plan: String,
    /// The phases of the run as they were, in order.
    #[serde(default)]
    pub(crate) phases: Vec<Passed>,
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) clients: u32,
    pub(crate) threads: u32,
    pub(crate) source_addresses: usize,
    pub(crate) seconds: Seconds,
    pub(crate) latencies: BTreeMap<String, Percentiles>,
    /// The shapes of those latencies that have values.
    #[serde(default)]
    pub(crate) distributions: BTreeMap<String, Distribution>,
    pub(crate) pushes: Pushes,
    pub(crate) broadcasts: Broadcasts,
    /// Absent where nothing was durable.
    #[serde(default)]
    pub(crate) durable: Option<Durable>,
    pub(crate) counts: BTreeMap<String, u64>,
    /// Why connections failed or ended.
    pub(crate) connection_reasons: Reasons,
    pub(crate) cpu: Vec<Cpu>,
    pub(crate) memory: Memory,
    pub(crate) samples: BTreeMap<String, Sample>,
    /// How it went, second by second.
    #[serde(default)]
    pub(crate) timeline: Timeline,
    /// How the generator itself fared.
    #[serde(default)]
    pub(crate) generator: Generator,
    /// How the gateway was short of a core; absent where it was not, or that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) starved: Option<Starved>,
    /// The hosts that it ran on; empty where it ran in one process.
    #[serde(default)]
    pub(crate) agents: Vec<Agent>,
    /// Of whom the accounts and latencies are, where an agent died; absent where they are of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) covers: Option<Covers>,
    /// What was asked for with `--slo`, and whether it held.
    #[serde(default)]
    pub(crate) slo: Vec<Judged>,
    /// Whether it was ended early; then what was not sent counts as not offered.
    pub(crate) interrupted: bool,
    /// What is wrong; empty if nothing is. A missed SLO is not in it.
    pub(crate) verdict: Vec<String>,
}

/// One phase that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Passed {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Seconds of the run's clock.
    pub(crate) from: f64,
    /// The same; earlier than planned in an interrupted run.
    pub(crate) to: f64,
    /// Which step of the plan it was, until its latencies are known.
    #[serde(skip)]
    pub(crate) step: Option<usize>,
    /// Latencies of the pushes that were due in it and arrived, whenever they did.
    #[serde(default)]
    pub(crate) push: Option<Percentiles>,
}

/// How long each stage took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Seconds {
    pub(crate) ramp: f64,
    pub(crate) push: f64,
    pub(crate) drain: f64,
    pub(crate) leave: f64,
}

/// CPU time of one stage.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Cpu {
    pub(crate) stage: String,
    /// What the stage did so many of.
    pub(crate) operation: String,
    pub(crate) operations: u64,
    /// CPU time of the gateway, milliseconds; absent if it could not be read.
    pub(crate) server_ms: Option<f64>,
    pub(crate) server_us_per_operation: Option<f64>,
    pub(crate) client_ms: f64,
    /// Soft interrupts on all cores, milliseconds; part of it is in the processes' times.
    pub(crate) softirq_ms: u64,
    /// Deferred to the kernel's own threads, in no process's time, milliseconds.
    pub(crate) ksoftirqd_ms: u64,
}

/// Memory for each connection, bytes, from before the first client to settled.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) server_anonymous_per_connection: Option<f64>,
    pub(crate) server_rss_per_connection: Option<f64>,
    /// The gateway had connections before this run and uses their memory again, so what each of
    /// these takes is not known.
    #[serde(default)]
    pub(crate) server_served_before: bool,
    pub(crate) client_anonymous_per_connection: f64,
    /// Kernel memory of the whole machine: both ends of a connection on loopback.
    pub(crate) slab_per_connection: f64,
    pub(crate) server_rss: Option<u64>,
    pub(crate) client_rss: u64,
}

/// What became of the durable class, besides the accounts of all pushes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Durable {
    /// Answered as stored, and as acknowledged at once.
    pub(crate) stored: u64,
    pub(crate) acked: u64,
    /// Accepted and never received.
    pub(crate) missing: u64,
    /// Receipts that a client acknowledged; absent where none were asked for.
    pub(crate) receipts: Option<u64>,
    /// Receipts that it expired or was dropped.
    pub(crate) given_up: u64,
}

/// One of the hosts of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Agent {
    /// Its address, as it was typed.
    pub(crate) name: String,
    pub(crate) commit: String,
    pub(crate) kernel: String,
    pub(crate) processor: String,
    /// How many of the clients were its.
    pub(crate) clients: u32,
    /// How many of the pushes a second, where there were most.
    pub(crate) rate: u32,
    /// Whether it made the broadcasts: the first one, or who took over where one died.
    pub(crate) broadcasts: bool,
    /// Pushes; of an agent that died, as far as they are known.
    pub(crate) offered: u64,
    pub(crate) delivered: u64,
    /// Absent where it is not known.
    pub(crate) lost: Option<u64>,
    /// Latencies of its pushes to its own clients.
    pub(crate) push: Option<Percentiles>,
    /// How late the generator was, microseconds.
    pub(crate) lateness_p99_us: Option<u64>,
    /// CPU time of the generator while pushing, and of its busiest thread, in cores.
    pub(crate) cpu: Option<f64>,
    pub(crate) busiest: Option<f64>,
    /// How its generator fared.
    #[serde(default)]
    pub(crate) generator: Generator,
    /// When it was ready for each stage, seconds of the controller's clock.
    pub(crate) ready: BTreeMap<String, f64>,
    /// When and why it was lost.
    pub(crate) died: Option<Died>,
}

/// Of whom the accounts and latencies of a run are in which an agent died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Covers {
    pub(crate) clients: u32,
    /// Those that lived to the end.
    pub(crate) agents: Vec<String>,
    pub(crate) left_out: Vec<String>,
    /// The same for people.
    pub(crate) words: String,
}

impl Covers {
    /// Of these agents; `None` if none died.
    pub(crate) fn of(agents: &[Agent]) -> Option<Self> {
        let (dead, living): (Vec<_>, Vec<_>) =
            agents.iter().partition(|agent| agent.died.is_some());
        if dead.is_empty() {
            return None;
        }
        let clients = |some: &[&Agent]| some.iter().map(|agent| agent.clients).sum::<u32>();
        let named = |some: &[&Agent]| some.iter().map(|agent| agent.name.clone()).collect();
        let (of, covered) = (clients(&dead) + clients(&living), clients(&living));
        let words = format!(
            "accounts and latencies are of the {covered} of {of} clients whose agents lived to the \
             end; what an agent that died had told is in its own row, in the seconds until then, \
             and in the counts of connections and faults"
        );
        Some(Self { clients: covered, agents: named(&living), left_out: named(&dead), words })
    }
}

/// An agent was lost.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Died {
    /// Seconds of the run's clock.
    pub(crate) at: f64,
    pub(crate) why: String,
}

impl Agent {
    /// What was lost with it, if it was.
    pub(crate) fn lost_in_words(&self) -> Option<String> {
        let died = self.died.as_ref()?;
        let broadcasts =
            if self.broadcasts { ", which made the broadcasts until then," } else { "" };
        Some(format!(
            "the agent {}{broadcasts} died {:.1} s into the run ({}): its {} clients and {} \
             pushes/s are missing since then, and what became of the {} pushes that it is known \
             to have offered is not known",
            self.name, died.at, died.why, self.clients, self.rate, self.offered
        ))
    }
}

impl Report {
    /// Whether everything that was offered is accounted for: no agent died.
    pub(crate) fn is_whole(&self) -> bool {
        self.agents.iter().all(|agent| agent.died.is_none())
    }

    /// Reads a report from the JSON file that a run wrote.
    ///
    /// # Errors
    /// The file cannot be read or is no report; the text names it.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let bytes = fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        serde_json::from_slice(&bytes).map_err(|_| foreign(&shown.to_string(), &bytes))
    }

    /// A count by its name; 0 where a run does not count it.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// A latency by its name, if it has values.
    pub(crate) fn latency(&self, name: &str) -> Option<&Percentiles> {
        self.latencies.get(name).filter(|values| values.count > 0)
    }

    /// The CPU time of a stage by its name.
    pub(crate) fn stage(&self, name: &str) -> Option<&Cpu> {
        self.cpu.iter().find(|cpu| cpu.stage == name)
    }

    /// Everything that arrived a second while it was pushed, broadcasts included; `None` where
    /// nothing was pushed, or where what arrived is not known because an agent died.
    pub(crate) fn delivered_per_second(&self) -> Option<f64> {
        let all = self.pushes.delivered + self.broadcasts.delivered;
        (self.is_whole()
            && self.seconds.push > 0.0
            && self.pushes.offered + self.broadcasts.offered > 0)
            .then(|| float(all) / self.seconds.push)
    }

    /// Whether every clause of the SLO held, in a run that says something of the gateway.
    pub(crate) fn meets_slo(&self) -> bool {
        let judged = self.slo.is_empty() || self.generator.kept_up();
        judged && self.slo.iter().all(|judged| judged.met)
    }
}

/// Why what a file holds is no report: it is something else, or of another version.
fn foreign(shown: &str, bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Of {
        version: String,
        #[serde(rename = "connection_reasons")]
        _own: serde::de::IgnoredAny,
    }
    let ours = env!("CARGO_PKG_VERSION");
    match serde_json::from_slice::<Of>(bytes) {
        Ok(of) if of.version != ours => format!(
            "{shown} is a report of holdfast-loadgen {}, and this is {ours}: take the run again, \
             or read it with that version",
            of.version
        ),
        _ => format!(
            "{shown} is no report of `holdfast-loadgen run --json` (version {ours} is expected)"
        ),
    }
}

/// A count as a figure to compute with.
#[expect(clippy::cast_precision_loss, reason = "figures are rounded for people anyway")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}
