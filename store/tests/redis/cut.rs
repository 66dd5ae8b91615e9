//! A primary that the network cuts off: its users wait, everybody else goes on, and nothing that
//! was answered is lost.

use crate::failover::{Promised, cluster_of, is_primary, replicated, turn};
use crate::proxy::Proxy;
use crate::server::{Server, pause};
use crate::shard::{Shard, append, now, trim};
use holdfast_store::redis::Mode;
use holdfast_store::{Broadcast, BroadcastState, Command, Mark, Place, Trouble};

const USERS: usize = 30;

/// A Cluster whose first node tells everybody to come over a proxy.
fn behind_a_proxy() -> (Proxy, Vec<Server>) {
    let proxy = Proxy::start();
    let port = proxy.port.to_string();
    let servers = cluster_of(
        |node| {
            let announced = ["--cluster-announce-port", &port];
            if node == 0 { announced.map(str::to_owned).to_vec() } else { Vec::new() }
        },
        |first| proxy.lead_to(first.port),
    );
    assert!(is_primary(&servers[0]));
    (proxy, servers)
}

/// Those who are away, of whom each was sent a message that was not taken.
fn who_is_away(shard: &mut Shard, sequence: u64) -> Vec<usize> {
    let names: Vec<_> = (0..USERS).map(|user| format!("user-{user}")).collect();
    let batch = names.iter().map(|user| append(user, sequence, "lost"));
    let places = shard.send(batch.collect()).expect("the others are there");
    let away = places.iter().enumerate().filter(|(_, place)| **place == Place::AWAY);
    away.map(|(user, _)| user).collect()
}

#[test]
fn a_primary_that_is_cut_off_holds_up_its_own_users_alone() {
    let _turn = turn();
    let (proxy, servers) = behind_a_proxy();
    let mut shard = Shard::start(&replicated(&[servers[1].address()], Mode::Cluster));
    let mut promised = Promised::default();
    for _ in 0..10 {
        assert!(promised.push(&mut shard, USERS));
    }
    promised.check(&mut shard);

    proxy.cut(true);
    for _ in 0..5 {
        let before = promised.answered();
        assert!(!promised.push(&mut shard, USERS), "a third of the users is away");
        assert!(promised.answered() > before, "the others go on");
    }
    promised.skip();
    let away = who_is_away(&mut shard, promised.last());
    assert!(!away.is_empty() && away.len() < USERS, "{away:?}");
    assert_eq!(shard.state, None, "the store as a whole is well");
    let lost = format!("user-{}", away[0]);
    assert!(shard.try_open(&lost).is_none(), "its mailbox cannot be opened");
    let there = (0..USERS).find(|user| !away.contains(user)).unwrap();
    assert!(shard.try_open(&format!("user-{there}")).is_some());
    // A trim that the primary cannot hear is carried out later.
    shard.send(vec![trim(&lost, 1)]).unwrap();
    let numbers = shard.started.handle.numbers();
    assert_eq!((numbers.away, numbers.aways, numbers.trouble), (1, 1, 0), "{numbers:?}");
    assert!(numbers.owed > 0 && numbers.errors > 0, "{numbers:?}");

    proxy.cut(false);
    while !promised.push(&mut shard, USERS) {
        pause();
    }
    while shard.started.handle.numbers().owed > 0 {
        pause();
    }
    // What the others were sent besides is no promise of this list.
    promised.forget_others(&away);
    promised.acknowledged(&lost, 1);
    promised.check(&mut shard);
    assert!(!shard.open(&lost).sequences().contains(&1), "it was trimmed");
    assert_eq!(shard.started.handle.numbers().away, 0);
    assert!(is_primary(&servers[0]), "nobody took its place");
}

/// A broadcast of this product. The states of the second one's are on the first of three nodes,
/// those of the first one's are not.
fn news(product: u16) -> Command {
    let broadcast = Broadcast {
        product,
        number: 7,
        job: 70,
        tag: "".into(),
        at: now(),
        expires: now() + 1000,
        state: BroadcastState::Running,
        key: Box::default(),
        body: b"news".as_slice().into(),
    };
    Command::Broadcast(broadcast.into())
}

fn steer(state: BroadcastState) -> Command {
    Command::Steer { product: 1, number: 7, state }
}

#[test]
fn what_came_while_a_primary_was_cut_off_is_not_overtaken_when_it_is_back() {
    let _turn = turn();
    let (proxy, servers) = behind_a_proxy();
    let mut shard = Shard::start(&replicated(&[servers[1].address()], Mode::Cluster));
    shard.insist(|| vec![news(1)]);
    proxy.cut(true);
    let away = who_is_away(&mut shard, 1);
    let lost = format!("user-{}", away[0]);
    let there = format!("user-{}", (0..USERS).find(|user| !away.contains(user)).unwrap());

    // So much is owed that it takes a while.
    for batch in 0..40 {
        let trims = (0..1000).map(|user| trim(&format!("{batch}-{user}"), 1));
        shard.send(trims.collect()).unwrap();
    }
    // Whoever pauses a broadcast hears that it is not safe, whatever else is kept with its batch:
    // what other servers have is safe.
    let batch = vec![append(&there, 2, "two"), steer(BroadcastState::Paused), news(0)];
    let places = shard.send(batch).unwrap();
    assert!(places.iter().all(|place| place.is_one()), "{places:?}");
    assert_eq!(shard.unsteered.take(), Some(Trouble::Down));
    assert_eq!(shard.open(&there).sequences(), [1, 2]);
    let mark = Some(Mark { sent: 1, rounds: 9, quarantined: true });
    let remember = Command::Mark { product: 0, user: lost.as_str().into(), mark };
    shard.send(vec![remember]).unwrap();

    proxy.cut(false);
    let mut next = 1;
    let mut acknowledge = || {
        next += 1;
        vec![append(&lost, next, "next"), trim(&lost, next - 1)]
    };
    while shard.send(acknowledge()) != Ok(vec![Place::default()]) {
        pause();
    }
    while shard.send(vec![steer(BroadcastState::Running)]).is_err()
        || shard.unsteered.take().is_some()
    {
        pause();
    }
    while shard.started.handle.numbers().owed > 0 {
        pause();
    }
    let opened = shard.open(&lost);
    assert_eq!(opened.mark, None, "the quarantine did not come after the acknowledgement");
    assert_eq!(opened.sequences(), [next]);
    let states = ["hget", "holdfast:{news}:states:news", "7"];
    assert_eq!(servers[0].cli(&states).trim(), "r", "what was said last holds");
}
