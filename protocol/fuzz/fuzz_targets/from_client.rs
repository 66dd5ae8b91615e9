//! What a client may send: the frames, and the gateway's half that judges them.
#![no_main]

use holdfast_protocol::client::FromClient;
use holdfast_protocol::frame;
use holdfast_protocol::limits::CLIENT_PAYLOAD;
use holdfast_protocol::session::{Action, State, receive};
use holdfast_protocol_fuzz::{again, stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    stream(bytes, CLIENT_PAYLOAD, |frame| {
        FromClient::decode(frame).map(|meaning| again::from_client(&meaning))
    });
    let (mut state, mut at) = (State::Opening, 0);
    while let Ok(Some((frame, taken))) = frame::split(&bytes[at..], CLIENT_PAYLOAD) {
        at += taken;
        let Ok(meaning) = FromClient::decode(frame) else { break };
        let Ok(action) = receive(state, &meaning, 100) else { break };
        match (state, action) {
            (State::Opening, Action::LogIn) => state = State::Greeting,
            (State::Greeting, Action::Pong) => state = State::Online,
            (State::Online, Action::Acknowledge(sequence)) => assert!(sequence <= 100),
            (State::Closing, action) => assert_eq!(action, Action::Ignore),
            (_, Action::Leave) => state = State::Closing,
            (_, Action::Pong) => assert_ne!(state, State::Opening),
            (_, Action::Ignore) => {}
            (_, Action::LogIn | Action::Acknowledge(_)) => panic!("{action:?} in {state:?}"),
        }
    }
});
