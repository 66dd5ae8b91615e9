//! The window is kept: a call waits for room or says that there is none, and a request that timed
//! out holds its part until the gateway has answered.

use super::{answer, connected, options};
use holdfast_client::testing::Gateway;
use holdfast_client::{Error, Outcome, target};
use std::thread;
use std::time::Duration;

#[test]
fn a_try_says_that_it_is_full_and_sends_nothing() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 3);
    let two = [target("a", b"1"), target("b", b"1")];
    let first = backend.try_push("chat", &two).unwrap();
    let full = Error::WindowFull { needed: 2, left: 1 };
    assert_eq!(backend.try_push("chat", &two).map(drop), Err(full.clone()));
    assert_eq!(backend.try_push_then("chat", &two, |_| panic!("never called")), Err(full));
    let third = backend.try_push("chat", &two[..1]).unwrap();
    assert_eq!(backend.window_left(), 0);
    for _ in 0..2 {
        let request = peer.receive().unwrap();
        peer.send(|out| request.answer_push(Outcome::Offline, out));
    }
    assert_eq!(answer(first), Ok(vec![Outcome::Offline; 2]));
    assert_eq!(answer(third), Ok(vec![Outcome::Offline]));
    assert_eq!(backend.window_left(), 3);
}

#[test]
fn a_call_waits_until_an_answer_makes_room() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 1);
    let first = backend.push_one("chat", target("a", b"1")).unwrap();
    let request = peer.receive().unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| backend.push_one("chat", target("b", b"2")));
        peer.send(|out| request.answer_push(Outcome::Delivered(1), out));
        let request = peer.receive().unwrap();
        peer.send(|out| request.answer_push(Outcome::Delivered(2), out));
        let second = second.join().unwrap().unwrap();
        assert_eq!(answer(second), Ok(Outcome::Delivered(2)));
    });
    assert_eq!(answer(first), Ok(Outcome::Delivered(1)));
}

#[test]
fn a_call_gives_up_when_no_room_comes() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    options.timeout = Duration::from_millis(50);
    let (backend, mut peer) = connected(&gateway, options, 1);
    let first = backend.push_one("chat", target("a", b"1")).unwrap();
    // The first times out meanwhile, and still counts: its gateway has not answered it.
    let full = Error::WindowFull { needed: 1, left: 0 };
    assert_eq!(backend.push_one("chat", target("a", b"2")).map(drop), Err(full));
    assert_eq!(answer(first), Err(Error::TimedOut(Duration::from_millis(50))));
    assert_eq!(backend.window_left(), 0);
    let late = peer.receive().unwrap();
    peer.send(|out| late.answer_push(Outcome::Offline, out));
    // The late answer reaches nobody, and makes room.
    let mut tries = (0..100).map(|_| backend.push_one("chat", target("a", b"3")));
    assert!(tries.any(|pushed| pushed.is_ok()));
}

#[test]
fn what_is_larger_than_the_window_is_never_sent() {
    let gateway = Gateway::bind();
    let (backend, _peer) = connected(&gateway, options(&gateway), 2);
    let three = [target("a", b"1"); 3];
    let error = backend.push("chat", &three).map(drop);
    assert_eq!(error, Err(Error::OverWindow { needed: 3, window: 2 }));
}

#[test]
fn inside_a_callback_a_call_does_not_wait() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 2);
    let (sender, said) = std::sync::mpsc::channel();
    let inner = backend.clone();
    backend
        .push_then("chat", &[target("a", b"1")], move |_| {
            let both = [target("a", b"2"), target("b", b"2")];
            sender.send(inner.push("chat", &both).map(drop)).unwrap();
        })
        .unwrap();
    let _second = backend.push_one("chat", target("a", b"1")).unwrap();
    let first = peer.receive().unwrap();
    peer.send(|out| first.answer_push(Outcome::Offline, out));
    let said = said.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(said, Err(Error::WindowFull { needed: 2, left: 1 }));
}
