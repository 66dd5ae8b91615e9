//! What runs and searches wrote that never were: every line of every plot apart from the others,
//! and names, reasons and figures as large as they come.

use serde_json::{Value, json};

/// Values around `base`, up and down by `swing`, one for each second.
fn wave(seconds: u32, base: f64, swing: f64) -> Vec<f64> {
    let at = |second: u32| ((f64::from(second) / 7.0).sin() * swing + base).max(0.0);
    (1..=seconds).map(at).collect()
}

/// The same in whole numbers.
fn whole(seconds: u32, base: f64, swing: f64) -> Vec<u64> {
    let round = |value: f64| format!("{value:.0}").parse().unwrap_or_default();
    wave(seconds, base, swing).into_iter().map(round).collect()
}

fn percentiles(count: u32, p50_us: u32) -> Value {
    json!({
        "count": count, "min_us": p50_us / 8, "mean_us": 1.2 * f64::from(p50_us),
        "p50_us": p50_us, "p90_us": p50_us * 2, "p99_us": p50_us * 6, "p999_us": p50_us * 14,
        "max_us": p50_us * 40,
    })
}

/// A latency that grows with each nine.
fn shape(count: u32, p50_us: u64) -> Value {
    let step = f64::from(count).log10() / 40.0;
    let share: Vec<f64> = (0..=40).map(|at| 1.0 - 10_f64.powf(-f64::from(at) * step)).collect();
    let us: Vec<u64> = (1..=41).map(|at| p50_us * (at * at + 60) / 90).collect();
    let counts: Vec<u32> = (1..=41).map(|at| count / 41 * at).collect();
    json!({ "share": share, "us": us, "count": counts })
}

fn shards(count: u32, seconds: u32) -> Vec<Value> {
    let shard = |number: u32| {
        let apart = 0.4 + 0.6 * f64::from(number) / f64::from(count);
        json!({
            "shard": number.to_string(),
            "messages": wave(seconds, 40_000.0 * apart, 2_000.0),
            "busy": wave(seconds, 0.8 * apart, 0.03),
            "connections": wave(seconds, 50_000.0 * apart, 0.0),
        })
    };
    (0..count).map(shard).collect()
}

/// Some seconds in which everything has a value, and stands apart.
fn timeline(seconds: u32) -> Value {
    let end = f64::from(seconds);
    let marks =
        [("connect", 0.0), ("settle", 0.1), ("push", 0.15), ("drain", 0.9), ("leave", 0.95)];
    let mark = |(stage, part): &(&str, f64)| json!({ "stage": stage, "at": part * end });
    json!({
        "from": 0.0,
        "at": (1..=seconds).map(f64::from).collect::<Vec<_>>(),
        "stages": marks.iter().map(mark).collect::<Vec<_>>(),
        "connected": whole(seconds, 100_000.0, 0.0),
        "online": whole(seconds, 90_000.0, 500.0),
        "offered": wave(seconds, 50_000.0, 4_000.0),
        "accepted": wave(seconds, 44_000.0, 4_000.0),
        "refused": wave(seconds, 60.0, 20.0),
        "delivered": wave(seconds, 38_000.0, 4_000.0),
        "broadcasts": wave(seconds, 20_000.0, 6_000.0),
        "logins": wave(seconds, 30_000.0, 9_000.0),
        "errors": wave(seconds, 20.0, 9.0),
        "p50_us": whole(seconds, 800.0, 200.0),
        "p99_us": whole(seconds, 7_000.0, 2_000.0),
        "max_us": whole(seconds, 40_000.0, 20_000.0),
        "server_cpu": wave(seconds, 3.1, 0.3),
        "server_busiest": wave(seconds, 0.9, 0.05),
        "client_cpu": wave(seconds, 2.0, 0.3),
        "client_busiest": wave(seconds, 0.6, 0.05),
        "client_wanted": wave(seconds, 0.65, 0.05),
        "ksoftirqd_cpu": wave(seconds, 0.3, 0.1),
        "server_rss": whole(seconds, 3e9, 2e8),
        "client_rss": whole(seconds, 1e9, 1e8),
        "slab": (1..=u64::from(seconds)).map(|at| (7 << 30) + at * 50_000_000).collect::<Vec<_>>(),
        "shards": shards(2, seconds),
    })
}

/// Two minutes in which all went well.
pub(crate) fn plain() -> Value {
    let process = json!({ "user_ms": 1, "system_ms": 1, "run_ns": 1, "rss": 3_100_000_000_u64,
        "pss": 1, "anonymous": 1 });
    let machine = json!({ "softirq_ms": 1, "ksoftirqd_ms": 1, "slab": 7_500_000_000_u64,
        "tcp_sockets": 200_000, "tcp_pages": 9 });
    let cpu = |stage: &str, operation: &str, operations: u64, ms: f64, each: f64| {
        json!({ "stage": stage, "operation": operation, "operations": operations,
            "server_ms": ms, "server_us_per_operation": each, "client_ms": ms * 0.6,
            "softirq_ms": 4_100, "ksoftirqd_ms": 210 })
    };
    json!({
        "command": ["holdfast-loadgen", "run", "--scenario", "mixed", "--json", "mixed.json"],
        "version": "0.1.0", "commit": "0123456789ab", "began": 1_709_251_199,
        "scenario": "mixed",
        "plan": "100000 clients connected at 8000/s; 50000 pushes/s of 256-1024 B for 90 s",
        "kernel": "Linux 6.1.0-18-amd64", "processor": "48 x AMD EPYC 9254 24-Core Processor",
        "clients": 100_000, "threads": 4, "source_addresses": 4,
        "seconds": { "ramp": 12.5, "push": 90.0, "drain": 1.0, "leave": 4.2 },
        "latencies": {
            "push": percentiles(4_500_000, 810), "broadcast_spread": percentiles(300_000, 9_000),
            "connect_and_login": percentiles(100_000, 2_300),
        },
        "distributions": {
            "push": shape(4_500_000, 810), "broadcast_spread": shape(300_000, 9_000),
            "connect_and_login": shape(100_000, 2_300),
        },
        "pushes": { "offered": 4_500_000, "delivered": 4_494_600, "refused": { "offline": 5_400 },
            "gone": {}, "lost": {}, "contradicted": 0, "accepted": 4_494_600, "stored": 0,
            "acked": 0 },
        "broadcasts": { "started": 3, "offered": 300_000, "delivered": 299_990, "refused": {},
            "gone": 10, "lost": 0 },
        "counts": { "logins": 100_000, "duplicates": 0, "out_of_order": 0, "corrupt": 0,
            "misdelivered": 0, "foreign": 0, "unasked_ends": 12, "pings": 1_200_000 },
        "connection_reasons": { "refused (ECONNREFUSED) while the gateway's backlog was full": 12 },
        "cpu": [cpu("ramp", "login", 100_000, 3_400.0, 34.0),
            cpu("push", "delivery", 4_794_590, 43_000.0, 8.97)],
        "memory": { "server_anonymous_per_connection": 231.0, "server_rss_per_connection": 300.0,
            "client_anonymous_per_connection": 608.0, "slab_per_connection": 8_040.0,
            "server_rss": 3_100_000_000_u64, "client_rss": 1_000_000_000 },
        "samples": { "settled": { "at_ns": 18_000_000_000_u64, "server": process,
            "client": process, "machine": machine } },
        "timeline": timeline(120),
        "generator": { "bottleneck": [], "busy": 0.65, "late_p99_us": 320, "lag_p99_us": 210 },
        "interrupted": false, "verdict": [],
    })
}

fn agent(name: &str, died: &Value) -> Value {
    let lost = if died.is_null() { json!(0) } else { Value::Null };
    json!({
        "name": name, "commit": "0123456789ab", "kernel": "Linux 6.1", "processor": "16 x Xeon",
        "clients": 333_334, "rate": 16_667, "broadcasts": died.is_object(),
        "offered": 1_500_030, "delivered": 1_499_000, "lost": lost,
        "push": percentiles(1_499_000, 900), "lateness_p99_us": 410, "cpu": 3.71,
        "busiest": 0.93, "generator": {}, "ready": { "push": 18.0 }, "died": died,
    })
}

fn judged(clause: &str, met: bool, says: &str) -> Value {
    json!({ "clause": clause, "met": met, "measured": 1.0, "says": says })
}

/// Several hosts, of which one died, phases, levels, and much that went wrong.
pub(crate) fn failed() -> Value {
    let mut report = plain();
    let host = |number: u32| format!("load-generator-{number:02}.rack12.eu-west.example.com:7800");
    let died = json!({ "at": 61.3, "why": "its connection ended: Connection reset by peer" });
    report["agents"] = json!([
        agent(&host(1), &Value::Null),
        agent(&host(2), &died),
        agent(&host(3), &Value::Null)
    ]);
    report["slo"] = json!([
        judged("p99 < 6ms", false, "7.10 ms"),
        judged("lost = 0", false, "40"),
        judged("cpu < 65%", false, "91 %"),
        judged("delivered >= 40000", true, "40000"),
        judged("failures < 12", true, "9"),
    ]);
    let phase = |name: &str, kind: &str, from: f64| {
        json!({ "name": name, "kind": kind, "from": from, "to": from + 20.0,
            "push": percentiles(90_000, 800) })
    };
    report["phases"] = json!([
        phase("fill", "ramp", 0.0),
        phase("a calm morning", "push", 20.0),
        phase("rush-hour-with-broadcasts", "push", 40.0),
        phase("storm", "storm", 60.0),
        phase("after", "hold", 80.0),
    ]);
    report["pushes"]["lost"] = json!({ "never arrived, and nothing was said of it": 40 });
    report["durable"] = json!({ "stored": 1_200_000, "acked": 300_000, "missing": 40,
        "receipts": 1_199_960, "given_up": 0 });
    report["timeline"]["shards"] = shards(24, 120).into();
    // Words that nothing breaks.
    let long = "x".repeat(300);
    report["command"] = json!(["holdfast-loadgen", "run", "--scenario", long]);
    report["plan"] = long.as_str().into();
    report["verdict"] = json!([
        long,
        "40 pushed messages are lost: they were answered as delivered and never arrived",
        "the agent load-generator-02.rack12.eu-west.example.com:7800, which made the broadcasts of \
         the run, died 61.3 s into the run (its connection ended: Connection reset by peer): its \
         333334 clients and 16667 pushes/s are missing since then",
    ]);
    report
}

/// A few seconds against a gateway elsewhere, of which nothing is known, by a generator that could
/// not keep up.
pub(crate) fn limited() -> Value {
    let mut report = plain();
    report["timeline"] = timeline(4);
    for unknown in ["server_cpu", "server_busiest", "server_rss"] {
        report["timeline"][unknown] = json!([null, null, null, null]);
    }
    report["timeline"]["shards"] = json!([]);
    report["memory"]["server_anonymous_per_connection"] = Value::Null;
    report["memory"]["server_rss_per_connection"] = Value::Null;
    report["samples"]["settled"]["server"] = Value::Null;
    for stage in [0, 1] {
        report["cpu"][stage]["server_ms"] = Value::Null;
        report["cpu"][stage]["server_us_per_operation"] = Value::Null;
    }
    report["generator"] = json!({
        "bottleneck": ["a thread of it ran or waited for a core 99.1 % of the time",
            "1 % of its pushes left 48.20 ms late or more"],
        "busy": 0.991, "late_p99_us": 48_200, "lag_p99_us": 12_000,
    });
    report
}

/// What `capacity` found: the curve rises to the knee and breaks there.
pub(crate) fn knee() -> Value {
    let loads = [10_000, 20_000, 40_000, 80_000, 60_000, 70_000, 65_000, 62_500, 62_500, 62_500];
    let point = |load: &u32| {
        let p99 = 900 + (load / 1_000).pow(2) * 4;
        let missed = *load > 62_500;
        let why = format!("p99 < 20ms: {}.{} ms", p99 / 1_000, p99 / 100 % 10);
        json!({
            "load": load, "verdict": if missed { "missed" } else { "met" },
            "why": if missed { vec![why] } else { Vec::new() },
            "delivered": load, "p50_us": p99 / 5, "p99_us": p99, "p999_us": p99 * 2,
            "curve_us": p99, "lost": 0, "refused": 0,
            "cpu_percent": f64::from(*load) / 800.0,
            "generator_percent": f64::from(*load) / 1_600.0,
        })
    };
    json!({
        "command": ["holdfast-loadgen", "capacity", "--slo", "p99 < 17ms, lost = 0"],
        "version": "0.1.0", "commit": "0123456789ab", "began": 1_709_251_199,
        "kernel": "Linux 6.1.0-18-amd64", "processor": "48 x AMD EPYC 9254 24-Core Processor",
        "scenario": null, "unit": "pushes/s", "slo": ["p99 < 17ms", "lost = 0"], "curve": "p99",
        "limit_us": 17_000.0, "resolution_percent": 5, "confirmations": 3, "found": 62_500,
        "confirmed": true, "interrupted": false,
        "bound": { "load": 65_000, "verdict": "missed", "why": ["p99 < 17ms: 17.8 ms"] },
        "points": loads.iter().map(point).collect::<Vec<_>>(),
    })
}
