//! `capacity` finds the load above which a gateway fails, confirms it, and says whose bound it is.
//!
//! The gateway's bound is a number of users, so where it lies does not depend on how fast anything
//! is here; the generator is made a bottleneck by stopping its process again and again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/gateway.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod gateway;
#[path = "support/held_up.rs"]
mod held_up;

use gateway::{Gateway, Script};
use held_up::held_up;
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn begun(gateway: &Gateway, extra: &[&str]) -> Child {
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let common = ["capacity", "--gateway", &clients, "--api", &api, "--settle", "0"];
    let short = ["--duration", "1", "--drain", "20", "--broadcasts", "0"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
    program.args([&common[..], &short, extra].concat());
    program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The loads that were tried, and what became of each.
fn tried(found: &Value) -> Vec<(u64, String)> {
    let point = |point: &Value| {
        (point["load"].as_u64().unwrap(), point["verdict"].as_str().unwrap().to_owned())
    };
    found["points"].as_array().unwrap().iter().map(point).collect()
}

#[test]
fn the_most_clients_that_a_gateway_takes_are_found_and_drawn() {
    // So slow that a generator that has to wait for a core is not held for the cause.
    let delay = Duration::from_millis(500);
    let gateway = Gateway::start(Script { users_most: 23, delay, ..Script::default() });
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (json, page) = (place("found.json"), place("found.html"));
    let slo = ["--slo", "p99 < 60s, lost = 0", "--json", &json, "--html", &page];
    let search = ["--find", "clients", "--connections", "16", "--confirm", "2"];
    let rest = ["--rate", "20", "--resolution", "1"];
    let output = begun(&gateway, &[&slo[..], &search, &rest].concat());
    let output = output.wait_with_output().unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    let found: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!((&found["found"], &found["confirmed"]), (&23.into(), &true.into()), "{stdout}");
    assert_eq!(
        (&found["bound"]["load"], &found["bound"]["verdict"]),
        (&24.into(), &"missed".into())
    );
    assert!(found["bound"]["why"][0].as_str().unwrap().contains("23 of 24 clients"), "{found}");
    let tried = tried(&found);
    assert_eq!((tried[0].0, tried[1].0), (16, 32));
    let last = &tried[tried.len() - 2..];
    assert!(last.iter().all(|one| *one == (23, "met".to_owned())), "{tried:?}");
    assert!(stdout.contains("CAPACITY 23 clients (passed 2 times in a row)"), "{stdout}");
    assert!(stdout.contains("the bound is the gateway's: at 24 clients"), "{stdout}");
    assert!(stdout.lines().any(|line| line.contains("60.00 s |----")), "{stdout}");
    let page = fs::read_to_string(&page).unwrap();
    let curve =
        page.split("id=\"knee-roomy-title\"").nth(1).unwrap().split("</svg>").next().unwrap();
    assert_eq!(curve.matches("<polyline").count(), 1, "the latency");
    assert_eq!(curve.matches("<g class=\"slo\">").count(), 1, "the SLO");
    assert!(curve.contains("knee: 23"), "{curve}");
    let again = place("again.html");
    let mut program = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
    let output = program.args(["report", &json, "--html", &again]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(&again).unwrap(), page, "the page can be drawn again");
}

#[test]
fn a_bound_that_is_the_generators_is_called_so() {
    let gateway = Gateway::start(Script::default());
    let extra = ["--rate", "2", "--connections", "5", "--slo", "lost = 0", "--json", "-"];
    let output = held_up(begun(&gateway, &extra));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["bound"]["verdict"], "limited");
    assert_eq!(found["found"], Value::Null);
    assert!(stderr.contains("the bound is the GENERATOR's"), "{stderr}");
}

#[test]
fn nothing_that_passes_has_its_own_exit_code() {
    let delay = Duration::from_millis(500);
    let gateway = Gateway::start(Script { delay, ..Script::default() });
    let extra = ["--rate", "1", "--connections", "5", "--slo", "p50 < 20ms", "--quiet"];
    let output = begun(&gateway, &extra).wait_with_output().unwrap();
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{stdout}");
    // The clause that did not hold, and what was measured: half a second, or more on a busy host.
    assert!(stdout.contains("NOTHING passed"), "{stdout}");
    assert!(stdout.contains("at 1 pushes/s it failed (p50 < 20ms: "), "{stdout}");
}

#[test]
fn a_search_that_cannot_begin_is_refused() {
    for (extra, says) in [
        (&["--connections", "5"][..], "--slo"),
        (&["--slo", "lost = 0", "--rate", "0"], "--rate"),
        (&["--slo", "lost = 0", "--scenario", "idle"], "--find clients"),
        (&["--slo", "lost = 0", "--json", "/no/such/folder/a.json"], "/no/such/folder/a.json"),
    ] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
        let output = program.arg("capacity").args(extra).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{extra:?}: {stderr}");
        assert!(stderr.contains(says), "{extra:?}: {stderr}");
    }
}
