//! What a person and a script see of durable messages: receipts, refusals, mailboxes.

use super::{Ran, run, run_with};
use crate::cli::Exit;
use holdfast_client::testing::{Gateway, Running, mailbox_after};
use holdfast_client::{Class, DropReason, ErrorCode, Mailbox, MailboxAction, Outcome, Rejection};
use holdfast_protocol::backend::answer::{
    Receipt, put_error, put_mailbox, put_outcomes, put_receipt,
};
use holdfast_protocol::backend::request::Request;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Every line of the answer.
fn lines(ran: &Ran) -> Vec<Value> {
    ran.out.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// A gateway that stores every push as 13, and tells so what became of it.
fn stores_and_tells(ends: Option<Outcome>) -> Running {
    Gateway::bind().run_with(8, move |request, out| {
        let Request::Push(id, push) = request else { return };
        let target = push.targets.iter().next().unwrap();
        assert!(target.receipt && target.class == Class::Durable);
        put_outcomes(*id, &[Outcome::Stored(13)], out);
        // One of another message is none of this command's business.
        for (sequence, outcome) in [(12, Some(Outcome::Expired)), (13, ends)] {
            let Some(outcome) = outcome else { continue };
            let (product, user) = (push.product, target.user);
            put_receipt(&Receipt { product, user, sequence, outcome }, out);
        }
    })
}

#[test]
fn a_receipt_is_waited_for_and_said() {
    for (ends, exit, text, json) in [
        (
            Outcome::Acked(13),
            Exit::Done,
            "acknowledged by alice (sequence 13)\n",
            json!({"user": "alice", "outcome": "acked", "sequence": 13}),
        ),
        (
            Outcome::Expired,
            Exit::NotDelivered,
            "not acknowledged by alice: its time to live ended first\n",
            json!({"user": "alice", "outcome": "expired", "sequence": 13}),
        ),
        (
            Outcome::Dropped(DropReason::Purged),
            Exit::NotDelivered,
            "not acknowledged by alice: given up (purged)\n",
            json!({"user": "alice", "outcome": "dropped", "reason": "purged", "sequence": 13}),
        ),
    ] {
        let gateway = stores_and_tells(Some(ends));
        let words = ["push", "chat", "alice", "hi", "--durable", "--receipt", "1min"];
        let ran = run(gateway.address(), &words);
        let text = format!("stored for alice (sequence 13)\n{text}");
        assert_eq!((ran.exit, ran.out, ran.err), (exit, text, String::new()));
        let ran = run(gateway.address(), &[&words[..], &["--json"]].concat());
        let stored = json!({"user": "alice", "outcome": "stored", "sequence": 13});
        assert_eq!((ran.exit, lines(&ran)), (exit, vec![stored, json]));
    }
}

#[test]
fn a_receipt_that_does_not_come_is_a_no_and_ctrl_c_ends_the_waiting() {
    let gateway = stores_and_tells(None);
    let ran =
        run(gateway.address(), &["push", "chat", "alice", "hi", "--durable", "--receipt", "50ms"]);
    assert_eq!(ran.exit, Exit::NotDelivered);
    assert!(ran.out.ends_with("no receipt for alice within 50ms\n"), "{}", ran.out);
    assert!(ran.err.contains("holdfast mailbox show chat alice"), "{}", ran.err);
    let words = ["push", "chat", "alice", "hi", "--durable", "--receipt", "1d", "--json", "--api"];
    let ran = run_with(&[&words[..], &[gateway.address()]].concat(), false, |screen| {
        screen.interrupt().store(true, Ordering::Relaxed);
    });
    let none = json!({"user": "alice", "outcome": "no_receipt", "sequence": 13});
    assert_eq!((ran.exit, &lines(&ran)[1]), (Exit::Interrupted, &none));
}

#[test]
fn a_gateway_that_goes_away_while_a_receipt_is_awaited_is_said() {
    for json in [false, true] {
        let gateway = Gateway::bind();
        let address = gateway.address();
        let goes = std::thread::spawn(move || {
            let mut peer = gateway.accept();
            peer.welcome(8);
            let push = peer.receive().unwrap();
            peer.send(|out| push.answer_push(Outcome::Stored(13), out));
        });
        let words = ["push", "chat", "alice", "hi", "--durable", "--receipt", "1d"];
        let ran = run(&address, &[&words[..], if json { &["--json"] } else { &[] }].concat());
        goes.join().unwrap();
        assert_eq!(ran.exit, Exit::NoReceipt);
        assert!(ran.err.contains("the gateway went away") && ran.err.contains("13"), "{}", ran.err);
        assert!(ran.err.contains("try: `holdfast mailbox show chat alice`"), "{}", ran.err);
        if json {
            let none = json!({"user": "alice", "outcome": "no_receipt", "sequence": 13});
            assert_eq!(lines(&ran)[1], none);
        } else {
            assert_eq!(ran.out, "stored for alice (sequence 13)\n");
        }
    }
}

#[test]
fn a_message_acknowledged_at_once_has_no_receipt_to_wait_for() {
    let gateway = Gateway::bind().run_with(8, |request, out| {
        if let Request::Push(id, _) = request {
            put_outcomes(*id, &[Outcome::Acked(13)], out);
        }
    });
    let words = ["push", "chat", "alice", "hi", "--durable", "--receipt", "1d"];
    let ran = run(gateway.address(), &words);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, "acknowledged by alice (sequence 13)\n"));
}

#[test]
fn an_idempotency_key_is_carried_by_pushes_and_broadcasts() {
    let gateway = Gateway::bind().run_with(8, |request, out| match request {
        Request::Push(id, push) => {
            let target = push.targets.iter().next().unwrap();
            assert_eq!((target.class, target.key), (Class::Durable, &b"order-7"[..]));
            put_outcomes(*id, &[Outcome::Stored(1)], out);
        }
        Request::Broadcast(id, broadcast) => {
            assert_eq!((broadcast.class, broadcast.key), (Class::Durable, &b"order-7"[..]));
            let job = holdfast_client::testing::job(7, holdfast_client::JobState::Done);
            holdfast_protocol::backend::answer::put_job(*id, &job, out);
        }
        _ => {}
    });
    let key = ["--durable", "--idempotency-key", "order-7"];
    for words in [&["push", "chat", "alice", "hi"][..], &["broadcast", "chat", "hi"]] {
        let ran = run(gateway.address(), &[words, &key].concat());
        assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    }
}

#[test]
fn a_store_that_takes_nothing_comes_with_advice() {
    for (why, hint) in [
        (Rejection::MailboxFull, "  try: `holdfast mailbox show chat alice`"),
        (Rejection::StoreFull, "  try: again when the gateway's disk has room"),
    ] {
        let gateway = Gateway::bind().run_with(8, move |request, out| {
            if let Request::Push(id, _) = request {
                put_outcomes(*id, &[Outcome::Rejected(why)], out);
            }
        });
        let ran = run(gateway.address(), &["push", "chat", "alice", "hi", "--durable"]);
        assert_eq!(ran.exit, Exit::Declined);
        assert_eq!(ran.out, format!("not delivered to alice: {}\n", why.name()));
        assert!(ran.err.contains(hint), "{hint} is not in: {}", ran.err);
    }
    for (code, hint) in [
        (ErrorCode::StoreFull, "  try: again when the gateway's disk has room"),
        (ErrorCode::StoreBusy, "  try: again in a moment; /readyz"),
    ] {
        let gateway = Gateway::bind().run_with(8, move |request, out| {
            if let Request::Broadcast(id, _) = request {
                put_error(*id, code, 1000, "", out);
            }
        });
        let ran = run(gateway.address(), &["broadcast", "chat", "hi", "--durable"]);
        assert_eq!(ran.exit, Exit::Declined);
        assert!(ran.err.contains(code.name()) && ran.err.contains(hint), "{}", ran.err);
    }
}

/// A gateway with one mailbox, which stays as it is until it is acted on.
fn mailbox(before: Mailbox, after: Mailbox) -> Running {
    Gateway::bind().run_with(8, move |request, out| {
        if let Request::Mailbox { id, product: "chat", user: "alice", action } = request {
            let now = if *action == MailboxAction::Show { &before } else { &after };
            put_mailbox(*id, now, out);
        }
    })
}

#[test]
fn a_mailbox_is_shown_in_words_and_numbers() {
    let full = mailbox_after(MailboxAction::Show);
    let one = Mailbox { messages: 1, first: 4, last: 4, quarantined: false, ..full };
    let away = Mailbox { messages: 0, sessions: 0, online: false, ..Mailbox::default() };
    for (mailbox_now, text) in [
        (
            full,
            "2 messages wait for alice (10 B, sequence 4 to 5); online with 1 session; in \
             quarantine: sent again 6 times and never acknowledged, so nothing is sent until alice \
             acknowledges or `holdfast mailbox release`\n",
        ),
        (one, "1 message waits for alice (10 B, sequence 4); online with 1 session\n"),
        (away, "nothing waits for alice; offline\n"),
    ] {
        let gateway = mailbox(mailbox_now, mailbox_now);
        let ran = run(gateway.address(), &["mailbox", "show", "chat", "alice"]);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, text));
    }
    let gateway = mailbox(full, full);
    let ran = run(gateway.address(), &["mailbox", "show", "chat", "alice", "--json"]);
    let wanted = json!({
        "user": "alice", "messages": 2, "bytes": 10, "first": 4, "last": 5, "acked": 3,
        "deliveries": 6, "quarantined": true, "online": true, "sessions": 1,
    });
    assert_eq!((ran.exit, lines(&ran)), (Exit::Done, vec![wanted]));
}

#[test]
fn an_acknowledgement_that_the_gateway_does_not_know_is_not_shown_as_none() {
    let full = Mailbox { acked: 0, ..mailbox_after(MailboxAction::Show) };
    let gateway = mailbox(full, full);
    let ran = run(gateway.address(), &["mailbox", "show", "chat", "alice", "--json"]);
    let said = &lines(&ran)[0];
    assert_eq!((&said["messages"], said.get("acked")), (&json!(2), None));
}

#[test]
fn a_purge_says_what_it_gave_up_and_a_release_what_it_ended() {
    let full = mailbox_after(MailboxAction::Show);
    let gateway = mailbox(full, mailbox_after(MailboxAction::Purge));
    let ran = run(gateway.address(), &["mailbox", "purge", "chat", "alice"]);
    let text = "2 messages for alice given up (10 B)\n";
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, text));
    let ran = run(gateway.address(), &["mailbox", "purge", "chat", "alice", "--json"]);
    let said = &lines(&ran)[0];
    assert_eq!((&said["purged"], &said["messages"]), (&json!(2), &json!(0)));

    let gateway = mailbox(full, mailbox_after(MailboxAction::Release));
    let ran = run(gateway.address(), &["mailbox", "release", "chat", "alice"]);
    assert!(ran.out.starts_with("released; 2 messages wait for alice"), "{}", ran.out);
    assert_eq!(ran.exit, Exit::Done);
    let ran = run(gateway.address(), &["mailbox", "release", "chat", "alice", "--json"]);
    let said = &lines(&ran)[0];
    assert_eq!((&said["released"], &said["quarantined"]), (&json!(true), &json!(false)));
}

#[test]
fn nothing_to_purge_and_nothing_to_release_are_a_no() {
    let empty = Mailbox::default();
    let gateway = mailbox(empty, empty);
    let ran = run(gateway.address(), &["mailbox", "purge", "chat", "alice"]);
    let text = "nothing waited for alice; there was nothing to give up\n";
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::NotDelivered, text));
    let ran = run(gateway.address(), &["mailbox", "release", "chat", "alice"]);
    assert!(ran.out.starts_with("alice was not in quarantine; nothing waits"), "{}", ran.out);
    assert_eq!(ran.exit, Exit::NotDelivered);
}

#[test]
fn a_gateway_without_a_store_has_no_mailboxes() {
    let gateway = Gateway::bind().run_with(8, |request, out| {
        if let Request::Mailbox { id, .. } = request {
            put_error(*id, ErrorCode::NoStore, 0, "", out);
        }
    });
    let ran = run(gateway.address(), &["mailbox", "show", "chat", "alice"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Declined, ""));
    assert!(ran.err.contains("no_store") && ran.err.contains("`store.kind`"), "{}", ran.err);
}
