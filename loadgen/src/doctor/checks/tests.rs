//! Each check can say each of its verdicts, with the figure and with what mends it.

use super::*;
use crate::doctor::calibrate::{Mix, Through};

const FACTS: Facts = Facts {
    descriptors: 20_000,
    files: (1_000_000, 5_000),
    ports: (32_768, 60_999),
    waiting: (10, 65_536),
    reuse: 2,
    memory: 8 << 30,
    backlog: 4_096,
    cores: 8,
};

fn asked(gateway: &str) -> Asked {
    let gateways: Vec<SocketAddr> = vec![gateway.parse().unwrap()];
    let local = gateways[0].ip().is_loopback();
    Asked {
        clients: 10_000,
        threads: None,
        gateways,
        sources: Vec::new(),
        connect_rate: 5_000,
        drops: 0,
        local,
    }
}

fn here() -> Asked {
    asked("127.0.0.1:7500")
}

fn elsewhere() -> Asked {
    asked("192.0.2.1:7500")
}

/// The finding of that name, the worst first.
fn found(check: &str, asked: &Asked, facts: &Facts) -> Finding {
    let mut findings = all(asked, facts);
    findings.retain(|finding| finding.check == check);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    findings.remove(0)
}

/// That it is as bad as this, and that what mends it says so.
fn is(finding: &Finding, verdict: Verdict, mends: &str) {
    assert_eq!(finding.verdict, verdict, "{finding}");
    assert!(finding.mend.as_deref().unwrap_or_default().contains(mends), "{finding}");
}

#[test]
fn an_ordinary_load_on_an_ordinary_host_is_fine() {
    for asked in [here(), elsewhere()] {
        let findings = all(&asked, &FACTS);
        assert!(findings.iter().all(|one| one.verdict == Verdict::Ok), "{findings:#?}");
        assert!(findings.iter().all(|one| one.mend.is_none()), "{findings:#?}");
    }
}

#[test]
fn descriptors_are_counted_for_each_table() {
    let many = Asked { clients: 100_000, ..here() };
    assert_eq!(
        found("descriptors", &many, &FACTS).verdict,
        Verdict::Ok,
        "one table for each thread"
    );
    let one = Asked { clients: 100_000, threads: Some(1), ..here() };
    is(&found("descriptors", &one, &FACTS), Verdict::Cannot, "ulimit -n 100100");
    let few = Facts { descriptors: 50, ..FACTS };
    is(&found("descriptors", &here(), &few), Verdict::Cannot, "ulimit -n");
}

#[test]
fn on_this_host_both_ends_are_open_files_and_memory() {
    let facts = Facts { files: (20_000, 5_000), ..FACTS };
    is(&found("open files", &here(), &facts), Verdict::Cannot, "fs.file-max=50000");
    assert_eq!(found("open files", &elsewhere(), &facts).verdict, Verdict::Ok);
    let facts = Facts { memory: 80_000_000, ..FACTS };
    is(&found("memory", &here(), &facts), Verdict::Cannot, "--connections");
    assert_eq!(found("memory", &elsewhere(), &facts).verdict, Verdict::Ok);
    let tight = Facts { memory: 120_000_000, ..FACTS };
    is(&found("memory", &here(), &tight), Verdict::Warning, "--connections");
}

#[test]
fn ports_run_out_where_addresses_are_not_for_nothing() {
    let many = Asked { clients: 100_000, ..elsewhere() };
    is(&found("ports", &many, &FACTS), Verdict::Cannot, "ip_local_port_range");
    let on_loopback = Asked { clients: 100_000, ..here() };
    assert_eq!(found("ports", &on_loopback, &FACTS).verdict, Verdict::Ok);
    let wide = Facts { ports: (1_024, 65_535), ..FACTS };
    is(&found("ports", &here(), &wide), Verdict::Warning, "ip_local_reserved_ports=7500");
    assert_eq!(found("ports", &elsewhere(), &wide).verdict, Verdict::Ok, "it is not our port");
}

#[test]
fn ports_of_connections_that_were_dropped_wait() {
    let churning = Asked { drops: 30_000, ..elsewhere() };
    is(&found("time-wait", &churning, &FACTS), Verdict::Warning, "tcp_tw_reuse=1");
    let reused = Facts { reuse: 1, ..FACTS };
    assert_eq!(found("time-wait", &churning, &reused).verdict, Verdict::Ok);
    let on_loopback = Asked { drops: 30_000, ..here() };
    assert_eq!(found("time-wait", &on_loopback, &FACTS).verdict, Verdict::Ok);
    let storm = Asked { drops: 90_000, ..here() };
    is(&found("time-wait", &storm, &FACTS), Verdict::Warning, "tcp_max_tw_buckets=180020");
}

#[test]
fn connects_wait_at_the_gateways_host() {
    let fast = |asked: Asked| Asked { connect_rate: 50_000, ..asked };
    is(&found("somaxconn", &fast(here()), &FACTS), Verdict::Warning, "somaxconn=8192");
    assert_eq!(found("somaxconn", &fast(elsewhere()), &FACTS).verdict, Verdict::Ok);
}

#[test]
fn cores_are_shared_with_a_gateway_that_runs_here() {
    let two = Facts { cores: 2, ..FACTS };
    is(&found("cores", &here(), &two), Verdict::Warning, "taskset");
    assert_eq!(found("cores", &elsewhere(), &two).verdict, Verdict::Ok);
    let one = Facts { cores: 1, ..FACTS };
    is(&found("cores", &elsewhere(), &one), Verdict::Warning, "--threads");
}

#[test]
fn the_generator_needs_room_above_what_is_asked_for() {
    let measured = |rate, peak| Calibrated {
        rate,
        clients: 1_000,
        bottleneck: Vec::new(),
        busy_percent: Some(20.0),
        peak,
        beside: Mix::default(),
        through: Through::default(),
        room_left: false,
    };
    assert_eq!(generator(&measured(10_000, Some(60_000.0))).verdict, Verdict::Ok);
    assert_eq!(generator(&measured(10_000, None)).verdict, Verdict::Ok);
    is(&generator(&measured(50_000, Some(60_000.0))), Verdict::Warning, "offer 40000/s");
    is(&generator(&measured(70_000, Some(60_000.0))), Verdict::Cannot, "offer 40000/s");
    let bottleneck = vec!["its threads were busy".to_owned()];
    let busy = |peak| Calibrated { bottleneck: bottleneck.clone(), ..measured(10_000, peak) };
    is(&generator(&busy(Some(60_000.0))), Verdict::Warning, "what else runs on this host");
    is(&generator(&busy(Some(9_000.0))), Verdict::Cannot, "offer 6000/s");
    is(&generator(&busy(None)), Verdict::Cannot, "more cores");
    assert!(generator(&busy(None)).says.contains("its threads were busy"));
    let servers = |measured| Calibrated { room_left: true, ..measured };
    assert_eq!(generator(&servers(measured(50_000, Some(60_000.0)))).verdict, Verdict::Ok);
    is(&generator(&servers(measured(70_000, Some(60_000.0)))), Verdict::Warning, "not known");
    is(&generator(&servers(measured(2_000_000, Some(60_000.0)))), Verdict::Cannot, "offer 40000/s");
    let mut beside = Mix::default();
    beside.pings = 7;
    let mixed = Calibrated { beside, ..busy(Some(60_000.0)) };
    is(&generator(&mixed), Verdict::Warning, "more cores");
    assert!(generator(&mixed).says.contains("10000 pushes/s, 7 pings/s to"));
    assert_eq!(unmeasured(false).verdict, Verdict::Ok);
    assert_eq!(unknown("no server").verdict, Verdict::Warning);
}

#[test]
fn a_finding_is_a_line_and_what_mends_it_another() {
    let shown = Finding::warning("ports", "few".to_owned(), "more").to_string();
    assert_eq!(shown, format!("warning  ports        few\n{:22}mend: more", ""));
}
