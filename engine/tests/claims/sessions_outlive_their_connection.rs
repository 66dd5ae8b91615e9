//! A session whose connection drops lingers: who comes back with its id goes on. A product may
//! allow a user several sessions.

use crate::support::{Client, Gateway, Hello, Said, Store, Which, until};
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::request::MailboxAction;
use holdfast_protocol::client::from_client::{self, Resume};
use holdfast_protocol::close::Code;

on_every_store! {
    who_comes_back_goes_on,
    who_said_bye_does_not,
    a_lingering_session_is_not_online,
    who_is_back_before_the_gateway_knows_goes_on,
    several_sessions_each_get_a_copy_and_the_first_ack_counts,
    one_more_than_allowed_ends_the_oldest,
}

fn back(gateway: &Gateway, user: &str, before: &Client, sequence: u64) -> Client {
    let resume = Resume { session: before.welcome.session, sequence, broadcast: 0 };
    let hello = Hello { resume: Some(resume), ..Hello::default() };
    Client::log_in(gateway.stranger(), &hello.bytes(user))
}

fn who_comes_back_goes_on(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let mut ann = gateway.client("ann");
    let first = backend.keep("ann", b"one");
    let second = backend.keep("ann", b"two");
    assert_eq!((ann.durable().0, ann.durable().0), (first, second));
    ann.peer.finish();
    until("ann is gone", || backend.online(&["ann"]) == [0]);
    let third = backend.keep("ann", b"three");
    let mut again = back(&gateway, "ann", &ann, first);
    assert!(again.welcome.resumed && again.welcome.next_sequence == third + 1);
    assert_eq!(again.durable_again(), (second, b"two".to_vec()));
    assert_eq!(again.durable(), (third, b"three".to_vec()));
    again.hears_nothing_else();
}

fn who_said_bye_does_not(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut ann = gateway.client("ann");
    let mut bye = Vec::new();
    from_client::put_bye(&mut bye);
    ann.peer.send(&bye);
    assert_eq!(ann.hear(), Said::End);
    until("ann is gone", || gateway.backend().online(&["ann"]) == [0]);
    assert!(!back(&gateway, "ann", &ann, 0).welcome.resumed);
}

fn a_lingering_session_is_not_online(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let ann = gateway.client("ann");
    ann.peer.finish();
    until("ann is gone", || backend.online(&["ann"]) == [0]);
    assert_eq!(backend.push_one("ann", b"now"), Outcome::Offline);
    let shown = backend.mailbox("ann", MailboxAction::Show);
    assert_eq!((shown.sessions, shown.online), (1, false));
    assert!(back(&gateway, "ann", &ann, 0).welcome.resumed);
}

fn who_is_back_before_the_gateway_knows_goes_on(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut ann = gateway.client("ann");
    let again = back(&gateway, "ann", &ann, 0);
    assert!(again.welcome.resumed);
    assert!(matches!(ann.hear(), Said::Kick { .. }));
    ann.peer.expect_close(Code::Replaced);
}

fn several_sessions_each_get_a_copy_and_the_first_ack_counts(io: Which, store: &Store) {
    let gateway = store.gateway(io, &["client.sessions_max=3"]);
    let mut backend = gateway.backend();
    let mut devices: Vec<_> = (0..3).map(|_| gateway.client("ann")).collect();
    assert_eq!(backend.online(&["ann"]), [3]);
    let sequence = backend.keep("ann", b"to all");
    for device in &mut devices {
        assert_eq!(device.durable(), (sequence, b"to all".to_vec()));
    }
    devices[1].ack(sequence);
    until("the first ack counts", || backend.mailbox("ann", MailboxAction::Show).messages == 0);
    assert!(matches!(backend.push_one("ann", b"online"), Outcome::Delivered(_)));
    for device in &mut devices {
        assert_eq!(device.push().1, b"online");
        device.hears_nothing_else();
    }
}

fn one_more_than_allowed_ends_the_oldest(io: Which, store: &Store) {
    let gateway = store.gateway(io, &["client.sessions_max=2"]);
    let mut first = gateway.client("ann");
    let mut others = [gateway.client("ann"), gateway.client("ann")];
    assert!(matches!(first.hear(), Said::Kick { .. }));
    first.peer.expect_close(Code::Replaced);
    others.iter_mut().for_each(Client::hears_nothing_else);
    assert_eq!(gateway.backend().online(&["ann"]), [2]);
}
