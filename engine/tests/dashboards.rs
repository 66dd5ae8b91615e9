//! What is delivered for those who watch gateways speaks of metrics that a gateway has, with labels
//! that they have.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A gateway that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It fails where it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a gateway with a store says of itself.
fn page() -> String {
    let folder = tempfile::tempdir().unwrap();
    let anywhere = ["client.listen", "backend.listen", "admin.listen"];
    let mut settings = anywhere.map(|key| format!("{key}=127.0.0.1:0")).to_vec();
    settings.push(format!("store.directory={}", folder.path().join("store").display()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    for setting in &settings {
        command.args(["--set", setting]);
    }
    let mut gateway = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(gateway.0.stderr.take().unwrap()).lines();
    let ready =
        lines.find_map(|line| line.unwrap().split_once("admin=").map(|(_, at)| at.to_owned()));
    let address = ready.expect("it says where its admin port is");
    let mut stream = TcpStream::connect(address.split(' ').next().unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// The samples of its page, each with its labels.
fn samples() -> BTreeMap<String, BTreeSet<String>> {
    let page = page();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("holdfast_")) {
        let (name, rest) = line.split_once([' ', '{']).unwrap();
        let labels = rest.split(',').filter_map(|label| label.split_once("=\"")).map(|(l, _)| l);
        all.entry(name.to_owned()).or_default().extend(labels.map(str::to_owned));
    }
    all
}

/// The metrics that a text speaks of, each with the labels in its braces.
fn spoken_of(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("holdfast_") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let labels = rest[end..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let names = labels.map_or("", |(labels, _)| labels).split(',');
        let names = names.filter_map(|label| label.split_once(['=', '!'])).map(|(name, _)| name);
        found.push((rest[..end].to_owned(), names.map(str::to_owned).collect()));
    }
    found
}

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(name);
    fs::read_to_string(path).unwrap()
}

#[test]
fn alerts_and_dashboard_speak_of_metrics_that_there_are() {
    let samples = samples();
    // Prometheus adds these itself.
    let theirs = ["instance", "job"];
    for name in ["prometheus/alerts.yml", "grafana/holdfast.json"] {
        let spoken = spoken_of(&text(name));
        assert!(spoken.len() > 10, "{name}: {spoken:?}");
        for (metric, labels) in spoken {
            let there = samples.get(&metric);
            let there = there.unwrap_or_else(|| panic!("{name}: there is no metric {metric}"));
            for label in labels.iter().filter(|label| !theirs.contains(&label.as_str())) {
                assert!(there.contains(label), "{name}: {metric} has no label {label}");
            }
        }
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_reads() {
    let board: serde_json::Value = serde_json::from_str(&text("grafana/holdfast.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let said = |of: &serde_json::Value| of["description"].as_str().map_or(0, str::len);
    assert!(said(&board) > 100, "it says what it is for");
    let mut places = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = &panel["gridPos"];
        assert!(places.insert((place["y"].as_u64().unwrap(), place["x"].as_u64().unwrap())));
        if panel["type"] != "row" {
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
            assert!(said(panel) > 10, "{panel}");
        }
    }
}
