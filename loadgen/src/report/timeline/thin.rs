//! A timeline of fewer samples, for a page that must not grow with the length of a run: of some
//! samples that follow each other the least and the greatest of each row stay, in their order.

use super::{Shard, Timeline};

/// Most values that a page has of a timeline, over all its rows.
const VALUES: usize = 150_000;
/// Rows beside those of the shards.
const ROWS: usize = 20;
/// Rows of a shard.
const SHARD_ROWS: usize = 3;
/// Samples that stay in any case, where there are so many.
const LEAST: usize = 600;

impl Timeline {
    /// The same in at most so many values as a page has; as it is where it has no more.
    pub(crate) fn for_page(&self) -> Self {
        let rows = ROWS + SHARD_ROWS * self.shards.len();
        self.thinned((VALUES / rows).max(LEAST))
    }

    /// The same in at most `most` samples (2 or more); as it is where it has no more.
    fn thinned(&self, most: usize) -> Self {
        let samples = self.at.len();
        if samples <= most {
            return self.clone();
        }
        let step = samples.div_ceil(most / 2);
        let shard = |shard: &Shard| Shard {
            name: shard.name.clone(),
            messages: some(&shard.messages, step),
            busy: some(&shard.busy, step),
            connections: some(&shard.connections, step),
        };
        Self {
            from: self.from,
            at: moments(&self.at, step),
            thinned: Some(format!(
                "of each {step} samples the least and the greatest of each row, in their order; \
                 the file of --json has all"
            )),
            stages: self.stages.clone(),
            connected: all(&self.connected, step),
            online: all(&self.online, step),
            offered: all(&self.offered, step),
            accepted: all(&self.accepted, step),
            refused: all(&self.refused, step),
            delivered: all(&self.delivered, step),
            broadcasts: all(&self.broadcasts, step),
            logins: all(&self.logins, step),
            errors: all(&self.errors, step),
            p50_us: some(&self.p50_us, step),
            p99_us: some(&self.p99_us, step),
            max_us: some(&self.max_us, step),
            server_cpu: some(&self.server_cpu, step),
            server_busiest: some(&self.server_busiest, step),
            server_waited: some(&self.server_waited, step),
            client_cpu: some(&self.client_cpu, step),
            client_busiest: some(&self.client_busiest, step),
            client_wanted: some(&self.client_wanted, step),
            ksoftirqd_cpu: some(&self.ksoftirqd_cpu, step),
            server_rss: some(&self.server_rss, step),
            client_rss: some(&self.client_rss, step),
            slab: all(&self.slab, step),
            shards: self.shards.iter().map(shard).collect(),
        }
    }
}

/// Two moments for each group of samples: its middle and its end.
fn moments(at: &[f64], step: usize) -> Vec<f64> {
    let ends = |group: &[f64]| [group[(group.len() - 1) / 2], group[group.len() - 1]];
    at.chunks(step).flat_map(ends).collect()
}

/// The least and the greatest of each group, in their order.
fn all<T: Copy + PartialOrd>(values: &[T], step: usize) -> Vec<T> {
    let known: Vec<Option<T>> = values.iter().copied().map(Some).collect();
    some(&known, step).into_iter().flatten().collect()
}

/// The same of what is known; nothing where nothing of the group is.
fn some<T: Copy + PartialOrd>(values: &[Option<T>], step: usize) -> Vec<Option<T>> {
    values.chunks(step).flat_map(ends).collect()
}

fn ends<T: Copy + PartialOrd>(group: &[Option<T>]) -> [Option<T>; 2] {
    let mut low: Option<(usize, T)> = None;
    let mut high: Option<(usize, T)> = None;
    for (place, value) in group.iter().enumerate().filter_map(|(at, one)| Some((at, (*one)?))) {
        if low.is_none_or(|(_, least)| value < least) {
            low = Some((place, value));
        }
        if high.is_none_or(|(_, most)| value >= most) {
            high = Some((place, value));
        }
    }
    let (first, second) = if low.zip(high).is_some_and(|(low, high)| low.0 > high.0) {
        (high, low)
    } else {
        (low, high)
    };
    [first.map(|(_, value)| value), second.map(|(_, value)| value)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day of samples with a peak, a hole and a gap.
    fn day() -> Timeline {
        let samples = 86_400_u32;
        let at: Vec<f64> = (1..=samples).map(f64::from).collect();
        let mut offered = vec![2_000.0; at.len()];
        (offered[40_000], offered[50_000]) = (9_000.0, 1.0);
        let mut p99 = vec![Some(5_000); at.len()];
        p99[1_000..2_000].fill(None);
        let cores = vec![Some(0.5); at.len()];
        let shard = Shard { name: "0".to_owned(), busy: cores.clone(), ..Shard::default() };
        Timeline {
            at,
            offered,
            p99_us: p99,
            server_cpu: cores,
            shards: vec![shard],
            ..Timeline::default()
        }
    }

    #[test]
    fn a_day_keeps_its_peaks_holes_and_gaps_in_few_samples() {
        let (day, thin) = (day(), day().thinned(3_600));
        let length = thin.at.len();
        assert!(length <= 3_600 && length > 3_000, "{length}");
        assert_eq!([thin.offered.len(), thin.p99_us.len(), thin.shards[0].busy.len()], [length; 3]);
        assert!(thin.at.is_sorted() && thin.at.last() == day.at.last());
        let place = |value: f64| thin.offered.iter().position(|one| (one - value).abs() < 0.1);
        let (peak, hole) = (place(9_000.0).unwrap(), place(1.0).unwrap());
        assert!((thin.at[peak] - 40_000.0).abs() < 60.0 && (thin.at[hole] - 50_000.0).abs() < 60.0);
        assert!(thin.p99_us.iter().filter(|us| us.is_none()).count() > 30);
        assert!(thin.thinned.unwrap().starts_with("of each 48 samples"));
    }

    #[test]
    fn what_is_short_stays_as_it_is() {
        let short = Timeline { at: vec![1.0, 2.0, 3.0], ..Timeline::default() };
        assert_eq!(short.for_page(), short);
        assert_eq!(ends(&[Some(3), None, Some(1)]), [Some(3), Some(1)]);
        assert_eq!(ends(&[Some(2), Some(2)]), [Some(2), Some(2)]);
        assert_eq!(ends::<u8>(&[None]), [None, None]);
    }
}
