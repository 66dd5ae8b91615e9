//! Who says nothing, or never ends what it began, is closed after its time; what counts is what is
//! understood, so that neither a dribble nor frames to be skipped keep a stranger.

use crate::support::client::hello;
use crate::support::{Client, Gateway, Hello, Peer, Said, Told, Which, until};
use holdfast_protocol::client::from_client::PING;
use holdfast_protocol::close::Code;

on_both! {
    a_stranger_has_so_long_for_its_hello,
    a_dribbled_hello_is_no_hello,
    frames_to_be_skipped_are_no_hello,
    a_frame_that_is_never_ended,
    an_ended_frame_is_forgotten,
    half_open_is_found_after_one_and_a_half_heartbeats,
    a_ping_in_each_heartbeat_keeps_a_session,
}

const SHORT: [&str; 2] = ["client.hello_timeout=1s", "client.frame_timeout=1s"];

fn a_stranger_has_so_long_for_its_hello(io: Which) {
    let gateway = Gateway::start(io, &SHORT);
    let mut client = gateway.stranger();
    let mut backend = Peer::connect(gateway.backends);
    let mut online = gateway.client("ann");
    client.expect_close(Code::HelloTimeout);
    assert_eq!(backend.told(), Told::Close { code: Code::HelloTimeout.number() });
    assert_eq!(gateway.count("closes.hello_timeout"), 1);
    assert_eq!(gateway.count("backend_closes.hello_timeout"), 1);
    online.hears_nothing_else();
}

/// Sends the bytes one after the other until the gateway says something, which it must before they
/// end.
#[track_caller]
fn dribble(peer: &mut Peer, bytes: impl IntoIterator<Item = u8>) {
    for byte in bytes {
        if peer.has_heard() {
            return;
        }
        peer.send(&[byte]);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the gateway took it all and said nothing");
}

fn a_dribbled_hello_is_no_hello(io: Which) {
    let gateway = Gateway::start(io, &["client.hello_timeout=1s"]);
    let mut peer = gateway.stranger();
    dribble(&mut peer, Hello { token: &[1; 300], ..Hello::default() }.bytes("ann"));
    peer.expect_close(Code::HelloTimeout);
    assert_eq!(gateway.count("logins"), 0);
}

fn frames_to_be_skipped_are_no_hello(io: Which) {
    let gateway = Gateway::start(io, &SHORT);
    let (mut client, mut backend) = (gateway.stranger(), Peer::connect(gateway.backends));
    std::thread::scope(|scope| {
        for peer in [&mut client, &mut backend] {
            scope.spawn(|| {
                dribble(peer, [0x80, 0].repeat(150));
                peer.expect_close(Code::HelloTimeout);
            });
        }
    });
}

fn a_frame_that_is_never_ended(io: Which) {
    let gateway = Gateway::start(io, &["client.frame_timeout=1s"]);
    // A frame that is to be skipped, so that nothing else is wrong with it.
    let endless = || [0x80, 0xff, 0x1f].into_iter().chain([0; 300]);
    let (mut client, mut backend) = (gateway.client("ann"), gateway.backend());
    std::thread::scope(|scope| {
        for peer in [&mut client.peer, &mut backend.peer] {
            scope.spawn(|| {
                dribble(peer, endless());
                peer.expect_close(Code::FrameTimeout);
            });
        }
    });
}

fn an_ended_frame_is_forgotten(io: Which) {
    let gateway = Gateway::start(io, &["client.frame_timeout=2s"]);
    let mut client = gateway.client("ann");
    // Each ping is cut and takes its time, but none takes too long.
    for byte in PING.repeat(4) {
        client.peer.send(&[byte]);
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    for _ in 0..4 {
        assert_eq!(client.hear(), Said::Pong);
    }
}

fn half_open_is_found_after_one_and_a_half_heartbeats(io: Which) {
    let gateway = Gateway::start(io, &["client.heartbeat_min=5"]);
    let hello = Hello { heartbeat: 1, ..Hello::default() }.bytes("ann");
    let mut client = Client::log_in(gateway.stranger(), &hello);
    assert_eq!(client.welcome.heartbeat, 5, "the shortest that is granted");
    let start = std::time::Instant::now();
    client.peer.expect_close(Code::HeartbeatTimeout);
    assert!(start.elapsed().as_millis() >= 7500, "it was closed early: {:?}", start.elapsed());
    assert_eq!(gateway.count("closes.heartbeat_timeout"), 1);
    until("it is offline", || gateway.count("users") == 0);
}

fn a_ping_in_each_heartbeat_keeps_a_session(io: Which) {
    let gateway = Gateway::start(io, &["client.heartbeat_default=5"]);
    let mut client = Client::log_in(gateway.stranger(), &hello("ann"));
    for _ in 0..2 {
        std::thread::sleep(std::time::Duration::from_secs(4));
        client.hears_nothing_else();
    }
}
