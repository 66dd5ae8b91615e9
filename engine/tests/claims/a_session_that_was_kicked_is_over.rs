//! A kick ends a user's session, tells it the reason, and says how many sessions it ended.

use crate::support::{Gateway, Said, Which, until};
use holdfast_protocol::backend::Outcome;

on_both! {
    the_client_is_told_the_reason,
    whoever_is_not_there_is_not_kicked,
    the_user_may_come_back,
}

fn expect_kick(said: &[Said; 3], reason: &str) {
    let reason = reason.to_owned();
    assert_eq!(said[0], Said::Kick { code: 3509, reason: reason.clone() });
    assert_eq!(said[1], Said::Close { code: 3509, reason });
    assert_eq!(said[2], Said::End);
}

fn the_client_is_told_the_reason(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut backend = gateway.backend();
    for user in ["ann", "bob", "cid", "dan"] {
        let mut client = gateway.client(user);
        assert_eq!(backend.kick(user, "you know why"), 1);
        expect_kick(&[client.hear(), client.hear(), client.hear()], "you know why");
    }
    assert_eq!(gateway.count("closes.kicked"), 4);
    let gone = || backend.online(&["ann", "bob", "cid", "dan"]) == [0; 4];
    until("nobody is online any more", gone);
}

fn whoever_is_not_there_is_not_kicked(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut client = gateway.client("ann");
    assert_eq!(gateway.backend().kick("bob", ""), 0);
    client.hears_nothing_else();
}

fn the_user_may_come_back(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut backend = gateway.backend();
    let mut client = gateway.client("ann");
    assert_eq!(backend.kick("ann", ""), 1);
    expect_kick(&[client.hear(), client.hear(), client.hear()], "kicked");
    let mut client = gateway.client("ann");
    assert!(matches!(backend.push_one("ann", b"x"), Outcome::Delivered(_)));
    assert_eq!(client.push().1, b"x");
}
