//! Every request arrives as it was asked, and every answer, an error among them, as it was given.

use super::{answer as wait, connected, options};
use holdfast_client::testing::{Gateway, job, mailbox_after};
use holdfast_client::{
    Advice, Backend, Broadcast, Class, Error, ErrorCode, JobAction, JobState, MailboxAction,
    Options, Outcome, Rejection, Target, broadcast, target,
};
use holdfast_protocol::backend::answer;
use holdfast_protocol::backend::request::Request;
use std::time::Duration;

#[test]
fn a_broadcast_and_what_steers_it() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    let news = Broadcast {
        tag: "sport",
        class: Class::Durable,
        ttl: 60,
        users_per_second: 1000,
        bits_per_second: 8_000_000,
        key: b"once",
        ..broadcast("news", b"goal")
    };
    let pending = backend.broadcast(&news).unwrap();
    let received = peer.receive().unwrap();
    let Request::Broadcast(id, asked) = received.request() else { panic!("not a broadcast") };
    assert_eq!(asked, news);
    peer.send(|out| answer::put_job(id, &job(7, JobState::Running), out));
    assert_eq!(wait(pending), Ok(job(7, JobState::Running)));

    for action in [JobAction::Status, JobAction::Pause, JobAction::Resume, JobAction::Cancel] {
        let pending = backend.job(action, 7).unwrap();
        let received = peer.receive().unwrap();
        let Request::Job(id, asked, 7) = received.request() else { panic!("not about job 7") };
        assert_eq!(asked, action);
        peer.send(|out| answer::put_job(id, &job(7, JobState::Done), out));
        assert_eq!(wait(pending), Ok(job(7, JobState::Done)));
    }
}

#[test]
fn an_online_query_a_kick_and_the_counters() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);

    let pending = backend.online("chat", &["alice", "bob"]).unwrap();
    let received = peer.receive().unwrap();
    let Request::Online(id, asked) = received.request() else { panic!("not an online query") };
    assert!(asked.product == "chat" && asked.users.iter().eq(["alice", "bob"]));
    peer.send(|out| answer::put_online(id, &[2, 0], out));
    assert_eq!(wait(pending), Ok(vec![2, 0]));

    let pending = backend.kick("chat", "alice", "spam").unwrap();
    let received = peer.receive().unwrap();
    let Request::Kick { id, product: "chat", user: "alice", reason: "spam" } = received.request()
    else {
        panic!("not that kick")
    };
    peer.send(|out| answer::put_kick(id, 2, out));
    assert_eq!(wait(pending), Ok(2));

    let pending = backend.counters().unwrap();
    let received = peer.receive().unwrap();
    let Request::Counters(id) = received.request() else { panic!("not for counters") };
    peer.send(|out| answer::put_counters(id, &[("closed_bye", 5), ("pushes", 1 << 50)], out));
    let counters = [("closed_bye".to_owned(), 5), ("pushes".to_owned(), 1 << 50)];
    assert_eq!(wait(pending), Ok(counters.to_vec()));
}

#[test]
fn what_is_done_with_a_mailbox() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    for action in [MailboxAction::Show, MailboxAction::Purge, MailboxAction::Release] {
        let pending = backend.mailbox(action, "chat", "alice").unwrap();
        assert_eq!(backend.window_left(), 63);
        let received = peer.receive().unwrap();
        let Request::Mailbox { id, product: "chat", user: "alice", action: asked } =
            received.request()
        else {
            panic!("not about that mailbox")
        };
        assert_eq!(asked, action);
        peer.send(|out| answer::put_mailbox(id, &mailbox_after(action), out));
        assert_eq!(wait(pending), Ok(mailbox_after(action)));
    }
    let pending = backend.mailbox(MailboxAction::Show, "chat", "alice").unwrap();
    let received = peer.receive().unwrap();
    let Request::Mailbox { id, .. } = received.request() else { panic!("not about a mailbox") };
    peer.send(|out| answer::put_error(id, ErrorCode::StoreBusy, 1000, "", out));
    let error = wait(pending).unwrap_err();
    assert_eq!(error.declined(), Some(ErrorCode::StoreBusy));
    assert_eq!(error.advice(), Advice::Retry(Duration::from_secs(1)));
}

#[test]
fn a_durable_push_with_its_key_and_its_wish_for_a_receipt() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    let durable = |user, receipt| Target {
        class: Class::Durable,
        ttl: 3600,
        key: b"order-7",
        receipt,
        ..target(user, b"shipped")
    };
    let targets = [durable("alice", true), durable("bob", false)];
    let pending = backend.push("shop", &targets).unwrap();
    let received = peer.receive().unwrap();
    let Request::Push(id, push) = received.request() else { panic!("not a push") };
    assert!(push.targets.iter().eq(targets));
    let outcomes = [Outcome::Stored(4), Outcome::Rejected(Rejection::MailboxFull)];
    peer.send(|out| answer::put_outcomes(id, &outcomes, out));
    assert_eq!(wait(pending), Ok(outcomes.to_vec()));
}

#[test]
fn an_error_with_its_advice() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    for (after, advice) in [(0, Advice::Change), (250, Advice::Retry(Duration::from_millis(250)))] {
        let pending = backend.push("chat", &[target("alice", b"hi")]).unwrap();
        let received = peer.receive().unwrap();
        let Request::Push(id, _) = received.request() else { panic!("not a push") };
        peer.send(|out| answer::put_error(id, ErrorCode::TooManyJobs, after, "full", out));
        let error = wait(pending).unwrap_err();
        assert_eq!(error.declined(), Some(ErrorCode::TooManyJobs));
        assert_eq!(error.advice(), advice);
        assert_eq!(error.to_string(), "the gateway declined: too_many_jobs (full)");
    }
    assert_eq!(backend.window_left(), 64, "an error gives the window back");
}

#[test]
fn the_longest_request_there_is() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 5000);
    let body = vec![9; 1 << 20];
    let users: Vec<_> = (0..4096).map(|index| format!("user-{index}")).collect();
    let targets: Vec<_> =
        users.iter().map(|user| Target { ttl: 9, ..target(user, &body) }).collect();
    let pending = backend.push("chat", &targets).unwrap();
    let received = peer.receive().unwrap();
    let Request::Push(_, push) = received.request() else { panic!("not a push") };
    assert!(push.targets.iter().eq(targets.iter().copied()));
    peer.send(|out| received.answer_push(Outcome::Delivered(1 << 48), out));
    assert_eq!(wait(pending).map(|outcomes| outcomes.len()), Ok(4096));
}

#[test]
fn the_hello_with_name_and_key() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    options.name = "mailer".to_owned();
    options.key = b"secret".to_vec();
    let backend = Backend::start(options).unwrap();
    let hello = gateway.accept().welcome(1);
    assert_eq!(hello, ("mailer".to_owned(), b"secret".to_vec()));
    drop(backend);
}

#[test]
fn what_the_gateway_would_take_for_a_broken_program_is_not_sent() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    assert!(matches!(backend.push("chat", &[]), Err(Error::Invalid(_))));
    assert!(matches!(backend.online("", &["alice"]), Err(Error::Invalid(_))));
    assert!(matches!(backend.kick("chat", &"u".repeat(65), ""), Err(Error::Invalid(_))));
    let nobody = backend.mailbox(MailboxAction::Purge, "chat", "");
    assert!(matches!(nobody, Err(Error::Invalid(_))));
    drop(backend);
    assert!(peer.receive().is_none(), "nothing was sent");
    assert!(matches!(Backend::connect(Options::new(Vec::<String>::new())), Err(Error::Invalid(_))));
}
