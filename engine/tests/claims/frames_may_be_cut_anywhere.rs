//! TCP keeps no boundaries: a conversation means the same wherever it is cut.

use crate::support::backend::target;
use crate::support::client::hello;
use crate::support::{Gateway, Peer, Said, Told, Which, until};
use holdfast_protocol::backend::{Outcome, request};
use holdfast_protocol::client::from_client;

on_both! {
    a_client_cut_at_every_byte,
    a_client_byte_by_byte,
    a_backend_cut_at_every_byte,
}

/// Sends the pieces; each is read by the gateway before the next is sent.
fn send_pieces<'a>(
    gateway: &Gateway,
    peer: &mut Peer,
    counter: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) {
    let mut expected = gateway.count(counter);
    for piece in pieces {
        peer.send(piece);
        expected += piece.len() as u64;
        until("the gateway read it", || gateway.count(counter) == expected);
    }
}

/// Hello, ping, what is to be skipped, ping.
fn conversation() -> Vec<u8> {
    let mut bytes = hello("ann");
    from_client::put_ping(&mut bytes);
    bytes.extend_from_slice(&[0xff, 0x02, 0x01, 0x02]);
    from_client::put_ping(&mut bytes);
    bytes
}

fn expect_conversation(peer: &mut Peer) {
    let said: Vec<_> = std::iter::repeat_with(|| peer.said()).take(3).collect();
    // The pong of a ping that was sent ahead may come before the welcome.
    let welcomes = said.iter().filter(|said| matches!(said, Said::Welcome(_))).count();
    let pongs = said.iter().filter(|said| **said == Said::Pong).count();
    assert_eq!((welcomes, pongs), (1, 2), "{said:?}");
    peer.send(&[from_client::kind::BYE]);
    peer.send(&[0]);
    assert_eq!(peer.said(), Said::End);
}

fn a_client_cut_at_every_byte(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let whole = conversation();
    for cut in 1..whole.len() {
        let mut peer = gateway.stranger();
        let pieces = [&whole[..cut], &whole[cut..]];
        send_pieces(&gateway, &mut peer, "client_received", pieces);
        expect_conversation(&mut peer);
    }
    assert_eq!(gateway.count("closes.bye"), whole.len() as u64 - 1);
}

fn a_client_byte_by_byte(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut peer = gateway.stranger();
    send_pieces(&gateway, &mut peer, "client_received", conversation().chunks(1));
    expect_conversation(&mut peer);
}

fn a_backend_cut_at_every_byte(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut client = gateway.client("ann");
    let mut whole = Vec::new();
    request::put_hello("test", b"", &mut whole);
    request::put_push(7, "demo", &[target("ann", b"x"), target("bob", b"y")], &mut whole);
    request::put_ping(&mut whole);
    for (cut, sequence) in (1..whole.len()).zip(1..) {
        let mut peer = Peer::connect(gateway.backends);
        let pieces = [&whole[..cut], &whole[cut..]];
        send_pieces(&gateway, &mut peer, "backend_received", pieces);
        let told: Vec<_> = std::iter::repeat_with(|| peer.told()).take(3).collect();
        assert!(matches!(told[0], Told::Welcome(_)), "{told:?}");
        let outcomes = vec![Outcome::Delivered(sequence), Outcome::Offline];
        assert!(told.contains(&Told::Outcomes(7, outcomes)), "{told:?}");
        assert!(told.contains(&Told::Pong), "{told:?}");
        assert_eq!(client.push(), (sequence, b"x".to_vec()));
    }
}
