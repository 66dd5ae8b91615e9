//! The generator tells the truth: run against a gateway whose delays, losses and sins are known, it
//! must report exactly those, and its exit code must say so.
//!
//! Shown by running the program as a person would and reading its JSON. Times are only bounded from
//! below, by what the script imposes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/gateway.rs"]
mod gateway;
#[path = "honest/scenarios.rs"]
mod scenarios;

use gateway::{Fate, Gateway, Heed, Script};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

const CLIENTS: u64 = 40;
const RATE: u64 = 400;

struct Run {
    code: i32,
    report: Value,
    stderr: String,
}

impl Run {
    fn number(&self, pointer: &str) -> u64 {
        let value = self.report.pointer(pointer);
        value.and_then(Value::as_u64).unwrap_or_else(|| panic!("no number at {pointer}"))
    }
}

/// A run of one second with `extra` options.
fn run(gateway: &Gateway, extra: &[&str]) -> Run {
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let common = [
        "run",
        "--gateway",
        &clients,
        "--api",
        &api,
        "--connections",
        "40",
        "--connect-rate",
        "2000",
        "--rate",
        "400",
        "--duration",
        "1",
        "--settle",
        "0",
        "--drain",
        "5",
        "--quiet",
        "--json",
        "-",
    ];
    let output = loadgen(&[&common, extra].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Run { code: output.status.code().unwrap(), report, stderr }
}

fn loadgen(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen")).args(arguments).output().unwrap()
}

/// A run against a gateway that follows `fate`.
fn fated(fate: fn(u64) -> Fate) -> Run {
    run(&Gateway::start(Script { fate, ..Script::default() }), &[])
}

fn every_tenth(number: u64, fate: Fate) -> Fate {
    if number.is_multiple_of(10) { fate } else { Fate::Deliver }
}

#[test]
fn pings_come_back_and_are_timed() {
    let run = run(&Gateway::start(Script::default()), &["--pings", "500", "--rate", "0"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let sent = run.number("/counts/pings");
    assert!((1..=500).contains(&sent), "{sent}");
    assert_eq!(run.number("/counts/pongs"), sent);
    let timed = run.number("/latencies/ping/count");
    assert!((1..=sent).contains(&timed), "{timed} of {sent}");
}

#[test]
fn a_faithful_gateway_passes_and_everything_is_counted() {
    let gateway = Gateway::start(Script::default());
    let run = run(&gateway, &["--broadcasts", "3"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.number("/pushes/offered"), RATE);
    assert_eq!(run.number("/pushes/delivered"), RATE);
    assert_eq!(run.number("/broadcasts/offered"), 3 * CLIENTS);
    assert_eq!(run.number("/broadcasts/delivered"), 3 * CLIENTS);
    assert_eq!(run.number("/latencies/push/count"), RATE);
    assert_eq!(run.number("/latencies/api_answer/count"), RATE);
    assert_eq!(run.number("/latencies/connect_and_login/count"), CLIENTS);
    assert_eq!(run.number("/counts/closed_after_bye"), CLIENTS);
    assert_eq!(gateway.seen().byes, CLIENTS);
    assert!(
        run.report["samples"]["settled"]["server"].is_object(),
        "the server is found by its port"
    );
}

#[test]
fn epoll_and_several_threads_count_the_same() {
    for extra in [&["--io", "epoll"][..], &["--threads", "3"], &["--io", "epoll", "--threads", "3"]]
    {
        let run = run(&Gateway::start(Script::default()), extra);
        assert_eq!(run.code, 0, "{extra:?}: {}", run.stderr);
        assert_eq!(run.number("/pushes/delivered"), RATE, "{extra:?}");
        assert_eq!(run.number("/broadcasts/delivered"), CLIENTS, "{extra:?}");
    }
}

#[test]
fn a_delay_is_in_every_latency() {
    let delay = Duration::from_millis(150);
    let run = run(&Gateway::start(Script { delay, ..Script::default() }), &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    // A value is at most 0.1 % off.
    assert!(run.number("/latencies/push/min_us") >= 149_000);
    assert!(run.number("/latencies/broadcast_spread/min_us") >= 149_000);
}

#[test]
fn the_arrival_in_the_kernel_has_the_delay_and_comes_before_the_reading() {
    let delay = Duration::from_millis(100);
    let gateway = Gateway::start(Script { delay, ..Script::default() });
    let run = run(&gateway, &["--arrival"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.number("/latencies/push_arrival/count"), RATE);
    assert!(run.number("/latencies/push_arrival/min_us") >= 99_000);
    let mean = |name: &str| run.report.pointer(name).and_then(Value::as_f64).unwrap();
    assert!(mean("/latencies/push_arrival/mean_us") <= mean("/latencies/push/mean_us"));
}

#[test]
fn a_stall_is_in_the_latency_of_everything_that_was_due_meanwhile() {
    let stall = Some((Duration::from_millis(200), Duration::from_millis(600)));
    // The window is full soon, so most of what is due in the stall cannot even be sent before its
    // end.
    let run = run(&Gateway::start(Script { stall, window: 32, ..Script::default() }), &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.number("/pushes/delivered"), RATE);
    // 60 % of all messages were due in the stall, evenly: half of those waited for 300 ms or more.
    // A generator that counts from when it came to send would see only one window of late messages.
    assert!(run.number("/latencies/push/p90_us") >= 250_000);
    assert!(run.number("/latencies/push/max_us") >= 500_000);
    assert!(run.number("/latencies/api_answer/p90_us") >= 250_000);
}

#[test]
fn lost_messages_are_counted_one_by_one() {
    let run = fated(|number| every_tenth(number, Fate::Lose));
    assert_eq!(run.code, 1);
    assert_eq!(run.number("/pushes/lost/answered_delivered"), RATE / 10);
    assert_eq!(run.number("/pushes/delivered"), RATE - RATE / 10);
    assert!(run.stderr.contains("40 pushed messages are lost"), "{}", run.stderr);
}

#[test]
fn doubled_messages_are_counted_one_by_one() {
    let run = fated(|number| every_tenth(number, Fate::Double));
    assert_eq!(run.code, 1);
    assert_eq!(run.number("/counts/duplicates"), RATE / 10);
    assert_eq!(run.number("/pushes/delivered"), RATE);
}

#[test]
fn a_marked_redelivery_is_no_duplicate() {
    let run = fated(|number| every_tenth(number, Fate::Redeliver));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.number("/counts/redelivered"), RATE / 10);
    assert_eq!(run.number("/counts/duplicates"), 0);
}

#[test]
fn messages_out_of_order_are_counted() {
    let overtake = |number| if number == 1 { Fate::Overtake } else { Fate::Deliver };
    let gateway = Gateway::start(Script { fate: overtake, ..Script::default() });
    let run = run(&gateway, &["--targets", "sequential"]);
    assert_eq!(run.code, 1);
    assert_eq!(run.number("/counts/out_of_order"), 1);
    assert_eq!(run.number("/pushes/delivered"), RATE);
}

#[test]
fn a_flipped_bit_is_corrupt_and_lost() {
    let run = fated(|number| every_tenth(number, Fate::Corrupt));
    assert_eq!(run.code, 1);
    assert_eq!(run.number("/counts/corrupt"), RATE / 10);
    assert_eq!(run.number("/pushes/lost/answered_delivered"), RATE / 10);
}

#[test]
fn a_message_to_the_wrong_user_is_no_delivery() {
    let run = fated(|number| every_tenth(number, Fate::Misdeliver));
    assert_eq!(run.code, 1);
    assert_eq!(run.number("/counts/misdelivered"), RATE / 10);
    assert_eq!(run.number("/pushes/delivered"), RATE - RATE / 10);
}

#[test]
fn a_refusal_is_no_loss() {
    let run = fated(|number| every_tenth(number, Fate::Refuse));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.number("/pushes/refused/offline"), RATE / 10);
}

#[test]
fn a_refusal_that_arrives_is_a_contradiction() {
    let run = fated(|number| every_tenth(number, Fate::RefuseAndDeliver));
    assert_eq!(run.code, 1);
    assert_eq!(run.number("/pushes/contradicted"), RATE / 10);
}

#[test]
fn what_was_kept_from_before_the_run_is_foreign_and_not_corrupt() {
    // Another run's, whole; and words that no run wrote, longer and shorter than what one writes.
    let mut earlier = vec![0; 28];
    earlier[4..].fill(7);
    let check = crc32fast::hash(&earlier[4..]);
    earlier[..4].copy_from_slice(&check.to_le_bytes());
    let words = b"maintenance tonight, from 22:00 to 23:00".to_vec();
    let kept = vec![earlier, words, b"hi".to_vec()];
    let run = run(&Gateway::start(Script { kept, ..Script::default() }), &[]);
    assert_eq!(run.code, 1, "who gets what nobody sent in the run is told");
    assert_eq!(run.number("/counts/corrupt"), 0);
    assert_eq!(run.number("/counts/foreign"), 3 * 2 * CLIENTS);
    assert_eq!(run.number("/pushes/delivered"), RATE);
    assert!(run.stderr.contains("kept from before it"), "{}", run.stderr);
}

#[test]
fn a_connection_that_ends_unasked_fails_the_run_unless_allowed() {
    let close = |number| if number == 200 { Fate::DeliverAndClose } else { Fate::Deliver };
    let script = Script { fate: close, ..Script::default() };
    let ended = run(&Gateway::start(script.clone()), &[]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.number("/counts/unasked_ends"), 1);
    let allowed = run(&Gateway::start(script), &["--allow-disconnects"]);
    assert_eq!(allowed.code, 0, "{}", allowed.stderr);
}

#[test]
fn what_the_gateway_never_answered_is_not_called_lost() {
    let mute = |request| if request == 3 { Heed::Ignore } else { Heed::Answer };
    let mute = run(&Gateway::start(Script { heed: mute, ..Script::default() }), &[]);
    assert_eq!(mute.code, 1);
    let unanswered = mute.number("/pushes/unanswered/no_answer");
    assert!(unanswered > 0 && mute.report["pushes"]["lost"] == serde_json::json!({}));
    assert_eq!(mute.number("/pushes/delivered"), RATE - unanswered);
    let took = if unanswered == 1 { "it" } else { "them" };
    let says = format!("whether the gateway took {took} is not known");
    assert!(mute.stderr.contains(&says), "{}", mute.stderr);
    let cut = |request| if request == 3 { Heed::HangUp } else { Heed::Answer };
    let script = Script { heed: cut, ..Script::default() };
    for (extra, code) in [(&[][..], 1), (&["--allow-disconnects"], 0)] {
        let cut = run(&Gateway::start(script.clone()), extra);
        assert_eq!(cut.code, code, "{}", cut.stderr);
        let unanswered = cut.number("/pushes/unanswered/connection_ended");
        assert!(unanswered > 0 && cut.report["pushes"]["lost"] == serde_json::json!({}));
        assert_eq!(cut.number("/pushes/delivered"), RATE - unanswered);
    }
}

#[test]
fn a_broadcast_that_misses_a_client_is_a_loss_unless_the_gateway_admits_it() {
    let script = Script { broadcast_leaves_out: 2, ..Script::default() };
    let silent = run(&Gateway::start(script.clone()), &[]);
    assert_eq!(silent.code, 1);
    assert_eq!(silent.number("/broadcasts/lost"), 2);
    let honest = run(&Gateway::start(Script { broadcast_admits: true, ..script }), &[]);
    assert_eq!(honest.code, 0, "{}", honest.stderr);
    assert_eq!(honest.number("/broadcasts/refused/dropped"), 2);
}

#[test]
fn churn_closes_the_accounts_and_clients_come_back() {
    let gateway = Gateway::start(Script::default());
    let run = run(&gateway, &["--churn", "0.5", "--churn-pause", "50"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let churned = run.number("/counts/churned");
    assert!(churned > 0);
    assert_eq!(run.number("/counts/returns"), churned);
    assert_eq!(gateway.seen().resumes, churned);
    let refused = run.report.pointer("/pushes/refused/offline").and_then(Value::as_u64);
    let gone = run.report.pointer("/pushes/gone/client_dropped").and_then(Value::as_u64);
    let missing = refused.unwrap_or(0) + gone.unwrap_or(0);
    assert_eq!(run.number("/pushes/delivered") + missing, RATE);
}

#[test]
fn clients_that_never_get_back_in_fail_the_run() {
    let gateway = Gateway::start(Script { ignore_returns: true, ..Script::default() });
    let run = run(&gateway, &["--churn", "0.2", "--churn-pause", "50", "--drain", "1"]);
    assert_eq!(run.code, 1);
    assert_eq!(run.number("/counts/returns"), 0);
    assert!(run.stderr.contains("clients were not logged in"), "{}", run.stderr);
}

#[test]
fn heartbeats_are_sent_when_due_and_answers_counted() {
    let gateway = Gateway::start(Script { heartbeat: 1, ..Script::default() });
    let run = run(&gateway, &["--rate", "0", "--broadcasts", "0", "--duration", "3"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(gateway.seen().pings >= CLIENTS, "{:?}", gateway.seen());
    assert!(run.number("/counts/pongs") >= CLIENTS);
}

#[test]
fn durable_messages_are_acknowledged_cumulatively() {
    let gateway = Gateway::start(Script::default());
    let extra = ["--class", "durable", "--targets", "sequential", "--burst", "8"];
    let run = run(&gateway, &extra);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let seen = gateway.seen();
    // 50 bursts of 8 over 40 users: ten users get two bursts.
    assert_eq!(seen.greatest_ack, 16);
    assert!(seen.acks >= 50 && seen.acks <= RATE, "{seen:?}");
}

#[test]
fn online_messages_are_acknowledged_only_when_asked_for() {
    let gateway = Gateway::start(Script::default());
    assert_eq!(run(&gateway, &[]).code, 0);
    assert_eq!(gateway.seen().acks, 0);
    assert_eq!(run(&gateway, &["--ack"]).code, 0);
    assert!(gateway.seen().acks > 0);
}

#[test]
fn tokens_are_sent_when_there_is_a_secret() {
    let gateway = Gateway::start(Script::default());
    assert_eq!(run(&gateway, &["--secret", "s3cret"]).code, 0);
    assert_eq!(gateway.seen().tokens, CLIENTS);
}

#[test]
fn nothing_that_listens_is_said_and_exits_2() {
    let gateway = Gateway::start(Script::default());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let api = gateway.api.to_string();
    let output = loadgen(&["run", "--gateway", &free, "--api", &api]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains(&free) && stderr.contains("holdfast serve"), "{stderr}");
    let clients = gateway.clients.to_string();
    let output = loadgen(&["run", "--gateway", &clients, "--api", &free]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains(&free) && stderr.contains("--api"), "{stderr}");
}

#[test]
fn refused_logins_are_said_with_their_reason_and_exit_2() {
    let script = Script { refuse_logins: Some(3502), ..Script::default() };
    let run = run(&Gateway::start(script), &[]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("0 of 40") && run.stderr.contains("bad_token (code 3502)"),
        "{}",
        run.stderr
    );
}

#[test]
fn options_that_cannot_work_are_refused_before_anything_is_opened() {
    for (extra, says) in [
        (&["--size", "10"][..], "--size"),
        (&["--churn", "2"], "--churn"),
        (&["--connections", "0"], "--connections"),
        (&["--broadcasts", "65"], "--broadcasts"),
        (&["--receipts"], "--receipts is of use only with --class durable"),
        (&["--receipts", "--durable", "0"], "--receipts is of use only with --class durable"),
        (&["--threads", "1", "--connections", "2000000"], "ulimit -n"),
    ] {
        let output = loadgen(&[&["run"][..], extra].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{extra:?}");
        assert!(stderr.contains(says), "{extra:?}: {stderr}");
    }
}

/// What a run of few messages with `extra` options prints to standard output.
fn printed(fate: fn(u64) -> Fate, extra: &[&str]) -> String {
    // So slow that a generator that has to wait for a core is not held for the cause.
    let delay = Duration::from_millis(300);
    let gateway = Gateway::start(Script { fate, delay, ..Script::default() });
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let common = ["run", "--gateway", &clients, "--api", &api, "--connections", "40"];
    let short = ["--rate", "400", "--duration", "1", "--settle", "0", "--drain", "1"];
    String::from_utf8(loadgen(&[&common[..], &short, extra].concat()).stdout).unwrap()
}

#[test]
fn a_quiet_run_prints_its_verdict_and_nothing_else() {
    let good = printed(|_| Fate::Deliver, &["-q"]);
    let all = "all is accounted for: nothing lost, doubled, out of order or corrupt\n";
    assert_eq!(good, all);
    let bad = printed(|number| every_tenth(number, Fate::Lose), &["-q"]);
    assert_eq!(bad, "FAILED: 40 pushed messages are lost\n");
}

#[test]
fn the_time_that_users_are_away_is_said_to_be_in_the_latency_of_durable_pushes() {
    let away = ["--churn", "0.5", "--churn-pause", "50"];
    let said = "push: from when it was due to its arrival; where its user was away, that time too";
    assert!(
        printed(|_| Fate::Deliver, &[&away[..], &["--class", "durable"]].concat()).contains(said)
    );
    assert!(!printed(|_| Fate::Deliver, &away).contains(said));
    assert!(!printed(|_| Fate::Deliver, &["--class", "durable"]).contains(said));
}

/// A run with `extra` options that is interrupted when the gateway has seen so many pushes.
fn interrupted(gateway: &Gateway, extra: &[&str], pushes: u64) -> Run {
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let common = ["run", "--gateway", &clients, "--api", &api, "--quiet", "--json", "-"];
    let mut run = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
    let run = run.args([&common[..], extra].concat());
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while gateway.seen().pushes < pushes {
        thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let output = run.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Run { code: output.status.code().unwrap(), report, stderr }
}

#[test]
fn an_interrupted_run_reports_what_was_offered_until_then() {
    let gateway = Gateway::start(Script::default());
    let long = ["--connections", "40", "--rate", "400", "--duration", "600", "--settle", "0"];
    let Run { code, report, stderr } = interrupted(&gateway, &long, 40);
    assert_eq!(code, 3, "{stderr}");
    assert_eq!(report["interrupted"], true);
    let pushed = gateway.seen().pushes;
    assert!((40..400 * 600).contains(&pushed));
    assert_eq!(report["pushes"]["offered"], pushed);
    assert_eq!(report["pushes"]["delivered"], pushed);
    assert_eq!(gateway.seen().byes, CLIENTS);
}

#[test]
fn a_backend_has_the_name_and_the_key_of_the_options() {
    let gateway = Gateway::start(Script::default());
    assert_eq!(run(&gateway, &[]).code, 0);
    assert_eq!(gateway.seen().backend, ("loadgen".to_owned(), Vec::new()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "from a file\n").unwrap();
    let extra = ["--api-name", "billing", "--api-key-file", file.to_str().unwrap()];
    assert_eq!(run(&gateway, &extra).code, 0);
    assert_eq!(gateway.seen().backend, ("billing".to_owned(), b"from a file".to_vec()));
    let refusing = Gateway::start(Script { refuse_backends: Some(3502), ..Script::default() });
    let refused = run(&refusing, &["--api-name", "billing"]);
    assert_eq!(refused.code, 2);
    for says in ["3502 bad_token", "\"billing\"", "--api-name", "--api-key-file"] {
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
}

#[test]
fn a_report_that_cannot_be_written_is_said_before_anything_is_opened() {
    let gateway = Gateway::start(Script::default());
    let refused = run(&gateway, &["--json", "/no/such/folder/report.json"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("/no/such/folder/report.json"), "{}", refused.stderr);
    assert_eq!(gateway.seen().hellos, 0);
}

#[test]
fn clients_that_are_all_gone_are_in_the_accounts_of_broadcasts() {
    let close_all = |_| Fate::DeliverAndClose;
    let script = Script { fate: close_all, refuse_returns: Some(3502), ..Script::default() };
    let gateway = Gateway::start(script);
    // The first 40 messages close every client, and none comes back.
    let run = run(&gateway, &["--targets", "sequential"]);
    assert_eq!(run.code, 1);
    assert_eq!(run.number("/broadcasts/started"), 1);
    assert_eq!(run.number("/broadcasts/offered"), CLIENTS);
    assert_eq!(run.number("/broadcasts/gone") + run.number("/broadcasts/delivered"), CLIENTS);
    assert!(run.stderr.contains("40 clients were not logged in"), "{}", run.stderr);
}
