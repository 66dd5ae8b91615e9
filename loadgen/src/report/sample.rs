//! A run that never was, for tests: 40 seconds in which everything has a value.

use super::timeline::{Mark, Shard, Timeline};
use super::{Cpu, Memory, Report, Seconds, float};
use crate::histogram::Latency;
use crate::host::{Process, Sample};
use crate::verify::judge::{Broadcasts, Pushes};
use std::collections::BTreeMap;

/// How many samples its timeline has.
pub(crate) const SAMPLES: u32 = 40;

/// The run: all is well in it.
pub(crate) fn report() -> Report {
    let mut push = Latency::new();
    for us in 1..=60_000_u64 {
        push.record(us * 997 % 60_000 * 100 + 200_000);
    }
    let mut spread = Latency::new();
    for us in 1..=500_u64 {
        spread.record(us * 50_000);
    }
    let all = [("push", push), ("broadcast_spread", spread)];
    let named = |(name, latency): &(&str, Latency)| ((*name).to_owned(), latency.summary());
    let pushes =
        Pushes { offered: 60_000, delivered: 60_000, accepted: 60_000, ..Pushes::default() };
    let broadcasts =
        Broadcasts { started: 1, offered: 500, delivered: 500, ..Broadcasts::default() };
    Report {
        command: vec!["holdfast-loadgen".to_owned(), "run".to_owned()],
        version: "0.1.0".to_owned(),
        commit: "unknown".to_owned(),
        gateway: Some("0.1.0, commit 0123456789ab".to_owned()),
        began: 1_709_251_199,
        scenario: None,
        phases: Vec::new(),
        agents: Vec::new(),
        covers: None,
        plan: "connected at 100/s; 2000 pushes/s of 256-1024 B for 30 s".to_owned(),
        kernel: "6.1".to_owned(),
        processor: "2 x some <processor>".to_owned(),
        clients: 500,
        threads: 1,
        source_addresses: 1,
        seconds: Seconds { ramp: 5.0, push: 30.0, drain: 1.0, leave: 1.0 },
        latencies: all.iter().map(named).collect(),
        distributions: all
            .iter()
            .map(|(name, latency)| ((*name).to_owned(), latency.distribution()))
            .collect(),
        pushes,
        broadcasts,
        durable: None,
        counts: BTreeMap::from([("logins".to_owned(), 500), ("duplicates".to_owned(), 0)]),
        connection_reasons: BTreeMap::new(),
        cpu: vec![cpu("ramp", "login", 500), cpu("push", "delivery", 60_500)],
        memory: Memory {
            server_anonymous_per_connection: Some(1_500.0),
            server_rss_per_connection: Some(1_700.0),
            server_served_before: false,
            client_anonymous_per_connection: 900.0,
            slab_per_connection: 8_000.0,
            server_rss: Some(40 << 20),
            client_rss: 30 << 20,
        },
        samples: BTreeMap::from([
            ("settled".to_owned(), at(6, 1_000_000_000)),
            ("pushed".to_owned(), at(36, 16_000_000_000)),
        ]),
        timeline: timeline(),
        generator: crate::bottleneck::Generator::default(),
        starved: None,
        slo: Vec::new(),
        interrupted: false,
        verdict: Vec::new(),
    }
}

fn cpu(stage: &str, operation: &str, operations: u64) -> Cpu {
    Cpu {
        stage: stage.to_owned(),
        operation: operation.to_owned(),
        operations,
        server_ms: Some(150.0),
        server_us_per_operation: Some(150_000.0 / float(operations)),
        ..Cpu::default()
    }
}

fn at(second: u64, run_ns: u64) -> Sample {
    let server = Some(Process { run_ns, rss: 40 << 20, ..Process::default() });
    Sample { at_ns: second * 1_000_000_000, server, ..Sample::default() }
}

fn timeline() -> Timeline {
    let mark = |stage: &str, at| Mark { stage: stage.to_owned(), at };
    let each = |value: fn(u32) -> f64| (1..=SAMPLES).map(value).collect::<Vec<f64>>();
    let some = |value: fn(u32) -> f64| (1..=SAMPLES).map(|at| Some(value(at))).collect();
    let pushing = |at: u32| (7..=36).contains(&at);
    let us = |most: u64| {
        let value = move |at| pushing(at).then(|| most + u64::from(at * 7 % 5) * most / 10);
        (1..=SAMPLES).map(value).collect::<Vec<Option<u64>>>()
    };
    let rate = |at: u32| if (7..=36).contains(&at) { 2_000.0 } else { 0.0 };
    let shard = |name: &str| Shard {
        name: name.to_owned(),
        messages: some(|at| f64::from(at % 7) * 100.0),
        busy: some(|at| f64::from(at % 10) / 20.0),
        connections: some(|_| 250.0),
    };
    Timeline {
        thinned: None,
        from: 0.0,
        at: each(f64::from),
        stages: vec![
            mark("connect", 0.0),
            mark("settle", 5.0),
            mark("push", 6.0),
            mark("drain", 36.0),
            mark("leave", 39.0),
        ],
        connected: (1..=SAMPLES).map(|at| u64::from(at * 100).min(500)).collect(),
        online: (1..=SAMPLES).map(|at| u64::from(at * 100).min(500)).collect(),
        offered: each(rate),
        accepted: each(rate),
        refused: each(|_| 0.0),
        delivered: each(rate),
        broadcasts: each(|at| if at == 20 { 500.0 } else { 0.0 }),
        logins: each(|at| if at <= 5 { 100.0 } else { 0.0 }),
        errors: each(|_| 0.0),
        p50_us: us(500),
        p99_us: us(3_000),
        max_us: us(9_000),
        server_cpu: some(|at| f64::from(at % 5) / 10.0 + 0.2),
        server_busiest: some(|at| f64::from(at % 5) / 10.0 + 0.1),
        server_waited: some(|at| f64::from(at % 3) / 100.0),
        client_cpu: some(|at| f64::from(at % 3) / 10.0 + 0.2),
        client_busiest: some(|at| f64::from(at % 3) / 10.0 + 0.1),
        client_wanted: some(|at| f64::from(at % 3) / 10.0 + 0.15),
        ksoftirqd_cpu: some(|_| 0.01),
        server_rss: (1..=SAMPLES).map(|at| Some((30 << 20) + u64::from(at) * 10_000)).collect(),
        client_rss: (1..=SAMPLES).map(|_| Some(30 << 20)).collect(),
        slab: (1..=SAMPLES).map(|_| 90 << 20).collect(),
        shards: vec![shard("0"), shard("1")],
    }
}
