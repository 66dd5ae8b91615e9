//! `status`: the gateway's counters, in the order in which an operator asks.
//!
//! A counter is called `family` or `family.label`. Families that this file does not know are shown
//! under "other", so that a newer gateway hides nothing.

use crate::cli::args::StatusArgs;
use crate::cli::connection::{answer, connect};
use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::Screen;
use crate::cli::value::{bytes, counted, grouped};
use holdfast_client::Welcome;
use serde_json::{Map, Value, json};

/// Families by what they are about: first what is now, then what has been.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "now",
        &[
            "users",
            "connections",
            "shards",
            "shard_clients",
            "backends",
            "broadcasts",
            "pushes_in_flight",
            "outbox",
            "accept_paused",
        ],
    ),
    ("memory now", &["memory"]),
    (
        "store now",
        &[
            "store_trouble",
            "store_full",
            "store_down",
            "mailboxes",
            "mailbox_messages",
            "mailbox",
            "quarantined_mailboxes",
            "store_waiting",
            "store_owed",
            "store_disk",
            "store_needed",
            "store_segments",
            "store_oldest_segment",
            "store_live_records",
            "store_sync_longest_micros",
            "store_servers_away",
            "store_in_flight",
            "store_write_longest_micros",
        ],
    ),
    ("messages", &["pushes", "broadcasts_started", "broadcast_deliveries", "drops"]),
    (
        "durable messages",
        &[
            "durable_taken",
            "durable_kept_again",
            "durable_stored",
            "durable_not_stored",
            "durable_acked",
            "durable_expired",
            "durable_dropped",
            "durable_deliveries",
            "durable_redeliveries",
            "redelivery_rounds",
            "quarantines",
            "sessions_stuck",
            "idempotent_repeats",
            "receipts",
            "receipts_lost",
        ],
    ),
    (
        "store",
        &[
            "store_appended",
            "store_written",
            "store_syncs",
            "store_sync_micros",
            "store_batches",
            "store_writes_skipped",
            "store_failed_batches",
            "store_given_up",
            "store_moved",
            "store_copied",
            "store_unreadable",
            "store_damaged_records",
            "store_expired_while_down",
            "store_writes",
            "store_write_micros",
            "store_waits_failed",
            "store_commands",
            "store_errors",
            "store_connections",
            "store_connections_lost",
            "store_servers_lost",
            "store_outages",
            "store_opened",
            "store_loaded",
            "store_unanswered",
            "store_overtaken",
            "store_looks",
        ],
    ),
    (
        "connections",
        &[
            "accepted_connections",
            "logins",
            "refused_connections",
            "refused_logins",
            "closes",
            "closed_by_peer",
            "broken_connections",
            "violations",
            "accept_pauses",
        ],
    ),
    (
        "backends",
        &[
            "accepted_backends",
            "backend_logins",
            "backend_closes",
            "backends_closed_by_peer",
            "backend_violations",
            "request_errors",
        ],
    ),
    (
        "traffic",
        &[
            "client_received",
            "client_sent",
            "client_frames_received",
            "client_frames_sent",
            "backend_received",
            "backend_sent",
            "backend_frames_received",
            "backend_frames_sent",
        ],
    ),
];

const OTHER: &str = "other";

/// Families that count bytes.
const BYTES: &[&str] = &[
    "client_received",
    "client_sent",
    "backend_received",
    "backend_sent",
    "outbox",
    "memory",
    "mailbox",
    "store_waiting",
    "store_disk",
    "store_needed",
    "store_written",
];

/// Families that count the shards of which something is true.
const SHARDS: &[&str] = &["store_trouble", "accept_paused"];
/// Families that are 1 where something is true of the whole store.
const YES_OR_NO: &[&str] = &["store_full", "store_down"];

/// A counter's value in words.
fn shown(name: &str, value: u64) -> String {
    let family = family(name);
    if BYTES.contains(&family) {
        bytes(value)
    } else if SHARDS.contains(&family) {
        counted(value, "shard")
    } else if YES_OR_NO.contains(&family) {
        if value > 0 { "yes" } else { "no" }.to_owned()
    } else {
        grouped(value)
    }
}

pub(super) fn run(args: &StatusArgs, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let backend = connect(&args.api)?;
    let counters = answer(backend.counters())?;
    let welcome = backend.welcome();
    if args.api.json {
        screen.say(&as_json(welcome, &counters).to_string());
        return Ok(Exit::Done);
    }
    if let Some(welcome) = welcome {
        let Welcome { host, incarnation, window, body_max } = welcome;
        let (window, body_max) = (grouped(window.into()), bytes(body_max.into()));
        screen.say(&format!(
            "host {host}, incarnation {incarnation}; window {window}, bodies up to {body_max}"
        ));
    }
    for (group, lines) in grouped_lines(&counters, args.all) {
        screen.say(&format!("\n{group}"));
        let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let digits = lines.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
        for (name, value) in lines {
            screen.say(&format!("  {name:width$}  {value:>digits$}"));
        }
    }
    Ok(Exit::Done)
}

fn family(name: &str) -> &str {
    name.split_once('.').map_or(name, |(family, _)| family)
}

/// Where a counter stands: its group, and its place in it.
fn place(name: &str) -> (usize, usize) {
    let found = GROUPS.iter().enumerate().find_map(|(group, (_, families))| {
        let index = families.iter().position(|each| *each == family(name))?;
        Some((group, index))
    });
    found.unwrap_or((GROUPS.len(), 0))
}

/// The groups that have something to show, each line as name and value.
fn grouped_lines(counters: &[(String, u64)], all: bool) -> Vec<(&str, Vec<(String, String)>)> {
    let mut placed: Vec<_> =
        counters.iter().filter(|(_, value)| all || *value > 0).map(|c| (place(&c.0), c)).collect();
    // Stable, so that the labels of a family stay in the gateway's order.
    placed.sort_by_key(|(place, _)| *place);
    let mut groups: Vec<(&str, Vec<(String, String)>)> = Vec::new();
    for ((group, _), (name, value)) in placed {
        let title = GROUPS.get(group).map_or(OTHER, |(title, _)| *title);
        let line = (name.replace(['.', '_'], " "), shown(name, *value));
        match groups.last_mut() {
            Some((last, lines)) if *last == title => lines.push(line),
            _ => groups.push((title, vec![line])),
        }
    }
    groups
}

fn as_json(welcome: Option<Welcome>, counters: &[(String, u64)]) -> Value {
    let gateway = welcome.map(|welcome| {
        json!({
            "host": welcome.host,
            "incarnation": welcome.incarnation,
            "window": welcome.window,
            "body_max": welcome.body_max,
        })
    });
    let counters: Map<String, Value> =
        counters.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
    json!({ "gateway": gateway, "counters": counters })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn counters(of: &[(&str, u64)]) -> Vec<(String, u64)> {
        of.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn counters_stand_in_their_groups_and_zeros_are_left_out() {
        let counters = counters(&[
            ("turns", 5),
            ("logins", 0),
            ("closes.bye", 3),
            ("pushes.delivered", 1_234_567),
            ("memory.outboxes", 20_480),
            ("connections.online", 7),
            ("users", 7),
        ]);
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let shown = grouped_lines(&counters, false);
        assert_eq!(
            shown,
            [
                ("now", vec![line("users", "7"), line("connections online", "7")]),
                ("memory now", vec![line("memory outboxes", "20.0 KiB")]),
                ("messages", vec![line("pushes delivered", "1,234,567")]),
                ("connections", vec![line("closes bye", "3")]),
                (OTHER, vec![line("turns", "5")]),
            ]
        );
        let all = grouped_lines(&counters, true);
        assert_eq!(all[3].1, [line("logins", "0"), line("closes bye", "3")]);
    }

    #[test]
    fn what_is_true_or_not_is_said_in_words_or_in_shards() {
        let counters = counters(&[("store_trouble", 2), ("store_full", 1), ("store_down", 0)]);
        let groups = grouped_lines(&counters, true);
        let words: Vec<_> = groups[0].1.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!((groups[0].0, words), ("store now", vec!["2 shards", "yes", "no"]));
    }

    #[test]
    fn every_family_of_this_gateway_but_the_loops_own_has_a_group() {
        let shard = crate::metrics::ShardMetrics::default();
        shard.show_store(Arc::default());
        let other = crate::metrics::ShardMetrics::default();
        other.show_redis(Arc::default());
        let known = [shard, other].map(|shard| crate::metrics::expose::flat(&[shard]));
        let known = known.concat();
        for family in GROUPS
            .iter()
            .flat_map(|(_, families)| *families)
            .chain(BYTES)
            .chain(SHARDS)
            .chain(YES_OR_NO)
        {
            let counted = known.iter().any(|(name, _)| super::family(name) == *family);
            assert!(counted, "no gateway has a counter called {family}");
        }
    }
}
