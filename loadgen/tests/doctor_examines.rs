//! `doctor` says what stands in the way of a load, with what mends it, and its exit code says
//! whether the load can be offered.
//!
//! What is asked for is either nothing or more than any machine has, so nothing depends on how fast
//! this one is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/gateway.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod gateway;
#[path = "support/holdfast.rs"]
mod holdfast;

use gateway::{Gateway, Script};
use holdfast::Holdfast;
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;

/// What `doctor` with these words says, and its exit code.
fn doctor(words: &[&str]) -> (Option<i32>, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
    let output = program.arg("doctor").args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_small_load_can_be_offered_and_each_check_has_its_line() {
    let gateway = Gateway::start(Script::default());
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let to = ["--gateway", &clients, "--api", &api, "--no-calibration"];
    let (code, stdout, stderr) = doctor(&[&to[..], &["-n", "40", "--rate", "10"]].concat());
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    for check in ["descriptors", "open files", "ports", "time-wait", "memory", "somaxconn", "cores"]
    {
        let line =
            stdout.lines().find(|line| line.get(9..).is_some_and(|at| at.starts_with(check)));
        assert!(line.is_some(), "{check} in\n{stdout}");
    }
    assert!(stdout.contains("ok       gateway      it answers"), "{stdout}");
    assert!(stdout.contains("40 clients on 1 thread,"), "{stdout}");
    assert_eq!(gateway.seen().hellos, 0, "nothing is offered to the gateway");
}

#[test]
fn what_cannot_be_offered_has_its_own_exit_code_and_what_mends_it() {
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let many = ["-n", "2000000000", "--threads", "1", "--gateway", &nowhere, "--api", &nowhere];
    let words = [&many[..], &["--no-calibration", "--user-bytes", "20", "--json", "-"]].concat();
    let (code, stdout, stderr) = doctor(&words);
    assert_eq!(code, Some(6), "{stdout}{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["verdict"], "cannot");
    let finding = |check: &str| {
        let all = found["findings"].as_array().unwrap();
        all.iter().find(|finding| finding["check"] == check).unwrap().clone()
    };
    assert_eq!(finding("descriptors")["verdict"], "cannot");
    assert_eq!(finding("memory")["verdict"], "cannot");
    let mend = finding("descriptors")["mend"].as_str().unwrap().to_owned();
    assert!(mend.starts_with("ulimit -n "), "{mend}");
    let silent = finding("gateway");
    assert_eq!(silent["verdict"], "warning");
    assert!(silent["says"].as_str().unwrap().contains(&nowhere), "{silent}");
}

#[test]
fn the_generator_is_measured_against_a_server_of_its_own() {
    let gateway = Gateway::start(Script::default());
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    // More a second than any memory could hold.
    let words = ["--gateway", &clients, "--api", &api, "-n", "40", "--rate", "4000000000"];
    let (code, stdout, stderr) = doctor(&[&words[..], &["--json", "-"]].concat());
    assert_eq!(code, Some(6), "{stdout}{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    let measured = &found["generator"];
    assert_eq!((&measured["rate"], &measured["clients"]), (&4_000_000_000_u64.into(), &40.into()));
    assert!(measured["peak"].as_f64().unwrap() > 0.0, "messages went through: {measured}");
    let all = found["findings"].as_array().unwrap();
    let generator = all.iter().find(|finding| finding["check"] == "generator").unwrap();
    assert_eq!(generator["verdict"], "cannot", "{generator}");
    assert!(generator["mend"].as_str().unwrap().contains("/s or less"), "{generator}");
    assert_eq!((gateway.seen().hellos, gateway.seen().pushes), (0, 0));
}

#[test]
fn what_is_asked_for_beside_pushes_is_offered_to_it_too() {
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let to = ["--gateway", &nowhere, "--api", &nowhere, "-n", "40", "--rate", "10", "--json", "-"];
    let mix = ["--pings", "20", "--churn", "0.05", "--broadcasts", "30", "--duration", "10"];
    let (code, stdout, stderr) = doctor(&[&to[..], &mix].concat());
    let found: Value = serde_json::from_str(&stdout).unwrap();
    let measured = &found["generator"];
    let beside = &measured["beside"];
    assert_eq!((&beside["pings"], &beside["drops"]), (&20.into(), &2.0.into()), "{stderr}");
    assert_eq!((code, &beside["broadcast"]), (Some(0), &120.0.into()), "{stdout}");
    assert!(measured["peak"].as_f64().unwrap() > 0.0, "{measured}");
    for what in ["pushes", "broadcast", "pongs"] {
        assert!(measured["through"][what].as_u64().unwrap() > 0, "{what}: {measured}");
    }
}

#[test]
fn it_takes_scenarios_and_refuses_what_a_run_refuses() {
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let to = ["--gateway", &nowhere, "--api", &nowhere];
    let idle =
        ["--scenario", "idle", "--connections", "100", "--slo", "lost = 0", "--html", "/no/a"];
    let (code, stdout, stderr) = doctor(&[&to[..], &idle].concat());
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("generator    nothing is offered"), "{stdout}");
    for (words, says) in [
        (&["--connections", "0"][..], "--connections"),
        (&["--scenario", "strom"], "did you mean storm?"),
        (&["--agents", "127.0.0.1:7800", "--key-file", "key"], "on each load host"),
        (&["--json", "/no/such/folder/a.json"], "/no/such/folder/a.json"),
    ] {
        let (code, _, stderr) = doctor(words);
        assert_eq!(code, Some(2), "{words:?}: {stderr}");
        assert!(stderr.contains(says), "{words:?}: {stderr}");
    }
}

#[test]
fn a_gateway_without_room_is_said_by_doctor_and_before_a_run() {
    let gateway = Holdfast::serve(&[]);
    let [clients, api, admin] =
        [gateway.clients, gateway.api, gateway.admin].map(|a| a.to_string());
    let to = ["--gateway", &clients, "--api", &api, "--admin", &admin, "--rate", "0"];
    let quick = [&to[..], &["--no-calibration", "-n"]].concat();
    let (code, stdout, stderr) = doctor(&[&quick[..], &["1024"]].concat());
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("ok       room         1024 clients more"), "{stdout}");
    let (code, stdout, stderr) = doctor(&[&quick[..], &["1025"]].concat());
    assert_eq!(code, Some(6), "{stdout}{stderr}");
    assert!(stdout.contains("cannot   room         1025 clients more"), "{stdout}");
    assert!(stdout.contains("holdfast-tuning check --connections 1025`"), "{stdout}");
    let mut run = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
    let run = run.arg("run").args(to).args(["-n", "1025"]).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert!(said.contains("1025 clients, but the gateway holds at most 1024 clients"), "{said}");
    assert!(said.contains("holdfast-tuning check --connections 1025`"), "{said}");
}
