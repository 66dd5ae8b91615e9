//! Clauses say what they were meant to say, and what is no clause is refused where it is wrong.

use super::*;
use crate::report::timeline::{Mark, Timeline};

fn slo(text: &str) -> Slo {
    text.parse().unwrap()
}

fn wrong(text: &str) -> String {
    text.parse::<Slo>().unwrap_err()
}

/// A run with a p99 of 20 ms and little else.
fn report() -> Report {
    let mut report = crate::report::sample::report();
    report.latencies.entry("push".to_owned()).or_default().p99_us = 20_000;
    report.pushes.offered = 1_000;
    report.pushes.delivered = 990;
    report.pushes.refused.insert("offline".to_owned(), 10);
    report.broadcasts.offered = 1_000;
    report
}

fn met(text: &str) -> bool {
    let judged = slo(text).judge(&report());
    judged.iter().all(|judged| judged.met)
}

#[test]
fn a_list_keeps_its_clauses_in_order() {
    let judged = slo(" p99<20ms ,lost = 0,cpu  <  80 %").judge(&report());
    let clauses: Vec<&str> = judged.iter().map(|judged| judged.clause.as_str()).collect();
    assert_eq!(clauses, ["p99 < 20ms", "lost = 0", "cpu < 80 %"]);
}

#[test]
fn every_sign_and_unit_is_understood() {
    for (text, expected) in [
        ("p99 < 20ms", false),
        ("p99 <= 20ms", true),
        ("p99 = 20_000us", true),
        ("p99 == 0.02s", true),
        ("p99 > 19.9ms", true),
        ("p99 >= 20001us", false),
        ("refused = 10", true),
        ("refused < 1%", false),
        ("refused <= 1 %", true),
        ("lost = 0%", true),
        ("lost = 0", true),
        ("memory < 1GiB", true),
        ("memory > 0", true),
        ("memory < 2KiB", false),
        ("delivered > 0/s", true),
        ("delivered > 1000000", false),
        ("delivered < 1M", true),
        ("delivered > 1.5k/s", false),
        ("refused < 1k", true),
        ("refused > 0.009k", true),
    ] {
        assert_eq!(met(text), expected, "{text}");
    }
}

#[test]
fn what_was_not_measured_is_missed_and_says_why() {
    let mut report = report();
    report.timeline = Timeline::default();
    let judged = slo("cpu < 100%, relogin_p99 < 100s").judge(&report);
    assert!(judged.iter().all(|judged| !judged.met && judged.measured.is_none()), "{judged:?}");
    assert!(judged[0].says.contains("--server-pid"), "{judged:?}");
}

#[test]
fn cpu_is_that_of_the_busiest_thread_while_pushing() {
    let mut report = report();
    let mark = |stage: &str, at| Mark { stage: stage.to_owned(), at };
    report.timeline = Timeline {
        at: vec![1.0, 2.0, 3.0],
        stages: vec![mark("connect", 0.0), mark("push", 1.0)],
        server_busiest: vec![Some(1.0), Some(0.5), Some(0.7)],
        ..Timeline::default()
    };
    let judged = slo("cpu < 70%").judge(&report);
    assert!(judged[0].met && judged[0].says == "60.0 %", "{judged:?}");
}

#[test]
fn a_wrong_word_is_marked_and_what_could_be_there_is_said() {
    for (text, mark, says) in [
        ("p98 < 20ms", "^^^", "p50 p90 p99"),
        ("p99 < 20ms, losd = 0", "            ^^^^", "lost"),
        ("p99 ~ 20ms", "    ^", "< <= = >= >"),
        ("p99", "   ^", "< <= = >= >"),
        ("p99 < ", "     ^", "us, ms or s"),
        ("p99 < fast", "      ^^^^", "us, ms or s"),
        ("p99 < 20", "      ^^", "us, ms or s"),
        ("p99 < 20 min", "         ^^^", "us, ms or s"),
        ("memory < 1GB", "          ^^", "B, KiB, MiB or GiB"),
        ("cpu < 80", "      ^^", "with %"),
        ("logins > 5%", "          ^", "no unit"),
        ("lost < 1ms", "        ^^", "no unit, k, M or % (of what was offered)"),
        ("lost = 0,", "         ^", "missing"),
        ("", "^", "missing"),
        ("< 5", "^", "no metric"),
    ] {
        let said = wrong(text);
        let marked = format!("\n  {text}\n  {mark}");
        assert!(said.ends_with(&marked) && said.contains(says), "{text}: {said}");
    }
}

#[test]
fn every_metric_is_in_the_help() {
    for metric in metric::METRICS {
        let name = metric.name;
        let part = name.split_once('_').map_or(name, |(_, part)| part);
        let words: Vec<&str> = metric::HELP.split([' ', '\n', ';', ':']).collect();
        let short = format!("_{part}");
        assert!(words.contains(&name) || words.contains(&short.as_str()), "{name}");
    }
}
