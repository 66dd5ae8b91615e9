//! What is delivered for those who watch gateways speaks of metrics that a gateway has, with labels
//! that they have.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
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

/// A `redis-server` of this test, and where it listens.
fn redis(folder: &Path) -> (Running, u16) {
    // The listener goes at once, so that the server can have its port.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let program = std::env::var("HOLDFAST_REDIS_SERVER");
    let mut command = Command::new(program.as_deref().unwrap_or("redis-server"));
    command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]);
    command.arg("--dir").arg(folder).stdout(Stdio::piped());
    let mut server = Running(command.spawn().expect("install the package redis-server"));
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let ready = lines.any(|line| line.unwrap().contains("eady to accept connections"));
    assert!(ready, "it says when it is ready");
    (server, port)
}

/// What a gateway with these settings says of itself.
fn page(of_the_store: Vec<String>) -> String {
    let anywhere = ["client.listen", "backend.listen", "admin.listen"];
    let mut settings = anywhere.map(|key| format!("{key}=127.0.0.1:0")).to_vec();
    settings.extend(of_the_store);
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

/// The pages of gateways with each kind of store.
fn pages() -> String {
    let folder = tempfile::tempdir().unwrap();
    let files = format!("store.directory={}", folder.path().join("store").display());
    let (_server, port) = redis(folder.path());
    let shared = format!("redis.addresses=[\"127.0.0.1:{port}\"]");
    page(vec![files]) + &page(vec!["store.kind=redis".to_owned(), shared])
}

/// The samples of these pages, each with its labels.
fn samples() -> BTreeMap<String, BTreeSet<String>> {
    let page = pages();
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

/// What a panel shows: its expressions, and what each line is called.
fn lines(panel: &serde_json::Value) -> Vec<(&str, &str)> {
    let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
    targets
        .iter()
        .filter_map(|it| Some((it["expr"].as_str()?, it["legendFormat"].as_str()?)))
        .collect()
}

#[test]
fn what_is_no_rate_is_not_shown_as_one() {
    let board: serde_json::Value = serde_json::from_str(&text("grafana/holdfast.json")).unwrap();
    let mut seen = 0;
    for panel in board["panels"].as_array().unwrap() {
        let config = &panel["fieldConfig"];
        if !matches!(config["defaults"]["unit"].as_str(), Some("ops" | "Bps")) {
            continue;
        }
        let own_unit = |line: &str| {
            let overrides = config["overrides"].as_array().unwrap();
            let of_line = overrides.iter().filter(|it| it["matcher"]["options"] == line);
            let mut set = of_line.flat_map(|it| it["properties"].as_array().unwrap());
            set.any(|property| property["id"] == "unit")
        };
        for (expression, line) in lines(panel) {
            seen += 1;
            let rate = expression.contains("rate(");
            assert!(rate || own_unit(line), "{}: {line} is no rate", panel["title"]);
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn one_gateway_that_is_well_hides_no_other_that_is_not() {
    let board: serde_json::Value = serde_json::from_str(&text("grafana/holdfast.json")).unwrap();
    for panel in board["panels"].as_array().unwrap() {
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array();
        let colours: Vec<_> = steps.into_iter().flatten().map(|step| &step["color"]).collect();
        // Sums grow with the gateways, so more must never be what is well.
        let well = colours.iter().rposition(|colour| *colour == "green");
        assert!(well.is_none_or(|at| at == 0), "{}: {colours:?}", panel["title"]);
    }
}
