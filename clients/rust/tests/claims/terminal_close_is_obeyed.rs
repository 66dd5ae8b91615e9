//! A close that says "do not come back" is obeyed: a wrong key is not tried again, at any address.

use super::{answer, connected, expect_event, listen, options};
use holdfast_client::testing::Gateway;
use holdfast_client::{Advice, Backend, Error, Event, target};
use std::thread;
use std::time::Duration;

#[test]
fn a_wrong_key_fails_the_connect() {
    let gateway = Gateway::bind();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = gateway.accept();
            peer.receive().unwrap();
            peer.close(3502, "no such key");
        });
        let error = Backend::connect(options(&gateway)).map(drop).unwrap_err();
        assert_eq!(error.advice(), Advice::Change);
        let Error::Refused { address, close } = &error else { panic!("{error}") };
        assert_eq!((&**address, close.code), (&*gateway.address(), 3502));
    });
    assert!(gateway.accept_within(Duration::from_millis(100)).is_none(), "it came back");
}

#[test]
fn a_key_that_is_taken_away_ends_the_client() {
    let gateway = Gateway::bind();
    let mut options = options(&gateway);
    let events = listen(&mut options);
    let (backend, mut peer) = connected(&gateway, options, 64);
    let pending = backend.push_one("chat", target("a", b"1")).unwrap();
    peer.receive().unwrap();
    peer.close(3503, "");
    assert!(matches!(answer(pending), Err(Error::ConnectionLost(_))));
    expect_event(&events, |event| matches!(event, Event::Refused { .. }));
    let error = backend.push_one("chat", target("a", b"2")).map(drop).unwrap_err();
    assert!(matches!(&error, Error::Refused { close, .. } if close.code == 3503), "{error}");
    assert!(gateway.accept_within(Duration::from_millis(100)).is_none(), "it came back");
}

#[test]
fn a_code_of_a_later_version_is_judged_by_its_range() {
    let gateway = Gateway::bind();
    let backend = Backend::start(options(&gateway)).unwrap();
    for code in [3400, 3999] {
        let mut peer = gateway.accept();
        peer.receive().unwrap();
        peer.close(code, "later");
    }
    let error = backend.counters().map(drop).unwrap_err();
    assert!(error.to_string().contains("3999 unknown code: later"), "{error}");
}
