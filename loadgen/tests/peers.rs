//! The same work can be given to Holdfast and to other servers: every client of each is let in and
//! gets every message once, and what is not installed is said.
//!
//! Runs with the servers that are there. Times are not looked at.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn peers(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
    command.args(["peers", "--folder"]).arg(folder.path());
    // Where `cargo xtask test` unpacked the packages.
    if let Some(root) = std::env::var_os("HOLDFAST_PEERS") {
        command.arg("--root").arg(root);
    }
    command.args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The gateway's program, where this workspace was built whole.
fn gateway_is_built() -> bool {
    Path::new(env!("CARGO_BIN_EXE_holdfast-loadgen")).with_file_name("holdfast").is_file()
}

const OTHERS: [&str; 5] = ["mosquitto", "nats", "nchan", "mosquitto-qos1", "mosquitto-saved"];
const OURS: [&str; 3] = ["holdfast", "holdfast-memory", "holdfast-durable"];

fn quick(subjects: &[&str], report: &Path) -> Output {
    let report = report.to_str().unwrap();
    let quick = ["--clients", "200", "--seconds", "1", "--rate", "500", "--settle", "0"];
    let quick = [&quick[..], &["--rounds", "1", "--skip-missing", "--json", report]].concat();
    let only = subjects.iter().flat_map(|subject| ["--only", subject]).collect();
    peers(&[quick, only].concat())
}

#[test]
fn every_client_of_every_server_gets_every_message_once() {
    let ours = OURS.iter().filter(|_| gateway_is_built());
    let subjects: Vec<&str> = ours.chain(&OTHERS).copied().collect();
    let report = tempfile::NamedTempFile::new().unwrap();
    let output = quick(&subjects, report.path());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report: Value = serde_json::from_reader(report).unwrap();
    for line in report["lines"].as_array().unwrap() {
        let name = line["name"].as_str().unwrap();
        let round = &line["rounds"][0];
        assert_eq!(round["connect"]["units"], 200, "{name}");
        // A broadcast comes to each of the clients.
        let broadcast = round["broadcast"]["units"].as_u64().unwrap();
        assert!(broadcast > 0 && broadcast % 200 == 0, "{name}: {broadcast}");
        assert!(round["unicast"]["units"].as_u64().unwrap() > 0, "{name}");
        assert_eq!(round["steady"]["units"], 500, "{name}");
        for phase in ["broadcast", "unicast", "steady"] {
            for wrong in ["lost", "strays", "refused"] {
                assert_eq!(round[phase][wrong], 0, "{name}: {phase}: {wrong}");
            }
        }
        assert!(round["unicast"]["server_ns"].as_u64().unwrap() > 0, "{name}");
    }
}

#[test]
fn a_missing_package_is_named_with_the_line_that_installs_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
    command.args(["peers", "--only", "mosquitto", "--clients", "200"]);
    if Path::new("/usr/sbin/mosquitto").exists() {
        return;
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    assert!(said.contains("apt-get install --no-install-recommends mosquitto"), "{said}");
}

#[test]
fn more_clients_than_descriptors_are_refused() {
    let output = peers(&["--only", "holdfast", "--holdfast", "/bin/true", "--clients", "1000000"]);
    // Where the limit is higher than that the start of what is no gateway fails instead.
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}
