//! The seconds of several agents as one timeline.
//!
//! Every agent begins to record at one barrier and takes its samples by the clock, so sample by
//! sample they speak of the same second, as near as the barrier is one moment. Counts and cores add
//! up, a busiest thread is the busiest of all, and the percentiles of a second are those of one
//! histogram of all agents.

use super::PATIENCE;
use super::wire::Second;
use crate::histogram::{Latency, Tally};
use crate::report::timeline::{Shard, Timeline};
use std::collections::BTreeMap;

/// Histograms of so many seconds are kept for agents that are late; who is later is gone.
const OPEN: usize = 12;
const _: () = assert!(OPEN as u64 > PATIENCE.as_secs(), "who is late is still heard");
/// Most seconds: thirty days.
const MOST: usize = 30 * 24 * 3_600;

/// One second of all agents.
#[derive(Debug, Default)]
struct Row {
    /// How long after the beginning it ended.
    at: f64,
    connected: u64,
    online: u64,
    rates: [f64; RATES],
    cpu: Option<f64>,
    busiest: Option<f64>,
    wanted: Option<f64>,
    rss: Option<u64>,
    push: Option<Latency>,
    /// p50, p99 and the longest, when no more is expected.
    points: Option<[u64; 3]>,
    /// The histogram is away: what comes now is in no percentile.
    closed: bool,
}

/// Offered, accepted, refused, delivered, broadcasts, logins, errors.
const RATES: usize = 7;

/// All seconds so far.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    rows: BTreeMap<usize, Row>,
    /// The last sample of each agent.
    last: BTreeMap<usize, usize>,
}

impl Seconds {
    /// One more sample of `agent`; `before` is what it had counted at the one before.
    pub(super) fn add(&mut self, agent: usize, second: &Second, before: &Tally) {
        let line = &second.line;
        let Some(at) = line.at.first().map(|at| at - line.from) else { return };
        let last = self.last.get(&agent).copied().unwrap_or_default();
        let place = nearest(at).max(last + 1);
        if !at.is_finite() || place > MOST {
            return;
        }
        self.last.insert(agent, place);
        let row = self.rows.entry(place).or_default();
        row.at = row.at.max(at);
        row.add(line);
        if !row.closed {
            row.push.get_or_insert_with(Latency::new).add(&second.tally.push.since(&before.push));
        }
        let newest = self.rows.keys().next_back().copied().unwrap_or_default();
        for (_, row) in self.rows.range_mut(..newest.saturating_sub(OPEN)) {
            row.close();
        }
    }

    /// The timeline; `beside` is what the controller recorded of the gateway in the same time.
    pub(super) fn timeline(mut self, beside: Timeline) -> Timeline {
        let near = by_second(&beside);
        let mut all = Timeline { from: beside.from, stages: beside.stages, ..Timeline::default() };
        let places: Vec<Option<usize>> =
            self.rows.keys().map(|place| near.get(place).copied()).collect();
        for row in self.rows.values_mut() {
            row.close();
            row.put(&mut all);
        }
        let pick = |values: &[Option<f64>]| picked(values, &places);
        all.server_cpu = pick(&beside.server_cpu);
        all.server_busiest = pick(&beside.server_busiest);
        all.server_waited = pick(&beside.server_waited);
        all.ksoftirqd_cpu = pick(&beside.ksoftirqd_cpu);
        all.server_rss = picked(&beside.server_rss, &places);
        all.slab = places
            .iter()
            .map(|place| place.and_then(|place| beside.slab.get(place)).copied().unwrap_or(0))
            .collect();
        let shard = |shard: &Shard| Shard {
            name: shard.name.clone(),
            messages: pick(&shard.messages),
            busy: pick(&shard.busy),
            connections: pick(&shard.connections),
        };
        all.shards = beside.shards.iter().map(shard).collect();
        all
    }
}

impl Row {
    fn add(&mut self, line: &Timeline) {
        let first = |values: &[f64]| values.first().copied().unwrap_or_default();
        self.connected += line.connected.first().copied().unwrap_or_default();
        self.online += line.online.first().copied().unwrap_or_default();
        let rates = [
            &line.offered,
            &line.accepted,
            &line.refused,
            &line.delivered,
            &line.broadcasts,
            &line.logins,
            &line.errors,
        ];
        for (sum, more) in self.rates.iter_mut().zip(rates) {
            *sum += first(more);
        }
        let known = |values: &[Option<f64>]| values.first().copied().flatten();
        if let Some(cores) = known(&line.client_cpu) {
            self.cpu = Some(self.cpu.unwrap_or_default() + cores);
        }
        let most = [
            (&mut self.busiest, known(&line.client_busiest)),
            (&mut self.wanted, known(&line.client_wanted)),
        ];
        for (most, cores) in most {
            *most = cores.map_or(*most, |cores| Some(most.unwrap_or_default().max(cores)));
        }
        if let Some(rss) = line.client_rss.first().copied().flatten() {
            self.rss = Some(self.rss.unwrap_or_default() + rss);
        }
    }

    /// Keeps of the histogram what the timeline has of it.
    fn close(&mut self) {
        self.closed = true;
        if let Some(push) = self.push.take().filter(|push| !push.is_empty()) {
            let values = push.summary();
            self.points = Some([values.p50_us, values.p99_us, values.max_us]);
        }
    }

    fn put(&self, all: &mut Timeline) {
        all.at.push(all.from + self.at);
        all.connected.push(self.connected);
        all.online.push(self.online);
        let rates = [
            &mut all.offered,
            &mut all.accepted,
            &mut all.refused,
            &mut all.delivered,
            &mut all.broadcasts,
            &mut all.logins,
            &mut all.errors,
        ];
        for (values, rate) in rates.into_iter().zip(self.rates) {
            values.push((rate * 1e3).round() / 1e3);
        }
        let points = [&mut all.p50_us, &mut all.p99_us, &mut all.max_us];
        for (place, values) in points.into_iter().enumerate() {
            values.push(self.points.map(|points| points[place]));
        }
        all.client_cpu.push(self.cpu);
        all.client_busiest.push(self.busiest);
        all.client_wanted.push(self.wanted);
        all.client_rss.push(self.rss);
    }
}

/// The whole second that is nearest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion saturates, and what is too much is left out"
)]
fn nearest(seconds: f64) -> usize {
    seconds.round() as usize
}

/// Which sample of a timeline is of which second; the first, where two are.
fn by_second(line: &Timeline) -> BTreeMap<usize, usize> {
    let second = |(sample, at): (usize, &f64)| (nearest(at - line.from), sample);
    line.at.iter().enumerate().rev().map(second).collect()
}

fn picked<T: Copy>(values: &[Option<T>], places: &[Option<usize>]) -> Vec<Option<T>> {
    let one = |place: &Option<usize>| place.and_then(|place| values.get(place).copied().flatten());
    places.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::shared::Counts;

    fn second(at: f64, delivered: f64, tally: &Tally) -> Second {
        let line = Timeline {
            from: 3.0,
            at: vec![3.0 + at],
            delivered: vec![delivered],
            online: vec![10],
            client_cpu: vec![Some(0.5)],
            client_busiest: vec![Some(delivered / 100.0)],
            ..Timeline::default()
        };
        Second { line, tally: tally.clone(), counts: Counts::default() }
    }

    #[test]
    fn agents_add_up_second_by_second_and_percentiles_are_of_all() {
        let mut seconds = Seconds::default();
        let (mut one, mut other, nothing) = (Tally::new(), Tally::new(), Tally::new());
        one.push.record(1_000_000);
        other.push.record(9_000_000);
        seconds.add(0, &second(1.01, 10.0, &one), &nothing);
        seconds.add(1, &second(0.99, 20.0, &other), &nothing);
        seconds.add(0, &second(2.0, 5.0, &one), &one);
        seconds.add(0, &second(2.3, 1.0, &one), &one);
        let beside = Timeline {
            from: 100.0,
            at: vec![101.0, 102.1],
            server_cpu: vec![Some(0.25), None],
            slab: vec![7, 8],
            ..Timeline::default()
        };
        let line = seconds.timeline(beside);
        assert_eq!(line.at, [101.01, 102.0, 102.3]);
        assert_eq!(line.delivered, [30.0, 5.0, 1.0]);
        assert_eq!((line.online, line.client_cpu[0]), (vec![20, 10, 10], Some(1.0)));
        assert_eq!((line.client_busiest[0], line.max_us[1]), (Some(0.2), None));
        assert_eq!(line.p50_us[0].map(|us| us / 100), Some(10));
        assert_eq!(line.max_us[0].map(|us| us / 100), Some(90));
        assert_eq!((line.server_cpu, line.slab), (vec![Some(0.25), None, None], vec![7, 8, 0]));
    }

    #[test]
    fn what_comes_after_a_second_is_closed_does_not_take_its_percentiles_over() {
        let mut seconds = Seconds::default();
        let (mut one, mut other, nothing) = (Tally::new(), Tally::new(), Tally::new());
        one.push.record(9_000_000);
        other.push.record(1_000_000);
        let late = OPEN + 3;
        seconds.add(0, &second(1.0, 1.0, &one), &nothing);
        for at in 2..=late {
            seconds.add(0, &second(crate::report::float(at as u64), 0.0, &one), &one);
        }
        seconds.add(1, &second(1.0, 4.0, &other), &nothing);
        let line = seconds.timeline(Timeline::default());
        assert_eq!((line.delivered[0], line.at.len()), (5.0, late));
        assert_eq!(line.max_us[0].map(|us| us / 100), Some(90));
    }

    #[test]
    fn a_sample_that_is_late_takes_no_other_seconds_place() {
        let mut seconds = Seconds::default();
        let nothing = Tally::new();
        for at in [1.0, 2.6, 3.1, 4.0, f64::NAN, 1e18] {
            seconds.add(0, &second(at, at, &nothing), &nothing);
        }
        let line = seconds.timeline(Timeline::default());
        assert_eq!(line.at.len(), line.delivered.len());
        assert_eq!(line.delivered, [1.0, 2.6, 3.1, 4.0]);
    }
}
