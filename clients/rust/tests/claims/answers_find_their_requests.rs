//! Answers find their requests: in any order, cut at any byte, in one write or in many, and to
//! callbacks and tasks as well as to threads.

use super::{answer, connected, options};
use holdfast_client::testing::Gateway;
use holdfast_client::{Outcome, target};
use holdfast_protocol::backend::answer::put_outcomes;
use holdfast_protocol::backend::request::Request;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

#[test]
fn in_the_opposite_order() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    let pendings: Vec<_> =
        (0..8).map(|_| backend.push_one("chat", target("alice", b"hi")).unwrap()).collect();
    let requests: Vec<_> = (0..8).map(|_| peer.receive().unwrap()).collect();
    for (index, request) in requests.iter().enumerate().rev() {
        peer.send(|out| request.answer_push(Outcome::Delivered(index as u64), out));
    }
    for (index, pending) in pendings.into_iter().enumerate() {
        assert_eq!(answer(pending), Ok(Outcome::Delivered(index as u64)));
    }
    assert_eq!(backend.in_flight(), 0);
    assert_eq!(backend.window_left(), 64);
}

#[test]
fn cut_at_every_byte() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    let targets = [target("alice", b"hi"), target("bob", b"hi")];
    let pendings: Vec<_> = (0..3).map(|_| backend.push("chat", &targets).unwrap()).collect();
    let mut bytes = Vec::new();
    for _ in 0..3 {
        peer.receive().unwrap().answer_push(Outcome::Stored(1 << 40), &mut bytes);
    }
    for byte in bytes {
        peer.send_bytes(&[byte]);
    }
    for pending in pendings {
        assert_eq!(answer(pending), Ok(vec![Outcome::Stored(1 << 40); 2]));
    }
}

#[test]
fn outcomes_stand_in_the_order_of_their_targets() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    let targets = [target("a", b"1"), target("b", b"2"), target("c", b"3")];
    let pending = backend.push("chat", &targets).unwrap();
    let received = peer.receive().unwrap();
    let Request::Push(id, push) = received.request() else { panic!("not a push") };
    assert_eq!(push.product, "chat");
    assert!(push.targets.iter().eq(targets));
    let outcomes = [Outcome::Offline, Outcome::Busy(5), Outcome::Delivered(9)];
    peer.send(|out| put_outcomes(id, &outcomes, out));
    assert_eq!(answer(pending), Ok(outcomes.to_vec()));
}

#[test]
fn to_callbacks_that_push_again() {
    let gateway = Gateway::bind();
    let script = gateway.address();
    let running = gateway.run(4);
    let backend =
        holdfast_client::Backend::connect(holdfast_client::Options::new([script])).unwrap();
    let (sender, outcomes) = mpsc::channel();
    let again = backend.clone();
    backend
        .push_then("chat", &[target("alice", b"first")], move |first| {
            let then = sender.clone();
            sender.send(first).unwrap();
            let second =
                again.try_push_then("chat", &[target("alice", b"second")], move |second| {
                    then.send(second).unwrap();
                });
            assert_eq!(second, Ok(()));
        })
        .unwrap();
    for _ in 0..2 {
        let outcome = outcomes.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(outcome, Ok(vec![Outcome::Delivered(1)]));
    }
    running.stop();
}

#[test]
fn a_callback_that_panics_harms_nobody_else() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    backend.push_then("chat", &[target("alice", b"1")], |_| panic!("on purpose")).unwrap();
    let pending = backend.push_one("chat", target("alice", b"2")).unwrap();
    for _ in 0..2 {
        let request = peer.receive().unwrap();
        peer.send(|out| request.answer_push(Outcome::Offline, out));
    }
    assert_eq!(answer(pending), Ok(Outcome::Offline));
}

#[test]
fn from_many_threads_at_once() {
    let gateway = Gateway::bind();
    let options = options(&gateway);
    let running = gateway.run(100);
    let backend = holdfast_client::Backend::connect(options).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            let backend = backend.clone();
            scope.spawn(move || {
                let body = [7; 300];
                let targets = [target("alice", &body); 40];
                let pendings: Vec<_> =
                    (0..200).map(|_| backend.push("chat", &targets).unwrap()).collect();
                for pending in pendings {
                    assert_eq!(answer(pending), Ok(vec![Outcome::Delivered(1); 40]));
                }
            });
        }
    });
    running.stop();
}

#[test]
fn when_all_is_finished_every_callback_has_returned() {
    let gateway = Gateway::bind();
    let options = options(&gateway);
    let running = gateway.run(1000);
    let backend = holdfast_client::Backend::connect(options).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    for sent in 1..=50 {
        let returned = Arc::clone(&count);
        let done = move |_| {
            thread::sleep(Duration::from_millis(1));
            returned.fetch_add(1, Ordering::SeqCst);
        };
        backend.push_then("chat", &[target("alice", b"1")], done).unwrap();
        if sent % 10 == 0 {
            assert!(backend.finish(Duration::from_secs(10)));
            assert_eq!(count.load(Ordering::SeqCst), sent);
        }
    }
    running.stop();
}
