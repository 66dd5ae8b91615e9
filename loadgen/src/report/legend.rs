//! What the names of figures do not say by themselves, in the same words in the table and on the
//! page.

use super::Report;
use crate::units::bytes;

/// Latencies that need a word.
const LATENCIES: [(&str, &str); 8] = [
    ("api_answer", "from when a push was due to the gateway's answer to the backend"),
    ("broadcast_spread", "from when a broadcast was due to its arrival at each client"),
    ("generator_lateness", "from when a push was due to its sending, a full window included"),
    ("generator_own_lateness", "the same without the time in which the window was full"),
    ("generator_turn_lag", "how long a message waits for its client's thread, at any moment"),
    ("ping", "from when a ping was due, those of a millisecond together, to its pong"),
    ("weak_network_push", "its clients alone, with the network's delay; they are in no other line"),
    ("weak_network_itself", "the delay that the generator's own network added: not the gateway's"),
];

/// What is in the latency of pushes where clients drop and durable messages wait for them.
const AWAY: &str = "from when it was due to its arrival; where its user was away, that time too";

/// Why kernel memory is not known.
const SHRUNK: &str = "unknown: others on the machine gave up more meanwhile";

/// The latencies of this report that need a word, with it.
pub(crate) fn latencies(report: &Report) -> Vec<(&'static str, &'static str)> {
    let known = |name: &str| report.latencies.get(name).is_some_and(|values| values.count > 0);
    let mut all: Vec<_> = LATENCIES.into_iter().filter(|(name, _)| known(name)).collect();
    if report.durable.is_some() && report.counts.get("churned").is_some_and(|&left| left > 0) {
        all.push(("push", AWAY));
    }
    all
}

/// Kernel memory for each connection. It is taken from the whole machine, so where others gave up
/// more than the clients took, it says nothing of these.
pub(crate) fn slab(report: &Report) -> Result<String, &'static str> {
    let grown = report.memory.slab_per_connection;
    if grown > 0.0 { Ok(bytes(grown)) } else { Err(SHRUNK) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn kernel_memory_that_others_gave_up_is_not_that_of_connections() {
        let mut report = sample::report();
        assert_eq!(slab(&report), Ok("8000 B".to_owned()));
        report.memory.slab_per_connection = -289_300.0;
        assert_eq!(slab(&report), Err(SHRUNK));
    }

    #[test]
    fn what_is_not_there_is_not_explained() {
        let mut report = sample::report();
        let push = report.latencies["push"];
        report.latencies.insert("weak_network_push".to_owned(), push);
        report.latencies.insert("ping".to_owned(), crate::histogram::Percentiles::default());
        let names: Vec<&str> = latencies(&report).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["broadcast_spread", "weak_network_push"]);
    }
}
