//! A run on several hosts is one run: its accounts close over all of them, its stages begin
//! together, what dies is named and never taken for zero, and nobody without the key, and nothing
//! outside of the allow-list, is served.
//!
//! Shown by agents and controllers as processes, against a gateway that follows a script.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/agents.rs"]
mod agents;
#[path = "support/gateway.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod gateway;

use agents::{Agent, Heard, Key, Ran, controller, until};
use gateway::{Fate, Gateway, Script};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

const KEY: &str = "a key of the agents' own";
const SECOND: [&str; 4] = ["--rate", "400", "--duration", "1"];

fn run(agents: &[Agent], key: &Key, gateway: &Gateway, extra: &[&str]) -> Ran {
    Ran::of(controller(agents, key, gateway, extra).wait_with_output().unwrap())
}

fn second(agents: &[Agent], key: &Key, gateway: &Gateway) -> Ran {
    run(agents, key, gateway, &SECOND)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|one| one.as_f64().unwrap_or_default()).collect()
}

#[test]
fn three_agents_make_one_run_whose_accounts_close() {
    let (key, gateway) = (Key::new(KEY), Gateway::start(Script::default()));
    let agents = Agent::three(&key);
    let extra = [&SECOND[..], &["--broadcasts", "2"]].concat();
    let ran = run(&agents, &key, &gateway, &extra);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for (pointer, right) in [
        ("/clients", 40),
        ("/pushes/offered", 400),
        ("/pushes/delivered", 400),
        ("/latencies/push/count", 400),
        ("/latencies/connect_and_login/count", 40),
        ("/broadcasts/started", 2),
        ("/broadcasts/offered", 80),
        ("/broadcasts/delivered", 80),
        ("/counts/closed_after_bye", 40),
        ("/counts/foreign", 0),
        // Of the clients of the agent that made them.
        ("/latencies/broadcast_spread/count", 2 * 14),
    ] {
        assert_eq!(ran.number(pointer), right, "{pointer}");
    }
    assert_eq!((ran.sum("clients"), ran.sum("rate")), (40, 400));
    assert_eq!((ran.sum("offered"), ran.sum("delivered"), ran.sum("lost")), (400, 400, 0));
    assert_eq!((gateway.seen().hellos, gateway.seen().byes), (40, 40));
    let line = &ran.report["timeline"];
    let (from, at) = (line["from"].as_f64().unwrap(), numbers(&line["at"]));
    let before = std::iter::once(from).chain(at.iter().copied());
    let lengths = at.iter().zip(before).map(|(at, before)| at - before);
    let sum: f64 = numbers(&line["delivered"]).iter().zip(lengths).map(|(r, l)| r * l).sum();
    // Rates have three places.
    assert!((sum - 400.0).abs() < 1.0, "{sum} by the seconds, which three clocks count");
    for (name, values) in line.as_object().unwrap() {
        let other = ["from", "stages", "shards"].contains(&name.as_str());
        assert!(other || values.as_array().unwrap().len() == at.len(), "{name}");
    }
}

#[test]
fn nobody_pushes_before_the_slowest_ramp_has_ended() {
    // User 1 is the second agent's first.
    let slow_login = Some(("user-00000000001", Duration::from_millis(1_500)));
    let gateway = Gateway::start(Script { slow_login, ..Script::default() });
    let key = Key::new(KEY);
    let ran = second(&Agent::three(&key), &key, &gateway);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(gateway.seen().online_at_first_push, 40);
    let ready = |barrier: &str| {
        let agents = ran.report["agents"].as_array().unwrap();
        agents.iter().map(|one| one["ready"][barrier].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let push = ran.report["phases"].as_array().unwrap().last().unwrap();
    let began = push["from"].as_f64().unwrap();
    assert!(ready("settle").iter().chain(&ready("push")).all(|at| *at <= began), "{began}");
}

#[test]
fn what_one_agent_loses_is_in_the_sum_and_at_that_agent() {
    let lose = |number: u64| if number % 100 == 7 { Fate::Lose } else { Fate::Deliver };
    let gateway = Gateway::start(Script { fate: lose, ..Script::default() });
    let key = Key::new(KEY);
    let ran = second(&Agent::three(&key), &key, &gateway);
    assert_eq!(ran.code, 1);
    assert_eq!((ran.number("/pushes/lost/answered_delivered"), ran.sum("lost")), (4, 4));
}

#[test]
fn an_agent_that_is_killed_is_named_and_what_it_lost_is_not_taken_for_zero() {
    let (key, gateway) = (Key::new(KEY), Gateway::start(Script::default()));
    let mut agents = Agent::three(&key);
    let page = tempfile::tempdir().unwrap();
    let page = page.path().join("run.html");
    let html = ["--html", page.to_str().unwrap(), "--slo", "lost = 0, p99 < 60s"];
    let long = [&["--rate", "90", "--duration", "6"], &html[..]].concat();
    let mut run = Heard::of(controller(&agents, &key, &gateway, &long));
    // It has told a second of pushing before.
    until("pushes", || gateway.seen().pushes > 240);
    agents[1].kill();
    let told = run.says("LOST at");
    let named = format!("the agent {} died", agents[1].address);
    let share = "13 of 40 clients and 30 of 90 pushes/s (33 %) are gone with it; 2 agents go on";
    assert!(told.contains(&named) && told.ends_with(share), "{told}");
    let ran = run.ran();
    assert_eq!(ran.code, 1);
    let died = &ran.report["agents"][1];
    assert!(died["died"]["at"].as_f64().unwrap() > 0.0 && died["lost"].is_null(), "{died}");
    assert!(ran.report["agents"][0]["died"].is_null());
    let verdict = ran.report["verdict"].to_string();
    assert!(verdict.contains(&named) && verdict.contains("its 13 clients and 30 pushes/s"));
    assert!(ran.stderr.contains(&named), "{}", ran.stderr);
    let slo = &ran.report["slo"];
    assert_eq!((&slo[0]["met"], &slo[0]["measured"]), (&false.into(), &Value::Null));
    assert_eq!(slo[1]["met"], true);
    // The others went on to the end, and theirs are all accounted for.
    assert_eq!((ran.number("/pushes/offered"), ran.number("/pushes/delivered")), (360, 360));
    let drawn = fs::read_to_string(&page).unwrap();
    assert!(drawn.contains("unknown") && drawn.contains("died at"));
    // Latencies are of those whose messages are accounted for, and each report says so.
    assert_eq!(ran.number("/latencies/push/count"), 360);
    assert!(died["push"]["count"].as_u64().unwrap() > 0, "its own are in its row: {died}");
    let covers = &ran.report["covers"];
    assert_eq!((&covers["clients"], &covers["left_out"][0]), (&27.into(), &died["name"]));
    let words = "accounts and latencies are of the 27 of 40 clients";
    assert!(covers["words"].as_str().unwrap().contains(words));
    assert!(drawn.matches(words).count() > 2, "at both, and in the JSON");
}

/// A run with five broadcasts, a second apart, whose first agent is killed; `when` says when.
fn without_the_first(script: Script, when: fn(&Gateway) -> bool) -> (Ran, u64) {
    let (key, gateway) = (Key::new(KEY), Gateway::start(script));
    let mut agents = Agent::three(&key);
    let words = ["--rate", "90", "--duration", "6", "--broadcasts", "5"];
    let child = controller(&agents, &key, &gateway, &words);
    until("the moment", || when(&gateway));
    agents[0].kill();
    let ran = Ran::of(child.wait_with_output().unwrap());
    let makers = ran.report["agents"].as_array().unwrap().iter().map(|one| &one["broadcasts"]);
    assert_eq!(makers.collect::<Vec<_>>(), [true, true, false], "{}", ran.stderr);
    assert_eq!((ran.code, ran.number("/broadcasts/started")), (1, 5), "{}", ran.stderr);
    // Of 40 clients the first agent had 14.
    assert_eq!((ran.number("/broadcasts/offered"), ran.number("/broadcasts/lost")), (5 * 26, 0));
    (ran, gateway.seen().broadcasts)
}

#[test]
fn the_broadcasts_of_an_agent_that_dies_are_made_by_another_and_none_is_called_lost() {
    let (ran, made) = without_the_first(Script::default(), |gateway| gateway.seen().broadcasts > 0);
    assert!((2..=5).contains(&made), "{made}");
    assert_eq!(ran.number("/broadcasts/delivered"), 26 * made);
    let unanswered = ran.report["broadcasts"]["unanswered"]["agent_died"].as_u64();
    assert_eq!(unanswered.unwrap_or_default(), 26 * (5 - made));
    assert_eq!(ran.number("/counts/duplicates"), 0);
    // The second agent's clients time what it made, and not what came from a clock that is gone.
    let timed = ran.number("/latencies/broadcast_spread/count");
    assert!(timed > 0 && timed < 13 * made && timed.is_multiple_of(13), "{timed} of {made}");
}

#[test]
fn all_broadcasts_are_made_by_another_where_the_first_dies_before_any() {
    let slow_login = Some(("user-00000000001", Duration::from_millis(1_500)));
    let script = Script { slow_login, ..Script::default() };
    let (ran, made) = without_the_first(script, |gateway| gateway.seen().hellos >= 39);
    assert_eq!((made, ran.number("/broadcasts/delivered")), (5, 26 * 5));
    assert_eq!(ran.number("/latencies/broadcast_spread/count"), 13 * 5);
    assert_eq!(ran.report["broadcasts"]["unanswered"], serde_json::json!({}));
}

#[test]
fn an_agent_that_was_stopped_until_others_had_its_part_begins_nothing_when_it_comes_back() {
    let (key, gateway) = (Key::new(KEY), Gateway::start(Script::default()));
    let agents = Agent::three(&key);
    let words = ["--rate", "90", "--duration", "16", "--broadcasts", "15"];
    let mut run = Heard::of(controller(&agents, &key, &gateway, &words));
    until("a broadcast", || gateway.seen().broadcasts > 0);
    agents[0].signal("-STOP");
    let told = run.says("LOST at");
    let heir = format!("and {} makes the broadcasts now", agents[1].address);
    assert!(told.contains("it was silent for") && told.ends_with(&heir), "{told}");
    let made = gateway.seen().broadcasts;
    agents[0].signal("-CONT");
    agents[0].says("stops the load");
    agents[0].says("free again");
    let ran = run.ran();
    // The heir begins none that the first may have begun, and those are all that were left.
    assert_eq!((gateway.seen().broadcasts, ran.number("/counts/duplicates")), (made, 0));
    assert_eq!((ran.code, ran.number("/broadcasts/delivered")), (1, 26 * made), "{}", ran.stderr);
    // Of its pushes, none that was due while it was stopped came after.
    let known = ran.report["agents"][0]["offered"].as_u64().unwrap();
    let others = ran.number("/pushes/offered");
    let late = gateway.seen().pushes - others - known;
    assert!(late < 100, "{late} pushes that it had not told of");
}

#[test]
fn an_agent_whose_controller_is_killed_is_free_again() {
    let (key, gateway) = (Key::new(KEY), Gateway::start(Script::default()));
    let agents = Agent::three(&key);
    let mut child = controller(&agents, &key, &gateway, &["--rate", "90", "--duration", "600"]);
    until("a push", || gateway.seen().pushes > 10);
    let other = second(&agents, &key, &gateway);
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("busy with the run of 127.0.0.1:"), "{}", other.stderr);
    child.kill().unwrap();
    child.wait().unwrap();
    for agent in &agents {
        agent.says("stops the load");
        agent.says("free again");
    }
    let ran = second(&agents, &key, &gateway);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.number("/pushes/delivered"), 400);
}

#[test]
fn a_wrong_key_is_said_at_both_ends_and_no_more() {
    let (key, other, gateway) =
        (Key::new(KEY), Key::new("another key of somebody"), Gateway::start(Script::default()));
    let agent = [Agent::start(&key, "127.0.0.1:*")];
    let ran = second(&agent, &other, &gateway);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("the keys differ"), "{}", ran.stderr);
    agent[0].says("the keys differ");
    assert_eq!(second(&agent, &key, &gateway).code, 0, "it waits for the next");
}

#[test]
fn a_target_outside_of_the_allow_list_is_not_connected_to() {
    let (key, gateway) = (Key::new(KEY), Gateway::start(Script::default()));
    let agent = [Agent::start(&key, &gateway.clients.to_string())];
    let ran = second(&agent, &key, &gateway);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let says = format!("{} is not in this agent's --allow list", gateway.api);
    assert!(ran.stderr.contains(&says), "{}", ran.stderr);
    assert_eq!(gateway.seen().hellos, 0);
}

#[test]
fn a_run_that_an_agent_cannot_set_up_is_refused_with_its_words() {
    let gateway = Gateway::start(Script { refuse_logins: Some(3502), ..Script::default() });
    let key = Key::new(KEY);
    let ran = second(&Agent::three(&key), &key, &gateway);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("the agent 127.0.0.1:"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("clients logged in") && ran.stderr.contains("bad_token (code 3502)")
    );
}

#[test]
fn options_that_do_not_go_with_agents_are_refused_in_words() {
    let key = Key::new(KEY);
    let loadgen = |words: &[&str]| {
        let program = env!("CARGO_BIN_EXE_holdfast-loadgen");
        Ran::of(Command::new(program).arg("run").args(words).output().unwrap())
    };
    let to = ["--agents", "127.0.0.1:1,127.0.0.1:2", "--key-file", key.path()];
    for (extra, says) in [
        (&["--connections", "1"][..], "2 agents for 1 clients"),
        (&["--source", "127.0.0.1"], "agent --source"),
        (&[], "none answers at 127.0.0.1:1"),
    ] {
        let ran = loadgen(&[&to[..], extra].concat());
        assert!(ran.code == 2 && ran.stderr.contains(says), "{extra:?}: {}", ran.stderr);
    }
    fs::set_permissions(&key.file, Permissions::from_mode(0o644)).unwrap();
    let ran = loadgen(&to);
    assert!(ran.code == 2 && ran.stderr.contains("chmod 600"), "{}", ran.stderr);
    assert_eq!(loadgen(&to[..2]).code, 2, "agents have a key");
}
