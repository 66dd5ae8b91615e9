//! Silence has an end: a gateway that does not welcome, does not answer, or does not live is found
//! out.

use super::{answer, connected, expect_event, listen, options};
use holdfast_client::testing::Gateway;
use holdfast_client::{Advice, Attempt, Backend, Cause, Error, Event, Outcome, target};
use holdfast_protocol::backend::answer::put_pong;
use holdfast_protocol::backend::request::Request;
use std::thread;
use std::time::Duration;

const SOON: Duration = Duration::from_millis(30);

#[test]
fn a_request_without_an_answer_times_out_and_the_connection_goes_on() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    options.timeout = SOON;
    let (backend, mut peer) = connected(&gateway, options, 64);
    let slow = backend.push_one("chat", target("a", b"1")).unwrap();
    let error = answer(slow).unwrap_err();
    assert_eq!((error.clone(), error.advice()), (Error::TimedOut(SOON), Advice::RetryIfIdempotent));
    assert!(backend.finish(Duration::from_secs(10)), "nobody waits for it any more");

    let late = peer.receive().unwrap();
    peer.send(|out| late.answer_push(Outcome::Delivered(1), out));
    // The late answer is nobody's; the connection is as good as before.
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(request) = peer.receive() {
                peer.send(|out| request.answer_push(Outcome::Delivered(2), out));
            }
        });
        let outcome = loop {
            match answer(backend.push_one("chat", target("a", b"2")).unwrap()) {
                Err(Error::TimedOut(_)) => {}
                other => break other,
            }
        };
        assert_eq!(outcome, Ok(Outcome::Delivered(2)));
        drop(backend);
    });
}

#[test]
fn an_idle_connection_is_pinged_and_lives_on() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    options.ping_after = Duration::from_millis(700);
    let (backend, mut peer) = connected(&gateway, options, 64);
    assert_eq!(peer.receive().unwrap().request(), Request::Ping);
    peer.send(put_pong);
    let pending = backend.push_one("chat", target("a", b"1")).unwrap();
    let request = peer.receive().unwrap();
    peer.send(|out| request.answer_push(Outcome::Offline, out));
    assert_eq!(answer(pending), Ok(Outcome::Offline));
}

#[test]
fn a_gateway_that_hangs_is_left() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    options.ping_after = Duration::from_millis(300);
    let events = listen(&mut options);
    let (backend, _peer) = connected(&gateway, options, 64);
    let pending = backend.push_one("chat", target("a", b"1")).unwrap();
    let event = expect_event(&events, |event| matches!(event, Event::Lost { .. }));
    let Event::Lost { attempt: Attempt { cause, .. }, .. } = event else { unreachable!() };
    assert_eq!(cause, Cause::Silent(Duration::from_millis(900)));
    assert!(matches!(answer(pending), Err(Error::ConnectionLost(_))));
}

#[test]
fn a_gateway_that_does_not_welcome_is_unreachable() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    options.connect_timeout = SOON;
    let error = Backend::connect(options).map(drop).unwrap_err();
    let Error::Unreachable(attempts) = &error else { panic!("{error}") };
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].cause, Cause::NoWelcome(SOON));
    assert_eq!(
        error.to_string(),
        format!("cannot reach a gateway: {}: no welcome within 30ms", gateway.address())
    );
}

#[test]
fn a_gateway_that_reads_nothing_costs_a_window_and_no_more() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    options.timeout = SOON;
    let (backend, peer) = connected(&gateway, options, 64);
    // Far more than the kernel's buffers take: the rest waits in the client, within the window.
    let body = vec![1; 1 << 20];
    let pendings: Vec<_> =
        (0..64).map_while(|_| backend.try_push("chat", &[target("a", &body)]).ok()).collect();
    assert_eq!(pendings.len(), 64);
    let full = backend.try_push("chat", &[target("a", &body)]).map(drop);
    assert_eq!(full, Err(Error::WindowFull { needed: 1, left: 0 }));
    for pending in pendings {
        assert_eq!(answer(pending), Err(Error::TimedOut(SOON)));
    }
    drop(peer);
}
