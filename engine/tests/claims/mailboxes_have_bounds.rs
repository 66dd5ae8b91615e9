//! A mailbox holds so many messages and bytes; what happens then is the product's policy. Operators
//! can look into it and empty it.

use crate::support::backend::durable;
use crate::support::client::hello;
use crate::support::{Client, Peer, Store, Told, Which, until};
use holdfast_protocol::backend::answer::{DropReason, Rejection};
use holdfast_protocol::backend::request::{self, MailboxAction};
use holdfast_protocol::backend::{Outcome, Target};

on_every_store! {
    a_full_one_refuses_the_new_message,
    or_gives_up_the_oldest_with_a_receipt,
    bytes_count_too,
    each_product_has_a_policy_of_its_own,
    it_can_be_purged,
    what_found_no_room_in_an_outbox_is_fed_once,
}

const FULL: Outcome = Outcome::Rejected(Rejection::MailboxFull);

fn a_full_one_refuses_the_new_message(io: Which, store: &Store) {
    let gateway = store.gateway(io, &["mailbox.messages_max=3"]);
    let mut backend = gateway.backend();
    let outcomes = backend.push(&[durable("ann", b"x"); 5]);
    assert!(outcomes[..3].iter().all(|outcome| matches!(outcome, Outcome::Stored(_))));
    assert_eq!(outcomes[3..], [FULL; 2]);
    assert!(matches!(backend.push(&[durable("bob", b"x")])[0], Outcome::Stored(_)));
    let mut ann = gateway.client("ann");
    let last = (0..3).map(|_| ann.durable().0).last().unwrap();
    ann.ack(last);
    until("there is room again", || {
        matches!(backend.push(&[durable("ann", b"y")])[0], Outcome::Stored(_) | Outcome::Acked(_))
    });
}

fn or_gives_up_the_oldest_with_a_receipt(io: Which, store: &Store) {
    let settings = ["mailbox.messages_max=2", "mailbox.when_full=drop_oldest"];
    let gateway = store.gateway(io, &settings);
    let mut backend = gateway.backend();
    let oldest = backend.push(&[Target { receipt: true, ..durable("ann", b"1") }])[0];
    let Outcome::Stored(oldest) = oldest else { panic!("not kept: {oldest:?}") };
    backend.keep("ann", b"2");
    let id = backend.send_push(&[durable("ann", b"3")]);
    let given_up = Outcome::Dropped(DropReason::MadeRoom);
    assert_eq!(backend.receipt(), ("ann".to_owned(), oldest, given_up));
    assert!(matches!(backend.outcomes(id)[0], Outcome::Stored(_)));
    drop((backend, gateway));
    // It is given up for good.
    let gateway = store.gateway(io, &settings);
    let mut ann = gateway.client("ann");
    assert_eq!((ann.durable_again().1, ann.durable_again().1), (b"2".to_vec(), b"3".to_vec()));
    ann.hears_nothing_else();
}

fn bytes_count_too(io: Which, store: &Store) {
    let gateway = store.gateway(io, &["mailbox.bytes_max=1024"]);
    let mut backend = gateway.backend();
    let (large, small) = (vec![b'x'; 1000], vec![b'y'; 25]);
    assert!(matches!(backend.push(&[durable("ann", &large)])[0], Outcome::Stored(_)));
    assert_eq!(backend.push(&[durable("ann", &small)])[0], FULL);
    assert!(matches!(backend.push(&[durable("ann", &small[..24])])[0], Outcome::Stored(_)));
    let too_large = vec![b'z'; 1025];
    assert_eq!(backend.push(&[durable("bob", &too_large)])[0], FULL);
    let shown = backend.mailbox("ann", MailboxAction::Show);
    assert_eq!((shown.messages, shown.bytes), (2, 1024));
}

fn each_product_has_a_policy_of_its_own(io: Which, store: &Store) {
    let own = "mailbox.products=[{product=\"shop\",messages_max=1,when_full=\"drop_oldest\"}]";
    let changes = ["products=[\"demo\",\"shop\"]", "mailbox.messages_max=2", own];
    let gateway = store.gateway(io, &changes);
    let mut backend = gateway.backend();
    let three = [durable("ann", b"x"); 3];
    assert_eq!(backend.push(&three)[2], FULL);
    let id = backend.ask(|id, out| request::put_push(id, "shop", &three, out));
    let outcomes = backend.outcomes(id);
    assert!(matches!(outcomes[2], Outcome::Stored(_)), "{outcomes:?}");
}

fn it_can_be_purged(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let outcome = backend.push(&[Target { receipt: true, ..durable("ann", b"one") }])[0];
    let Outcome::Stored(sequence) = outcome else { panic!("not kept: {outcome:?}") };
    let shown = backend.mailbox("ann", MailboxAction::Show);
    assert_eq!((shown.messages, shown.first, shown.last), (1, sequence, sequence));
    assert!(!shown.online && !shown.quarantined);
    let id = backend.ask(|id, out| {
        request::put_mailbox(id, MailboxAction::Purge, "demo", "ann", out);
    });
    let mut told = [backend.peer.told(), backend.peer.told()];
    told.sort_by_key(|told| matches!(told, Told::Receipt { .. }));
    assert!(matches!(&told[0], Told::Mailbox(of, left) if *of == id && left.messages == 0));
    let purged = Outcome::Dropped(DropReason::Purged);
    assert_eq!(told[1], Told::Receipt { user: "ann".to_owned(), sequence, outcome: purged });
    drop((backend, gateway));
    store.gateway(io, &[]).client("ann").hears_nothing_else();
}

fn what_found_no_room_in_an_outbox_is_fed_once(io: Which, store: &Store) {
    const MANY: usize = 60;
    let narrow = ["body_max=16384", "client.outbox_bytes=40000", "socket.send_buffer=16384"];
    let gateway = store.gateway(io, &[&narrow[..], &["shards=1"]].concat());
    let mut ann = Client::log_in(Peer::with_small_buffer(gateway.clients), &hello("ann"));
    let body = [7; 16 << 10];
    let mut backend = gateway.backend();
    let outcomes = backend.push(&[durable("ann", &body); MANY]);
    let stored = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Stored(_)));
    assert!(stored, "{outcomes:?}");
    until("some found no room", || gateway.count("sessions_stuck") > 0);
    let got: Vec<_> = (0..MANY).map(|_| ann.durable().0).collect();
    assert!(got.is_sorted_by(|one, next| one < next), "each once, in order: {got:?}");
    ann.hears_nothing_else();
}
