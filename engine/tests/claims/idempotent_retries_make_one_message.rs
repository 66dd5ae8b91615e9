//! The same key of the same user is the same message, also when the gateway was restarted between.

use crate::support::backend::durable;
use crate::support::{Store, Which, until};
use holdfast_protocol::backend::request::MailboxAction;
use holdfast_protocol::backend::{Outcome, Target};

on_every_store! {
    a_retry_gets_the_first_outcome,
    also_after_a_restart,
    also_after_it_was_acknowledged_and_a_restart,
    retries_at_once_share_the_outcome,
}

fn keyed<'a>(user: &'a str, key: &'a [u8], body: &'a [u8]) -> Target<'a> {
    Target { key, ..durable(user, body) }
}

fn a_retry_gets_the_first_outcome(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let first = backend.push(&[keyed("ann", b"order 1", b"paid")])[0];
    assert!(matches!(first, Outcome::Stored(_)));
    assert_eq!(backend.push(&[keyed("ann", b"order 1", b"paid")])[0], first);
    assert_ne!(backend.push(&[keyed("ann", b"order 2", b"paid")])[0], first);
    assert_ne!(backend.push(&[keyed("bob", b"order 1", b"paid")])[0], first);
    assert_eq!(backend.mailbox("ann", MailboxAction::Show).messages, 2);
    let mut ann = gateway.client("ann");
    ann.durable();
    ann.durable();
    ann.hears_nothing_else();
}

fn also_after_a_restart(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let first = gateway.backend().push(&[keyed("ann", b"order 1", b"paid")])[0];
    drop(gateway);
    let gateway = store.gateway(io, &[]);
    assert_eq!(gateway.backend().push(&[keyed("ann", b"order 1", b"paid")])[0], first);
    let mut ann = gateway.client("ann");
    ann.durable_again();
    ann.hears_nothing_else();
}

fn also_after_it_was_acknowledged_and_a_restart(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let mut ann = gateway.client("ann");
    let id = backend.send_push(&[keyed("ann", b"order 1", b"paid")]);
    let sequence = ann.durable().0;
    ann.ack(sequence);
    backend.outcomes(id);
    until("all is acknowledged", || backend.mailbox("ann", MailboxAction::Show).messages == 0);
    drop((ann, backend, gateway));
    let gateway = store.gateway(io, &[]);
    let again = gateway.backend().push(&[keyed("ann", b"order 1", b"paid")])[0];
    assert!([Outcome::Stored(sequence), Outcome::Acked(sequence)].contains(&again), "{again:?}");
    gateway.client("ann").hears_nothing_else();
}

fn retries_at_once_share_the_outcome(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let same = vec![keyed("ann", b"order 1", b"paid"); 20];
    let outcomes = backend.push(&same);
    assert!(matches!(outcomes[0], Outcome::Stored(_)));
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
    assert_eq!(gateway.count("idempotent_repeats"), 19);
    assert_eq!(backend.mailbox("ann", MailboxAction::Show).messages, 1);
}
