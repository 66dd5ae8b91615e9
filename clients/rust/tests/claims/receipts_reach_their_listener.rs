//! A receipt is handed to the listener whatever is in flight, costs nothing of the window, and can
//! take nothing along: no listener and a listener that panics leave the connection as it was.

use super::{answer as wait, connected, options};
use holdfast_client::testing::{Gateway, Peer, mailbox_after};
use holdfast_client::{
    Backend, Class, DropReason, MailboxAction, Options, Outcome, Receipt, Target, target,
};
use holdfast_protocol::backend::answer;
use holdfast_protocol::backend::request::Request;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

fn listening(options: Options) -> (Options, Receiver<Receipt>) {
    let (sender, receipts) = mpsc::channel();
    let options = options.on_receipt(move |receipt| {
        let _ = sender.send(receipt);
    });
    (options, receipts)
}

fn next(receipts: &Receiver<Receipt>) -> Receipt {
    receipts.recv_timeout(Duration::from_secs(10)).expect("the receipt comes")
}

fn receipt(user: &str, sequence: u64, outcome: Outcome) -> Receipt {
    Receipt { product: "chat".to_owned(), user: user.to_owned(), sequence, outcome }
}

fn send(peer: &mut Peer, receipt: &Receipt) {
    let Receipt { product, user, sequence, outcome } = receipt;
    let wire = answer::Receipt { product, user, sequence: *sequence, outcome: *outcome };
    peer.send(|out| answer::put_receipt(&wire, out));
}

/// Something is asked and answered, so the connection lives.
fn expect_alive(backend: &Backend, peer: &mut Peer) {
    let pending = backend.mailbox(MailboxAction::Show, "chat", "alice").expect("connected");
    let received = peer.receive().expect("the connection stands");
    let Request::Mailbox { id, action, .. } = received.request() else { panic!("no mailbox") };
    peer.send(|out| answer::put_mailbox(id, &mailbox_after(action), out));
    assert_eq!(wait(pending), Ok(mailbox_after(action)));
}

#[test]
fn each_comes_once_in_the_order_sent_and_answers_nothing() {
    let gateway = Gateway::bind();
    let (options, receipts) = listening(options(&gateway));
    let (backend, mut peer) = connected(&gateway, options, 64);
    let durable = Target { class: Class::Durable, receipt: true, ..target("alice", b"hi") };
    let pending = backend.push_one("chat", durable).unwrap();
    let pushed = peer.receive().unwrap();
    let sent = [
        receipt("alice", 1, Outcome::Acked(1)),
        receipt("bob", 1 << 48, Outcome::Expired),
        receipt("carol", 3, Outcome::Dropped(DropReason::Purged)),
    ];
    for one in &sent {
        send(&mut peer, one);
    }
    for one in sent {
        assert_eq!(next(&receipts), one);
    }
    assert!(!pending.is_ready(), "a receipt is not the outcome");
    assert_eq!((backend.in_flight(), backend.window_left()), (1, 63));
    peer.send(|out| pushed.answer_push(Outcome::Stored(1), out));
    assert_eq!(wait(pending), Ok(Outcome::Stored(1)));
    expect_alive(&backend, &mut peer);
    assert!(receipts.try_recv().is_err(), "no receipt comes twice");
}

#[test]
fn where_nobody_listens_they_are_passed_over() {
    let gateway = Gateway::bind();
    let (backend, mut peer) = connected(&gateway, options(&gateway), 64);
    send(&mut peer, &receipt("alice", 1, Outcome::Expired));
    expect_alive(&backend, &mut peer);
}

#[test]
fn a_listener_that_panics_takes_nothing_along() {
    let gateway = Gateway::bind();
    let (sender, called) = mpsc::channel();
    let options = options(&gateway).on_receipt(move |receipt| {
        let _ = sender.send(receipt.sequence);
        panic!("a listener of this test panics on purpose");
    });
    let (backend, mut peer) = connected(&gateway, options, 64);
    for sequence in [1, 2] {
        send(&mut peer, &receipt("alice", sequence, Outcome::Acked(sequence)));
        assert_eq!(called.recv_timeout(Duration::from_secs(10)), Ok(sequence));
    }
    expect_alive(&backend, &mut peer);
}

#[test]
fn a_gateway_that_answers_by_itself_gives_them_too() {
    let gateway = Gateway::bind();
    let (options, receipts) = listening(options(&gateway));
    let running = gateway.run(64);
    let backend = Backend::connect(options).unwrap();
    let durable = |user, receipt| Target { class: Class::Durable, receipt, ..target(user, b"hi") };
    let online = Target { receipt: true, ..target("carol", b"hi") };
    let targets = [durable("alice", false), durable("bob", true), online];
    let outcomes = wait(backend.push("chat", &targets).unwrap());
    let expected = [Outcome::Stored(1), Outcome::Stored(1), Outcome::Delivered(1)];
    assert_eq!(outcomes, Ok(expected.to_vec()));
    assert_eq!(next(&receipts), receipt("bob", 1, Outcome::Acked(1)));
    let shown = wait(backend.mailbox(MailboxAction::Show, "chat", "bob").unwrap());
    assert_eq!(shown, Ok(mailbox_after(MailboxAction::Show)));
    assert!(receipts.try_recv().is_err(), "only what asked for one has one");
    running.stop();
}
