//! While the store cannot be reached, what is durable is not accepted and everything else goes on;
//! when it is back, so is the service, and those who came meanwhile get what waits for them.

use crate::support::backend::durable;
use crate::support::{Gateway, Store, Which, until};
use holdfast_protocol::backend::Outcome;
use rustix::process::Signal;

on_both! {
    online_traffic_and_logins_go_on,
    what_was_in_flight_is_answered_once,
}

/// Longer than a busy machine takes; how long it takes to see that the store is away.
const QUICK: [&str; 1] = ["redis.timeout=3s"];

fn stored(gateway: &Gateway, user: &str) -> bool {
    let outcome = gateway.backend().push(&[durable(user, b"probe")])[0];
    matches!(outcome, Outcome::Stored(_) | Outcome::Acked(_))
}

fn online_traffic_and_logins_go_on(io: Which) {
    let store = Store::redis();
    let gateway = store.gateway(io, &QUICK);
    let mut ann = gateway.client("ann");
    let mut backend = gateway.backend();
    let kept = backend.keep("bob", b"waits");
    store.server().signal(Signal::STOP);
    until("it is known that the store is away", || {
        matches!(backend.push(&[durable("cid", b"x")])[0], Outcome::Busy(_))
    });
    assert!(gateway.count("store_trouble") > 0);
    assert!(matches!(backend.push_one("ann", b"online"), Outcome::Delivered(_)));
    assert_eq!(ann.push().1, b"online");
    // Who logs in meanwhile is let in, and has to wait for what waits.
    let mut bob = gateway.client("bob");
    bob.hears_nothing_else();
    assert!(matches!(backend.push_one("bob", b"online"), Outcome::Delivered(_)));
    assert_eq!(bob.push().1, b"online");
    store.server().signal(Signal::CONT);
    assert_eq!(bob.durable(), (kept, b"waits".to_vec()));
    bob.ack(kept);
    until("the store takes messages again", || stored(&gateway, "cid"));
    until("nothing is wrong any more", || gateway.count("store_trouble") == 0);
}

fn what_was_in_flight_is_answered_once(io: Which) {
    let store = Store::redis();
    let gateway = store.gateway(io, &QUICK);
    let mut backend = gateway.backend();
    let mut ann = gateway.client("ann");
    assert!(stored(&gateway, "ann"));
    let first = ann.durable().0;
    store.server().signal(Signal::STOP);
    let bodies: Vec<_> = (0..100).map(|n| format!("message {n}")).collect();
    let ids: Vec<_> =
        bodies.iter().map(|body| backend.send_push(&[durable("ann", body.as_bytes())])).collect();
    let outcomes = backend.each_outcome(&ids);
    let accepted = |outcome: &&Outcome| matches!(outcome, Outcome::Stored(_) | Outcome::Acked(_));
    assert_eq!(outcomes.iter().filter(accepted).count(), 0, "{outcomes:?}");
    store.server().signal(Signal::CONT);
    until("the store takes messages again", || stored(&gateway, "ann"));
    // What the store had taken all the same comes before it.
    let mut last = first;
    loop {
        let (sequence, body) = ann.durable();
        assert!(sequence > last, "{sequence} comes behind {last}");
        last = sequence;
        if body == b"probe" {
            break;
        }
    }
    ann.ack(last);
}
