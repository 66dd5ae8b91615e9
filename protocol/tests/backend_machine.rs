//! The backend's half: it stays inside its window, knows which answer belongs to which request, and
//! takes no answer twice. A scripted gateway answers in orders of its own choice.

#[path = "support/files.rs"]
mod files;
#[path = "support/markdown.rs"]
mod markdown;
#[path = "support/peer.rs"]
mod peer;

use holdfast_protocol::backend::answer::{self, ErrorCode};
use holdfast_protocol::backend::machine::{Machine, Refused, State};
use holdfast_protocol::backend::request::JobAction;
use holdfast_protocol::backend::{
    Answer, Broadcast, Job, JobState, Mailbox, MailboxAction, Outcome, Receipt, Request, RequestId,
    Target, Welcome,
};
use holdfast_protocol::client::Class;
use holdfast_protocol::error::Violation;
use peer::Peer;

const WELCOME: Welcome = Welcome { window: 10, body_max: 65536, host: 1, incarnation: 3 };
const TARGET: Target<'_> =
    Target { user: "alice", class: Class::Online, ttl: 0, key: b"", receipt: false, body: b"hi" };
const BROADCAST: Broadcast<'_> = Broadcast {
    product: "chat",
    tag: "",
    class: Class::Online,
    ttl: 0,
    users_per_second: 0,
    bits_per_second: 0,
    key: b"",
    body: b"news",
};
const JOB: Job =
    Job { id: 5, state: JobState::Running, sequence: 1, total: 9, delivered: 0, dropped: 0 };

const RECEIPT: Receipt<'_> =
    Receipt { product: "chat", user: "alice", sequence: 8, outcome: Outcome::Acked(8) };

/// Delivers everything; gives the ids of the requests that were answered.
fn deliver(gateway: &mut Peer, backend: &mut Machine) -> Result<Vec<RequestId>, Violation> {
    let mut answered = Vec::new();
    gateway.deliver(|bytes| {
        let received = backend.receive(bytes)?;
        Ok(received.map(|(answer, taken)| {
            answered.extend(answer.request());
            taken
        }))
    })?;
    Ok(answered)
}

fn open(gateway: &mut Peer, welcome: &Welcome) -> Machine {
    let mut backend = Machine::new("billing", b"secret");
    gateway.hear(backend.output()).expect(|frame| {
        let hello = Request::Hello { name: "billing", key: b"secret" };
        assert_eq!(Request::decode(frame), Ok(hello));
    });
    gateway.say(|out| answer::put_welcome(welcome, out));
    assert_eq!(deliver(gateway, &mut backend), Ok(vec![]));
    assert_eq!(backend.state(), State::Open(*welcome));
    backend
}

#[test]
fn nothing_is_sent_before_the_welcome_or_after_the_close() {
    let mut gateway = Peer::new(1);
    let mut backend = Machine::new("billing", b"secret");
    assert_eq!((backend.state(), backend.window_left()), (State::Connecting, 0));
    assert_eq!(backend.push("chat", &[TARGET]), Err(Refused::NotOpen));
    let mut backend = open(&mut gateway, &WELCOME);
    let request = backend.counters();
    gateway.say(|out| answer::put_close(3000, "", out));
    assert_eq!(deliver(&mut gateway, &mut backend), Ok(vec![]));
    assert_eq!((backend.state(), backend.window_left()), (State::Closed, 0));
    assert_eq!(backend.counters(), Err(Refused::NotOpen));
    let unanswered: Vec<_> = backend.unanswered().map(Ok).collect();
    assert_eq!(unanswered, [request], "the owner learns what was not answered");
}

#[test]
fn every_target_costs_one_and_every_other_request_one() {
    let mut gateway = Peer::new(3);
    let mut backend = open(&mut gateway, &WELCOME);
    assert_eq!(backend.push("chat", &[TARGET; 3]), Ok(1));
    assert_eq!(backend.broadcast(&BROADCAST), Ok(2));
    assert_eq!(backend.job(JobAction::Pause, 5), Ok(3));
    assert_eq!(backend.online("chat", &["alice", "bob", "carol"]), Ok(4));
    assert_eq!(backend.kick("chat", "alice", "spam"), Ok(5));
    assert_eq!(backend.counters(), Ok(6));
    assert_eq!(backend.mailbox(MailboxAction::Purge, "chat", "alice"), Ok(7));
    backend.ping();
    assert_eq!(backend.window_left(), 10 - 3 - 6, "a ping costs nothing");
    let mut ids = Vec::new();
    gateway.hear(backend.output());
    for _ in 0..7 {
        gateway.expect(|frame| match Request::decode(frame).expect("valid") {
            Request::Push(id, push) => {
                assert_eq!((push.product, push.targets.len()), ("chat", 3));
                ids.push(id);
            }
            Request::Broadcast(id, broadcast) => {
                assert_eq!(broadcast, BROADCAST);
                ids.push(id);
            }
            Request::Job(id, JobAction::Pause, 5)
            | Request::Kick { id, product: "chat", user: "alice", reason: "spam" }
            | Request::Counters(id)
            | Request::Mailbox {
                id,
                product: "chat",
                user: "alice",
                action: MailboxAction::Purge,
            } => ids.push(id),
            Request::Online(id, online) => {
                assert!(online.users.iter().eq(["alice", "bob", "carol"]));
                ids.push(id);
            }
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7], "in the order asked");
    gateway.expect(|frame| assert_eq!(Request::decode(frame), Ok(Request::Ping)));
    gateway.expect_silence();
}

#[test]
fn a_full_window_refuses_and_sends_nothing() {
    let mut gateway = Peer::new(usize::MAX);
    let mut backend = open(&mut gateway, &WELCOME);
    assert_eq!(backend.push("chat", &[TARGET; 11]), Err(Refused::OverWindow), "never fits");
    assert_eq!(backend.push("chat", &[TARGET; 8]), Ok(1), "a refusal uses up no id");
    assert_eq!(backend.push("chat", &[TARGET; 3]), Err(Refused::WindowFull));
    assert_eq!(backend.push("chat", &[TARGET; 2]), Ok(2));
    assert_eq!(backend.window_left(), 0);
    assert_eq!(backend.counters(), Err(Refused::WindowFull));
    gateway.hear(backend.output());
    gateway.expect(|frame| assert!(matches!(Request::decode(frame), Ok(Request::Push(1, _)))));
    gateway.expect(|frame| assert!(matches!(Request::decode(frame), Ok(Request::Push(2, _)))));
    gateway.expect_silence();
}

#[test]
fn a_window_of_nothing_admits_nothing() {
    let mut gateway = Peer::new(usize::MAX);
    let mut backend = open(&mut gateway, &Welcome { window: 0, ..WELCOME });
    assert_eq!(backend.counters(), Err(Refused::OverWindow));
}

#[test]
fn answers_in_any_order_free_their_part_of_the_window() {
    for width in [1, 2, 7, usize::MAX] {
        let mut gateway = Peer::new(width);
        let mut backend = open(&mut gateway, &WELCOME);
        assert_eq!(backend.push("chat", &[TARGET; 4]), Ok(1));
        assert_eq!(backend.broadcast(&BROADCAST), Ok(2));
        assert_eq!(backend.online("chat", &["alice"]), Ok(3));
        assert_eq!(backend.kick("chat", "alice", ""), Ok(4));
        assert_eq!(backend.counters(), Ok(5));
        assert_eq!(backend.push("chat", &[TARGET; 2]), Ok(6));
        assert_eq!(backend.window_left(), 0);
        gateway
            .say(|out| answer::put_counters(5, &[("connections", 1)], out))
            .say(|out| answer::put_job(2, &JOB, out))
            .say(answer::put_pong)
            .say(|out| answer::put_error(6, ErrorCode::WindowOverrun, 10, "", out))
            .say(|out| answer::put_drain(1000, out))
            .say(|out| out.extend_from_slice(&[0xfe, 1, 9]));
        assert_eq!(deliver(&mut gateway, &mut backend), Ok(vec![5, 2, 6]));
        assert_eq!(backend.window_left(), 4, "an error frees what its request took");
        assert!(backend.unanswered().eq([1, 3, 4]), "oldest first");
        gateway
            .say(|out| answer::put_kick(4, 1, out))
            .say(|out| answer::put_outcomes(1, &[Outcome::Offline; 4], out))
            .say(|out| answer::put_online(3, &[2], out));
        assert_eq!(deliver(&mut gateway, &mut backend), Ok(vec![4, 1, 3]));
        assert_eq!((backend.window_left(), backend.unanswered().count()), (10, 0));
        assert_eq!(backend.counters(), Ok(7), "ids are not used again");
    }
}

#[test]
fn an_answer_to_nothing_and_a_second_answer_are_violations() {
    let mut gateway = Peer::new(usize::MAX);
    let mut backend = open(&mut gateway, &WELCOME);
    assert_eq!(backend.counters(), Ok(1));
    gateway.say(|out| answer::put_kick(2, 1, out));
    assert_eq!(deliver(&mut gateway, &mut backend), Err(Violation::WrongState), "never asked");
    let mut backend = open(&mut gateway, &WELCOME);
    assert_eq!(backend.counters(), Ok(1));
    gateway.say(|out| answer::put_counters(1, &[], out));
    assert_eq!(deliver(&mut gateway, &mut backend), Ok(vec![1]));
    gateway.say(|out| answer::put_counters(1, &[], out));
    assert_eq!(deliver(&mut gateway, &mut backend), Err(Violation::WrongState), "answered already");
    assert_eq!(backend.window_left(), 10, "and frees nothing twice");
}

#[test]
fn a_receipt_answers_nothing_and_frees_nothing() {
    let mut gateway = Peer::new(5);
    let mut backend = open(&mut gateway, &WELCOME);
    assert_eq!(backend.push("chat", &[TARGET; 4]), Ok(1));
    assert_eq!(backend.mailbox(MailboxAction::Show, "chat", "alice"), Ok(2));
    gateway
        .say(|out| answer::put_receipt(&RECEIPT, out))
        .say(|out| answer::put_mailbox(2, &Mailbox::default(), out))
        .say(|out| answer::put_receipt(&RECEIPT, out));
    assert_eq!(deliver(&mut gateway, &mut backend), Ok(vec![2]));
    assert_eq!(backend.window_left(), 6, "the push is still in flight");
}

/// A backend in the state that a column of the table names; in `open`, request 1 is in flight.
fn backend_in(gateway: &mut Peer, column: &str) -> Machine {
    if column == "connecting" {
        return Machine::new("billing", b"secret");
    }
    let mut backend = open(gateway, &WELCOME);
    assert_eq!(backend.counters(), Ok(1));
    if column == "closed" {
        gateway.say(|out| answer::put_close(3000, "", out));
        assert_eq!(deliver(gateway, &mut backend), Ok(vec![]));
    }
    backend
}

#[test]
fn the_backend_moves_as_its_table_says() {
    let spec = files::text("SPEC.md");
    let header = "| frame | connecting | open | closed |";
    let rows = markdown::table(&spec, "### The backend's states", header);
    assert_eq!(rows.len(), 8, "welcome, pong, drain, receipt, close, two answers, skippable");
    for row in rows {
        for (column, cell) in ["connecting", "open", "closed"].into_iter().zip(&row[1..]) {
            let mut gateway = Peer::new(usize::MAX);
            let mut backend = backend_in(&mut gateway, column);
            let before = backend.state();
            gateway.say(|out| match row[0] {
                "welcome" => answer::put_welcome(&WELCOME, out),
                "pong" => answer::put_pong(out),
                "drain" => answer::put_drain(1000, out),
                "receipt" => answer::put_receipt(&RECEIPT, out),
                "close" => answer::put_close(3000, "", out),
                "an answer to a request in flight" => answer::put_counters(1, &[], out),
                "an answer to any other id" => answer::put_counters(2, &[], out),
                "kind ≥ 0x80" => out.extend_from_slice(&[0x80, 1, 0]),
                other => panic!("SPEC.md names a frame {other}"),
            });
            let moved = deliver(&mut gateway, &mut backend).map(|_| backend.state());
            let expected = match *cell {
                "go on" => Ok(State::Open(WELCOME)),
                "take" | "ignore" => Ok(before),
                "end" => Ok(State::Closed),
                "violation" => Err(Violation::WrongState),
                other => panic!("SPEC.md names a move {other}"),
            };
            assert_eq!(moved, expected, "{} while {column}", row[0]);
        }
    }
}

#[test]
fn an_incomplete_answer_is_left_alone() {
    let mut gateway = Peer::new(usize::MAX);
    let mut backend = open(&mut gateway, &WELCOME);
    assert_eq!(backend.push("chat", &[TARGET]), Ok(1));
    let mut bytes = Vec::new();
    answer::put_outcomes(1, &[Outcome::Delivered(300)], &mut bytes);
    for cut in 0..bytes.len() {
        assert_eq!(backend.receive(&bytes[..cut]), Ok(None));
        assert_eq!(backend.window_left(), 9);
    }
    let (answer, _) = backend.receive(&bytes).expect("valid").expect("whole");
    let Answer::Push(1, outcomes) = answer else { panic!("{answer:?}") };
    assert!(outcomes.iter().eq([Outcome::Delivered(300)]));
    assert_eq!(backend.window_left(), 10);
}
