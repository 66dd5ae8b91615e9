//! Every user gets every message, once, in one order that every backend's own order agrees with,
//! however many shards it crosses and however full the rings between them are.

use crate::support::backend::target;
use crate::support::{Client, Gateway, Which};
use holdfast_protocol::backend::Outcome;

on_both! {
    many_backends_to_many_users,
    full_rings_hold_their_source_up_and_lose_nothing,
    a_burst_leaves_in_few_sends,
    more_shards_than_cores,
}

fn clients(gateway: &Gateway, count: usize) -> Vec<(String, Client)> {
    let named = (0..count).map(|n| format!("user-{n}"));
    named.map(|user| (user.clone(), gateway.client(&user))).collect()
}

/// `backends` at once each send `requests` to every client, each request `repeats` times the same
/// users; then every client checks what it got.
fn everybody_gets_everything(gateway: &Gateway, count: usize, load: (u8, u32, usize)) {
    let (backends, requests, repeats) = load;
    let mut clients = clients(gateway, count);
    let users: Vec<_> = clients.iter().map(|(user, _)| user.clone()).collect();
    std::thread::scope(|scope| {
        for number in 0..backends {
            let users = &users;
            scope.spawn(move || {
                let mut backend = gateway.backend();
                let ids: Vec<_> = (0..requests)
                    .map(|request| {
                        let body = [&[number], &request.to_be_bytes()[..]].concat();
                        let targets: Vec<_> = (0..repeats)
                            .flat_map(|_| users.iter().map(|user| target(user, &body)))
                            .collect();
                        backend.send_push(&targets)
                    })
                    .collect();
                for _ in ids {
                    let (_, outcomes) = backend.any_outcomes();
                    let delivered = |outcome: &Outcome| matches!(outcome, Outcome::Delivered(_));
                    assert_eq!(outcomes.len(), users.len() * repeats);
                    assert!(outcomes.iter().all(delivered), "{outcomes:?}");
                }
            });
        }
        for (user, client) in &mut clients {
            scope.spawn(move || {
                let mut last = vec![0; usize::from(backends)];
                for sequence in 1..=u64::from(backends) * u64::from(requests) * repeats as u64 {
                    let (got, body) = client.push();
                    assert_eq!(got, sequence, "{user} misses one or got it twice");
                    let request = u32::from_be_bytes(body[1..].try_into().unwrap());
                    let last = &mut last[usize::from(body[0])];
                    assert!(request >= *last, "{user}: {request} after {last}");
                    *last = request;
                }
            });
        }
    });
    for (_, client) in &mut clients {
        client.hears_nothing_else();
    }
}

fn many_backends_to_many_users(io: Which) {
    let gateway = Gateway::start(io, &["shards=3"]);
    everybody_gets_everything(&gateway, 20, (3, 50, 1));
}

fn full_rings_hold_their_source_up_and_lose_nothing(io: Which) {
    let settings = ["shards=3", "mesh.capacity=64", "client.outbox_bytes=1048576"];
    let gateway = Gateway::start(io, &settings);
    everybody_gets_everything(&gateway, 10, (3, 4, 200));
    assert!(gateway.count("mesh_full_stalls") > 0, "the rings were never full");
}

fn a_burst_leaves_in_few_sends(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut client = gateway.client("ann");
    let mut backend = gateway.backend();
    backend.push(&[target("ann", b"x"); 8]);
    (1..=8).for_each(|sequence| assert_eq!(client.push().0, sequence));
    // Both welcomes, one to the client, one to the backend.
    assert!(gateway.count("sends") <= 4, "{} sends", gateway.count("sends"));
}

fn more_shards_than_cores(io: Which) {
    let shards = std::thread::available_parallelism().unwrap().get() + 3;
    let gateway = Gateway::start(io, &[&format!("shards={shards}")]);
    assert_eq!(gateway.inner().shards(), shards);
    everybody_gets_everything(&gateway, 30, (2, 20, 1));
}
