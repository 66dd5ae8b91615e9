//! What is counted is shown, under the right name, label and unit, and summed rightly.

use super::*;
use prometheus_client::registry::Registry;
use std::sync::Arc;

fn shards(count: usize) -> Arc<[ShardMetrics]> {
    (0..count).map(|_| ShardMetrics::default()).collect()
}

fn text(shards: &Arc<[ShardMetrics]>) -> String {
    let mut registry = Registry::with_prefix("holdfast");
    registry.register_collector(Box::new(Shards(Arc::clone(shards))));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

#[track_caller]
fn has_line(text: &str, line: &str) {
    assert!(text.lines().any(|each| each == line), "{line} is not in\n{text}");
}

#[test]
fn numbers_carry_their_shard_help_type_and_unit() {
    let shards = shards(2);
    shards[0].count(Counter::Accepted);
    shards[1].add(Counter::BytesIn, 512);
    shards[1].set(Gauge::Backends, 3);
    shards[1].set_memory(Memory::Mesh, 4096);
    let text = text(&shards);
    has_line(&text, "# TYPE holdfast_accepted_connections counter");
    has_line(
        &text,
        "# HELP holdfast_accepted_connections Connections of clients that were accepted.",
    );
    has_line(&text, "holdfast_accepted_connections_total{shard=\"0\"} 1");
    has_line(&text, "holdfast_accepted_connections_total{shard=\"1\"} 0");
    has_line(&text, "# UNIT holdfast_client_received_bytes bytes");
    has_line(&text, "holdfast_client_received_bytes_total{shard=\"1\"} 512");
    has_line(&text, "# TYPE holdfast_backends gauge");
    has_line(&text, "holdfast_backends{shard=\"1\"} 3");
    has_line(&text, "holdfast_memory_bytes{shard=\"1\",of=\"mesh\"} 4096");
}

#[test]
fn each_name_is_declared_once() {
    let text = text(&shards(3));
    let mut types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let declared = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), declared, "{types:?}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn every_close_and_every_violation_has_its_own_number() {
    let shards = shards(1);
    for (index, code) in CLOSES.iter().enumerate() {
        for _ in 0..=index {
            shards[0].close(*code);
        }
    }
    for code in LOGIN_REFUSALS {
        shards[0].login_refused(*code);
    }
    for code in BACKEND_CLOSES {
        shards[0].backend_close(*code);
    }
    for violation in Violation::ALL {
        shards[0].violation(violation);
    }
    for violation in BACKEND_VIOLATIONS {
        shards[0].backend_violation(*violation);
    }
    let text = text(&shards);
    let has = |family: &str, label: &str, value: &str, number: usize| {
        let line = format!("holdfast_{family}_total{{shard=\"0\",{label}=\"{value}\"}} {number}");
        has_line(&text, &line);
    };
    for (index, code) in CLOSES.iter().enumerate() {
        has("closes", "code", code.name(), index + 1);
    }
    for code in LOGIN_REFUSALS {
        has("refused_logins", "reason", code.name(), 1);
    }
    for code in BACKEND_CLOSES {
        has("backend_closes", "code", code.name(), 1);
    }
    for violation in Violation::ALL {
        has("violations", "kind", violation.name(), 1);
    }
    for violation in BACKEND_VIOLATIONS {
        has("backend_violations", "kind", violation.name(), 1);
    }
}

#[test]
fn how_evenly_clients_are_spread_is_shown() {
    let shards = shards(3);
    for (shard, clients) in [(0, 5), (1, 2), (2, 3)] {
        (0..clients).for_each(|_| shards[shard].moved(None, Some(ConnectionState::Online)));
    }
    let shown = flat(&shards);
    for (name, number) in [("shards", 3), ("shard_clients.least", 2), ("shard_clients.most", 5)] {
        assert!(shown.contains(&(name.to_owned(), number)), "{name}");
    }
}

#[test]
fn what_cannot_occur_has_no_line() {
    let text = text(&shards(1));
    for line in [
        "holdfast_refused_logins_total{shard=\"0\",reason=\"bye\"}",
        "holdfast_closes_total{shard=\"0\",code=\"overloaded\"}",
        "holdfast_backend_closes_total{shard=\"0\",code=\"replaced\"}",
        "holdfast_backend_violations_total{shard=\"0\",kind=\"ack_from_the_future\"}",
        "holdfast_refused_connections_total{shard=\"0\",reason=\"socket\"}",
    ] {
        assert!(!text.contains(line), "{line}");
    }
    has_line(&text, "holdfast_refused_logins_total{shard=\"0\",reason=\"bad_token\"} 0");
}

#[test]
fn every_outcome_is_counted_under_its_own_name() {
    let plain = [
        Outcome::Delivered(1),
        Outcome::Offline,
        Outcome::Stored(1),
        Outcome::Acked(1),
        Outcome::Expired,
        Outcome::Busy(1),
    ];
    let rejected = Rejection::ALL.iter().map(|why| Outcome::Rejected(*why));
    let dropped = DropReason::ALL.iter().map(|why| Outcome::Dropped(*why));
    for outcome in plain.into_iter().chain(rejected).chain(dropped) {
        let shards = shards(1);
        shards[0].outcome(outcome);
        let counted = flat(&shards).into_iter().filter(|(name, n)| *n > 0 && name != "shards");
        let counted: Vec<_> = counted.collect();
        assert_eq!(counted, [(format!("pushes.{}", outcome.name()), 1)]);
    }
}

#[test]
fn every_drop_refusal_and_error_is_counted_by_its_reason() {
    let shards = shards(1);
    for why in DropReason::ALL {
        shards[0].dropped(*why, 5);
    }
    for why in Refusal::ALL {
        shards[0].refused(*why);
    }
    for code in ErrorCode::ALL {
        shards[0].request_error(*code);
    }
    let counted = flat(&shards);
    let of = |family: &str, name: &str| {
        let name = format!("{family}.{name}");
        counted.iter().find(|(each, _)| *each == name).map(|(_, number)| *number)
    };
    assert!(DropReason::ALL.iter().all(|why| of("drops", why.name()) == Some(5)));
    assert!(Refusal::ALL.iter().all(|why| of("refused_connections", why.name()) == Some(1)));
    assert!(ErrorCode::ALL.iter().all(|code| of("request_errors", code.name()) == Some(1)));
}

#[test]
fn frames_are_counted_by_port_direction_and_kind() {
    use holdfast_protocol::backend::request;
    use holdfast_protocol::client::{from_client, from_server};
    let shards = shards(1);
    shards[0].frame_in(Port::Client, from_client::kind::PING);
    shards[0].frame_in(Port::Client, 0x7f);
    shards[0].frames_out(Port::Client, from_server::kind::PUSH, 8);
    shards[0].frame_in(Port::Backend, request::kind::COUNTERS);
    let text = text(&shards);
    has_line(&text, "holdfast_client_frames_received_total{shard=\"0\",kind=\"ping\"} 1");
    has_line(&text, "holdfast_client_frames_received_total{shard=\"0\",kind=\"other\"} 1");
    has_line(&text, "holdfast_client_frames_sent_total{shard=\"0\",kind=\"push\"} 8");
    has_line(&text, "holdfast_backend_frames_received_total{shard=\"0\",kind=\"counters\"} 1");
}

#[test]
fn connections_move_between_states() {
    let metrics = ShardMetrics::default();
    metrics.moved(None, Some(ConnectionState::Opening));
    metrics.moved(Some(ConnectionState::Opening), Some(ConnectionState::Online));
    assert_eq!(metrics.connections.values().collect::<Vec<_>>(), [0, 0, 1, 0]);
    metrics.moved(Some(ConnectionState::Online), None);
    assert_eq!(metrics.connections.values().sum::<u64>(), 0);
}

#[test]
fn a_histogram_is_cumulative_and_in_seconds() {
    let shards = shards(1);
    for micros in [1, 3, 3, 1_000_000_000] {
        shards[0].observe(Histogram::Turn, micros);
    }
    shards[0].observe(Histogram::FramesPerSend, 8);
    shards[0].observe(Histogram::PushBody, 300);
    let text = text(&shards);
    has_line(&text, "# TYPE holdfast_turn_duration_seconds histogram");
    has_line(&text, "# UNIT holdfast_turn_duration_seconds seconds");
    has_line(&text, "holdfast_turn_duration_seconds_count{shard=\"0\"} 4");
    has_line(&text, "holdfast_turn_duration_seconds_bucket{le=\"+Inf\",shard=\"0\"} 4");
    let counts: Vec<u64> = text
        .lines()
        .filter(|line| line.starts_with("holdfast_turn_duration_seconds_bucket"))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(counts[..4], [1, 1, 3, 3]);
    assert!(counts.is_sorted());
    assert!(text.contains("holdfast_frames_per_send_bucket{le=\"8.0\",shard=\"0\"} 1"), "{text}");
    has_line(&text, "holdfast_push_body_bytes_bucket{le=\"512.0\",shard=\"0\"} 1");
    has_line(&text, "holdfast_push_body_bytes_bucket{le=\"256.0\",shard=\"0\"} 0");
    assert!(text.contains("holdfast_frames_per_send_bucket{le=\"4.0\",shard=\"0\"} 0"), "{text}");
}

#[test]
fn the_flat_list_sums_the_shards_and_keeps_within_the_api() {
    use holdfast_protocol::limits::{COUNTER_NAME_BYTES, COUNTERS};
    let shards = shards(3);
    for shard in shards.iter() {
        shard.add(Counter::Logins, 7);
    }
    shards[2].close(Code::SlowReader);
    let counted = flat(&shards);
    assert!(counted.contains(&("logins".to_owned(), 21)));
    assert!(counted.contains(&("closes.slow_reader".to_owned(), 1)));
    assert!(counted.len() <= COUNTERS, "{}", counted.len());
    assert!(counted.iter().all(|(name, _)| (1..=COUNTER_NAME_BYTES).contains(&name.len())));
    let mut names: Vec<_> = counted.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), counted.len(), "each name once");
}
