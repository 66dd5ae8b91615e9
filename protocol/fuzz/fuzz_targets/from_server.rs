//! What a gateway may send to a client: the frames, and the client's half that takes them.
#![no_main]

use holdfast_protocol::client::FromServer;
use holdfast_protocol::client::from_client::Identity;
use holdfast_protocol::client::machine::{Machine, State};
use holdfast_protocol::limits::PUSH_PAYLOAD;
use holdfast_protocol_fuzz::{again, stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    stream(bytes, PUSH_PAYLOAD, |frame| {
        FromServer::decode(frame).map(|meaning| again::from_server(&meaning))
    });
    let mut client = Machine::new(&Identity::default(), 0);
    let (mut at, mut now) = (0, 0);
    while let Ok(Some((meaning, taken))) = client.receive(&bytes[at..]) {
        at += taken;
        now += 7;
        if let FromServer::Push(push) = meaning
            && push.wants_ack()
            && client.state() == State::Online
        {
            client.ack(push.sequence, now);
            assert!(push.sequence <= client.acked() && !client.is_new(&push));
            assert!(!client.output().is_empty(), "what came is acknowledged, new or not");
        }
        client.tick(now);
        client.output().clear();
        if client.state() == State::Closed {
            client.ack(u64::MAX, now);
            assert!(!client.tick(u32::MAX) && client.output().is_empty());
        }
    }
});
