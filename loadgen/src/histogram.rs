//! Latencies, and all that a thread counts while it runs.
//!
//! A thread counts into its own [`Tally`] without sharing, and adds it to the run's about once a
//! second. Latencies count from when a thing was due, never from when the generator came round to
//! it.

mod serial;

use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// The longest latency that keeps its value: ten minutes in microseconds.
const LONGEST: u64 = 600_000_000;
/// Three digits: a value is at most 0.1 % off.
const DIGITS: u8 = 3;

/// Points of a distribution for each halving of what lies above.
const TICKS: u32 = 8;

/// Latencies in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Latency(Histogram<u64>);

/// The summary of one histogram, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Percentiles {
    /// How many values.
    pub(crate) count: u64,
    pub(crate) min_us: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: u64,
    pub(crate) p90_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) max_us: u64,
}

/// The shape of one histogram: points of its distribution, the closer to each other the rarer what
/// they speak of, so that a plot over `1 / (1 - share)` has them evenly.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Distribution {
    /// The share (0 to 1) of all values that are at most the value at the same place in `us`.
    pub(crate) share: Vec<f64>,
    /// The value, microseconds.
    pub(crate) us: Vec<u64>,
    /// How many values are at most that.
    pub(crate) count: Vec<u64>,
}

impl Latency {
    /// Without a value.
    pub(crate) fn new() -> Self {
        Self(
            Histogram::new(DIGITS).expect("three digits are among the five that the library takes"),
        )
    }

    /// Counts one latency of `ns` nanoseconds.
    pub(crate) fn record(&mut self, ns: u64) {
        // The histogram grows to hold the value, which is bounded: nothing is out of range.
        let _ = self.0.record((ns / 1_000).clamp(1, LONGEST));
    }

    /// Counts a wait of `planned` nanoseconds that took `late` more, as everybody felt it who came
    /// at some moment of it, one in each `step`: during the plan nobody waited, during the rest
    /// each until its end.
    pub(crate) fn record_stall(&mut self, planned: u64, late: u64, step: u64) {
        // As above: nothing is out of range.
        let _ = self.0.record_n(1, planned / step);
        let mut left = late.min(LONGEST * 1_000);
        while left >= step {
            self.record(left);
            left -= step;
        }
    }

    /// How many values were counted.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Whether nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what `other` counted.
    pub(crate) fn add(&mut self, other: &Self) {
        if !other.is_empty() {
            // It grows where the other is larger, so nothing is out of range.
            let _ = self.0.add(&other.0);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        if !self.is_empty() {
            self.0.reset();
        }
    }

    /// The value below which `share` (0 to 1) of all lie, in microseconds.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        self.0.value_at_quantile(share)
    }

    /// What was counted since `earlier`, which must be an earlier state of this one.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        // Only another history, which is asked not to be, could make it fail.
        let _ = since.0.subtract(&earlier.0);
        since
    }

    /// The shape of the distribution.
    pub(crate) fn distribution(&self) -> Distribution {
        let mut shape = Distribution::default();
        let mut count = 0;
        for point in self.0.iter_quantiles(TICKS).take_while(|_| !self.is_empty()) {
            count += point.count_since_last_iteration();
            // Where many values are alike, several points fall together.
            if shape.us.last() == Some(&point.value_iterated_to()) {
                shape.share.pop();
                shape.us.pop();
                shape.count.pop();
            }
            shape.share.push(point.quantile());
            shape.us.push(point.value_iterated_to());
            shape.count.push(count);
        }
        shape
    }

    /// The usual percentiles.
    pub(crate) fn summary(&self) -> Percentiles {
        if self.is_empty() {
            return Percentiles::default();
        }
        Percentiles {
            count: self.0.len(),
            min_us: self.0.min(),
            mean_us: self.0.mean(),
            p50_us: self.quantile(0.5),
            p90_us: self.quantile(0.9),
            p99_us: self.quantile(0.99),
            p999_us: self.quantile(0.999),
            max_us: self.0.max(),
        }
    }
}

macro_rules! tally {
    (
        counts { $($(#[$count_doc:meta])* $count:ident,)* }
        latencies { $($(#[$lat_doc:meta])* $latency:ident,)* }
    ) => {
        /// What one thread, or all of them, counted.
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct Tally {
            $($(#[$count_doc])* pub(crate) $count: u64,)*
            $($(#[$lat_doc])* pub(crate) $latency: Latency,)*
            /// Of `push`: those that were due in each step of the plan.
            #[serde(deserialize_with = "serial::few")]
            pub(crate) steps: Vec<Latency>,
            /// Why connections could not be made or ended, each with its count.
            pub(crate) reasons: BTreeMap<String, u64>,
        }

        impl Tally {
            /// Nothing yet.
            pub(crate) fn new() -> Self {
                Self {
                    $($count: 0,)*
                    $($latency: Latency::new(),)*
                    steps: Vec::new(),
                    reasons: BTreeMap::new(),
                }
            }

            /// Adds all that `other` counted.
            pub(crate) fn add(&mut self, other: &Self) {
                self.add_counts(other);
                $(self.$latency.add(&other.$latency);)*
                for (number, latency) in other.steps.iter().enumerate() {
                    self.in_step(number).add(latency);
                }
            }

            /// Adds what `other` counted, and none of its latencies.
            pub(crate) fn add_counts(&mut self, other: &Self) {
                $(self.$count = self.$count.saturating_add(other.$count);)*
                for (reason, count) in &other.reasons {
                    let sum = self.reasons.entry(reason.clone()).or_default();
                    *sum = sum.saturating_add(*count);
                }
            }

            /// Takes over all that `other` counted, and empties it.
            pub(crate) fn absorb(&mut self, other: &mut Self) {
                $(self.$count += std::mem::take(&mut other.$count);)*
                $(self.$latency.add(&other.$latency); other.$latency.clear();)*
                for (number, latency) in other.steps.iter_mut().enumerate() {
                    self.in_step(number).add(latency);
                    latency.clear();
                }
                for (reason, count) in std::mem::take(&mut other.reasons) {
                    *self.reasons.entry(reason).or_default() += count;
                }
            }
        }
    };
}

tally! {
    counts {
        /// Messages that arrived for the first time.
        deliveries,
        /// Broadcasts that arrived for the first time.
        broadcasts,
        /// Bytes read from the gateway by clients.
        bytes,
        /// Messages and broadcasts that came again without being marked as redelivered.
        duplicates,
        /// Messages that came again and were marked so.
        redelivered,
        /// Messages and broadcasts whose sequence was not greater than the one before.
        disorder,
        /// Bodies whose checksum was wrong.
        corrupt,
        /// Messages that came to another user than they were for.
        misdelivered,
        /// Messages of another run, or of nobody's.
        foreign,
        /// Welcomes whose next sequence fell behind what was received.
        sequence_fell_back,
        /// Pings sent.
        pings,
        /// Pongs received.
        pongs,
        /// Acknowledgements sent.
        acks,
        /// Logins.
        logins,
        /// Logins after a drop.
        returns,
        /// Connections that the scenario dropped.
        churned,
        /// Connections that ended unasked after login.
        unasked_ends,
        /// Connections that the weak network broke.
        network_ends,
        /// Connects and logins that failed.
        failures,
        /// Connections that the gateway closed in order after the bye.
        byes,
    }
    latencies {
        /// From the connect call to the welcome.
        login,
        /// The same, after a drop.
        relogin,
        /// From due to received.
        push,
        /// Of `push`: those that were on their way while a broadcast ran.
        push_during_broadcast,
        /// From due to the arrival in the client's kernel, if the scenario asks for it.
        push_arrival,
        /// Of `push_arrival`: those that were on their way while a broadcast ran.
        push_arrival_during_broadcast,
        /// From due to received, for broadcasts.
        spread,
        /// From when a ping besides the heartbeats was due to its pong.
        echo,
        /// From due to the API's answer.
        answer,
        /// Of clients behind the weak network, its delays included: from the connect call to the
        /// welcome, first ones and returns; pushes and broadcasts from due to received. None of
        /// them is in the others.
        login_weak,
        push_weak,
        spread_weak,
        /// How long bytes to clients were in the weak network.
        network,
        /// From due to handed to the API: how late the generator itself, or a full window, was.
        late,
        /// Of `late`: without the time in which the gateway's window was full or it was not there.
        own_late,
        /// What a message that came at any moment had to wait for its client's thread.
        lag,
    }
}

impl Tally {
    /// The latencies of step `number` of the plan.
    pub(crate) fn in_step(&mut self, number: usize) -> &mut Latency {
        if number >= self.steps.len() {
            self.steps.resize_with(number + 1, Latency::new);
        }
        &mut self.steps[number]
    }

    /// Counts one more of `reason`.
    pub(crate) fn reason(&mut self, reason: &str) {
        if let Some(count) = self.reasons.get_mut(reason) {
            *count += 1;
        } else {
            self.reasons.insert(reason.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_what_was_recorded() {
        let mut latency = Latency::new();
        for us in 1..=10_000_u64 {
            latency.record(us * 1_000);
        }
        let summary = latency.summary();
        assert_eq!((summary.count, summary.min_us), (10_000, 1));
        for (value, exact) in [
            (summary.p50_us, 5_000),
            (summary.p90_us, 9_000),
            (summary.p99_us, 9_900),
            (summary.p999_us, 9_990),
            (summary.max_us, 10_000),
        ] {
            assert!(value.abs_diff(exact) <= exact / 500, "{value} is not {exact}");
        }
    }

    #[test]
    fn a_stall_counts_for_all_who_came_while_it_lasted() {
        let mut latency = Latency::new();
        latency.record_stall(50_000_000, 50_000_000, 1_000_000);
        let summary = latency.summary();
        assert_eq!((summary.count, summary.min_us), (100, 1));
        assert!(summary.p90_us.abs_diff(40_000) < 100, "{summary:?}");
        assert!(summary.max_us.abs_diff(50_000) < 100, "{summary:?}");
        latency.record_stall(9_900_000_000, 0, 1_000_000);
        assert_eq!(latency.summary().p99_us, 1, "half a percent of the time");
    }

    #[test]
    fn the_shape_of_a_distribution_ends_with_all_values_and_is_dense_at_the_rare_end() {
        let all: Vec<u64> = (1..=100_000).map(|rank| 10_000_000 / (100_001 - rank)).collect();
        let mut latency = Latency::new();
        for us in &all {
            latency.record(us * 1_000);
        }
        let shape = latency.distribution();
        assert!(shape.us.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", shape.us);
        assert_eq!((shape.share.last(), shape.count.last()), (Some(&1.0), Some(&100_000)));
        assert_eq!((shape.share.len(), shape.us.len()), (shape.count.len(), shape.count.len()));
        assert!(shape.share.iter().filter(|share| **share > 0.99).count() > 20);
        for (count, us) in shape.count.iter().zip(&shape.us) {
            // A value is at most 0.1 % off.
            let up_to = |us: u64| all.partition_point(|value| *value <= us) as u64;
            let (least, most) = (up_to(us - us / 1_000), up_to(us + us / 1_000 + 1));
            assert!((least..=most).contains(count), "{count} values up to {us} us");
        }
        assert_eq!(Latency::new().distribution(), Distribution::default());
    }

    #[test]
    fn what_was_counted_since_is_that_alone() {
        let mut latency = Latency::new();
        latency.record(1_000_000);
        let earlier = latency.clone();
        assert!(latency.since(&earlier).is_empty());
        latency.record(700_000_000);
        latency.record(5_000);
        let since = latency.since(&earlier).summary();
        assert_eq!((since.count, since.min_us), (2, 5));
        assert!(since.max_us >= 700_000);
    }

    #[test]
    fn a_latency_beyond_the_range_is_kept_as_the_longest() {
        let mut latency = Latency::new();
        latency.record(u64::MAX);
        assert!(latency.summary().max_us >= LONGEST);
    }

    #[test]
    fn absorbing_moves_everything_once() {
        let (mut sum, mut part) = (Tally::new(), Tally::new());
        part.deliveries = 3;
        part.push.record(5_000);
        part.in_step(1).record(5_000);
        part.reason("reset");
        sum.absorb(&mut part);
        sum.absorb(&mut part);
        assert_eq!((sum.deliveries, part.deliveries), (3, 0));
        assert_eq!((sum.push.summary().count, part.push.is_empty()), (1, true));
        assert_eq!(sum.reasons.get("reset"), Some(&1));
        let steps: Vec<u64> = sum.steps.iter().map(|step| step.summary().count).collect();
        assert_eq!(steps, [0, 1]);
    }
}
