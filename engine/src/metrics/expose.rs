//! Shows what the shards and the store count: as Prometheus text, with a label for the shard where
//! one counts, and as one flat list over all shards for the backend API.
//!
//! A scrape costs the thread that asks; the shards notice nothing of it.

use super::ShardMetrics;
use super::families::{Family, families};
use super::histogram::Histogram;
use super::{names, store};
use holdfast_protocol::limits::{COUNTER_NAME_BYTES, COUNTERS};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;
use std::sync::Arc;

/// The metrics of every shard and of the store, as a collector of `prometheus-client`.
#[derive(Debug, Clone)]
pub struct Shards(pub Arc<[ShardMetrics]>);

impl Collector for Shards {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let shards: Vec<_> = self.0.iter().map(families).collect();
        let Some(first) = shards.first() else { return Ok(()) };
        for index in 0..first.len() {
            let family: Vec<_> = shards.iter().map(|families| &families[index]).collect();
            encode_family(&mut encoder, &family)?;
        }
        let mut histograms = Histogram::ALL.iter();
        histograms.try_for_each(|each| encode_histogram(&mut encoder, *each, &self.0))?;
        let store = self.0.iter().find_map(ShardMetrics::store);
        store.map_or(Ok(()), |figures| store::encode(&mut encoder, &figures))
    }
}

/// Writes one family; `shards` holds it once for each shard, in their order.
fn encode_family(encoder: &mut DescriptorEncoder<'_>, shards: &[&Family]) -> fmt::Result {
    let Some(family) = shards.first() else { return Ok(()) };
    let unit = (family.unit == names::Unit::Bytes).then_some(Unit::Bytes);
    let kind = if family.gauge { MetricType::Gauge } else { MetricType::Counter };
    let mut metric = encoder.encode_descriptor(family.name, family.help, unit.as_ref(), kind)?;
    for (shard, family) in shards.iter().enumerate() {
        let shard = shard.to_string();
        for (value, number) in &family.samples {
            let both = [("shard", shard.as_str()), (family.label, value)];
            let labels = if family.label.is_empty() { &both[..1] } else { &both[..] };
            let mut sample = metric.encode_family(&labels)?;
            if family.gauge {
                sample.encode_gauge(number)?;
            } else {
                sample.encode_counter::<NoLabelSet, u64, u64>(number, None)?;
            }
        }
    }
    Ok(())
}

fn encode_histogram(
    encoder: &mut DescriptorEncoder<'_>,
    histogram: Histogram,
    shards: &[ShardMetrics],
) -> fmt::Result {
    let (unit, scale) = match histogram {
        of if of.is_time() => (Some(Unit::Seconds), 1e-6),
        of if of.is_size() => (Some(Unit::Bytes), 1.0),
        _ => (None, 1.0),
    };
    let (name, help) = (histogram.name(), histogram.help());
    let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
    for (shard, metrics) in shards.iter().enumerate() {
        let (mut buckets, sum) = metrics.histograms[histogram as usize].read();
        for (bound, _) in &mut buckets {
            *bound *= scale;
        }
        let count = buckets.iter().map(|(_, number)| number).sum();
        #[expect(clippy::cast_precision_loss, reason = "a sum that is shown, not computed with")]
        let sum = sum as f64 * scale;
        let labels = [("shard", shard.to_string())];
        metric
            .encode_family(&labels)?
            .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
    }
    Ok(())
}

/// Every number summed over the shards, as `name` or `name.label`, the store's own, and how evenly
/// the kernel spread the clients over the shards; at most [`COUNTERS`] with names
/// of at most [`COUNTER_NAME_BYTES`] bytes, as the backend API allows.
pub fn flat(shards: &[ShardMetrics]) -> Vec<(String, u64)> {
    let mut sums: Vec<(String, u64)> = Vec::new();
    for (shard, metrics) in shards.iter().enumerate() {
        let numbers = families(metrics).into_iter().flat_map(|family| {
            let named = move |(label, number)| (flat_name(family.name, label), number);
            family.samples.into_iter().map(named)
        });
        if shard == 0 {
            sums.extend(numbers);
        } else {
            for (sum, (_, number)) in sums.iter_mut().zip(numbers) {
                sum.1 = sum.1.saturating_add(number);
            }
        }
    }
    sums.extend(shards.iter().find_map(ShardMetrics::store).iter().flat_map(store::flat));
    let clients = || shards.iter().map(ShardMetrics::clients);
    sums.push(("shards".to_owned(), shards.len() as u64));
    sums.push(("shard_clients.least".to_owned(), clients().min().unwrap_or(0)));
    sums.push(("shard_clients.most".to_owned(), clients().max().unwrap_or(0)));
    debug_assert!(sums.len() <= COUNTERS);
    debug_assert!(sums.iter().all(|(name, _)| name.len() <= COUNTER_NAME_BYTES));
    sums
}

fn flat_name(family: &str, label: &str) -> String {
    if label.is_empty() { family.to_owned() } else { format!("{family}.{label}") }
}
