//! What a run leaves behind can be trusted: its timeline adds up, its SLO is a gate, its page is
//! drawn, and two of them can be compared.
//!
//! Shown by running the program as a person would, against a gateway that follows a script.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/gateway.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod gateway;

use gateway::{Fate, Gateway, Script};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

fn loadgen(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen")).args(arguments).output().unwrap()
}

/// A run of some seconds with `extra` options.
fn run(script: Script, seconds: &str, extra: &[&str]) -> Output {
    let gateway = Gateway::start(script);
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let common = ["run", "--gateway", &clients, "--api", &api, "--connections", "40"];
    let common = [&common[..], &["--connect-rate", "2000", "--rate", "400", "--settle", "0"]];
    let rest = ["--drain", "5", "--quiet", "--duration", seconds];
    loadgen(&[&common.concat()[..], &rest, extra].concat())
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|one| one.as_f64().unwrap_or_default()).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_report_is_written_also_where_nobody_can_read_what_is_printed() {
    let gateway = Gateway::start(Script::default());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let run = |stdout: Stdio| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
        run.args(["run", "--connections", "10", "--rate", "100", "--duration", "1", "--quiet"]);
        run.args(["--gateway", &gateway.clients.to_string(), "--api", &gateway.api.to_string()]);
        run.args(["--settle", "0", "--drain", "5", "--json"]).arg(&file);
        let output = run.stdout(stdout).stderr(Stdio::piped()).output().unwrap();
        let report: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert!(report["verdict"].is_array(), "{report}");
        fs::remove_file(&file).unwrap();
        output
    };
    let full = run(fs::File::options().write(true).open("/dev/full").unwrap().into());
    assert_eq!(full.status.code(), Some(2), "{}", said(&full));
    assert!(said(&full).contains("cannot write to standard output: No space"), "{}", said(&full));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let nobody = run(writer.into());
    assert_eq!(nobody.status.code(), Some(0), "{}", said(&nobody));
}

#[test]
fn the_seconds_of_a_timeline_add_up_to_the_run() {
    let output = run(Script::default(), "3", &["--json", "-"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = json(&output);
    let line = report["timeline"].as_object().unwrap();
    let at = numbers(&line["at"]);
    let from = line["from"].as_f64().unwrap();
    assert!(at.len() >= 3, "{at:?}");
    let others = ["from", "stages", "shards"];
    for (name, values) in line.iter().filter(|(name, _)| !others.contains(&name.as_str())) {
        assert_eq!(values.as_array().unwrap().len(), at.len(), "{name}");
    }
    let sum = |name: &str| {
        let lengths =
            std::iter::once(at[0] - from).chain(at.windows(2).map(|pair| pair[1] - pair[0]));
        numbers(&line[name]).iter().zip(lengths).map(|(rate, length)| rate * length).sum::<f64>()
    };
    // Rates are rounded.
    for (name, all) in [("offered", 1_200.0), ("accepted", 1_200.0), ("delivered", 1_200.0)] {
        assert!((sum(name) - all).abs() < 3.0, "{name}: {} of {all}", sum(name));
    }
    assert!(numbers(&line["p99_us"]).iter().any(|us| *us > 0.0));
    assert!(numbers(&line["server_cpu"]).iter().all(|cores| *cores >= 0.0));
    let stages: Vec<&str> = line["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mark| mark["stage"].as_str().unwrap())
        .collect();
    assert_eq!(stages, ["connect", "settle", "push", "drain", "leave"]);
    let shape = &report["distributions"]["push"];
    assert_eq!(numbers(&shape["count"]).last(), Some(&1_200.0));
}

#[test]
fn an_slo_is_a_gate_with_its_own_exit_code() {
    let slo = ["--slo", "p99 < 60s, lost = 0, logins = 40", "--json", "-"];
    // So slow that a generator that has to wait for a core is not held for the cause.
    let unhurried = Script { delay: Duration::from_millis(500), ..Script::default() };
    let met = run(unhurried, "1", &slo);
    assert_eq!(met.status.code(), Some(0), "{}", said(&met));
    assert_eq!(json(&met)["slo"][2]["met"], true);
    let slow = Script { delay: Duration::from_millis(50), ..Script::default() };
    let missed = run(slow.clone(), "1", &["--slo", "p50 < 20ms, lost = 0", "--json", "-"]);
    assert_eq!(missed.status.code(), Some(4));
    assert!(said(&missed).contains("SLO missed: p50 < 20ms: "), "{}", said(&missed));
    let report = json(&missed);
    assert_eq!((&report["slo"][0]["met"], &report["slo"][1]["met"]), (&false.into(), &true.into()));
    assert!(report["slo"][0]["measured"].as_f64().unwrap() >= 49_000.0);
    let printed = String::from_utf8(run(slow, "1", &["--slo", "p50 < 20ms"]).stdout).unwrap();
    assert!(printed.contains("slo MISSED  p50 < 20ms  "), "{printed}");
}

#[test]
fn what_is_lost_counts_more_than_an_slo_that_is_missed() {
    let lose = |number: u64| if number == 7 { Fate::Lose } else { Fate::Deliver };
    let script = Script { fate: lose, ..Script::default() };
    assert_eq!(run(script, "1", &["--slo", "lost = 0"]).status.code(), Some(1));
}

#[test]
fn a_wrong_slo_is_refused_with_a_mark_under_the_word() {
    let output = loadgen(&["run", "--slo", "p99 < 20ms, losd = 0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("\n  p99 < 20ms, losd = 0\n              ^^^^"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_page_of_a_run_is_that_of_its_json() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (report, page, again) = (place("a.json"), place("a.html"), place("b.html"));
    let output = run(Script::default(), "2", &["--json", &report, "--html", &page]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let drawn = fs::read_to_string(&page).unwrap();
    for chart in ["percentiles", "rate", "latency", "clients", "errors", "cpu", "memory"] {
        let svg = drawn.split(&format!("id=\"{chart}-roomy-title\"")).nth(1).unwrap();
        let svg = svg.split("</svg>").next().unwrap();
        assert!(svg.contains("<polyline"), "{chart} is drawn");
    }
    assert_eq!(loadgen(&["report", &report, "--html", &again]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&again).unwrap(), drawn);
    let wrong = loadgen(&["report", &page, "--html", &again]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("is no report"), "{}", said(&wrong));
}

#[test]
fn a_page_that_cannot_be_written_is_said_before_anything_is_opened() {
    let output = run(Script::default(), "1", &["--html", "/no/such/folder/report.html"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("/no/such/folder/report.html"));
}

#[test]
fn runs_are_compared_and_only_what_is_worse_fails() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (fast, slow) = (place("fast.json"), place("slow.json"));
    let delay = Duration::from_millis(80);
    run(Script { delay, ..Script::default() }, "1", &["--json", &slow]);
    run(Script::default(), "1", &["--json", &fast]);
    // Two more runs like each.
    let three = |file: &String| {
        let like = |minutes: u64| {
            let mut report: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
            report["began"] = (report["began"].as_u64().unwrap() + minutes * 60).into();
            let other = format!("{file}.{minutes}");
            fs::write(&other, report.to_string()).unwrap();
            other
        };
        vec![file.clone(), like(1), like(2)]
    };
    let sides = |base: &String, new: &String| {
        let words = [vec!["compare".to_owned(), "--base".to_owned()], three(base)].concat();
        let words = [words, vec!["--new".to_owned()], three(new)].concat();
        let all = [words, ["--metrics", "p50,lost", "--json", "-"].map(str::to_owned).to_vec()];
        loadgen(&all.concat().iter().map(String::as_str).collect::<Vec<_>>())
    };
    let worse = sides(&fast, &slow);
    assert_eq!(worse.status.code(), Some(1), "{}", said(&worse));
    assert_eq!(json(&worse)[0]["metrics"][0]["verdict"], "worse");
    let better = sides(&slow, &fast);
    assert_eq!((better.status.code(), &json(&better)[0]["verdict"]), (Some(0), &"better".into()));
    let same = sides(&slow, &slow);
    assert_eq!((same.status.code(), &json(&same)[0]["verdict"]), (Some(0), &"same".into()));
    let twice = loadgen(&["compare", "--base", &fast, &fast, "--new", &slow]);
    assert_eq!(twice.status.code(), Some(2));
    assert!(said(&twice).contains("are one run"), "{}", said(&twice));
    // One second of one run says nothing.
    let little = loadgen(&["compare", &fast, &slow, "--metrics", "p50"]);
    let shown = String::from_utf8(little.stdout).unwrap();
    assert!(little.status.code() == Some(0) && shown.contains("cannot tell"), "{shown}");
    let strict = loadgen(&["compare", &fast, &slow, "--metrics", "p50", "--strict"]);
    assert_eq!(strict.status.code(), Some(5));
    let missing = loadgen(&["compare", &fast, "/no/such/file.json"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(Path::new(&fast).exists() && said(&missing).contains("/no/such/file.json"));
}

#[test]
fn a_file_that_is_no_report_or_of_another_version_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.json");
    let page = folder.path().join("page.html");
    let other = r#"{"version": "0.0.1", "connection_reasons": {}}"#;
    for (text, says) in [
        (r#"{"dependencies": {}}"#, "is no report of `holdfast-loadgen run --json`"),
        ("not even JSON", "is no report of `holdfast-loadgen run --json`"),
        (other, "is a report of holdfast-loadgen 0.0.1, and this is "),
    ] {
        fs::write(&file, text).unwrap();
        let shown = file.to_str().unwrap();
        for words in [
            ["report", shown, "--html", page.to_str().unwrap()],
            ["compare", shown, shown, "--strict"],
        ] {
            let output = loadgen(&words);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            assert!(stderr.contains(shown) && stderr.contains(says), "{stderr}");
            assert!(!stderr.contains("missing field") && !stderr.contains("column"), "{stderr}");
        }
    }
}

/// An admin page of two shards that sends ten messages more each time it is asked.
fn admin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (asked, stream) in (1_u32..).zip(listener.incoming().map_while(Result::ok)) {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 1024]);
            let shard = |shard: u32| {
                let frames = format!("holdfast_client_frames_sent_total{{shard=\"{shard}\"");
                let turns = format!("holdfast_turn_duration_seconds_sum{{shard=\"{shard}\"");
                format!("{frames},kind=\"push\"}} {}\n{turns}}} {asked}e-2\n", asked * 10)
            };
            let page = shard(0) + &shard(1);
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n\r\n{page}").as_bytes());
        }
    });
    address
}

#[test]
fn the_load_of_each_shard_is_read_where_it_is_told() {
    let admin = admin().to_string();
    let output = run(Script::default(), "2", &["--json", "-", "--admin", &admin]);
    let report = json(&output);
    let shards = report["timeline"]["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2);
    for shard in shards {
        let messages = numbers(&shard["messages"]);
        assert_eq!(messages.len(), report["timeline"]["at"].as_array().unwrap().len());
        assert!(messages.iter().all(|rate| *rate > 0.0), "{messages:?}");
        assert!(numbers(&shard["busy"]).iter().all(|busy| *busy > 0.0));
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let silent = run(Script::default(), "1", &["--json", "-", "--admin", &gone]);
    assert_eq!(silent.status.code(), Some(0), "{}", said(&silent));
    assert_eq!(json(&silent)["timeline"]["shards"].as_array().map(Vec::len), Some(0));
}
