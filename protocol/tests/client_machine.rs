//! The client's half: it pings in time, acknowledges once, goes on where it was, and says nothing
//! after its bye. A scripted gateway speaks to it through pipes of several widths.

#[path = "support/peer.rs"]
mod peer;

use holdfast_protocol::client::from_client::{self, FromClient, Identity, Resume};
use holdfast_protocol::client::machine::{Machine, State};
use holdfast_protocol::client::{Class, FromServer, Push, Welcome, from_server};
use holdfast_protocol::error::Violation;
use peer::Peer;

const WIDTHS: [usize; 4] = [1, 2, 7, usize::MAX];
const IDENTITY: Identity<'_> = Identity {
    heartbeat: 60,
    product: "chat",
    user: "alice",
    device: "phone",
    token: b"token",
    resume: None,
    tags: &["ios"],
};
const RESUME: Resume = Resume { session: [7; 16], sequence: 41, broadcast: 3 };
const WELCOME: Welcome = Welcome {
    session: [7; 16],
    heartbeat: 30,
    server_time: 1,
    next_sequence: 1,
    resumed: false,
    body_max: 65536,
};

fn push(sequence: u64, body: &[u8]) -> Push<'_> {
    Push { class: Class::Durable, broadcast: false, redelivered: false, sequence, body }
}

/// Delivers everything; gives what the client understood, in the words of `Debug`.
fn deliver(gateway: &mut Peer, client: &mut Machine) -> Result<Vec<String>, Violation> {
    let mut understood = Vec::new();
    gateway.deliver(|bytes| {
        let received = client.receive(bytes)?;
        Ok(received.map(|(meaning, taken)| {
            understood.push(format!("{meaning:?}"));
            taken
        }))
    })?;
    Ok(understood)
}

/// A client that was welcomed at second 100, its hello already heard.
fn online(gateway: &mut Peer, identity: &Identity<'_>, welcome: &Welcome) -> Machine {
    let mut client = Machine::new(identity, 100);
    gateway.hear(client.output()).expect(|frame| {
        assert!(matches!(FromClient::decode(frame), Ok(FromClient::Hello(_))));
    });
    gateway.say(|out| from_server::put_welcome(welcome, out));
    deliver(gateway, &mut client).expect("valid");
    assert_eq!(client.state(), State::Online);
    client
}

fn expect_ack(gateway: &mut Peer, client: &mut Machine, sequence: u64) {
    gateway.hear(client.output()).expect(|frame| {
        assert_eq!(FromClient::decode(frame), Ok(FromClient::Ack { sequence }));
    });
}

#[test]
fn it_says_hello_first_and_nothing_else_until_it_is_welcome() {
    let mut gateway = Peer::new(1);
    let mut client = Machine::new(&IDENTITY, 100);
    assert_eq!(client.ping_due(), None);
    assert!(!client.tick(1_000_000));
    client.ack(5, 100);
    gateway.hear(client.output()).expect(|frame| {
        let Ok(FromClient::Hello(hello)) = FromClient::decode(frame) else { panic!("{frame:?}") };
        assert_eq!((hello.product, hello.user, hello.token), ("chat", "alice", &b"token"[..]));
        assert!(hello.tags.iter().eq(["ios"]));
    });
    gateway.expect_silence();
}

#[test]
fn it_understands_the_same_whatever_the_pipe() {
    for width in WIDTHS {
        let mut gateway = Peer::new(width);
        let mut client = Machine::new(&IDENTITY, 0);
        gateway
            .say(|out| from_server::put_welcome(&WELCOME, out))
            .say(|out| from_server::put_push(&push(1, &[b'x'; 300]), out))
            .say(from_server::put_pong)
            .say(|out| from_server::put_redirect(10, &["a:1", "b:2"], out))
            .say(|out| out.extend_from_slice(&[0x99, 3, 1, 2, 3]))
            .say(|out| from_server::put_close(3000, "going away", out));
        let understood = deliver(&mut gateway, &mut client).expect("valid");
        let begin = ["Welcome", "Push", "Pong", "Notice(Redirect", "Skipped", "Close { code: 3000"];
        assert_eq!(understood.len(), begin.len(), "{understood:?}");
        for (meaning, begin) in understood.iter().zip(begin) {
            assert!(meaning.starts_with(begin), "{meaning} at {width}");
        }
        assert_eq!(client.state(), State::Closed);
    }
}

#[test]
fn it_pings_when_it_said_nothing_for_a_granted_heartbeat() {
    let mut gateway = Peer::new(usize::MAX);
    let mut client = online(&mut gateway, &IDENTITY, &WELCOME);
    assert_eq!(client.ping_due(), Some(130), "granted 30 s, whatever was wanted");
    assert!(!client.tick(129));
    assert!(client.tick(130));
    assert!(!client.tick(131), "once");
    gateway.hear(client.output()).expect(|frame| {
        assert_eq!(FromClient::decode(frame), Ok(FromClient::Ping));
    });
    client.ack(1, 150);
    assert_eq!(client.ping_due(), Some(180), "an acknowledgement is a sign of life");
    assert!(client.tick(u32::MAX), "late is due");
    assert_eq!(client.ping_due(), Some(u32::MAX), "the clock's end does not wrap");
}

#[test]
fn it_acknowledges_only_what_is_newer() {
    let mut gateway = Peer::new(usize::MAX);
    let mut client = online(&mut gateway, &IDENTITY, &WELCOME);
    client.ack(3, 100);
    client.ack(3, 100);
    client.ack(2, 100);
    client.ack(0, 100);
    expect_ack(&mut gateway, &mut client, 3);
    gateway.expect_silence();
    assert_eq!(client.acked(), 3);
    client.ack(4, 100);
    expect_ack(&mut gateway, &mut client, 4);
}

#[test]
fn what_comes_again_after_a_reconnect_is_acknowledged() {
    for (resume, first) in [(None, 1), (Some(RESUME), 42)] {
        let mut gateway = Peer::new(usize::MAX);
        let identity = Identity { resume, ..IDENTITY };
        let welcome = Welcome { next_sequence: 50, resumed: resume.is_some(), ..WELCOME };
        let mut client = online(&mut gateway, &identity, &welcome);
        let again = Push { redelivered: true, ..push(first, b"again") };
        assert!(client.is_new(&again), "pending under the next sequence, and never dealt with");
        gateway.say(|out| from_server::put_push(&again, out));
        deliver(&mut gateway, &mut client).expect("valid");
        assert_eq!(client.acked(), first - 1);
        client.ack(first, 100);
        expect_ack(&mut gateway, &mut client, first);
    }
}

#[test]
fn what_it_acknowledged_and_comes_again_is_passed_over_and_acknowledged_again() {
    let mut gateway = Peer::new(usize::MAX);
    let identity = Identity { resume: Some(RESUME), ..IDENTITY };
    let mut client = online(&mut gateway, &identity, &Welcome { next_sequence: 42, ..WELCOME });
    for sequence in [40, 41] {
        let again = Push { redelivered: true, ..push(sequence, b"again") };
        assert!(!client.is_new(&again));
        gateway.say(|out| from_server::put_push(&again, out));
    }
    deliver(&mut gateway, &mut client).expect("valid");
    client.ack(40, 100);
    expect_ack(&mut gateway, &mut client, 41);
    client.ack(41, 100);
    gateway.hear(client.output()).expect_silence();
}

#[test]
fn only_durable_messages_of_the_user_are_acknowledged_and_passed_over() {
    let mut gateway = Peer::new(usize::MAX);
    let mut client = online(&mut gateway, &IDENTITY, &WELCOME);
    client.ack(9, 100);
    expect_ack(&mut gateway, &mut client, 9);
    for (class, broadcast, wants_ack) in [
        (Class::Durable, false, true),
        (Class::Durable, true, false),
        (Class::Online, false, false),
        (Class::Online, true, false),
    ] {
        let old = Push { class, broadcast, ..push(3, b"x") };
        assert_eq!(old.wants_ack(), wants_ack, "{old:?}");
        assert_eq!(client.is_new(&old), !wants_ack, "{old:?}");
        assert!(client.is_new(&Push { sequence: 10, ..old }), "{old:?}");
    }
}

#[test]
fn it_forgets_what_it_remembers_where_the_gateway_lost_its_count() {
    for (next_sequence, acked) in [(1, 0), (41, 0), (42, 41), (1000, 41)] {
        let mut gateway = Peer::new(usize::MAX);
        let identity = Identity { resume: Some(RESUME), ..IDENTITY };
        let welcome = Welcome { next_sequence, ..WELCOME };
        let mut client = online(&mut gateway, &identity, &welcome);
        assert_eq!(client.acked(), acked, "{next_sequence}");
        // What was stored before the login lies under the next sequence, and is dealt with.
        assert_eq!(client.is_new(&push(40, b"pending")), acked == 0, "{next_sequence}");
        client.ack(acked + 1, 100);
        expect_ack(&mut gateway, &mut client, acked + 1);
    }
}

#[test]
fn after_its_bye_it_says_nothing_and_minds_nothing() {
    let mut gateway = Peer::new(usize::MAX);
    let mut client = Machine::new(&IDENTITY, 100);
    client.output().clear();
    client.bye();
    client.bye();
    client.ack(9, 100);
    assert!(!client.tick(u32::MAX));
    gateway.hear(client.output()).expect(|frame| {
        assert_eq!(FromClient::decode(frame), Ok(FromClient::Bye));
    });
    gateway.expect_silence();
    // The welcome and a push crossed the bye on the wire.
    gateway
        .say(|out| from_server::put_welcome(&WELCOME, out))
        .say(|out| from_server::put_push(&push(1, b"late"), out))
        .say(|out| from_server::put_close(3000, "", out));
    assert_eq!(deliver(&mut gateway, &mut client).map(|understood| understood.len()), Ok(3));
    assert_eq!(client.state(), State::Closed);
}

#[test]
fn a_gateway_that_breaks_the_protocol_is_found_out() {
    let oversized = [from_server::kind::PUSH, 0xff, 0xff, 0xff, 0x7f];
    for (bytes, violation) in [
        (&oversized[..], Violation::FrameTooLarge),
        (&[0x02, 0x00], Violation::UnknownKind),
        (&[from_server::kind::PUSH, 2, 0, 1], Violation::OutOfBounds),
        (&[from_server::kind::PONG, 1, 0], Violation::TrailingBytes),
    ] {
        let mut gateway = Peer::new(usize::MAX);
        let mut client = online(&mut gateway, &IDENTITY, &WELCOME);
        assert_eq!(client.receive(bytes), Err(violation), "{bytes:x?}");
    }
}

#[test]
fn an_incomplete_frame_is_left_alone() {
    let mut client = Machine::new(&IDENTITY, 0);
    let mut welcome = Vec::new();
    from_server::put_welcome(&WELCOME, &mut welcome);
    for cut in 0..welcome.len() {
        assert_eq!(client.receive(&welcome[..cut]), Ok(None));
        assert_eq!(client.state(), State::Connecting);
    }
    assert_eq!(client.receive(&welcome), Ok(Some((FromServer::Welcome(WELCOME), welcome.len()))));
}

#[test]
fn a_ping_goes_out_as_two_bytes() {
    let mut gateway = Peer::new(usize::MAX);
    let mut client = online(&mut gateway, &IDENTITY, &WELCOME);
    assert!(client.tick(130));
    assert_eq!(*client.output(), from_client::PING);
}
