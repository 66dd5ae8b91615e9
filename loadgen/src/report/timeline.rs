//! How a run went, second by second.
//!
//! Each array has one value for each sample, at the same place as its moment in `at`. A rate is the
//! count since the sample before, divided by the time since then. Threads hand over what they
//! counted twice a second, so what a sample says of latencies and logins may be half a second old.

mod thin;

use serde::{Deserialize, Serialize};

/// A run as arrays over its seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Timeline {
    /// When recording began, seconds since the run did.
    pub(crate) from: f64,
    /// When each sample was taken, on the same clock.
    pub(crate) at: Vec<f64>,
    /// How samples were left out, in words; absent where none were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thinned: Option<String>,
    /// When each stage began.
    pub(crate) stages: Vec<Mark>,
    /// Clients with an open connection, and those logged in.
    pub(crate) connected: Vec<u64>,
    pub(crate) online: Vec<u64>,
    /// Pushes handed to the API a second.
    pub(crate) offered: Vec<f64>,
    /// Of those answered a second: accepted, and not.
    pub(crate) accepted: Vec<f64>,
    pub(crate) refused: Vec<f64>,
    /// Pushes that arrived a second, and broadcasts that did, over all clients.
    pub(crate) delivered: Vec<f64>,
    pub(crate) broadcasts: Vec<f64>,
    /// Logins a second, first ones and returns.
    pub(crate) logins: Vec<f64>,
    /// Connections that failed or ended unasked, a second.
    pub(crate) errors: Vec<f64>,
    /// Push latencies of the second, microseconds; absent where nothing arrived.
    pub(crate) p50_us: Vec<Option<u64>>,
    pub(crate) p99_us: Vec<Option<u64>>,
    pub(crate) max_us: Vec<Option<u64>>,
    /// CPU time of the gateway and of its busiest thread in cores; absent if it cannot be read.
    pub(crate) server_cpu: Vec<Option<f64>>,
    pub(crate) server_busiest: Vec<Option<f64>>,
    /// Of the gateway's thread that waited most for a core: for how long, in cores.
    pub(crate) server_waited: Vec<Option<f64>>,
    /// The same of the generator.
    pub(crate) client_cpu: Vec<Option<f64>>,
    pub(crate) client_busiest: Vec<Option<f64>>,
    /// Of the generator's thread that had or wanted most: running or waiting for a core, in cores.
    pub(crate) client_wanted: Vec<Option<f64>>,
    /// CPU time of the kernel's own `ksoftirqd` threads, in cores.
    pub(crate) ksoftirqd_cpu: Vec<Option<f64>>,
    /// Resident memory of the gateway and of the generator, bytes.
    pub(crate) server_rss: Vec<Option<u64>>,
    pub(crate) client_rss: Vec<Option<u64>>,
    /// Kernel slab memory of the whole machine, bytes.
    pub(crate) slab: Vec<u64>,
    /// The gateway's shards by its own count; empty where its admin address does not answer.
    pub(crate) shards: Vec<Shard>,
}

/// A stage begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) stage: String,
    /// Seconds since the run began.
    pub(crate) at: f64,
}

/// One shard over the seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Shard {
    /// Its number.
    #[serde(rename = "shard")]
    pub(crate) name: String,
    /// Messages and broadcasts sent to clients a second.
    pub(crate) messages: Vec<Option<f64>>,
    /// Time in turns of its loop, in cores: 1 is a shard that never waits.
    pub(crate) busy: Vec<Option<f64>>,
    /// Connections of clients.
    pub(crate) connections: Vec<Option<f64>>,
}

impl Timeline {
    /// A timeline of its last sample alone, without stages and shards.
    pub(crate) fn last(&self) -> Self {
        fn end<T: Clone>(values: &[T]) -> Vec<T> {
            values.last().cloned().into_iter().collect()
        }
        Self {
            thinned: None,
            from: self.from,
            at: end(&self.at),
            stages: Vec::new(),
            connected: end(&self.connected),
            online: end(&self.online),
            offered: end(&self.offered),
            accepted: end(&self.accepted),
            refused: end(&self.refused),
            delivered: end(&self.delivered),
            broadcasts: end(&self.broadcasts),
            logins: end(&self.logins),
            errors: end(&self.errors),
            p50_us: end(&self.p50_us),
            p99_us: end(&self.p99_us),
            max_us: end(&self.max_us),
            server_cpu: Vec::new(),
            server_busiest: Vec::new(),
            server_waited: Vec::new(),
            client_cpu: end(&self.client_cpu),
            client_busiest: end(&self.client_busiest),
            client_wanted: end(&self.client_wanted),
            ksoftirqd_cpu: Vec::new(),
            server_rss: Vec::new(),
            client_rss: end(&self.client_rss),
            slab: Vec::new(),
            shards: Vec::new(),
        }
    }

    /// The samples that lie wholly in the time in which something is offered: after the logins have
    /// settled, before what is in flight is waited for.
    pub(crate) fn offering(&self) -> std::ops::Range<usize> {
        let offers = |mark: &&Mark| !BEFORE.contains(&mark.stage.as_str());
        let Some(from) = self.stages.iter().find(offers) else { return 0..0 };
        let until = self.stages.iter().find(|mark| mark.stage == AFTER);
        let until = until.map_or(f64::INFINITY, |mark| mark.at);
        // A sample speaks of the second before it.
        let first = self.at.partition_point(|at| *at < from.at + WHOLE);
        let last = self.at.partition_point(|at| *at <= until + SLACK);
        first..last.max(first)
    }

    /// The mean of what is known while something is offered; `None` where nothing is.
    pub(crate) fn mean(&self, values: &[Option<f64>]) -> Option<f64> {
        let known: Vec<f64> =
            values.get(self.offering())?.iter().filter_map(|value| *value).collect();
        let count = u32::try_from(known.len()).ok().filter(|count| *count > 0)?;
        Some(known.iter().sum::<f64>() / f64::from(count))
    }
}

/// Stages in which nothing is offered yet.
const BEFORE: [&str; 2] = ["connect", "settle"];
/// The stage in which nothing is offered any more.
const AFTER: &str = "drain";
/// A sample is wholly in a stage when it comes so many seconds after the stage began.
const WHOLE: f64 = 0.95;
/// A sample so many seconds after a stage ended is still the stage's.
const SLACK: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline() -> Timeline {
        let mark = |stage: &str, at| Mark { stage: stage.to_owned(), at };
        Timeline {
            at: vec![1.0, 2.0, 3.0, 4.0, 5.0],
            stages: vec![mark("connect", 0.0), mark("push", 1.5), mark("drain", 4.5)],
            ..Timeline::default()
        }
    }

    #[test]
    fn what_is_offered_has_the_seconds_that_lie_wholly_in_it() {
        let mut line = timeline();
        assert_eq!(line.offering(), 2..4);
        line.stages.truncate(2);
        assert_eq!(line.offering(), 2..5, "a run that was cut off");
        line.stages.truncate(1);
        assert_eq!(line.offering(), 0..0);
    }

    #[test]
    fn a_mean_is_of_what_is_known() {
        let values = [Some(9.0), Some(9.0), None, Some(2.0), Some(9.0)];
        assert_eq!(timeline().mean(&values), Some(2.0));
        assert_eq!(timeline().mean(&[]), None);
        assert_eq!(timeline().mean(&[None; 5]), None);
    }
}
