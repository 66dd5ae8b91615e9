//! A gateway is not believed blindly: an answer of the wrong kind or length, to nothing, or in
//! another language ends the connection, and answers what was in flight.

use super::{answer, connected, expect_event, listen, options};
use holdfast_client::testing::{Gateway, job};
use holdfast_client::{Backend, Cause, Error, Event, JobState, Outcome, target};
use holdfast_protocol::backend::answer::{put_job, put_outcomes};
use holdfast_protocol::error::Violation;

/// The client's last words about a connection on which `reply` was sent to a push of two targets,
/// which has the id 1.
fn ends_with(reply: impl FnOnce(&mut Vec<u8>)) -> Cause {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    let events = listen(&mut options);
    let (backend, mut peer) = connected(&gateway, options, 64);
    let targets = [target("a", b"1"), target("b", b"1")];
    let pending = backend.push("chat", &targets).expect("there is room");
    peer.receive().expect("the push comes");
    peer.send(reply);
    let event = expect_event(&events, |event| matches!(event, Event::Lost { .. }));
    let Event::Lost { attempt, .. } = event else { unreachable!() };
    assert!(matches!(answer(pending), Err(Error::ConnectionLost(_))));
    attempt.cause
}

#[test]
fn an_answer_of_another_kind() {
    let cause = ends_with(|out| put_job(1, &job(1, JobState::Done), out));
    assert_eq!(cause, Cause::Protocol(Violation::WrongState));
}

#[test]
fn too_few_outcomes() {
    let cause = ends_with(|out| put_outcomes(1, &[Outcome::Offline], out));
    assert_eq!(cause, Cause::Protocol(Violation::WrongState));
}

#[test]
fn an_answer_to_nothing() {
    let cause = ends_with(|out| put_outcomes(99, &[Outcome::Offline], out));
    assert_eq!(cause, Cause::Protocol(Violation::WrongState));
}

#[test]
fn an_answer_that_claims_to_be_huge() {
    let cause = ends_with(|out| out.extend([0x50, 0xff, 0xff, 0xff, 0x7f]));
    assert_eq!(cause, Cause::Protocol(Violation::FrameTooLarge));
}

#[test]
fn another_server_altogether() {
    let gateway = Gateway::bind();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = gateway.accept();
            peer.receive().unwrap();
            peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            while peer.receive().is_some() {}
        });
        let error = Backend::connect(options(&gateway)).map(drop).unwrap_err();
        let Error::Unreachable(attempts) = &error else { panic!("{error}") };
        assert!(matches!(attempts[0].cause, Cause::Protocol(_)), "{error}");
    });
}

#[test]
fn a_frame_of_a_later_version_is_passed_over() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    let pending = backend.push_one("chat", target("a", b"1")).unwrap();
    let request = peer.receive().unwrap();
    peer.send(|out| {
        out.extend([0x80, 3, 1, 2, 3]);
        request.answer_push(Outcome::Offline, out);
    });
    assert_eq!(answer(pending), Ok(Outcome::Offline));
}
