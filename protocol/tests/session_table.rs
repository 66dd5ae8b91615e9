//! Every state against every frame, for the gateway's half and the client's half: the tables of
//! SPEC.md are what the code does, these moves and no others.

#[path = "support/files.rs"]
mod files;
#[path = "support/markdown.rs"]
mod markdown;

use files::text;
use holdfast_protocol::client::from_client::{self, Identity};
use holdfast_protocol::client::machine::{self, Machine};
use holdfast_protocol::client::{Class, FromClient, Push, Welcome, from_server};
use holdfast_protocol::error::Violation;
use holdfast_protocol::frame;
use holdfast_protocol::session::{Action, State, receive};
use markdown::table;

/// The greatest sequence that may be acknowledged in these tests.
const SENT: u64 = 9;
const SKIPPABLE: [u8; 3] = [0x80, 1, 0];
const IDENTITY: Identity<'_> = Identity {
    heartbeat: 60,
    product: "chat",
    user: "alice",
    device: "",
    token: b"",
    resume: None,
    tags: &[],
};

fn bytes(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out);
    out
}

fn from_client(name: &str) -> Vec<u8> {
    match name {
        "hello" => bytes(|out| from_client::put_hello(&IDENTITY, out)),
        "ping" => bytes(from_client::put_ping),
        "ack" => bytes(|out| from_client::put_ack(SENT, out)),
        "bye" => bytes(from_client::put_bye),
        "kind ≥ 0x80" => SKIPPABLE.to_vec(),
        other => panic!("SPEC.md names a frame {other}"),
    }
}

fn expected(cell: &str) -> Result<Action, Violation> {
    match cell {
        "log in" => Ok(Action::LogIn),
        "pong" => Ok(Action::Pong),
        "acknowledge" => Ok(Action::Acknowledge(SENT)),
        "leave" => Ok(Action::Leave),
        "ignore" => Ok(Action::Ignore),
        "3505" => Err(Violation::WrongState),
        other => panic!("SPEC.md names a move {other}"),
    }
}

#[test]
fn the_gateway_moves_as_its_table_says() {
    let spec = text("SPEC.md");
    let header = "| frame | opening | greeting | online | closing |";
    let states = [State::Opening, State::Greeting, State::Online, State::Closing];
    let rows = table(&spec, "## The client protocol", header);
    assert_eq!(rows.len(), 5, "hello, ping, ack, bye, skippable");
    for row in rows {
        let bytes = from_client(row[0]);
        let (frame, _) = frame::split(&bytes, 4096).expect("valid").expect("whole");
        let frame = FromClient::decode(frame).expect("valid");
        for (state, cell) in states.into_iter().zip(&row[1..]) {
            assert_eq!(receive(state, &frame, SENT), expected(cell), "{} in {state:?}", row[0]);
        }
    }
}

#[test]
fn an_acknowledgement_is_good_up_to_what_was_sent() {
    for (sequence, result) in [
        (0, Ok(Action::Acknowledge(0))),
        (SENT, Ok(Action::Acknowledge(SENT))),
        (SENT + 1, Err(Violation::AckFromTheFuture)),
        (u64::MAX, Err(Violation::AckFromTheFuture)),
    ] {
        let ack = FromClient::Ack { sequence };
        assert_eq!(receive(State::Online, &ack, SENT), result, "{sequence}");
        assert_eq!(receive(State::Opening, &ack, SENT), Err(Violation::WrongState));
        assert_eq!(receive(State::Closing, &ack, SENT), Ok(Action::Ignore));
    }
}

fn from_server(name: &str) -> Vec<u8> {
    let welcome = Welcome {
        session: [7; 16],
        heartbeat: 60,
        server_time: 1,
        next_sequence: 1,
        resumed: false,
        body_max: 65536,
    };
    let push = Push {
        class: Class::Online,
        broadcast: false,
        redelivered: false,
        sequence: 1,
        body: b"x",
    };
    match name {
        "welcome" => bytes(|out| from_server::put_welcome(&welcome, out)),
        "pong" => bytes(from_server::put_pong),
        "push" => bytes(|out| from_server::put_push(&push, out)),
        "notice" => bytes(|out| from_server::put_drain(1000, out)),
        "close" => bytes(|out| from_server::put_close(3000, "", out)),
        "kind ≥ 0x80" => SKIPPABLE.to_vec(),
        other => panic!("SPEC.md names a frame {other}"),
    }
}

fn client_in(state: machine::State) -> Machine {
    let mut client = Machine::new(&IDENTITY, 0);
    if state != machine::State::Connecting {
        client.receive(&from_server("welcome")).expect("valid").expect("whole");
    }
    if state == machine::State::Closed {
        client.bye();
    }
    assert_eq!(client.state(), state);
    client
}

#[test]
fn the_client_moves_as_its_table_says() {
    use machine::State::{Closed, Connecting, Online};
    let spec = text("SPEC.md");
    let rows = table(&spec, "### The client's states", "| frame | connecting | online | closed |");
    assert_eq!(rows.len(), 6, "welcome, pong, push, notice, close, skippable");
    for row in rows {
        for (state, cell) in [Connecting, Online, Closed].into_iter().zip(&row[1..]) {
            let mut client = client_in(state);
            let bytes = from_server(row[0]);
            let result = client.receive(&bytes).map(|received| received.expect("whole").1);
            let (allowed, after) = match *cell {
                "go online" => (true, Online),
                "take" | "ignore" => (true, state),
                "end" => (true, Closed),
                "violation" => (false, state),
                other => panic!("SPEC.md names a move {other}"),
            };
            let expected = if allowed { Ok(bytes.len()) } else { Err(Violation::WrongState) };
            assert_eq!(result, expected, "{} in {state:?}", row[0]);
            assert_eq!(client.state(), after, "{} in {state:?}", row[0]);
        }
    }
}
