//! Any frame comes back as itself, with the stream cut anywhere.

#[path = "support/any_frame.rs"]
mod any_frame;
#[path = "support/backend_json.rs"]
mod backend_json;
#[path = "support/client_json.rs"]
mod client_json;
#[path = "support/value.rs"]
mod value;

use holdfast_protocol::error::Violation;
use holdfast_protocol::frame::{self, Frame};
use holdfast_protocol::limits::{BACKEND_PAYLOAD, CLIENT_PAYLOAD, PUSH_PAYLOAD};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

type Decode = fn(Frame<'_>) -> Result<Value, Violation>;
type Encode = fn(&Value) -> Option<Vec<u8>>;

/// Takes every whole frame off the front of `buffer`.
fn take_frames(buffer: &mut Vec<u8>, payload_max: usize, decode: Decode) -> Vec<Value> {
    let mut frames = Vec::new();
    while let Some((frame, taken)) = frame::split(buffer, payload_max).expect("a valid stream") {
        frames.push(decode(frame).expect("a valid frame"));
        buffer.drain(..taken);
    }
    frames
}

/// Sends `frames` as one stream cut at `cuts`; they must arrive as they are, and none early.
fn travel(
    frames: &[Value],
    cuts: &[Index],
    payload_max: usize,
    (decode, encode): (Decode, Encode),
) {
    let mut stream = Vec::new();
    let mut ends = Vec::new();
    for frame in frames {
        stream.extend(encode(frame).expect("an encoder"));
        ends.push(stream.len());
    }
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.push(stream.len());
    cuts.sort_unstable();
    let (mut arrived, mut buffer, mut start) = (Vec::new(), Vec::new(), 0);
    for cut in cuts {
        buffer.extend_from_slice(&stream[start..cut]);
        start = cut;
        arrived.extend(take_frames(&mut buffer, payload_max, decode));
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(arrived.len(), whole, "after {cut} bytes of {ends:?}");
    }
    assert_eq!(arrived, frames);
    assert!(buffer.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 192,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn frames_from_clients(
        frames in vec(any_frame::from_client(), 1..6), cuts in vec(any::<Index>(), 0..12),
    ) {
        use client_json::{decode_from_client, encode_from_client};
        travel(&frames, &cuts, CLIENT_PAYLOAD, (decode_from_client, encode_from_client));
    }

    #[test]
    fn frames_to_clients(
        frames in vec(any_frame::from_server(), 1..6), cuts in vec(any::<Index>(), 0..12),
    ) {
        use client_json::{decode_from_server, encode_from_server};
        travel(&frames, &cuts, PUSH_PAYLOAD, (decode_from_server, encode_from_server));
    }

    #[test]
    fn requests(
        frames in vec(any_frame::request(), 1..6), cuts in vec(any::<Index>(), 0..12),
    ) {
        use backend_json::{decode_request, encode_request};
        travel(&frames, &cuts, BACKEND_PAYLOAD, (decode_request, encode_request));
    }

    #[test]
    fn answers(
        frames in vec(any_frame::answer(), 1..6), cuts in vec(any::<Index>(), 0..12),
    ) {
        use backend_json::{decode_answer, encode_answer};
        travel(&frames, &cuts, BACKEND_PAYLOAD, (decode_answer, encode_answer));
    }

    #[test]
    fn a_frame_cut_at_every_byte(frame in any_frame::from_client()) {
        let bytes = client_json::encode_from_client(&frame).expect("an encoder");
        for cut in 0..bytes.len() {
            prop_assert_eq!(frame::split(&bytes[..cut], CLIENT_PAYLOAD), Ok(None));
            // A payload that ends early, in a frame that says so, is refused and never read past
            // its end.
            let payload = &bytes[2.min(cut)..cut];
            let early = Frame { kind: bytes[0], payload };
            if payload.len() + 2 < bytes.len() && bytes.len() < 130 {
                prop_assert!(client_json::decode_from_client(early).is_err());
            }
        }
    }

    #[test]
    fn any_varint(value in any::<u64>(), shift in 0..64_u32, behind in vec(any::<u8>(), 0..4)) {
        use holdfast_protocol::varint;
        let value = value >> shift;
        let mut bytes = Vec::new();
        varint::put(value, &mut bytes);
        let length = bytes.len();
        bytes.extend(behind);
        prop_assert_eq!(varint::length(value), length);
        prop_assert_eq!(varint::read(&bytes), Ok((value, length)));
        for cut in 0..length {
            prop_assert_eq!(varint::read(&bytes[..cut]), Err(varint::Fault::Short));
        }
    }

    #[test]
    fn what_a_varint_reads_is_its_only_encoding(bytes in vec(any::<u8>(), 0..12)) {
        use holdfast_protocol::varint;
        if let Ok((value, taken)) = varint::read(&bytes) {
            let mut again = Vec::new();
            varint::put(value, &mut again);
            prop_assert_eq!(&again[..], &bytes[..taken]);
        }
    }
}
