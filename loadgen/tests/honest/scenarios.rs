//! Scenario files, run as a person would against a gateway whose delays and sins are known: every
//! phase takes place, and every message of every phase is accounted for.

use crate::gateway::{Fate, Gateway, Script};
use crate::{CLIENTS, Run, interrupted, loadgen};
use serde_json::Value;
use std::process::{Command, Stdio};

/// The clients of every file below.
const HEAD: &str = "about = \"for a test\"\ndrain = \"5 s\"\n\
                    [clients]\ncount = 40\nconnect_rate = 2000\n\
                    [[phase]]\nkind = \"ramp\"\n";

/// A run of these phases, after those of the head, with `extra` options.
fn run(gateway: &Gateway, phases: &str, extra: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, format!("{HEAD}{phases}")).unwrap();
    run_named(gateway, file.to_str().unwrap(), extra)
}

fn run_named(gateway: &Gateway, scenario: &str, extra: &[&str]) -> Run {
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let common = ["run", "--scenario", scenario, "--gateway", &clients, "--api", &api];
    let output = loadgen(&[&common[..], &["--quiet", "--json", "-"], extra].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Run { code: output.status.code().unwrap(), report, stderr }
}

const TWO_RATES: &str = "[[phase]]\nkind = \"hold\"\nduration = \"100 ms\"\n\
                         [[phase]]\nkind = \"push\"\nduration = \"500 ms\"\nrate = 200\n\
                         [[phase]]\nkind = \"hold\"\nname = \"rest\"\nduration = \"300 ms\"\n\
                         [[phase]]\nkind = \"push\"\nduration = \"500 ms\"\nrate = 1000\n\
                         arrivals = \"poisson\"\nbroadcasts = 2\n";

#[test]
fn phases_of_several_rates_are_accounted_for_together_and_told_apart_in_the_report() {
    let gateway = Gateway::start(Script::default());
    let run = run(&gateway, TWO_RATES, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!((run.number("/pushes/offered"), run.number("/pushes/delivered")), (600, 600));
    assert_eq!(run.number("/broadcasts/delivered"), 2 * CLIENTS);
    let phases = run.report["phases"].as_array().unwrap();
    let names: Vec<&str> = phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ramp", "settle", "push", "rest", "push"]);
    let times: Vec<f64> = phases
        .iter()
        .flat_map(|phase| [phase["from"].as_f64().unwrap(), phase["to"].as_f64().unwrap()])
        .collect();
    assert!(times.is_sorted_by(|one, next| one <= next || one - next < 0.1), "{times:?}");
    assert!(times[9] - times[4] >= 1.3, "{times:?}");
    assert!(run.report["scenario"].as_str().unwrap().ends_with("scenario.toml"));
    let came = |phase: usize| phases[phase]["push"]["count"].as_u64();
    assert_eq!([2, 3, 4].map(came), [Some(100), None, Some(500)]);
}

#[test]
fn a_loss_in_any_phase_is_a_loss() {
    let fate = |number| if number == 550 { Fate::Lose } else { Fate::Deliver };
    let run = run(&Gateway::start(Script { fate, ..Script::default() }), TWO_RATES, &[]);
    assert_eq!(run.code, 1);
    assert_eq!(run.number("/pushes/lost/answered_delivered"), 1);
    assert_eq!(run.number("/pushes/delivered"), 599);
}

#[test]
fn clients_of_a_later_ramp_come_while_it_lasts_and_count_from_then_on() {
    let gateway = Gateway::start(Script::default());
    // Of the broadcasts one is before the second ramp, and one after it.
    let ramps = "[[phase]]\nkind = \"broadcast\"\nduration = \"300 ms\"\n\
                 [[phase]]\nkind = \"ramp\"\nname = \"more\"\nduration = \"600 ms\"\n\
                 share = 0.75\nrate = 200\n\
                 [[phase]]\nkind = \"broadcast\"\nduration = \"1 s\"\nrate = 200\n";
    let run = run(&gateway, ramps, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let number = |pointer| run.number(pointer);
    assert_eq!((number("/counts/logins"), number("/counts/returns")), (CLIENTS, 0));
    // Those that come later are nobody's loss.
    let late = CLIENTS * 3 / 4;
    assert_eq!((number("/broadcasts/gone"), number("/broadcasts/delivered")), (late, CLIENTS + 10));
    let offline = number("/pushes/refused/offline");
    assert!(offline > 0 && number("/pushes/delivered") + offline == 320, "{offline}");
    let phases = run.report["phases"].as_array().unwrap();
    let names: Vec<&str> = phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ramp", "broadcast", "more", "broadcast"]);
}

#[test]
fn in_a_storm_all_clients_drop_and_return() {
    let gateway = Gateway::start(Script::default());
    let storm = "[[phase]]\nkind = \"storm\"\nduration = \"1 s\"\nover = \"200 ms\"\n\
                 pause = \"100 ms\"\nspread = \"200 ms\"\nrate = 400\n";
    let run = run(&gateway, storm, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!((run.number("/counts/churned"), run.number("/counts/returns")), (CLIENTS, CLIENTS));
    let gone = |pointer| run.report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let missing = gone("/pushes/refused/offline") + gone("/pushes/gone/client_dropped");
    assert!(missing > 0, "nobody was away");
    assert_eq!(run.number("/pushes/delivered") + missing, 400);
}

#[test]
fn a_run_waits_for_those_who_are_to_return_after_its_phases() {
    let gateway = Gateway::start(Script::default());
    // Longer than a run waits where nothing arrives any more.
    let storm = "[[phase]]\nkind = \"storm\"\nduration = \"200 ms\"\npause = \"4 s\"\nrate = 100\n";
    let run = run(&gateway, storm, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!((run.number("/counts/churned"), run.number("/counts/returns")), (CLIENTS, CLIENTS));
}

#[test]
fn who_would_return_when_nobody_waits_any_more_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late.toml");
    let storm = "[[phase]]\nkind = \"storm\"\nduration = \"1 s\"\npause = \"20 s\"\nrate = 100\n";
    let says =
        "the last clients that \"storm\" drops return 19 s after the last phase, and drain is";
    let name = file.to_str().unwrap();
    for (head, at) in [(HEAD, ":2:1: "), (&HEAD.replace("drain = \"5 s\"\n", ""), ": ")] {
        std::fs::write(&file, format!("{head}{storm}")).unwrap();
        let wrong = loadgen(&["check", name]);
        let stderr = String::from_utf8(wrong.stderr).unwrap();
        assert_eq!(wrong.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(&format!("{name}{at}{says}")), "{stderr}");
    }
    let typed = loadgen(&["run", "--scenario", name, "--drain", "18"]);
    assert!(String::from_utf8(typed.stderr).unwrap().contains("and drain is 18 s"));
}

#[test]
fn the_share_that_is_offline_returns_when_its_phase_ends() {
    let gateway = Gateway::start(Script::default());
    let offline = "[[phase]]\nkind = \"offline\"\nduration = \"500 ms\"\nshare = 0.5\nrate = 800\n\
                   [[phase]]\nkind = \"hold\"\nduration = \"500 ms\"\n";
    let run = run(&gateway, offline, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let left = run.number("/counts/churned");
    assert!(left > 0 && left < CLIENTS, "{left}");
    assert_eq!(run.number("/counts/returns"), left);
    // Each of them misses its 10 of 400 messages on average, less what comes before it drops.
    let refused = run.number("/pushes/refused/offline");
    assert!(refused > left * 3, "{left} clients missed {refused} messages");
}

#[test]
fn slow_readers_lose_nothing_that_a_patient_gateway_keeps() {
    let gateway = Gateway::start(Script::default());
    let phase = |read: u32| {
        format!(
            "[[phase]]\nkind = \"slow\"\nduration = \"600 ms\"\nshare = 0.5\nrate = 400\n\
             read = {read}\n"
        )
    };
    let slow = format!("{}{}", phase(0), phase(9_000));
    let run = run(&gateway, &slow, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.number("/pushes/delivered"), 480);
    // Who reads nothing for 600 ms has half of what came meanwhile waiting for 300 ms or more.
    assert!(run.number("/latencies/push/p90_us") >= 250_000);
}

#[test]
fn users_of_several_products_get_their_own_messages() {
    let gateway = Gateway::start(Script::default());
    let phases = "[[phase]]\nkind = \"push\"\nduration = \"1 s\"\nrate = 400\nclass = \"durable\"\n\
                  broadcasts = 3\n\
                  [[clients.population]]\nproduct = \"mail\"\nprefix = \"m-\"\n\
                  [[clients.population]]\nproduct = \"chat\"\nprefix = \"c-\"\nshare = 3\n";
    let run = run(&gateway, phases, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!((run.number("/pushes/delivered"), run.number("/durable/stored")), (400, 400));
    // To 10 users of mail, 30 of chat, and those of mail again.
    assert_eq!(run.number("/broadcasts/offered"), 50);
    assert_eq!(run.number("/broadcasts/delivered"), 50);
}

#[test]
fn options_that_are_typed_count_before_the_files_values() {
    let gateway = Gateway::start(Script::default());
    let scaled = ["--connections", "20", "--rate-scale", "0.5", "--time-scale", "0.5"];
    let run = run(&gateway, TWO_RATES, &scaled);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.number("/clients"), 20);
    assert_eq!(run.number("/pushes/delivered"), 150);
    assert_eq!(gateway.seen().byes, 20);
}

#[test]
fn a_named_scenario_runs_small() {
    let gateway = Gateway::start(Script::default());
    let small = ["--connections", "40", "--rate-scale", "0.02", "--time-scale", "0.01"];
    let run = run_named(&gateway, "mixed", &small);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.report["scenario"], "mixed");
    assert!(run.number("/pushes/offered") > 0);
    assert_eq!(run.number("/broadcasts/started"), 2);
}

#[test]
fn who_is_away_when_a_run_is_interrupted_comes_back_and_nothing_is_wrong() {
    let gateway = Gateway::start(Script::default());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.toml");
    let away = "[[phase]]\nkind = \"offline\"\nduration = \"10 min\"\nshare = 0.5\nrate = 400\n";
    std::fs::write(&file, format!("{HEAD}{away}")).unwrap();
    let scenario = ["--scenario", file.to_str().unwrap()];
    let Run { code, report, stderr } = interrupted(&gateway, &scenario, 200);
    assert_eq!(code, 3, "{stderr}");
    assert!(report["counts"]["churned"].as_u64() > Some(0), "nobody was away");
    assert_eq!(report["counts"]["returns"], report["counts"]["churned"]);
}

#[test]
fn what_is_a_phases_own_is_refused_beside_a_scenario() {
    for (extra, says) in [
        (["--rate", "5"], "--rate does not go with --scenario"),
        (["--churn", "0.5"], "--churn does not go with --scenario"),
        (["--churn-pause", "5"], "--churn-pause does not go with --scenario"),
    ] {
        let output = loadgen(&[&["run", "--scenario", "push"][..], &extra].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{extra:?}");
        assert!(stderr.contains(says), "{stderr}");
    }
    let output = loadgen(&["run", "--rate-scale", "2"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn check_says_what_is_wrong_without_running_it() {
    let right = loadgen(&["check", "idle", "mixed"]);
    assert_eq!(right.status.code(), Some(0));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, format!("{HEAD}[[phase]]\nkind = \"push\"\nduration = 1\nrat = 5\n"))
        .unwrap();
    let endless = loadgen(&["check", "/dev/zero"]);
    assert!(String::from_utf8(endless.stderr).unwrap().contains("it is longer than 1024 KiB"));
    let wrong = loadgen(&["check", "idle", file.to_str().unwrap(), "nothing"]);
    let stderr = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr.contains("wrong.toml:11:1: rat: no such key"), "{stderr}");
    assert!(stderr.contains("no scenario called nothing"), "{stderr}");
    assert!(String::from_utf8(wrong.stdout).unwrap().starts_with("idle: right: "));
}

#[test]
fn who_reads_no_further_is_no_error_and_a_full_disk_is() {
    let program = env!("CARGO_BIN_EXE_holdfast-loadgen");
    let ended = |words: &[&str], stdout: Stdio| {
        let mut ran = Command::new(program);
        let ran = ran.args(words).stdout(stdout).stderr(Stdio::piped()).output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
    };
    let doctor = ["doctor", "--rate", "0", "--connections", "10", "--no-calibration"];
    for words in [&["check", "idle"][..], &["scenarios"], &["scenarios", "--keys"], &doctor] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, said) = ended(words, writer.into());
        assert!(code == Some(0) && !said.contains("panicked"), "{words:?}: {code:?} {said}");
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = ended(words, full.into());
        assert!(code == Some(2) && said.contains("No space left"), "{words:?}: {code:?} {said}");
    }
}

#[test]
fn scenarios_lists_the_named_ones_and_prints_one() {
    let list = String::from_utf8(loadgen(&["scenarios"]).stdout).unwrap();
    assert!(list.lines().any(|line| line.starts_with("storm ")), "{list}");
    let keys = loadgen(&["scenarios", "--keys"]).stdout;
    assert!(String::from_utf8(keys).unwrap().contains("| `connect_rate` |"));
    let shown = loadgen(&["scenarios", "--show", "storm"]);
    assert_eq!(shown.stdout, include_bytes!("../../scenarios/storm.toml"));
    assert_eq!(loadgen(&["scenarios", "--show", "none"]).status.code(), Some(2));
}
