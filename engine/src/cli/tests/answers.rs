//! Each command's answer, in words and in JSON, and its exit code.

use super::{Ran, run, run_with};
use crate::cli::Exit;
use holdfast_client::testing::{Gateway, Running, job};
use holdfast_client::{Class, DropReason, JobAction, JobState, Outcome, Rejection};
use holdfast_protocol::backend::answer::{put_job, put_kick, put_online, put_outcomes};
use holdfast_protocol::backend::request::Request;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A gateway that answers every push so.
fn pushes_are(outcome: Outcome) -> Running {
    Gateway::bind().run_with(8, move |request, out| {
        if let Request::Push(id, _) = request {
            put_outcomes(*id, &[outcome], out);
        }
    })
}

fn as_json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).expect("the answer is JSON")
}

#[test]
fn a_push_says_what_became_of_it() {
    for (outcome, exit, text, json) in [
        (
            Outcome::Delivered(12),
            Exit::Done,
            "delivered to alice (sequence 12)\n",
            json!({"user": "alice", "outcome": "delivered", "sequence": 12}),
        ),
        (
            Outcome::Stored(13),
            Exit::Done,
            "stored for alice (sequence 13)\n",
            json!({"user": "alice", "outcome": "stored", "sequence": 13}),
        ),
        (
            Outcome::Offline,
            Exit::NotDelivered,
            "alice is offline; nothing was delivered\n",
            json!({"user": "alice", "outcome": "offline"}),
        ),
        (
            Outcome::Dropped(DropReason::OutboxFull),
            Exit::NotDelivered,
            "not delivered to alice: outbox_full\n",
            json!({"user": "alice", "outcome": "dropped", "reason": "outbox_full"}),
        ),
        (
            Outcome::Busy(50),
            Exit::Declined,
            "not delivered to alice: the gateway is busy; again after 50 ms\n",
            json!({"user": "alice", "outcome": "busy", "retry_after_ms": 50}),
        ),
    ] {
        let gateway = pushes_are(outcome);
        let ran = run(gateway.address(), &["push", "chat", "alice", "hi"]);
        assert_eq!((ran.exit, ran.out.as_str(), ran.err.as_str()), (exit, text, ""));
        let ran = run(gateway.address(), &["push", "chat", "alice", "hi", "--json"]);
        assert_eq!((ran.exit, as_json(&ran)), (exit, json));
    }
}

#[test]
fn what_is_refused_is_refused_alike_for_one_and_for_all() {
    use holdfast_client::ErrorCode;
    use holdfast_protocol::backend::answer::put_error;
    for (why, code, hint) in [
        (Rejection::NoStore, ErrorCode::NoStore, "  try: --class online"),
        (Rejection::BodyTooLong, ErrorCode::BodyTooLong, "  try: at most 65,536 bytes"),
    ] {
        let gateway = Gateway::bind().run_with(8, move |request, out| match request {
            Request::Push(id, _) => put_outcomes(*id, &[Outcome::Rejected(why)], out),
            Request::Broadcast(id, _) => put_error(*id, code, 0, code.name(), out),
            _ => {}
        });
        let push = run(gateway.address(), &["push", "chat", "alice", "hi"]);
        assert_eq!(push.out, format!("not delivered to alice: {}\n", why.name()));
        let broadcast = run(gateway.address(), &["broadcast", "chat", "hi"]);
        assert!(broadcast.err.contains(code.name()), "{}", broadcast.err);
        for ran in [push, broadcast] {
            assert_eq!(ran.exit, Exit::Declined);
            assert!(ran.err.contains(hint), "{hint} is not in: {}", ran.err);
        }
        let push = run(gateway.address(), &["push", "chat", "alice", "hi", "--json"]);
        let json = json!({"user": "alice", "outcome": "rejected", "reason": why.name()});
        assert_eq!((push.exit, as_json(&push)), (Exit::Declined, json));
    }
}

#[test]
fn a_push_carries_what_was_typed() {
    let gateway = Gateway::bind();
    let api = gateway.address();
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = gateway.accept();
            assert_eq!(peer.welcome(8), ("mailer".to_owned(), b"secret".to_vec()));
            let received = peer.receive().unwrap();
            let Request::Push(_, push) = received.request() else { panic!("not a push") };
            let target = push.targets.iter().next().unwrap();
            assert_eq!((push.product, target.user, target.body), ("chat", "alice", &b"hi"[..]));
            assert_eq!((target.class, target.ttl), (Class::Durable, 60));
            peer.send(|out| received.answer_push(Outcome::Stored(1), out));
        });
        let words = "push chat alice hi --class durable --ttl 1min --name mailer --key secret";
        run(&api, &words.split(' ').collect::<Vec<_>>())
    });
    assert_eq!(ran.exit, Exit::Done);
}

#[test]
fn a_key_file_is_read_as_the_gateway_reads_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "from the file\r\n").unwrap();
    let gateway = Gateway::bind();
    let api = gateway.address();
    let key = std::thread::scope(|scope| {
        let peer = scope.spawn(|| gateway.accept().welcome(8).1);
        let path = path.to_str().unwrap();
        run(&api, &["status", "--key", "other", "--key-file", path, "--timeout", "2s"]);
        peer.join().unwrap()
    });
    assert_eq!(key, b"from the file");
}

#[test]
fn online_lists_everybody_and_says_no_if_somebody_is_away() {
    let gateway = Gateway::bind().run_with(8, |request, out| {
        if let Request::Online(id, online) = request {
            let sessions = online.users.iter().map(|user| u32::from(user == "alice") * 2);
            put_online(*id, &sessions.collect::<Vec<_>>(), out);
        }
    });
    let ran = run(gateway.address(), &["online", "chat", "alice", "bo"]);
    assert_eq!(ran.out, "alice  2 sessions\nbo     offline\n");
    assert_eq!(ran.exit, Exit::NotDelivered);
    let ran = run(gateway.address(), &["online", "chat", "alice", "--json"]);
    assert_eq!((ran.exit, as_json(&ran)), (Exit::Done, json!({"user": "alice", "sessions": 2})));
}

#[test]
fn kick_says_how_many_sessions_it_ended() {
    let gateway = Gateway::bind().run_with(8, |request, out| {
        if let Request::Kick { id, user, reason, .. } = request {
            put_kick(*id, u32::from(*user == "alice" && *reason == "spam"), out);
        }
    });
    let ran = run(gateway.address(), &["kick", "chat", "alice", "--reason", "spam"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, "1 session of alice ended\n"));
    let ran = run(gateway.address(), &["kick", "chat", "bob"]);
    let text = "bob is offline; there was nothing to end\n";
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::NotDelivered, text));
}

#[test]
fn status_shows_the_gateway_and_its_counters() {
    let gateway = Gateway::bind().run(64);
    let ran = run(gateway.address(), &["status"]);
    let text = "host 1, incarnation 1; window 64, bodies up to 64.0 KiB\n\nmessages\n  pushes  1\n";
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, text));
    let ran = run(gateway.address(), &["status", "--json"]);
    let wanted = json!({
        "gateway": {"host": 1, "incarnation": 1, "window": 64, "body_max": 65536},
        "counters": {"pushes": 1},
    });
    assert_eq!(as_json(&ran), wanted);
}

/// A gateway whose job is over after so many questions.
fn job_of(questions: u64, end: JobState) -> Running {
    let left = Arc::new(AtomicU64::new(questions));
    Gateway::bind().run_with(8, move |request, out| match request {
        Request::Broadcast(id, _) => put_job(*id, &job(7, JobState::Running), out),
        Request::Job(id, JobAction::Status, 7) => {
            let over = left.fetch_sub(1, Ordering::Relaxed) <= 1;
            put_job(*id, &job(7, if over { end } else { JobState::Running }), out);
        }
        Request::Job(id, JobAction::Pause, 7) => put_job(*id, &job(7, JobState::Paused), out),
        _ => {}
    })
}

#[test]
fn a_broadcast_is_watched_to_its_end() {
    let gateway = job_of(3, JobState::Done);
    let ran = run(gateway.address(), &["broadcast", "news", "hi"]);
    assert_eq!(ran.out, "job 7 done: 9 of 10 sessions, 1 dropped\n");
    assert_eq!(ran.exit, Exit::Done);
}

#[test]
fn a_durable_broadcast_is_kept_for_those_who_come_later_unless_it_is_cancelled() {
    for (end, kept) in [(JobState::Done, true), (JobState::Cancelled, false)] {
        let gateway = job_of(2, end);
        let ran = run(gateway.address(), &["broadcast", "news", "hi", "--durable"]);
        assert_eq!(ran.out.ends_with("; kept for those who come later\n"), kept, "{}", ran.out);
    }
}

#[test]
fn on_a_terminal_progress_stands_in_one_line() {
    let gateway = job_of(3, JobState::Done);
    let words = ["job", "watch", "7", "--api", gateway.address()];
    let ran = run_with(&words, true, |_| {});
    assert!(ran.err.contains("\r\x1b[Kjob 7   50 %  5 of 10  1 dropped"), "{:?}", ran.err);
    assert!(ran.err.ends_with("\r\x1b[K"), "the line is cleared: {:?}", ran.err);
    assert_eq!(ran.out, "job 7 done: 9 of 10 sessions, 1 dropped\n");
}

#[test]
fn a_cancelled_broadcast_is_a_no() {
    let gateway = job_of(2, JobState::Cancelled);
    let ran = run(gateway.address(), &["broadcast", "news", "hi", "--json"]);
    assert_eq!((ran.exit, &as_json(&ran)["state"]), (Exit::NotDelivered, &json!("cancelled")));
}

#[test]
fn a_broadcast_that_is_not_waited_for_prints_its_job() {
    let gateway = job_of(9, JobState::Done);
    let ran = run(gateway.address(), &["broadcast", "news", "hi", "--no-wait"]);
    let text = "job 7 running: 4 of 10 sessions, 1 dropped, 5 left\n";
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, text));
    let ran = run(gateway.address(), &["job", "pause", "7"]);
    let text = "job 7 paused: 4 of 10 sessions, 1 dropped, 5 left\n";
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, text));
}

#[test]
fn ctrl_c_leaves_the_job_running_and_says_how_to_come_back() {
    let gateway = job_of(u64::MAX, JobState::Done);
    let words = ["broadcast", "news", "hi", "--api", gateway.address()];
    let ran = run_with(&words, false, |screen| screen.interrupt().store(true, Ordering::Relaxed));
    assert_eq!(ran.exit, Exit::Interrupted);
    assert!(ran.err.contains("holdfast job watch 7"), "{}", ran.err);
    assert!(ran.out.starts_with("job 7 running"), "{}", ran.out);
}
