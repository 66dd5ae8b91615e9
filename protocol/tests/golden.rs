//! Every vector of `vectors/` decodes to its JSON, encodes to its hex, or is refused as it says.
//! The vectors were made by a program that shares nothing with this crate.

#[path = "support/backend_json.rs"]
mod backend_json;
#[path = "support/client_json.rs"]
mod client_json;
#[path = "support/files.rs"]
mod files;
#[path = "support/value.rs"]
mod value;

use files::text;
use holdfast_protocol::error::Violation;
use holdfast_protocol::frame::{self, Frame};
use holdfast_protocol::limits::{BACKEND_PAYLOAD, CLIENT_PAYLOAD, PUSH_PAYLOAD};
use holdfast_protocol::varint::{self, Fault};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use value::{get, get_list, get_str, unhex};

/// One file of vectors of one direction.
#[derive(Deserialize)]
struct Vectors {
    direction: String,
    frames: Vec<Good>,
    invalid: Vec<Bad>,
    incomplete: Vec<Incomplete>,
}

/// A frame and its bytes.
#[derive(Deserialize)]
struct Good {
    name: String,
    hex: String,
    frame: Value,
}

/// Bytes that are refused.
#[derive(Deserialize)]
struct Bad {
    name: String,
    hex: String,
    violation: String,
    close_code: u16,
}

/// Bytes that are not a whole frame yet.
#[derive(Deserialize)]
struct Incomplete {
    name: String,
    hex: String,
}

/// The vectors of one direction.
fn load(direction: &str) -> Vectors {
    let vectors: Vectors =
        serde_json::from_str(&text(&format!("vectors/{direction}.json"))).expect("a vector file");
    assert_eq!(vectors.direction, direction);
    vectors
}

/// One direction: its file, its limit, and its JSON both ways.
struct Direction {
    name: &'static str,
    payload_max: usize,
    decode: fn(Frame<'_>) -> Result<Value, Violation>,
    encode: fn(&Value) -> Option<Vec<u8>>,
    /// The kinds of frames that vectors must show.
    kinds: &'static [&'static str],
}

const DIRECTIONS: [Direction; 4] = [
    Direction {
        name: "client_to_gateway",
        payload_max: CLIENT_PAYLOAD,
        decode: client_json::decode_from_client,
        encode: client_json::encode_from_client,
        kinds: &["hello", "ping", "ack", "bye", "skipped"],
    },
    Direction {
        name: "gateway_to_client",
        payload_max: PUSH_PAYLOAD,
        decode: client_json::decode_from_server,
        encode: client_json::encode_from_server,
        kinds: &["welcome", "pong", "push", "notice", "close", "skipped"],
    },
    Direction {
        name: "backend_to_gateway",
        payload_max: BACKEND_PAYLOAD,
        decode: backend_json::decode_request,
        encode: backend_json::encode_request,
        kinds: &[
            "hello",
            "ping",
            "push",
            "broadcast",
            "status",
            "pause",
            "resume",
            "cancel",
            "online",
            "kick",
            "counters",
            "mailbox",
            "unsupported",
            "skipped",
        ],
    },
    Direction {
        name: "gateway_to_backend",
        payload_max: BACKEND_PAYLOAD,
        decode: backend_json::decode_answer,
        encode: backend_json::encode_answer,
        kinds: &[
            "welcome",
            "pong",
            "drain",
            "close",
            "error",
            "push_outcomes",
            "job",
            "online_counts",
            "kick_count",
            "counters",
            "mailbox",
            "receipt",
            "skipped",
        ],
    },
];

#[test]
fn every_frame_decodes_to_its_json() {
    for direction in &DIRECTIONS {
        for good in load(direction.name).frames {
            let bytes = unhex(&good.hex);
            let split = frame::split(&bytes, direction.payload_max);
            let (frame, taken) = split.expect(&good.name).expect(&good.name);
            assert_eq!(taken, bytes.len(), "{}: {}", direction.name, good.name);
            let decoded = (direction.decode)(frame).expect(&good.name);
            assert_eq!(decoded, good.frame, "{}: {}", direction.name, good.name);
        }
    }
}

#[test]
fn every_frame_encodes_to_its_hex() {
    for direction in &DIRECTIONS {
        let mut encoded = 0;
        for good in load(direction.name).frames {
            let Some(bytes) = (direction.encode)(&good.frame) else { continue };
            assert!(bytes == unhex(&good.hex), "{}: {}", direction.name, good.name);
            encoded += 1;
        }
        assert!(encoded >= 20, "{} has only {encoded} frames to encode", direction.name);
    }
}

#[test]
fn every_frame_is_incomplete_until_its_last_byte() {
    for direction in &DIRECTIONS {
        for good in load(direction.name).frames {
            let bytes = unhex(&good.hex);
            let first = if bytes.len() > 4096 { bytes.len() - 1 } else { 0 };
            for end in first..bytes.len() {
                let split = frame::split(&bytes[..end], direction.payload_max);
                assert_eq!(split, Ok(None), "{}: {} at {end}", direction.name, good.name);
            }
        }
    }
}

#[test]
fn every_invalid_frame_is_refused_as_it_says() {
    for direction in &DIRECTIONS {
        for bad in load(direction.name).invalid {
            let name = format!("{}: {}", direction.name, bad.name);
            let bytes = unhex(&bad.hex);
            let split = frame::split(&bytes, direction.payload_max).transpose();
            let split = split.unwrap_or_else(|| panic!("{name}: asks for more"));
            let violation =
                split.and_then(|(frame, _)| (direction.decode)(frame)).expect_err(&name);
            assert_eq!(violation.name(), bad.violation, "{name}");
            assert_eq!(violation.close_code().number(), bad.close_code, "{name}");
        }
    }
}

#[test]
fn every_incomplete_frame_asks_for_more() {
    for direction in &DIRECTIONS {
        for more in load(direction.name).incomplete {
            let bytes = unhex(&more.hex);
            let split = frame::split(&bytes, direction.payload_max);
            assert_eq!(split, Ok(None), "{}: {}", direction.name, more.name);
        }
    }
}

#[test]
fn vectors_show_every_kind_and_no_name_twice() {
    for direction in &DIRECTIONS {
        let vectors = load(direction.name);
        let kinds: BTreeSet<_> =
            vectors.frames.iter().map(|good| get_str(&good.frame, "kind")).collect();
        assert_eq!(kinds, direction.kinds.iter().copied().collect(), "{}", direction.name);
        let mut names = BTreeSet::new();
        let all = vectors.frames.iter().map(|good| &good.name);
        let all = all.chain(vectors.invalid.iter().map(|bad| &bad.name));
        for name in all.chain(vectors.incomplete.iter().map(|more| &more.name)) {
            assert!(names.insert(name), "{}: {name} twice", direction.name);
        }
    }
}

#[test]
fn varints_read_and_write_as_their_vectors_say() {
    let vectors: Value = serde_json::from_str(&text("vectors/varint.json")).expect("JSON");
    for vector in get_list(&vectors, "values") {
        let (value, bytes) = (get(vector, "value"), unhex(get_str(vector, "hex")));
        assert_eq!(varint::read(&bytes), Ok((value, bytes.len())), "{vector}");
        assert_eq!(varint::length(value), bytes.len(), "{vector}");
        let mut out = Vec::new();
        varint::put(value, &mut out);
        assert_eq!(out, bytes, "{vector}");
    }
    for (list, fault) in [("invalid", Fault::Malformed), ("incomplete", Fault::Short)] {
        for vector in get_list(&vectors, list) {
            assert_eq!(varint::read(&unhex(get_str(vector, "hex"))), Err(fault), "{vector}");
        }
    }
}
