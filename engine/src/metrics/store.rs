//! The store's own numbers, as metrics. They are of the process, not of a shard: shards count what
//! they ask of the store, and the store counts what it does for all of them. What means the same
//! has the same name, whichever store it is.
//!
//! The store's threads are their only writers; here they are read.

use holdfast_store::embedded::{Figures, Stats};
use holdfast_store::redis;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;
use std::sync::Arc;

/// Where a store keeps its numbers.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Embedded(Arc<Stats>),
    Redis(Arc<redis::Counters>),
}

impl Source {
    /// The numbers now.
    pub(super) fn read(&self) -> StoreNumbers {
        match self {
            Self::Embedded(stats) => StoreNumbers::Embedded(stats.read()),
            Self::Redis(counters) => StoreNumbers::Redis(counters.read()),
        }
    }
}

/// The numbers of a store at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreNumbers {
    /// Of the files of one directory, or of memory.
    Embedded(Figures),
    /// Of servers elsewhere.
    Redis(redis::Numbers),
}

impl StoreNumbers {
    /// Why the store takes nothing; nothing while it does.
    pub fn trouble(&self) -> Option<&'static str> {
        match self {
            Self::Embedded(figures) if figures.trouble == 1 => Some("the disk is full"),
            Self::Embedded(figures) if figures.trouble == 2 => Some("it cannot be written"),
            Self::Redis(numbers) if numbers.trouble == 1 => Some("a server of it has no room"),
            Self::Redis(numbers) if numbers.trouble == 2 => Some("its servers do not serve"),
            Self::Embedded(_) | Self::Redis(_) => None,
        }
    }
}

/// What a number is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Things,
    Bytes,
    /// Shown as seconds where fractions can be written, else as they are.
    Micros,
}

/// One number.
struct Number {
    name: &'static str,
    help: &'static str,
    of: Of,
    /// Whether it may go down.
    gauge: bool,
    value: u64,
}

const fn gauge(name: &'static str, of: Of, value: u64, help: &'static str) -> Number {
    Number { name, help, of, gauge: true, value }
}

const fn counter(name: &'static str, of: Of, value: u64, help: &'static str) -> Number {
    Number { name, help, of, gauge: false, value }
}

/// Every number, in a fixed order.
fn numbers(of: &StoreNumbers) -> Vec<Number> {
    match of {
        StoreNumbers::Embedded(figures) => embedded(figures).into(),
        StoreNumbers::Redis(numbers) => shared(numbers).into_iter().collect(),
    }
}

/// What is now of a store in Redis, and what it has done.
fn shared(of: &redis::Numbers) -> impl IntoIterator<Item = Number> + use<> {
    use Of::{Micros, Things};
    let now = [
        gauge("store_full", Things, u64::from(of.trouble == 1), "Whether a server has no room."),
        gauge("store_down", Things, u64::from(of.trouble == 2), "Whether no server serves."),
        gauge("store_owed", Things, of.owed, "Commands that wait for the store to be well."),
        gauge("store_servers_away", Things, of.away, "Primaries that do not serve."),
        gauge(
            "store_namesake",
            Things,
            of.namesake,
            "Whether another process has this host's number.",
        ),
        gauge("store_in_flight", Things, of.in_flight, "Commands that servers have not answered."),
        gauge(
            "store_write_longest",
            Micros,
            of.write_micros_most,
            "The longest time that writing a batch took, waiting for replicas included.",
        ),
    ];
    let done = [
        counter("store_appended", Things, of.appended, "Messages and broadcasts written."),
        counter("store_writes", Things, of.writes, "Batches carried out, well or not."),
        counter("store_write", Micros, of.write_micros, "Time spent carrying batches out."),
        counter("store_failed_batches", Things, of.failed, "Batches that could not be made safe."),
        counter("store_waits_failed", Things, of.waits_failed, "Writes that were not confirmed."),
        counter("store_commands", Things, of.commands, "Commands sent to servers."),
        counter("store_errors", Things, of.errors, "Commands that a server did not carry out."),
        counter("store_connections", Things, of.connections, "Connections to servers made."),
        counter("store_connections_lost", Things, of.connections_lost, "Connections that failed."),
        counter("store_servers_lost", Things, of.aways, "Times that a primary went away."),
        counter("store_outages", Things, of.troubles, "Times that the whole store took nothing."),
        counter("store_opened", Things, of.opened, "Mailboxes fetched."),
        counter("store_loaded", Things, of.loaded, "Bodies loaded."),
        counter("store_unanswered", Things, of.unanswered, "Questions that were not answered."),
        counter("store_overtaken", Things, of.overtaken, "Refused: another host had numbered on."),
        counter("store_looks", Things, of.looks, "Mailboxes looked at for what went out of date."),
        counter("store_given_up", Things, of.dropped, GIVEN_UP),
    ];
    now.into_iter().chain(done)
}

const GIVEN_UP: &str =
    "Commands given up because too many waited: what they trimmed may be delivered again.";

fn embedded(of: &Figures) -> [Number; 18] {
    use Of::{Bytes, Micros, Things};
    [
        gauge("store_full", Things, u64::from(of.trouble == 1), "Whether the disk is full."),
        gauge("store_down", Things, u64::from(of.trouble == 2), "Whether the store cannot write."),
        gauge("store_disk", Bytes, of.disk_bytes, "Bytes of all segments."),
        gauge("store_needed", Bytes, of.needed_bytes, "Bytes of what is still needed of them."),
        gauge("store_segments", Things, of.segments, "Segments, the files of the store."),
        gauge("store_oldest_segment", Things, of.oldest, "The number of the oldest segment."),
        gauge("store_live_records", Things, of.live, "Records that are still needed."),
        gauge("store_owed", Things, of.waiting, "Commands that wait for the store to be well."),
        gauge(
            "store_sync_longest",
            Micros,
            of.sync_micros_most,
            "The longest time that writing and syncing a group took.",
        ),
        counter("store_appended", Things, of.appended, "Messages and broadcasts written."),
        counter("store_written", Bytes, of.written_bytes, "Bytes written."),
        counter("store_syncs", Things, of.syncs, "Groups of messages that were synced."),
        counter("store_sync", Micros, of.sync_micros, "Time spent writing and syncing groups."),
        counter("store_failed_batches", Things, of.failed, "Batches that could not be made safe."),
        counter("store_given_up", Things, of.dropped, GIVEN_UP),
        counter("store_copied", Things, of.moved, "Records the store copied to free a segment."),
        counter(
            "store_damaged_records",
            Things,
            of.skipped,
            "Records that were damaged or gone when they were needed.",
        ),
        counter(
            "store_expired_while_down",
            Things,
            of.expired,
            "Messages whose time to live ended while the process was down.",
        ),
    ]
}

/// Writes every number, without a label.
pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, of: &StoreNumbers) -> fmt::Result {
    for Number { name, help, of, gauge, value } in numbers(of) {
        let unit = match of {
            Of::Things => None,
            Of::Bytes => Some(Unit::Bytes),
            Of::Micros => Some(Unit::Seconds),
        };
        #[expect(clippy::cast_precision_loss, reason = "a sum that is shown, not computed with")]
        let seconds = (of == Of::Micros).then_some(value as f64 * 1e-6);
        let kind = if gauge { MetricType::Gauge } else { MetricType::Counter };
        let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
        match (gauge, seconds) {
            (true, None) => metric.encode_gauge(&value)?,
            (true, Some(seconds)) => metric.encode_gauge(&seconds)?,
            (false, None) => metric.encode_counter::<NoLabelSet, u64, u64>(&value, None)?,
            (false, Some(seconds)) => {
                metric.encode_counter::<NoLabelSet, f64, u64>(&seconds, None)?;
            }
        }
    }
    Ok(())
}

/// Every number by its name; a time says in it that it is in microseconds.
pub(super) fn flat(of: &StoreNumbers) -> impl Iterator<Item = (String, u64)> + use<> {
    numbers(of).into_iter().map(|number| {
        let unit = if number.of == Of::Micros { "_micros" } else { "" };
        (format!("{}{unit}", number.name), number.value)
    })
}
