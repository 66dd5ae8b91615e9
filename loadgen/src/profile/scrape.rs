//! What a gateway's metrics say of the sizes of bodies and of its users, at one moment.

use crate::page;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

const BUCKET: &str = "holdfast_push_body_bytes_bucket{";
const USERS: &str = "holdfast_users{";

/// What was seen, over all shards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Messages up to each size since the gateway's start.
    up_to: BTreeMap<u64, u64>,
    /// Users who have a session now.
    pub(super) users: u64,
}

/// Asks the gateway; `None` where its page does not speak of sizes.
pub(super) fn scrape(
    address: SocketAddr,
    path: &str,
    token: Option<&str>,
) -> io::Result<Option<Seen>> {
    Ok(Seen::parse(&page::get(address, path, token)?))
}

impl Seen {
    fn parse(text: &str) -> Option<Self> {
        let mut seen = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix(BUCKET)) {
            let (labels, value) = line.split_once("} ")?;
            let bound = labels.split(',').find_map(|label| label.strip_prefix("le=\""))?;
            // What is above the last bound is taken for as long as twice that.
            let bound = bound.trim_end_matches('"');
            let bound = if bound == "+Inf" { u64::MAX } else { whole(bound)? };
            let count = whole(value.split_whitespace().next()?)?;
            let sum = seen.up_to.entry(bound).or_default();
            *sum = sum.saturating_add(count);
        }
        for line in text.lines().filter_map(|line| line.strip_prefix(USERS)) {
            let (_, value) = line.split_once("} ")?;
            seen.users = seen.users.saturating_add(whole(value.split_whitespace().next()?)?);
        }
        (!seen.up_to.is_empty()).then_some(seen)
    }

    /// The greatest size of each bucket.
    pub(super) fn bounds(&self) -> Vec<u64> {
        let mut bounds: Vec<u64> =
            self.up_to.keys().copied().filter(|one| *one < u64::MAX).collect();
        if self.up_to.contains_key(&u64::MAX) {
            bounds.push(bounds.last().map_or(1, |last| last.saturating_mul(2)));
        }
        bounds
    }

    /// Messages in each bucket since `earlier`; all of them where the gateway was started anew.
    pub(super) fn since(&self, earlier: &Self) -> Vec<u64> {
        let anew = self.up_to.iter().any(|(bound, count)| earlier.up_to.get(bound) > Some(count));
        let mut below = 0;
        let each = |(bound, count): (&u64, &u64)| {
            let before =
                if anew { 0 } else { earlier.up_to.get(bound).copied().unwrap_or_default() };
            let up_to = count - before;
            // The buckets of several shards are read one after another: what came in between may
            // be in a greater one alone.
            let here = up_to.saturating_sub(below);
            below = below.max(up_to);
            here
        };
        self.up_to.iter().map(each).collect()
    }
}

/// A whole number, as metrics write it: 256 or 256.0.
fn whole(text: &str) -> Option<u64> {
    let (whole, _) = text.split_once('.').unwrap_or((text, ""));
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(first: [u64; 3], second: [u64; 3]) -> String {
        let shard = |shard: u32, [small, large, all]: [u64; 3]| {
            format!(
                "{BUCKET}le=\"64.0\",shard=\"{shard}\"}} {small}\n\
                 {BUCKET}le=\"128.0\",shard=\"{shard}\"}} {large}\n\
                 {BUCKET}le=\"+Inf\",shard=\"{shard}\"}} {all}\n\
                 holdfast_push_body_bytes_count{{shard=\"{shard}\"}} {all}\n\
                 {USERS}shard=\"{shard}\"}} {large}\n"
            )
        };
        format!("# TYPE x\n{}{}", shard(0, first), shard(1, second))
    }

    #[test]
    fn buckets_are_added_up_over_shards_and_told_apart_by_size() {
        let before = Seen::parse(&page([1, 2, 2], [0, 0, 0])).unwrap();
        let after = Seen::parse(&page([5, 12, 13], [10, 10, 10])).unwrap();
        assert_eq!(after.bounds(), [64, 128, 256]);
        assert_eq!(after.since(&before), [14, 6, 1]);
        assert_eq!(after.since(&after), [0, 0, 0]);
        assert_eq!((before.users, after.users), (2, 22));
        // Started anew: what it says now is what came.
        assert_eq!(before.since(&after), [1, 1, 0]);
    }

    #[test]
    fn a_page_without_sizes_is_none() {
        assert_eq!(Seen::parse("holdfast_connections{shard=\"0\"} 3\n"), None);
    }

    #[test]
    fn counts_that_no_gateway_has_are_read_and_not_believed() {
        let most = u64::MAX;
        let seen = Seen::parse(&page([most, most, most], [1, 1, 1])).unwrap();
        assert_eq!(seen.since(&seen), [0, 0, 0]);
        let wide = format!("{BUCKET}le=\"{}\"}} 1\n{BUCKET}le=\"+Inf\"}} 1\n", most - 1);
        assert_eq!(Seen::parse(&wide).unwrap().bounds(), [most - 1, most]);
    }
}
