//! Who does not read fills an outbox of its own, is dropped from, and is closed in the end; who
//! reads is served meanwhile, and what slow readers hold stays within their limits.

use crate::support::backend::{everybody, target};
use crate::support::client::hello;
use crate::support::{Backend, Client, Gateway, Peer, Which, until};
use holdfast_protocol::backend::answer::DropReason;
use holdfast_protocol::backend::{Outcome, Target};
use holdfast_protocol::client::from_client::PING;

on_both! {
    others_get_their_messages,
    a_full_outbox_drops_and_the_connection_lives,
    a_thousand_slow_readers_under_broadcast_hold_what_they_may,
    who_takes_nothing_for_long_is_closed,
    what_expired_while_it_waited_is_not_sent,
    who_never_reads_even_its_welcome_is_given_up,
}

const BODY: [u8; 16 << 10] = [7; 16 << 10];
const OUTBOX: u64 = 40_000;
const LIMITS: [&str; 3] =
    ["body_max=16384", "client.outbox_bytes=40000", "socket.send_buffer=16384"];

/// A client that takes a few kilobytes, and then nothing unless it is read.
fn slow(gateway: &Gateway, user: &str) -> Client {
    Client::log_in(Peer::with_small_buffer(gateway.clients), &hello(user))
}

/// Pushes to `slow` until its outbox is full; gives the requests, whose answers are still to come.
fn fill(gateway: &Gateway, backend: &mut Backend) -> Vec<u64> {
    let mut sent = Vec::new();
    while gateway.count("drops.outbox_full") == 0 {
        sent.push(backend.send_push(&[target("slow", &BODY)]));
        let taken = || gateway.count("backend_frames_received.push") == sent.len() as u64;
        until("the gateway took the push", taken);
    }
    sent
}

fn others_get_their_messages(io: Which) {
    let gateway = Gateway::start(io, &LIMITS);
    let _slow = slow(&gateway, "slow");
    let mut fast = gateway.client("fast");
    let (mut ignored, mut backend) = (gateway.backend(), gateway.backend());
    let mut round = 0;
    // Until the slow one is dropped from, and well beyond; in each round the fast one is served.
    while gateway.count("drops.outbox_full") < 20 {
        ignored.send_push(&[target("slow", &BODY)]);
        round += 1;
        assert_eq!(backend.push_one("fast", &BODY), Outcome::Delivered(round));
        assert_eq!(fast.push(), (round, BODY.to_vec()));
        assert!(gateway.count("outbox") <= OUTBOX, "{} bytes wait", gateway.count("outbox"));
    }
}

fn a_full_outbox_drops_and_the_connection_lives(io: Which) {
    let gateway = Gateway::start(io, &LIMITS);
    let mut slow = slow(&gateway, "slow");
    let mut backend = gateway.backend();
    let sent = fill(&gateway, &mut backend);
    let got = slow.rest();
    assert!(got.iter().all(|(_, body)| *body == BODY), "every body is whole");
    let outcomes = backend.each_outcome(&sent);
    let delivered: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Delivered(sequence) => Some(*sequence),
            Outcome::Dropped(DropReason::OutboxFull) => None,
            other => panic!("neither delivered nor dropped: {other:?}"),
        })
        .collect();
    let got: Vec<_> = got.into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(got, delivered, "what was told to be delivered came, in order, and nothing else");
    assert!(got.len() < sent.len());
    // There is room again.
    let next = sent.len() as u64 + 1;
    assert_eq!(backend.push_one("slow", b"x"), Outcome::Delivered(next));
    assert_eq!(slow.push(), (next, b"x".to_vec()));
    assert_eq!(gateway.count("outbox"), 0);
}

fn a_thousand_slow_readers_under_broadcast_hold_what_they_may(io: Which) {
    const SLOW: u64 = 1000;
    let gateway = Gateway::start(io, &[&LIMITS[..], &["client.connections_max=4096"]].concat());
    let slow: Vec<_> = (0..SLOW).map(|n| slow(&gateway, &format!("slow-{n}"))).collect();
    let mut fast = gateway.client("fast");
    let mut backend = gateway.backend();
    let mut jobs = Vec::new();
    while gateway.count("drops.outbox_full") < 2 * SLOW {
        let job = backend.broadcast(&everybody(&BODY));
        assert_eq!(job.total, SLOW + 1);
        jobs.push(job.id);
        assert_eq!(fast.broadcast().1, BODY);
        assert!(gateway.count("outbox") <= SLOW * OUTBOX);
    }
    drop(slow);
    for job in jobs {
        let end = backend.end_of(job);
        assert_eq!(end.delivered + end.dropped, end.total);
    }
    until("the outboxes are given back", || gateway.count("outbox") == 0);
}

fn who_takes_nothing_for_long_is_closed(io: Which) {
    let gateway = Gateway::start(io, &[&LIMITS[..], &["client.slow_reader_timeout=1"]].concat());
    let _slow = slow(&gateway, "slow");
    let mut backend = gateway.backend();
    let sent = fill(&gateway, &mut backend);
    until("it is closed", || gateway.count("closes.slow_reader") == 1);
    let outcomes = backend.each_outcome(&sent);
    let lost = Outcome::Dropped(DropReason::ConnectionLost);
    assert!(outcomes.contains(&lost), "what waited for it was given up: {outcomes:?}");
    assert_eq!((gateway.count("outbox"), backend.online(&["slow"])[0]), (0, 0));
}

fn what_expired_while_it_waited_is_not_sent(io: Which) {
    let gateway = Gateway::start(io, &LIMITS);
    let mut slow = slow(&gateway, "slow");
    let mut backend = gateway.backend();
    let sent = fill(&gateway, &mut backend);
    let brief = backend.send_push(&[Target { ttl: 1, ..target("slow", b"brief") }]);
    let taken = || gateway.count("backend_frames_received.push") == brief;
    until("the gateway took the push", taken);
    // Seconds are cut off, so a message may live one longer.
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(slow.rest().iter().all(|(_, body)| body != b"brief"), "it came after its time");
    let outcomes = backend.each_outcome(&[&sent[..], &[brief]].concat());
    assert_eq!(outcomes.last(), Some(&Outcome::Expired));
}

fn who_never_reads_even_its_welcome_is_given_up(io: Which) {
    let small = ["body_max=100", "client.outbox_bytes=200", "socket.send_buffer=16384"];
    let gateway = Gateway::start(io, &[&small[..], &["client.frames_per_second=60000"]].concat());
    let mut fast = gateway.client("fast");
    let mut deaf = Peer::with_small_buffer(gateway.clients);
    deaf.send(&hello("deaf"));
    // It never stops asking for pongs, and never reads one.
    while deaf.offer(&PING.repeat(1000)) {
        fast.hears_nothing_else();
        assert!(gateway.count("outbox") <= 200 + 4096);
    }
    until("it is closed", || gateway.count("closes.slow_reader") == 1);
    until("it is offline", || gateway.count("users") == 1);
    fast.hears_nothing_else();
}
