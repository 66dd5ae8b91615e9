//! A message on its way to a session that has ended reaches nobody, even if another user's
//! connection has taken its place meanwhile; its backend is told.

use crate::support::backend::target;
use crate::support::{Client, Gateway, Said, Which};
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::DropReason;
use std::sync::atomic::{AtomicBool, Ordering};

on_both! {
    while_users_take_each_others_places,
    while_a_user_replaces_itself,
    while_users_are_kicked,
}

const USERS: [&str; 3] = ["ann", "bob", "cid"];

/// Pushes each user its own name until told to stop; each outcome must be one of the four that are
/// right.
fn push_names(gateway: &Gateway, stop: &AtomicBool) -> u64 {
    let mut backend = gateway.backend();
    let targets: Vec<_> = (0..60).map(|n| USERS[n % 3]).map(|u| target(u, u.as_bytes())).collect();
    let mut lost = 0;
    while !stop.load(Ordering::Relaxed) {
        for outcome in backend.push(&targets) {
            match outcome {
                Outcome::Delivered(_) | Outcome::Offline => {}
                Outcome::Dropped(DropReason::ConnectionLost) => lost += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    lost
}

/// Tells the pusher to stop, even where the claim fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does `each` over and over while pushes to its users fly, until at least `lost` met a session
/// that had ended.
fn under_fire(gateway: &Gateway, lost: u64, mut each: impl FnMut(usize)) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pusher = scope.spawn(|| push_names(gateway, &stop));
        let stop = Stop(&stop);
        let mut round = 0;
        crate::support::until("enough messages met an ended session", || {
            (0..10).for_each(|_| {
                each(round);
                round += 1;
            });
            round >= 300 && gateway.count("drops.connection_lost") >= lost
        });
        drop(stop);
        assert!(pusher.join().unwrap() >= lost, "whoever is lost is told of");
    });
}

/// Everything that the client hears is for `user`, up to its end or the answer to a ping.
#[track_caller]
fn expect_own(client: &mut Client, user: &str) {
    loop {
        match client.hear() {
            Said::Push { body, .. } => assert_eq!(String::from_utf8(body).unwrap(), user),
            Said::Pong | Said::End | Said::Reset => return,
            Said::Kick { .. } | Said::Close { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn while_users_take_each_others_places(io: Which) {
    let gateway = Gateway::start(io, &[]);
    under_fire(&gateway, 10, |round| {
        let user = USERS[round % 3];
        let mut client = gateway.client(user);
        client.peer.send(&[0x02, 0]);
        expect_own(&mut client, user);
        if round % 2 == 0 {
            client.peer.reset();
        }
    });
}

fn while_a_user_replaces_itself(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut old = gateway.client("ann");
    // The home tells the old session of its end behind the last message for it, so none need be
    // lost.
    under_fire(&gateway, 0, |_| {
        let mut new = gateway.client("ann");
        std::mem::swap(&mut old, &mut new);
        expect_own(&mut new, "ann");
    });
}

fn while_users_are_kicked(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut backend = gateway.backend();
    under_fire(&gateway, 0, |round| {
        let user = USERS[round % 3];
        let mut client = gateway.client(user);
        backend.kick(user, "");
        expect_own(&mut client, user);
    });
}
