//! A run whose generator was the bottleneck says so and opens no gate; one whose gateway was slow
//! says nothing of the kind.
//!
//! The generator is held up from outside, by stopping its process again and again, so nothing in it
//! knows of the test. Nothing depends on how fast the machine is: what is slow is made so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/gateway.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod gateway;
#[path = "support/held_up.rs"]
mod held_up;

use gateway::{Gateway, Script};
use held_up::held_up;
use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A run of two seconds with `extra` options, as it begins.
fn begun(gateway: &Gateway, extra: &[&str]) -> Child {
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let common = ["run", "--gateway", &clients, "--api", &api, "--connections", "40"];
    let short = ["--rate", "400", "--settle", "0", "--duration", "2", "--drain", "20"];
    let run = [&common[..], &short, extra].concat();
    let mut program = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
    program.args(run).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn texts(output: Output) -> (String, String) {
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_generator_that_is_held_up_says_so_and_fails_the_gate() {
    let gateway = Gateway::start(Script::default());
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let extra = ["--slo", "lost = 0", "--json", "-", "--html", page.to_str().unwrap()];
    let output = held_up(begun(&gateway, &extra));
    let code = output.status.code();
    let (stdout, stderr) = texts(output);
    assert_eq!(code, Some(4), "{stderr}");
    assert!(stderr.contains("the GENERATOR was the bottleneck ("), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["slo"][0]["met"], true, "the clause itself held");
    let why = report["generator"]["bottleneck"].as_array().unwrap();
    assert!(why.iter().any(|why| why.as_str().unwrap().contains("pushes left")), "{why:?}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("the GENERATOR was the bottleneck ("));
}

#[test]
fn without_a_gate_it_is_said_and_the_run_passes() {
    let gateway = Gateway::start(Script::default());
    let output = held_up(begun(&gateway, &["--quiet"]));
    let code = output.status.code();
    let (stdout, stderr) = texts(output);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("the GENERATOR was the bottleneck ("), "{stdout}");
}

#[test]
fn a_gateway_that_is_slow_is_not_the_generators_fault() {
    // Half of this is more than a generator with nothing to do is ever late.
    let delay = Duration::from_secs(1);
    let gateway = Gateway::start(Script { delay, ..Script::default() });
    let run = begun(&gateway, &["--slo", "lost = 0, p50 >= 900ms"]);
    let output = run.wait_with_output().unwrap();
    let code = output.status.code();
    let (stdout, stderr) = texts(output);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains(": not the bottleneck"), "{stdout}");
    assert!(!stdout.contains("GENERATOR"), "{stdout}");
}

#[test]
fn a_window_that_stays_full_is_the_gateways() {
    // For a second and a half the gateway answers nothing, and takes two messages meanwhile.
    let stall = Some((Duration::ZERO, Duration::from_millis(1_500)));
    let gateway = Gateway::start(Script { window: 2, stall, ..Script::default() });
    let output = begun(&gateway, &["--json", "-"]).wait_with_output().unwrap();
    let (stdout, stderr) = texts(output);
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
    let p99 = |name: &str| report["latencies"][name]["p99_us"].as_u64().unwrap();
    assert!(p99("generator_lateness") >= 1_000_000, "{report}");
    assert!(p99("generator_own_lateness") < p99("generator_lateness") / 2, "{report}");
}
