//! What a backend may send.
#![no_main]

use holdfast_protocol::backend::{Request, request};
use holdfast_protocol::limits::BACKEND_PAYLOAD;
use holdfast_protocol_fuzz::{again, stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    stream(bytes, BACKEND_PAYLOAD, |frame| {
        if let Ok(Some(_)) = request::unsupported(frame) {
            assert!(Request::decode(frame).is_err(), "a reserved kind has no meaning yet");
        }
        Request::decode(frame).map(|it| again::request(&it))
    });
});
