//! What is not acknowledged comes again while the client is there, ever more slowly; a client that
//! never acknowledges gets nothing after a while, until it does or an operator lets it out.

use crate::support::{Store, Which, until};
use holdfast_protocol::backend::request::MailboxAction;

on_every_store! {
    what_is_not_acknowledged_comes_again,
    who_never_acknowledges_is_quarantined_until_it_does,
    an_operator_may_let_it_out,
    logging_in_over_and_over_counts_too,
}

const QUICK: [&str; 3] =
    ["mailbox.redelivery_after=1", "mailbox.redelivery_at_most=1", "mailbox.redelivery_rounds=2"];

fn what_is_not_acknowledged_comes_again(io: Which, store: &Store) {
    let gateway = store.gateway(io, &QUICK[..2]);
    let mut ann = gateway.client("ann");
    let mut backend = gateway.backend();
    let sequence = backend.keep("ann", b"one");
    assert_eq!(ann.fresh(), (sequence, b"one".to_vec()));
    assert_eq!(ann.durable_again(), (sequence, b"one".to_vec()));
    assert_eq!(ann.durable_again(), (sequence, b"one".to_vec()));
    ann.ack(sequence);
    until("it is acknowledged", || backend.mailbox("ann", MailboxAction::Show).messages == 0);
    ann.rest();
    ann.hears_nothing_else();
}

/// A client that was sent its message as often as it may be.
fn quarantined(gateway: &crate::support::Gateway) -> (crate::support::Client, u64) {
    let mut ann = gateway.client("ann");
    let sequence = gateway.backend().keep("ann", b"poison");
    assert_eq!(ann.fresh().0, sequence);
    (0..2).for_each(|_| assert_eq!(ann.durable_again().0, sequence));
    until("it is quarantined", || gateway.count("quarantined_mailboxes") == 1);
    (ann, sequence)
}

fn who_never_acknowledges_is_quarantined_until_it_does(io: Which, store: &Store) {
    let gateway = store.gateway(io, &QUICK);
    let (mut ann, sequence) = quarantined(&gateway);
    let mut backend = gateway.backend();
    let next = backend.keep("ann", b"next");
    assert!(backend.mailbox("ann", MailboxAction::Show).quarantined);
    ann.hears_nothing_else();
    // Nobody else is treated so.
    let mut bob = gateway.client("bob");
    backend.keep("bob", b"hello");
    assert_eq!(bob.durable().1, b"hello");
    ann.ack(sequence);
    assert_eq!(ann.durable(), (next, b"next".to_vec()));
    assert_eq!(gateway.count("quarantined_mailboxes"), 0);
}

fn an_operator_may_let_it_out(io: Which, store: &Store) {
    let gateway = store.gateway(io, &QUICK);
    let (mut ann, sequence) = quarantined(&gateway);
    let shown = gateway.backend().mailbox("ann", MailboxAction::Release);
    assert!(!shown.quarantined && shown.online);
    assert_eq!(ann.durable_again().0, sequence);
}

fn logging_in_over_and_over_counts_too(io: Which, store: &Store) {
    let gateway = store.gateway(io, &QUICK[2..]);
    gateway.backend().keep("ann", b"poison");
    assert_eq!(gateway.client("ann").durable().1, b"poison");
    (0..2).for_each(|_| assert_eq!(gateway.client("ann").durable_again().1, b"poison"));
    let mut ann = gateway.client("ann");
    ann.hears_nothing_else();
    let shown = gateway.backend().mailbox("ann", MailboxAction::Show);
    assert!(shown.quarantined, "{shown:?}");
}
