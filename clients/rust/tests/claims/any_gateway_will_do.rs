//! Any gateway will do: a dead address is passed over, a lost one is replaced, and one that drains
//! is left in order.

use super::{answer, connected, expect_event, listen, options};
use holdfast_client::testing::Gateway;
use holdfast_client::{Backend, Cause, Error, Event, Outcome, target};
use holdfast_protocol::backend::answer::put_drain;
use std::net::TcpListener;
use std::thread;

/// An address where nobody listens: a port that was free on a host that no other test uses.
fn nobody(host: &str) -> String {
    let listener = TcpListener::bind((host, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").to_string()
}

#[test]
fn dead_addresses_are_passed_over() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    options.addresses = vec![nobody("127.9.9.9"), nobody("127.9.9.9"), gateway.address()];
    let (backend, _peer) = connected(&gateway, options, 7);
    assert_eq!(backend.welcome().map(|welcome| welcome.window), Some(7));
}

#[test]
fn when_all_are_dead_each_is_named_with_its_reason() {
    let addresses = [nobody("127.9.9.9"), nobody("127.9.9.10")];
    let options = holdfast_client::Options::new(addresses.clone());
    let error = Backend::connect(options).map(drop).unwrap_err();
    let Error::Unreachable(attempts) = &error else { panic!("{error}") };
    assert_eq!(attempts.len(), 2);
    for address in &addresses {
        let attempt = attempts.iter().find(|attempt| *attempt.address == **address).unwrap();
        let refused = std::io::ErrorKind::ConnectionRefused;
        assert!(matches!(&attempt.cause, Cause::Io { kind, .. } if *kind == refused), "{attempt}");
    }
}

#[test]
fn a_gateway_that_comes_late_is_found() {
    let address = nobody("127.8.8.8");
    let mut options = holdfast_client::Options::new([address.clone()]);
    options.backoff_min = std::time::Duration::from_millis(1);
    options.backoff_max = std::time::Duration::from_millis(10);
    let events = listen(&mut options);
    let backend = Backend::start(options).unwrap();
    expect_event(&events, |event| matches!(event, Event::Waiting(_)));
    let running = Gateway::bind_to(&address).run(8);
    let outcome = answer(backend.push_one("chat", target("a", b"1")).unwrap());
    assert_eq!(outcome, Ok(Outcome::Delivered(1)));
    running.stop();
}

#[test]
fn over_ipv6_and_by_name() {
    for address in ["[::1]:0", "127.0.0.1:0"] {
        let gateway = Gateway::bind_to(address);
        let port = gateway.address().rsplit_once(':').unwrap().1.to_owned();
        let mut options = options(&gateway);
        if address.starts_with("127") {
            options.addresses = vec![format!("localhost:{port}")];
        }
        let (backend, _peer) = connected(&gateway, options, 8);
        assert_eq!(backend.window_left(), 8);
    }
}

#[test]
fn a_draining_gateway_answers_what_it_has_and_is_left() {
    let old = Gateway::bind();
    let mut options = options(&old);
    let events = listen(&mut options);
    let (backend, mut peer) = connected(&old, options, 64);
    let before = backend.push_one("chat", target("a", b"before")).unwrap();
    let request = peer.receive().unwrap();
    peer.send(|out| put_drain(60_000, out));
    expect_event(&events, |event| matches!(event, Event::Draining { .. }));
    let tried = backend.try_push("chat", &[target("a", b"during")]).map(drop);
    assert_eq!(tried, Err(Error::NotConnected { last: None }));
    thread::scope(|scope| {
        let after =
            scope.spawn(|| answer(backend.push_one("chat", target("a", b"after")).unwrap()));
        peer.send(|out| request.answer_push(Outcome::Delivered(1), out));
        assert!(peer.receive().is_none(), "it leaves once all is answered");
        let mut next = old.accept();
        next.welcome(64);
        let request = next.receive().unwrap();
        next.send(|out| request.answer_push(Outcome::Delivered(2), out));
        assert_eq!(after.join().unwrap(), Ok(Outcome::Delivered(2)));
    });
    assert_eq!(answer(before), Ok(Outcome::Delivered(1)));
}
