//! A lost connection answers everything that was in flight, once, and nothing of it is sent again.

use super::{answer, connected, expect_event, listen, options};
use holdfast_client::testing::Gateway;
use holdfast_client::{Advice, Attempt, Cause, Error, Event, Outcome, target};
use holdfast_protocol::backend::request::Request;
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn cut_in_the_middle_of_an_answer() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    let whole = backend.push_one("chat", target("a", b"1")).unwrap();
    let half = backend.push_one("chat", target("b", b"2")).unwrap();
    let mut bytes = Vec::new();
    for _ in 0..2 {
        peer.receive().unwrap().answer_push(Outcome::Delivered(1 << 40), &mut bytes);
    }
    peer.send_bytes(&bytes[..bytes.len() - 2]);
    drop(peer);
    assert_eq!(answer(whole), Ok(Outcome::Delivered(1 << 40)));
    let error = answer(half).unwrap_err();
    assert_eq!(error.advice(), Advice::RetryIfIdempotent);
    let Error::ConnectionLost(Attempt { address, cause }) = error else { panic!("{error}") };
    assert_eq!((&*address, cause), (&*gateway.address(), Cause::EndOfStream));
}

#[test]
fn the_next_connection_carries_only_what_is_new() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    let events = listen(&mut options);
    let (backend, mut peer) = connected(&gateway, options, 64);
    let (sender, lost) = mpsc::channel();
    for _ in 0..5 {
        let sender = sender.clone();
        let done = move |outcomes| sender.send(outcomes).unwrap();
        backend.push_then("chat", &[target("a", b"old")], done).unwrap();
    }
    peer.receive().unwrap();
    drop(peer);
    let event = expect_event(&events, |event| matches!(event, Event::Lost { .. }));
    let Event::Lost { in_flight, .. } = event else { unreachable!() };
    assert_eq!(in_flight, 5);
    drop(sender);
    let answers: Vec<_> = lost.iter().collect();
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::ConnectionLost(_)))));
    assert_eq!(answers.len(), 5);

    let mut peer = gateway.accept();
    peer.welcome(64);
    let pending = backend.push_one("chat", target("a", b"new")).unwrap();
    let received = peer.receive().unwrap();
    let Request::Push(_, push) = received.request() else { panic!("not a push") };
    assert_eq!(push.targets.iter().next().unwrap().body, b"new");
    peer.send(|out| received.answer_push(Outcome::Offline, out));
    assert_eq!(answer(pending), Ok(Outcome::Offline));
}

#[test]
fn a_close_that_says_why_reaches_every_caller() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    let pending = backend.push_one("chat", target("a", b"1")).unwrap();
    peer.receive().unwrap();
    peer.close(3003, "too much");
    let Err(Error::ConnectionLost(Attempt { cause: Cause::Closed(close), .. })) = answer(pending)
    else {
        panic!("not closed with a reason")
    };
    assert_eq!((close.code, &*close.reason, close.terminal()), (3003, "too much", false));
    assert_eq!(close.to_string(), "3003 overloaded: too much");
    gateway.accept().welcome(1);
}

#[test]
fn a_call_between_two_connections_waits_and_a_try_does_not() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    let events = listen(&mut options);
    let (backend, peer) = connected(&gateway, options, 64);
    drop(peer);
    expect_event(&events, |event| matches!(event, Event::Lost { .. }));
    let tried = backend.try_push("chat", &[target("a", b"1")]).map(drop);
    assert!(matches!(tried, Err(Error::NotConnected { .. })), "{tried:?}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| answer(backend.push_one("chat", target("a", b"2")).unwrap()));
        let mut peer = gateway.accept();
        peer.welcome(64);
        let request = peer.receive().unwrap();
        peer.send(|out| request.answer_push(Outcome::Offline, out));
        assert_eq!(waiting.join().unwrap(), Ok(Outcome::Offline));
    });
}

#[test]
fn a_dropped_client_answers_what_was_in_flight_and_leaves() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    let pending = backend.push_one("chat", target("a", b"1")).unwrap();
    peer.receive().unwrap();
    let shared = backend.clone();
    drop(backend);
    assert!(shared.welcome().is_some(), "a clone keeps it open");
    assert!(!shared.finish(Duration::from_millis(1)), "there is a request in flight");
    drop(shared);
    assert_eq!(answer(pending), Err(Error::Closed));
    assert!(peer.receive().is_none());
}
