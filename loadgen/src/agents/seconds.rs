//! The seconds of several agents as one timeline.
//!
//! Every agent begins to record at one barrier and takes its samples by the clock, so sample by
//! sample they speak of the same second, as near as the barrier is one moment. Counts and cores add
//! up, a busiest thread is the busiest of all, and the percentiles of a second are those of one
//! histogram of all agents. A host that is busy samples late: its rates are made counts again by
//! its own seconds, so that the rates of the whole by its seconds are what was counted.

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
/// Seconds that a row lasts at least: what is shorter is of the row before.
const SHORTEST: f64 = 0.05;

/// One second of all agents.
#[derive(Debug, Default)]
struct Row {
    /// How long after the beginning it ended.
    at: f64,
    connected: u64,
    online: u64,
    counts: [f64; COUNTS],
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
const COUNTS: usize = 7;

/// All seconds so far.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    rows: BTreeMap<usize, Row>,
    /// The last sample of each agent: its row, and when it was taken.
    last: BTreeMap<usize, (usize, f64)>,
}

impl Seconds {
    /// One more sample of `agent`; `before` is what it had counted at the one before.
    pub(super) fn add(&mut self, agent: usize, second: &Second, before: &Tally) {
        let line = &second.line;
        let Some(at) = line.at.first().map(|at| at - line.from) else { return };
        let (last, ended) = self.last.get(&agent).copied().unwrap_or_default();
        let place = nearest(at).max(last + 1);
        if !at.is_finite() || place > MOST {
            return;
        }
        self.last.insert(agent, (place, at));
        let row = self.rows.entry(place).or_default();
        row.at = row.at.max(at);
        row.add(line, at - ended);
        if !row.closed {
            row.push.get_or_insert_with(Latency::new).add(&second.tally.push.since(&before.push));
        }
        let newest = self.rows.keys().next_back().copied().unwrap_or_default();
        for (_, row) in self.rows.range_mut(..newest.saturating_sub(OPEN)) {
            row.close();
        }
    }

    /// The timeline; `beside` is what the controller recorded of the gateway in the same time.
    pub(super) fn timeline(self, beside: Timeline) -> Timeline {
        let near = by_second(&beside);
        let mut all = Timeline { from: beside.from, stages: beside.stages, ..Timeline::default() };
        let rows = self.closed();
        let places: Vec<Option<usize>> =
            rows.iter().map(|(place, _)| near.get(place).copied()).collect();
        let mut ended = 0.0;
        for (_, row) in rows {
            row.put(&mut all, row.at - ended);
            ended = row.at;
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

    /// The rows and which second each is, each some time after the one before.
    fn closed(self) -> Vec<(usize, Row)> {
        let mut closed: Vec<(usize, Row)> = Vec::with_capacity(self.rows.len());
        for (place, mut row) in self.rows {
            row.close();
            match closed.last_mut() {
                Some((_, before)) if row.at < before.at + SHORTEST => before.take(&row),
                _ => closed.push((place, row)),
            }
        }
        closed
    }
}

impl Row {
    /// One agent's sample, of what it counted in so many seconds.
    fn add(&mut self, line: &Timeline, seconds: f64) {
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
        for (sum, rate) in self.counts.iter_mut().zip(rates) {
            *sum += first(rate) * seconds;
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

    /// What was counted in a row that ended with this one.
    fn take(&mut self, other: &Self) {
        for (sum, more) in self.counts.iter_mut().zip(other.counts) {
            *sum += more;
        }
        self.at = self.at.max(other.at);
        self.points = self.points.or(other.points);
    }

    /// As the next of a timeline, where it lasted so many seconds.
    fn put(&self, all: &mut Timeline, seconds: f64) {
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
        for (values, count) in rates.into_iter().zip(self.counts) {
            values.push((count / seconds * 1e3).round() / 1e3);
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
        seconds.add(0, &second(1.25, 10.0, &one), &nothing);
        seconds.add(1, &second(1.0, 20.0, &other), &nothing);
        seconds.add(0, &second(2.0, 5.0, &one), &one);
        seconds.add(0, &second(2.25, 1.0, &one), &one);
        let beside = Timeline {
            from: 100.0,
            at: vec![101.0, 102.1],
            server_cpu: vec![Some(0.25), None],
            slab: vec![7, 8],
            ..Timeline::default()
        };
        let line = seconds.timeline(beside);
        assert_eq!(line.at, [101.25, 102.0, 102.25]);
        // 10 a second for 1.25 s and 20 for one, in the 1.25 s of both.
        assert_eq!(line.delivered, [26.0, 5.0, 1.0]);
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
    fn rates_by_their_seconds_are_what_was_counted_however_late_the_samples_are() {
        let mut seconds = Seconds::default();
        let nothing = Tally::new();
        // Of three agents, each 10 a second for 3.4 s; the rows 3 and 4 end at one moment.
        for (agent, ends) in
            [&[1.0, 2.0, 3.4][..], &[1.4, 2.3, 3.0, 3.4], &[0.8, 2.6, 3.4]].into_iter().enumerate()
        {
            for at in ends {
                seconds.add(agent, &second(*at, 10.0, &nothing), &nothing);
            }
        }
        let line = seconds.timeline(Timeline::default());
        let before = std::iter::once(0.0).chain(line.at.iter().copied());
        let lengths: Vec<f64> = line.at.iter().zip(before).map(|(at, ended)| at - ended).collect();
        assert!(lengths.iter().all(|length| *length >= SHORTEST), "{lengths:?}");
        let sum: f64 = line.delivered.iter().zip(lengths).map(|(rate, length)| rate * length).sum();
        assert!((sum - 102.0).abs() < 0.01, "{sum}");
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
