//! A request that cannot be carried out is answered with an error, and the connection goes on; a
//! breach of the protocol ends it with the code of `SPEC.md`.

use crate::support::backend::{everybody, target};
use crate::support::peer::Heard;
use crate::support::{Backend, Gateway, Peer, Told, Which};
use holdfast_protocol::backend::answer::{ErrorCode, Rejection};
use holdfast_protocol::backend::request::{self, JobAction};
use holdfast_protocol::backend::{Broadcast, Outcome, Target};
use holdfast_protocol::client::Class;
use holdfast_protocol::close::Code;
use holdfast_protocol::frame::put;
use holdfast_protocol::limits::{BACKEND_HELLO_PAYLOAD, BACKEND_PAYLOAD};

on_both! {
    over_the_window_is_told_and_not_cut,
    an_id_in_flight_is_not_taken_twice,
    unknown_names_are_errors,
    bodies_are_refused_one_by_one,
    reserved_kinds_are_unsupported,
    breaches_close_a_stranger,
    breaches_close_a_backend,
}

#[track_caller]
fn expect_error(backend: &mut Backend, id: u64, code: ErrorCode) {
    assert_eq!(backend.peer.told(), Told::Error { id, code: code.number().into() });
}

fn over_the_window_is_told_and_not_cut(io: Which) {
    let gateway = Gateway::start(io, &["backend.window=8"]);
    let mut client = gateway.client("ann");
    let mut backend = gateway.backend();
    assert_eq!(backend.welcome.window, 8);
    let ann = target("ann", b"x");
    let too_many = backend.send_push(&[ann; 9]);
    expect_error(&mut backend, too_many, ErrorCode::WindowOverrun);
    // In one write, so that the second comes while the first is in flight.
    let mut both = Vec::new();
    request::put_push(100, "demo", &[ann; 8], &mut both);
    request::put_kick(101, "demo", "ann", "", &mut both);
    backend.peer.send(&both);
    expect_error(&mut backend, 101, ErrorCode::WindowOverrun);
    assert_eq!(backend.outcomes(100), (1..=8).map(Outcome::Delivered).collect::<Vec<_>>());
    assert_eq!(client.rest().len(), 8, "the first went on, and the kick was not carried out");
    assert_eq!(backend.push_one("ann", b"x"), Outcome::Delivered(9));
    assert_eq!(gateway.count("request_errors.window_overrun"), 2);
}

fn an_id_in_flight_is_not_taken_twice(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut client = gateway.client("ann");
    let mut backend = gateway.backend();
    let mut both = Vec::new();
    request::put_push(7, "demo", &[target("ann", b"first")], &mut both);
    request::put_push(7, "demo", &[target("ann", b"second")], &mut both);
    backend.peer.send(&both);
    expect_error(&mut backend, 7, ErrorCode::DuplicateId);
    assert_eq!(backend.outcomes(7), [Outcome::Delivered(1)]);
    assert_eq!(client.rest(), [(1, b"first".to_vec())]);
}

fn unknown_names_are_errors(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut client = gateway.client("ann");
    let mut backend = gateway.backend();
    let asks: [fn(u64, &mut Vec<u8>); 4] = [
        |id, out| request::put_push(id, "none", &[target("ann", b"x")], out),
        |id, out| request::put_online(id, "none", &["ann"], out),
        |id, out| request::put_kick(id, "none", "ann", "", out),
        |id, out| {
            request::put_broadcast(id, &Broadcast { product: "none", ..everybody(b"x") }, out);
        },
    ];
    for ask in asks {
        let id = backend.ask(ask);
        expect_error(&mut backend, id, ErrorCode::UnknownProduct);
    }
    // No such number, no such shard, no such host.
    for job in [77, 0xffff_0000_0001, 0xffff_0000_0000_0001] {
        let id = backend.ask(|id, out| request::put_job(id, JobAction::Cancel, job, out));
        expect_error(&mut backend, id, ErrorCode::UnknownJob);
    }
    client.hears_nothing_else();
    let mut peer = gateway.stranger();
    let hello = crate::support::Hello { product: Some("none"), ..Default::default() };
    peer.send(&hello.bytes("ann"));
    peer.expect_close(Code::UnknownProduct);
}

fn bodies_are_refused_one_by_one(io: Which) {
    let gateway = Gateway::start(io, &["body_max=100"]);
    let mut client = gateway.client("ann");
    let mut backend = gateway.backend();
    let durable = Class::Durable;
    let outcomes = backend.push(&[
        target("ann", b"first"),
        target("ann", b""),
        target("ann", &[1; 101]),
        Target { class: durable, ..target("ann", b"x") },
        target("ann", &[1; 100]),
    ]);
    let rejected = Outcome::Rejected;
    let expected = [
        Outcome::Delivered(1),
        rejected(Rejection::EmptyBody),
        rejected(Rejection::BodyTooLong),
        rejected(Rejection::NoStore),
        Outcome::Delivered(2),
    ];
    assert_eq!(outcomes, expected);
    let broadcasts = [
        (everybody(b""), ErrorCode::EmptyBody),
        (everybody(&[1; 101]), ErrorCode::BodyTooLong),
        (Broadcast { class: durable, ..everybody(b"x") }, ErrorCode::NoStore),
    ];
    for (broadcast, code) in broadcasts {
        let id = backend.ask(|id, out| request::put_broadcast(id, &broadcast, out));
        expect_error(&mut backend, id, code);
    }
    assert_eq!(client.rest(), [(1, b"first".to_vec()), (2, vec![1; 100])]);
}

fn reserved_kinds_are_unsupported(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut backend = gateway.backend();
    for kind in 0x20..=0x3f {
        let id = backend.ask(|id, out| {
            put(kind, out, |out| {
                holdfast_protocol::varint::put(id, out);
                out.extend_from_slice(b"whatever");
            });
        });
        expect_error(&mut backend, id, ErrorCode::Unsupported);
    }
    backend.counters();
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(kind, &mut out, |out| out.extend_from_slice(payload));
    out
}

/// The header alone of a frame with so much payload.
fn header(kind: u8, payload: usize) -> Vec<u8> {
    let mut out = [0; 5];
    let length = holdfast_protocol::frame::write_header(kind, payload, &mut out);
    out[..length].to_vec()
}

#[track_caller]
fn expect_close(peer: &mut Peer, bytes: &[u8], code: Code) {
    peer.send(bytes);
    assert_eq!(peer.told(), Told::Close { code: code.number() }, "for {bytes:?}");
    assert_eq!(peer.hear(), Heard::End);
}

fn breaches_close_a_stranger(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut counters = Vec::new();
    request::put_counters(1, &mut counters);
    let cases = [
        (frame(0x01, &[2, 1, b'x', 0]), Code::UnsupportedVersion),
        (frame(0x01, &[1, 0, 0]), Code::Malformed),
        (frame(0x01, &[1, 1, b'x', 0, 0]), Code::Malformed),
        (frame(0x03, &[]), Code::Malformed),
        (frame(0x02, &[]), Code::WrongState),
        (frame(0x20, &[1]), Code::WrongState),
        (counters, Code::WrongState),
        (header(0x01, BACKEND_HELLO_PAYLOAD + 1), Code::FrameTooLarge),
    ];
    for (bytes, code) in cases {
        expect_close(&mut Peer::connect(gateway.backends), &bytes, code);
    }
    gateway.backend().counters();
}

fn breaches_close_a_backend(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut hello = Vec::new();
    request::put_hello("test", b"", &mut hello);
    let cases = [
        (hello, Code::WrongState),
        (frame(0x04, &[]), Code::Malformed),
        (frame(0x10, &[1, 4, b'd', b'e', b'm', b'o', 0]), Code::Malformed),
        (frame(0x16, &[1, 4, b'd', b'e', b'm', b'o', 2, 1, b'a']), Code::Malformed),
        (header(0x10, BACKEND_PAYLOAD + 1), Code::FrameTooLarge),
        (vec![0x10, 0xff, 0xff, 0xff, 0xff], Code::FrameTooLarge),
    ];
    for (bytes, code) in cases {
        expect_close(&mut gateway.backend().peer, &bytes, code);
    }
    gateway.backend().counters();
}
