//! What is no good frame, or no frame for now, ends its connection with the code of `SPEC.md` and
//! is counted; the gateway goes on.

use crate::support::client::hello;
use crate::support::{Gateway, Which, until};
use holdfast_protocol::close::Code;
use holdfast_protocol::frame::put;

on_both! {
    before_the_login,
    after_the_login,
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(kind, &mut out, |out| out.extend_from_slice(payload));
    out
}

/// A hello with its payload changed.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut payload = hello("ann")[2..].to_vec();
    change(&mut payload);
    frame(0x01, &payload)
}

/// Everything that is wrong whenever it comes: name, bytes, violation, code.
fn always_wrong() -> Vec<(Vec<u8>, &'static str, Code)> {
    vec![
        // One byte of payload more than a client may send, refused before it comes.
        (vec![0x01, 0x81, 0x20], "frame_too_large", Code::FrameTooLarge),
        (vec![0x02, 0xff, 0xff, 0xff, 0x7f], "frame_too_large", Code::FrameTooLarge),
        // A length of five bytes, and one that is longer than needed.
        (vec![0x02, 0x80, 0x80, 0x80, 0x80, 0x00], "frame_too_large", Code::FrameTooLarge),
        (vec![0x02, 0x80, 0x00], "bad_integer", Code::Malformed),
        // The length lies: the payload has more, or less, than its fields.
        (vec![0x02, 0x01, 0x00], "trailing_bytes", Code::Malformed),
        (vec![0x03, 0x00], "field_past_end", Code::Malformed),
        (vec![0x03, 0x01, 0x80], "field_past_end", Code::Malformed),
        (vec![0x00, 0x00], "unknown_kind", Code::Malformed),
        (vec![0x05, 0x00], "unknown_kind", Code::Malformed),
        (vec![0x41, 0x00], "unknown_kind", Code::Malformed),
        // A second frame that is wrong, behind one that may be skipped.
        (vec![0x80, 0x01, 0x00, 0x7f, 0x00], "unknown_kind", Code::Malformed),
    ]
}

fn wrong_hellos() -> Vec<(Vec<u8>, &'static str, Code)> {
    let long = "u".repeat(65);
    vec![
        (changed(|it| it[0] = 0), "unsupported_version", Code::UnsupportedVersion),
        (changed(|it| it[0] = 2), "unsupported_version", Code::UnsupportedVersion),
        (hello(&long), "out_of_bounds", Code::Malformed),
        (hello(""), "out_of_bounds", Code::Malformed),
        (changed(|it| it.push(0)), "trailing_bytes", Code::Malformed),
        (changed(|it| it.truncate(it.len() - 1)), "field_past_end", Code::Malformed),
        // The user's name claims to go on behind the end of the frame.
        (changed(|it| it[7] = 60), "field_past_end", Code::Malformed),
        (changed(|it| it[8] = 0xff), "not_utf8", Code::Malformed),
    ]
}

fn before_the_login(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let early = [
        (vec![0x02, 0x00], "wrong_state", Code::WrongState),
        (vec![0x03, 0x01, 0x00], "wrong_state", Code::WrongState),
    ];
    for (bytes, violation, code) in always_wrong().into_iter().chain(wrong_hellos()).chain(early) {
        let before = gateway.count(&format!("violations.{violation}"));
        let mut peer = gateway.stranger();
        peer.send(&bytes);
        peer.expect_close(code);
        assert_eq!(gateway.count(&format!("violations.{violation}")), before + 1, "{bytes:?}");
    }
    gateway.client("ann").hears_nothing_else();
}

fn after_the_login(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let late = [
        (hello("ann"), "wrong_state", Code::WrongState),
        (vec![0x03, 0x01, 0x01], "ack_from_the_future", Code::AckFromTheFuture),
    ];
    for (bytes, violation, code) in always_wrong().into_iter().chain(wrong_hellos()).chain(late) {
        let before = gateway.count(&format!("violations.{violation}"));
        let mut client = gateway.client("ann");
        client.peer.send(&bytes);
        client.peer.expect_close(code);
        assert_eq!(gateway.count(&format!("violations.{violation}")), before + 1, "{bytes:?}");
    }
    until("nobody is online any more", || gateway.count("users") == 0);
    gateway.client("ann").hears_nothing_else();
}
