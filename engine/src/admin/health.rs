//! Whether the process lives: each shard finishes turns.

use crate::metrics::ShardMetrics;
use std::time::Duration;

/// A shard that has not finished a turn for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stalled {
    /// Which.
    pub(crate) shard: usize,
    /// For how long.
    pub(crate) silent: Duration,
}

/// The shards that have not finished a turn for longer than `timeout`, at `now` (microseconds of
/// the shards' clock).
pub(crate) fn stalled(
    shards: &[ShardMetrics],
    now: u64,
    timeout: Duration,
) -> impl Iterator<Item = Stalled> {
    let silent =
        move |shard: &ShardMetrics| Duration::from_micros(now.saturating_sub(shard.last_turn()));
    let all = shards.iter().map(silent).enumerate();
    all.filter(move |(_, silent)| *silent > timeout)
        .map(|(shard, silent)| Stalled { shard, silent })
}
