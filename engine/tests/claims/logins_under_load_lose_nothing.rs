//! While a user logs in over and over, replaced each time or with several devices at once, every
//! message that was accepted arrives and is acknowledged, in order, and none is new twice.

use crate::support::backend::durable;
use crate::support::client::hello;
use crate::support::{Client, Gateway, Said, Store, Which, until};
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::request::MailboxAction;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

on_every_store! {
    where_each_login_replaces_the_last,
    where_several_devices_are_allowed,
    where_many_users_come_at_once,
}

/// Requests of so many messages each.
const REQUESTS: u32 = 60;
const EACH: u32 = 10;

/// What every device of the user was sent: by sequence, the body.
type Seen = BTreeMap<u64, Vec<u8>>;

/// Takes what comes until the connection ends or a ping is answered; acknowledges all but the last
/// few, so that every login finds something.
fn take(client: &mut Client, seen: &mut Seen) -> bool {
    client.peer.send(&holdfast_protocol::client::from_client::PING);
    let mut last = 0;
    loop {
        match client.hear() {
            Said::Push { durable: true, broadcast: false, sequence, body, .. } => {
                assert!(sequence > last, "{sequence} came behind {last}");
                last = sequence;
                let before = seen.insert(sequence, body.clone());
                assert!(before.is_none_or(|before| before == body), "one sequence, two messages");
            }
            Said::Pong => {
                if last > 2 {
                    client.ack(last - 2);
                }
                return true;
            }
            Said::Kick { .. } | Said::Close { .. } => {}
            Said::End | Said::Reset => return false,
            other => panic!("{other:?}"),
        }
    }
}

/// Pushes all messages; gives the bodies by the sequence under which each was accepted.
fn push_all(gateway: &Gateway) -> Seen {
    let mut backend = gateway.backend();
    let mut accepted = Seen::new();
    for request in 0..REQUESTS {
        let bodies: Vec<_> = (0..EACH).map(|n| format!("{}", request * EACH + n)).collect();
        let targets: Vec<_> = bodies.iter().map(|body| durable("ann", body.as_bytes())).collect();
        for (outcome, body) in backend.push(&targets).into_iter().zip(bodies) {
            match outcome {
                Outcome::Stored(sequence) | Outcome::Acked(sequence) => {
                    accepted.insert(sequence, body.into_bytes());
                }
                other => panic!("{other:?}"),
            }
        }
    }
    accepted
}

fn under_load(gateway: &Gateway, devices: usize) {
    let done = AtomicBool::new(false);
    let mut seen = Seen::new();
    let accepted = std::thread::scope(|scope| {
        let pusher = scope.spawn(|| {
            let accepted = push_all(gateway);
            done.store(true, Ordering::Relaxed);
            accepted
        });
        let mut online = Vec::new();
        while !done.load(Ordering::Relaxed) {
            online.push(gateway.client("ann"));
            if online.len() > devices {
                online.remove(0);
            }
            online.retain_mut(|client| take(client, &mut seen));
        }
        pusher.join().unwrap()
    });
    let mut last = gateway.client("ann");
    let mut backend = gateway.backend();
    until("everything is acknowledged", || {
        take(&mut last, &mut seen);
        if let Some((&sequence, _)) = seen.last_key_value() {
            last.ack(sequence);
        }
        backend.mailbox("ann", MailboxAction::Show).messages == 0
    });
    assert_eq!(accepted.len(), (REQUESTS * EACH) as usize);
    assert_eq!(seen, accepted, "what was accepted is what came");
    let bodies: Vec<u32> =
        seen.values().map(|body| String::from_utf8_lossy(body).parse().unwrap()).collect();
    assert!(bodies.is_sorted(), "in the order in which it was pushed");
}

fn where_each_login_replaces_the_last(io: Which, store: &Store) {
    let gateway = store.gateway(io, &["mailbox.redelivery_rounds=1000"]);
    under_load(&gateway, 1);
}

fn where_several_devices_are_allowed(io: Which, store: &Store) {
    let settings = ["mailbox.redelivery_rounds=1000", "client.sessions_max=3"];
    under_load(&store.gateway(io, &settings), 3);
}

/// More than a shard asks the store for at a time, so that some have to wait for their turn.
fn where_many_users_come_at_once(io: Which, store: &Store) {
    const USERS: u32 = 200;
    let gateway = store.gateway(io, &[]);
    let users: Vec<_> = (0..USERS).map(|n| format!("user-{n}")).collect();
    let mut backend = gateway.backend();
    for user in &users {
        for outcome in backend.push(&[durable(user, b"one"), durable(user, b"two")]) {
            assert!(matches!(outcome, Outcome::Stored(_)), "{outcome:?}");
        }
    }
    let mut peers: Vec<_> = users.iter().map(|_| gateway.stranger()).collect();
    for (peer, user) in peers.iter_mut().zip(&users) {
        peer.send(&hello(user));
    }
    for peer in peers {
        let mut client = Client::welcomed(peer);
        assert_eq!(client.durable().1, b"one");
        assert_eq!(client.durable().1, b"two");
    }
}
