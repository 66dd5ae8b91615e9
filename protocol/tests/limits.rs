//! Bounds hold: what is over them is refused before it costs anything, what is at them passes.

use holdfast_protocol::backend::answer::{self, Answer, Outcome};
use holdfast_protocol::backend::request::{self, Request, Target};
use holdfast_protocol::client::Class;
use holdfast_protocol::client::from_client::{self, FromClient, Identity, Resume};
use holdfast_protocol::client::from_server::{self, FromServer, Notice, Push, PushHead};
use holdfast_protocol::error::Violation;
use holdfast_protocol::frame::{self, Frame};
use holdfast_protocol::limits::{
    BACKEND_PAYLOAD, BODY_BYTES_CEILING, CLIENT_PAYLOAD, PUSH_OVERHEAD, PUSH_PAYLOAD, PUSH_TARGETS,
    SEQUENCE_MAX, TAGS,
};
use holdfast_protocol::varint;

fn bytes(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out);
    out
}

fn whole(bytes: &[u8], payload_max: usize) -> Frame<'_> {
    let (frame, taken) = frame::split(bytes, payload_max).expect("valid").expect("whole");
    assert_eq!(taken, bytes.len());
    frame
}

#[test]
fn an_oversized_frame_is_refused_from_its_header_alone() {
    for max in [CLIENT_PAYLOAD, PUSH_PAYLOAD, BACKEND_PAYLOAD] {
        for kind in [0x01, 0x43, 0x80] {
            let header = |payload: usize| {
                let mut out = vec![kind];
                varint::put(payload as u64, &mut out);
                out
            };
            assert_eq!(frame::split(&header(max), max), Ok(None), "{max} may come");
            let refused = Err(Violation::FrameTooLarge);
            assert_eq!(frame::split(&header(max + 1), max), refused);
            assert_eq!(frame::split(&header((1 << 28) - 1), max), refused);
            assert_eq!(frame::split(&header(1 << 28), max), refused, "five bytes of length");
            assert_eq!(frame::split(&header(usize::MAX), max), refused);
        }
    }
}

#[test]
fn a_length_that_lies_waits_and_takes_nothing() {
    let claim = [0x01, 0x80, 0x20]; // a hello of 4096 bytes of which none comes
    assert_eq!(frame::split(&claim, CLIENT_PAYLOAD), Ok(None));
    // A length that ends inside the next frame makes that frame's bytes its own, and fails in its
    // fields.
    let mut stream = bytes(|out| from_client::put_ack(5, out));
    stream[1] += 1;
    stream.extend_from_slice(&from_client::PING);
    let (frame, _) = frame::split(&stream, CLIENT_PAYLOAD).expect("valid").expect("whole");
    assert_eq!(FromClient::decode(frame), Err(Violation::TrailingBytes));
}

#[test]
fn a_claimed_count_is_checked_against_its_bound_before_the_list_is_read() {
    for (claim, violation) in [
        (PUSH_TARGETS as u64, Violation::FieldPastEnd),
        (PUSH_TARGETS as u64 + 1, Violation::OutOfBounds),
        (u64::MAX, Violation::OutOfBounds),
    ] {
        let mut payload = vec![1, 1, b'p'];
        varint::put(claim, &mut payload);
        let frame = Frame { kind: request::kind::PUSH, payload: &payload };
        assert_eq!(Request::decode(frame), Err(violation), "{claim}");
    }
}

#[test]
fn a_user_id_has_one_to_64_bytes() {
    for (user, good) in [
        (String::new(), false),
        ("u".to_owned(), true),
        ("u".repeat(64), true),
        ("u".repeat(65), false),
        ("ü".repeat(32), true),
        ("ü".repeat(33), false),
        ("u".repeat(300), false),
    ] {
        let identity = Identity { product: "p", user: &user, ..Identity::default() };
        let hello = bytes(|out| from_client::put_hello(&identity, out));
        let result = FromClient::decode(whole(&hello, CLIENT_PAYLOAD));
        match result {
            Ok(FromClient::Hello(hello)) => assert!(good && hello.user == user, "{user}"),
            other => assert!(!good && other == Err(Violation::OutOfBounds), "{user}: {other:?}"),
        }
    }
}

#[test]
fn the_largest_hello_fits_and_one_tag_more_is_refused() {
    let tags = vec!["t".repeat(32); TAGS + 1];
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let (product, user, device) = ("p".repeat(32), "u".repeat(64), "d".repeat(64));
    let identity = Identity {
        heartbeat: 3600,
        product: &product,
        user: &user,
        device: &device,
        token: &[b't'; 2048],
        resume: Some(Resume { session: [9; 16], sequence: SEQUENCE_MAX, broadcast: SEQUENCE_MAX }),
        tags: &tags[..TAGS],
    };
    let hello = bytes(|out| from_client::put_hello(&identity, out));
    assert!(FromClient::decode(whole(&hello, CLIENT_PAYLOAD)).is_ok());
    for tags in [tags.clone(), vec!["t"; 256], vec!["t"; 1000]] {
        let hello = bytes(|out| {
            from_client::put_hello(&Identity { token: b"", tags: &tags, ..identity }, out);
        });
        assert_eq!(
            FromClient::decode(whole(&hello, CLIENT_PAYLOAD)),
            Err(Violation::OutOfBounds),
            "a count over 255 does not wrap"
        );
    }
}

#[test]
fn a_heartbeat_is_two_bytes_each_way() {
    assert_eq!(bytes(from_client::put_ping), from_client::PING);
    assert_eq!(bytes(from_server::put_pong), from_server::PONG);
    assert_eq!(from_client::PING.len(), 2);
    assert_eq!(from_server::PONG.len(), 2);
}

/// Around every length where a varint grows, and the ends.
fn edges(max: u64) -> Vec<u64> {
    let mut edges = vec![1, 2, max - 1, max];
    for bits in (7..64).step_by(7) {
        edges.extend([(1 << bits) - 1, 1 << bits, (1 << bits) + 1]);
    }
    edges.retain(|edge| *edge <= max);
    edges
}

#[test]
fn a_push_costs_at_most_twelve_bytes_and_the_shortest_encoding() {
    let body = vec![b'x'; BODY_BYTES_CEILING];
    for length in edges(BODY_BYTES_CEILING as u64) {
        let body = &body[..usize::try_from(length).expect("small")];
        for sequence in edges(SEQUENCE_MAX) {
            let (class, broadcast, redelivered) = (Class::Durable, true, sequence % 2 == 0);
            let push = Push { class, broadcast, redelivered, sequence, body };
            let head = PushHead::new(&push);
            assert!(head.as_bytes().len() <= PUSH_OVERHEAD);
            let mut simple = vec![from_server::kind::PUSH];
            varint::put((1 + varint::length(sequence) + body.len()) as u64, &mut simple);
            simple.push(0b011 | u8::from(redelivered) << 2);
            varint::put(sequence, &mut simple);
            assert_eq!(head.as_bytes(), simple, "{length} bytes at {sequence}");
        }
    }
}

#[test]
fn the_largest_push_is_decoded_and_one_byte_more_is_refused() {
    let push = |body| Push {
        class: Class::Online,
        broadcast: false,
        redelivered: false,
        sequence: SEQUENCE_MAX,
        body,
    };
    let body = vec![b'x'; BODY_BYTES_CEILING];
    let frame = bytes(|out| from_server::put_push(&push(&body), out));
    assert_eq!(FromServer::decode(whole(&frame, PUSH_PAYLOAD)), Ok(FromServer::Push(push(&body))));
    let mut longer = vec![from_server::kind::PUSH];
    varint::put((1 + 7 + body.len() + 1) as u64, &mut longer);
    assert_eq!(frame::split(&longer, PUSH_PAYLOAD), Err(Violation::FrameTooLarge));
}

#[test]
fn the_most_targets_pass_and_their_answer_fits() {
    let target =
        Target { user: "u", class: Class::Online, ttl: 0, key: b"", receipt: false, body: b"x" };
    let request = |count| bytes(|out| request::put_push(1, "p", &vec![target; count], out));
    let most = request(PUSH_TARGETS);
    let Ok(Request::Push(1, push)) = Request::decode(whole(&most, BACKEND_PAYLOAD)) else {
        panic!("{PUSH_TARGETS} targets are refused")
    };
    assert_eq!(push.targets.len(), PUSH_TARGETS);
    assert_eq!(push.targets.iter().count(), PUSH_TARGETS);
    for count in [0, PUSH_TARGETS + 1] {
        let refused = Request::decode(whole(&request(count), BACKEND_PAYLOAD)).map(|_| ());
        assert_eq!(refused, Err(Violation::OutOfBounds), "{count} targets");
    }
    let outcomes = vec![Outcome::Stored(u64::MAX); PUSH_TARGETS];
    let answer = bytes(|out| answer::put_outcomes(u64::MAX, &outcomes, out));
    let Ok(Answer::Push(_, decoded)) = Answer::decode(whole(&answer, BACKEND_PAYLOAD)) else {
        panic!("the longest answer is refused")
    };
    assert!(decoded.iter().eq(outcomes));
}

#[test]
fn a_shared_body_is_sent_once() {
    let body = vec![b'x'; 1000];
    let target =
        Target { user: "u", class: Class::Online, ttl: 0, key: b"", receipt: true, body: &body };
    let request = bytes(|out| request::put_push(1, "p", &[target; 100], out));
    assert!(request.len() < 1000 + 100 * 5 + 16, "{} bytes", request.len());
    let Ok(Request::Push(_, push)) = Request::decode(whole(&request, BACKEND_PAYLOAD)) else {
        panic!("refused")
    };
    assert!(push.targets.iter().all(|decoded| decoded == target));
}

#[test]
fn words_over_their_limit_are_cut_at_a_character() {
    let reason = "é".repeat(200);
    let close = bytes(|out| from_server::put_close(3000, &reason, out));
    let cut = FromServer::Close { code: 3000, reason: &reason[..254] };
    assert_eq!(FromServer::decode(whole(&close, PUSH_PAYLOAD)), Ok(cut));
    let error = bytes(|out| answer::put_error(1, answer::ErrorCode::NoStore, 0, &reason, out));
    assert!(Answer::decode(whole(&error, BACKEND_PAYLOAD)).is_ok());
}

#[test]
fn addresses_over_eight_are_left_out_of_a_redirect() {
    let redirect = bytes(|out| from_server::put_redirect(5, &["a:1"; 9], out));
    let decoded = FromServer::decode(whole(&redirect, PUSH_PAYLOAD));
    let Ok(FromServer::Notice(Notice::Redirect { delay: 5, addresses })) = decoded else {
        panic!("{decoded:?}")
    };
    assert!(addresses.iter().eq(["a:1"; 8]));
}

#[test]
fn every_violation_has_a_terminal_code_and_a_name_of_its_own() {
    let mut names: Vec<_> = Violation::ALL.iter().map(|violation| violation.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Violation::ALL.len());
    assert!(Violation::ALL.iter().all(|violation| !violation.close_code().reconnect()));
}

#[test]
fn a_later_versions_frames_are_passed_over_whatever_they_hold() {
    for kind in 0x80..=0xff {
        for payload in [&b""[..], &[0xff; 300]] {
            let frame = Frame { kind, payload };
            assert_eq!(FromClient::decode(frame), Ok(FromClient::Skipped));
            assert_eq!(FromServer::decode(frame), Ok(FromServer::Skipped));
            assert_eq!(Request::decode(frame), Ok(Request::Skipped));
            assert_eq!(Answer::decode(frame), Ok(Answer::Skipped));
            assert_eq!(request::unsupported(frame), Ok(None));
        }
    }
}
