//! A refused login can be understood from one line of the log: who, from where, and what exactly
//! was wrong. What peers write cannot break out of its line. Who comes and goes is on the level
//! debug.

use crate::support::process::Process;
use crate::support::{Backend, Client, Hello, Peer, Which};
use holdfast::auth::{Claims, Signer};
use holdfast_protocol::close::Code;
use rustix::process::Signal;
use std::net::SocketAddr;

on_both! {
    a_refused_login_is_one_line_with_its_reason,
    a_bad_frame_is_logged_with_its_peer,
    who_comes_and_goes_is_told_when_asked_for,
}

const SECRET: &str = "the-old-secret-of-at-least-32-bytes!";

/// Ends the process and gives the lines with these words.
fn lines(process: Process, words: &str) -> Vec<String> {
    process.signal(Signal::TERM);
    let (_, said) = process.end();
    said.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
}

#[track_caller]
fn has(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word} is not in: {line}");
    }
}

/// Sends these bytes and waits for the close; gives the address they came from.
fn refused(at: SocketAddr, bytes: &[u8], code: Code) -> String {
    let mut peer = Peer::connect(at);
    let address = peer.stream.local_addr().unwrap();
    peer.send(bytes);
    peer.expect_close(code);
    format!("peer={address}")
}

fn a_refused_login_is_one_line_with_its_reason(io: Which) {
    let key = format!("auth.client_keys=[{{ id='k', algorithm='HS256', secret='{SECRET}' }}]");
    let process = Process::serve(io, &[&key]);
    let expires = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 60;
    let signer = Signer::hmac("k", SECRET.as_bytes()).unwrap();
    let of = |user, product| {
        signer.issue(&Claims { user, products: &[product], not_before: None, expires })
    };
    let hostile = "a\n2030 INFO fake \"x\"";
    let hello =
        |user: &str, token: &str| Hello { token: token.as_bytes(), ..Hello::default() }.bytes(user);
    let cases = [
        ("ann", of("ann", "else"), "why=\"audience\""),
        ("ann", of("bob", "demo"), "why=\"subject\""),
        (hostile, String::new(), "why=\"no_token\""),
    ];
    let peers: Vec<_> = cases
        .iter()
        .map(|(user, token, _)| refused(process.clients, &hello(user, token), Code::BadToken))
        .collect();
    let said = lines(process, "login refused");
    assert_eq!(said.len(), cases.len(), "{said:?}");
    for ((user, _, why), peer) in cases.iter().zip(&peers) {
        let line = said.iter().find(|line| line.contains(why)).unwrap_or_else(|| panic!("{why}"));
        has(line, &[peer, "product=\"demo\"", &format!("user={user:?}"), "device=", why]);
    }
}

fn a_bad_frame_is_logged_with_its_peer(io: Which) {
    let process = Process::serve(io, &[]);
    let peer = refused(process.clients, &[0x3f, 0x00], Code::Malformed);
    let said = lines(process, "bad frame");
    assert_eq!(said.len(), 1, "{said:?}");
    has(&said[0], &[&peer, "violation=\"unknown_kind\""]);
}

fn who_comes_and_goes_is_told_when_asked_for(io: Which) {
    for (level, told) in [("info", false), ("debug", true)] {
        let process = Process::serve(io, &[&format!("log.level={level}")]);
        let mut first = Client::at(process.clients, "ann");
        let mut second = Client::at(process.clients, "ann");
        // Its shard may hear of the second later than the second is let in.
        assert_eq!(first.peer.close_code(), Some(Code::Replaced.number()));
        second.hears_nothing_else();
        drop(first);
        let mut backend = Backend::at(process.backends, b"");
        assert_eq!(backend.kick("ann", "not now"), 1);
        drop(backend);
        let mut other = Backend::at(process.backends, b"");
        while other.counters()["backends"] != 1 {}
        let said = lines(process, " ");
        for words in [
            &["client logs in", "user=\"ann\"", "product=\"demo\"", "peer="][..],
            &["client leaves", "code=3508 replaced", "the user logged in again"],
            &["client leaves", "code=3509 kicked", "not now", "peer="],
            &["backend connected", "name=\"test\"", "peer="],
            &["backend leaves", "name=\"test\"", "closed by the peer"],
        ] {
            let found = said.iter().any(|line| words.iter().all(|word| line.contains(word)));
            assert_eq!(found, told, "{words:?} at {level}: {said:#?}");
        }
    }
}
