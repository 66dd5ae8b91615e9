//! What was accepted for a user reaches the user: now, after a login, after a restart, and again
//! until it is acknowledged. What was not to be kept is not.

use crate::support::backend::{durable, target};
use crate::support::{Client, Hello, Store, Which, until};
use holdfast_protocol::backend::answer::Rejection;
use holdfast_protocol::backend::request::{self, MailboxAction};
use holdfast_protocol::backend::{Outcome, Target};
use holdfast_protocol::client::Class;
use holdfast_protocol::client::from_client::Resume;

on_every_store! {
    an_offline_user_gets_it_on_login,
    who_logs_in_again_gets_it_again_until_it_is_acknowledged,
    it_outlives_the_gateway,
    another_gateway_on_the_same_store_delivers_it,
    an_empty_body_is_refused,
    class_online_is_never_kept,
    an_online_user_gets_it_at_once,
    products_keep_the_same_user_apart,
    what_is_out_of_date_is_not_delivered,
    what_went_out_of_date_is_told_once,
    many_come_in_order,
    receipts_tell_what_became_of_it,
    slow_readers_miss_nothing,
}

/// Everything in the user's mailbox.
fn waiting(backend: &mut crate::support::Backend, user: &str) -> u32 {
    backend.mailbox(user, MailboxAction::Show).messages
}

fn an_offline_user_gets_it_on_login(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    assert!(matches!(backend.push(&[durable("ann", b"one")])[0], Outcome::Stored(_)));
    let second = backend.keep("ann", b"two");
    let mut ann = gateway.client("ann");
    assert!(ann.welcome.next_sequence > second);
    assert_eq!(ann.durable().1, b"one");
    assert_eq!(ann.durable(), (second, b"two".to_vec()));
    ann.ack(second);
    until("the mailbox is empty", || waiting(&mut backend, "ann") == 0);
    ann.hears_nothing_else();
}

fn who_logs_in_again_gets_it_again_until_it_is_acknowledged(io: Which, store: &Store) {
    let gateway = store.gateway(io, &["client.linger=0"]);
    let mut backend = gateway.backend();
    let first = backend.keep("ann", b"one");
    let second = backend.keep("ann", b"two");
    let mut ann = gateway.client("ann");
    assert_eq!((ann.durable().0, ann.durable().0), (first, second));
    ann.ack(first);
    until("one is acknowledged", || waiting(&mut backend, "ann") == 1);
    drop(ann);
    until("ann is gone", || backend.online(&["ann"]) == [0]);
    let mut again = gateway.client("ann");
    assert_eq!(again.durable_again(), (second, b"two".to_vec()));
    again.ack(second);
    until("all is acknowledged", || waiting(&mut backend, "ann") == 0);
    drop(again);
    gateway.client("ann").hears_nothing_else();
}

fn it_outlives_the_gateway(io: Which, store: &Store) {
    let first = store.gateway(io, &[]);
    let mut backend = first.backend();
    let acked = backend.keep("ann", b"acknowledged");
    let kept = backend.keep("ann", b"kept");
    let mut ann = first.client("ann");
    assert_eq!((ann.durable().0, ann.durable().0), (acked, kept));
    ann.ack(acked);
    until("one is acknowledged", || waiting(&mut backend, "ann") == 1);
    drop((ann, backend, first));
    let second = store.gateway(io, &[]);
    let mut ann = second.client("ann");
    assert_eq!(ann.durable_again(), (kept, b"kept".to_vec()));
    ann.hears_nothing_else();
    let mut backend = second.backend();
    let newer = backend.keep("ann", b"newer");
    assert!(newer > kept, "no sequence comes twice");
    assert_eq!(ann.fresh(), (newer, b"newer".to_vec()));
}

fn another_gateway_on_the_same_store_delivers_it(io: Which, store: &Store) {
    let first = store.gateway(io, &[]);
    let mut backend = first.backend();
    let sequence = backend.keep("ann", b"kept");
    assert_eq!(backend.push_one("ann", b"now or never"), Outcome::Offline);
    drop(backend);
    // Only a store that several hosts may use has two gateways at once.
    let first = store.is_shared().then_some(first);
    let second = store.gateway(io, &[]);
    let mut ann = second.client("ann");
    assert_eq!(ann.durable(), (sequence, b"kept".to_vec()));
    ann.ack(sequence);
    until("it is acknowledged", || waiting(&mut second.backend(), "ann") == 0);
    ann.hears_nothing_else();
    drop((ann, second));
    let first = first.unwrap_or_else(|| store.gateway(io, &[]));
    let mut ann = first.client("ann");
    ann.hears_nothing_else();
    let newer = first.backend().keep("ann", b"newer");
    assert!(newer > sequence, "no sequence comes twice, whichever gateway gives it");
    assert_eq!(ann.durable(), (newer, b"newer".to_vec()));
}

fn an_empty_body_is_refused(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut ann = gateway.client("ann");
    let mut backend = gateway.backend();
    let refused = Outcome::Rejected(Rejection::EmptyBody);
    assert_eq!(backend.push(&[durable("ann", b""), durable("bob", b"")]), [refused; 2]);
    ann.hears_nothing_else();
    assert_eq!(waiting(&mut backend, "bob"), 0);
}

fn class_online_is_never_kept(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    assert_eq!(backend.push_one("ann", b"now or never"), Outcome::Offline);
    gateway.client("ann").hears_nothing_else();
    drop((backend, gateway));
    store.gateway(io, &[]).client("ann").hears_nothing_else();
}

fn an_online_user_gets_it_at_once(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut ann = gateway.client("ann");
    let mut backend = gateway.backend();
    assert!(matches!(backend.push_one("ann", b"online"), Outcome::Delivered(_)));
    assert_eq!(ann.push().1, b"online");
    let id = backend.send_push(&[durable("ann", b"durable")]);
    let (sequence, body) = ann.fresh();
    assert_eq!(body, b"durable");
    ann.ack(sequence);
    let outcome = backend.outcomes(id)[0];
    assert!([Outcome::Stored(sequence), Outcome::Acked(sequence)].contains(&outcome));
    until("the mailbox is empty", || waiting(&mut backend, "ann") == 0);
}

fn products_keep_the_same_user_apart(io: Which, store: &Store) {
    let gateway = store.gateway(io, &["products=[\"demo\",\"shop\"]"]);
    let mut backend = gateway.backend();
    let targets = [durable("ann", b"for the shop")];
    let id = backend.ask(|id, out| request::put_push(id, "shop", &targets, out));
    assert!(matches!(backend.outcomes(id)[0], Outcome::Stored(_)));
    gateway.client("ann").hears_nothing_else();
    let hello = Hello { product: Some("shop"), ..Hello::default() }.bytes("ann");
    let mut ann = Client::log_in(gateway.stranger(), &hello);
    assert_eq!(ann.durable().1, b"for the shop");
}

fn what_is_out_of_date_is_not_delivered(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    // In one push: what comes of it is told before its time is over, also on a busy machine.
    let soon = Target { ttl: 3, receipt: true, ..durable("ann", b"soon gone") };
    let outcomes = backend.push(&[soon, durable("ann", b"later")]);
    let [Outcome::Stored(sequence), Outcome::Stored(later)] = outcomes[..] else {
        panic!("not kept: {outcomes:?}")
    };
    assert_eq!(backend.receipt(), ("ann".to_owned(), sequence, Outcome::Expired));
    let mut ann = gateway.client("ann");
    assert_eq!(ann.durable(), (later, b"later".to_vec()));
}

fn what_went_out_of_date_is_told_once(io: Which, store: &Store) {
    // Each time another gateway on the same store. What it told of a second time would come before
    // what it tells of the first time, since that is in the same mailbox behind it.
    for _ in 0..2 {
        let gateway = store.gateway(io, &["shards=1"]);
        let mut backend = gateway.backend();
        let soon = Target { ttl: 1, receipt: true, ..durable("ann", b"soon gone") };
        let outcome = backend.push(&[soon])[0];
        let Outcome::Stored(sequence) = outcome else { panic!("not kept: {outcome:?}") };
        assert_eq!(backend.receipt(), ("ann".to_owned(), sequence, Outcome::Expired));
    }
}

fn many_come_in_order(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let bodies: Vec<_> = (0..500).map(|n| format!("message {n}")).collect();
    let targets: Vec<_> = bodies.iter().map(|body| durable("ann", body.as_bytes())).collect();
    let (before, after) = targets.split_at(300);
    assert!(backend.push(before).iter().all(|outcome| matches!(outcome, Outcome::Stored(_))));
    // The rest comes while the first part is loaded.
    let mut ann = gateway.client("ann");
    let id = backend.send_push(after);
    let mut last = 0;
    for body in &bodies {
        let (sequence, heard) = ann.durable();
        assert_eq!(heard, body.as_bytes());
        assert!(sequence > last);
        last = sequence;
    }
    backend.outcomes(id);
    ann.ack(last);
    until("the mailbox is empty", || waiting(&mut backend, "ann") == 0);
}

fn receipts_tell_what_became_of_it(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let with_receipt = |body| Target { receipt: true, ..durable("ann", body) };
    let outcomes = backend.push(&[with_receipt(b"one"), with_receipt(b"two")]);
    let [Outcome::Stored(first), Outcome::Stored(second)] = outcomes[..] else {
        panic!("not kept: {outcomes:?}")
    };
    let mut ann = gateway.client("ann");
    assert_eq!((ann.durable().0, ann.durable().0), (first, second));
    ann.ack(first);
    assert_eq!(backend.receipt(), ("ann".to_owned(), first, Outcome::Acked(first)));
    drop((ann, backend, gateway));
    // The backend's name is kept with the message: another connection of it is told.
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let mut ann = gateway.client("ann");
    assert_eq!(ann.durable_again().0, second);
    ann.ack(second);
    assert_eq!(backend.receipt(), ("ann".to_owned(), second, Outcome::Acked(second)));
}

fn slow_readers_miss_nothing(io: Which, store: &Store) {
    let changes = ["socket.send_buffer=4096", "client.outbox_bytes=65536", "body_max=16384"];
    let gateway = store.gateway(io, &changes);
    let mut ann = gateway.client("ann");
    let mut backend = gateway.backend();
    let body = |n: usize| vec![u8::try_from(n % 251).unwrap(); 10_000];
    for n in 0..200 {
        backend.keep("ann", &body(n));
    }
    assert!(gateway.count("sessions_stuck") > 0, "the outbox was never full");
    let mut last = 0;
    for n in 0..200 {
        let (sequence, heard) = ann.push();
        assert_eq!(heard, body(n), "message {n}");
        assert!(sequence > last);
        last = sequence;
    }
    ann.ack(last);
    until("the mailbox is empty", || waiting(&mut backend, "ann") == 0);
    ann.hears_nothing_else();
    assert!(matches!(backend.push(&[target("ann", b"online")])[0], Outcome::Delivered(_)));
    let resume = Resume { session: ann.welcome.session, sequence: last, broadcast: 0 };
    let hello = Hello { resume: Some(resume), ..Hello::default() }.bytes("ann");
    drop(ann);
    let mut back = Client::log_in(gateway.stranger(), &hello);
    back.hears_nothing_else();
    assert_eq!(durable("ann", b"").class, Class::Durable);
}
