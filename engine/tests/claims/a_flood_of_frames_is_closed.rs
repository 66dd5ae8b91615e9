//! A client that sends more frames than it may is closed, and neither its flood nor that of many
//! stops others from being served or fills the log.

use crate::support::client::hello;
use crate::support::{Gateway, Which};
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::client::from_client::PING;
use holdfast_protocol::close::Code;

on_both! {
    a_million_pings,
    a_million_frames_before_the_hello,
    as_many_as_are_allowed_are_answered,
}

/// A million frames in blocks.
fn million(frame: [u8; 2]) -> impl Iterator<Item = Vec<u8>> {
    std::iter::repeat_n(frame.repeat(10_000), 100)
}

fn a_million_pings(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut backend = gateway.backend();
    let mut calm = gateway.client("calm");
    let mut flood = gateway.client("flood");
    for (block, sequence) in million(PING).zip(1..) {
        flood.peer.offer(&block);
        assert_eq!(backend.push_one("calm", b"x"), Outcome::Delivered(sequence));
        assert_eq!(calm.push().1, b"x");
    }
    assert_eq!(flood.peer.close_code(), Some(Code::TooManyFrames.number()));
    assert_eq!(gateway.count("violations.too_many_frames"), 1);
    assert!(gateway.count("client_frames_received.ping") <= 1001, "no more was looked at");
}

fn a_million_frames_before_the_hello(io: Which) {
    let gateway = Gateway::start(io, &["client.hello_timeout=60s"]);
    let mut calm = gateway.client("calm");
    let mut flood = gateway.stranger();
    // Not in the second of the accept, which is special.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    // These may be skipped in any state, which is no reason to skip them for ever.
    for block in million([0x80, 0]) {
        flood.offer(&block);
        calm.hears_nothing_else();
    }
    assert_eq!(flood.close_code(), Some(Code::TooManyFrames.number()));
    assert!(gateway.count("client_received") <= 2_000_000 + 1000);
}

fn as_many_as_are_allowed_are_answered(io: Which) {
    let gateway = Gateway::start(io, &["client.frames_per_second=50"]);
    let mut client = gateway.client("ann");
    client.peer.send(&PING.repeat(50));
    for _ in 0..50 {
        assert_eq!(client.hear(), crate::support::Said::Pong);
    }
    // The same in the opening: skipped ones and the hello.
    let mut peer = gateway.stranger();
    peer.send(&[0x80, 0].repeat(49));
    peer.send(&hello("bob"));
    assert!(matches!(peer.said(), crate::support::Said::Welcome(_)));
}
