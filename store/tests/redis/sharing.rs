//! What processes that share a server tell each other by it.

use crate::server::{Server, pause};
use crate::shard::{OneShard, Shard, append, message, now, options, trim};
use holdfast_store::letter::Append;
use holdfast_store::redis::Options;
use holdfast_store::{Broadcast, BroadcastState, Command, Event, Homes, Mark, Seen};
use std::sync::Arc;

fn broadcast(number: u64) -> Broadcast {
    Broadcast {
        product: 0,
        number,
        job: 100 + number,
        tag: "".into(),
        at: now(),
        expires: now() + 1000,
        state: BroadcastState::Running,
        key: Box::from(*b""),
        body: Arc::from(*b"news"),
    }
}

#[test]
fn a_broadcast_of_one_process_is_heard_of_and_followed_by_the_others() {
    let server = Server::start(&[]);
    let options = options(&[server.address()]);
    let (mut one, mut other) = (Shard::start(&options), Shard::start(&options));
    let news = broadcast(7);
    one.send(vec![Command::Broadcast(Arc::new(news.clone()))]).unwrap();
    match other.hear_news() {
        Event::Broadcast(heard) => assert_eq!(*heard, news),
        told => panic!("{told:?} instead of the broadcast"),
    }
    let hash = OneShard::new().hash(0, "ann");
    let seen = Seen { product: 0, number: 7, until: now() + 1000, users: vec![hash] };
    one.send(vec![Command::Seen(seen)]).unwrap();
    assert_eq!(other.open("ann").seen, [7], "who had it there is known here");
    assert_eq!(other.open("bob").seen, [0; 0]);
    for state in [BroadcastState::Paused, BroadcastState::Running, BroadcastState::Cancelled] {
        one.send(vec![Command::Steer { product: 0, number: 7, state }]).unwrap();
        match other.hear_news() {
            Event::Steered { product: 0, number: 7, state: told } => assert_eq!(told, state),
            told => panic!("{told:?} instead of the state"),
        }
    }
    assert!(one.news.is_empty(), "nobody hears of its own");
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let looks = (0..3000).any(|_| {
        pause();
        holds()
    });
    assert!(looks, "{what}");
}

#[test]
fn a_number_that_two_hosts_have_is_noticed() {
    let server = Server::start(&[]);
    let options = options(&[server.address()]);
    let other = Options { host: options.host + 1, ..options.clone() };
    let (one, namesake) = (Shard::start(&options), Shard::start(&options));
    let well = Shard::start(&other);
    let numbers = |shard: &Shard| shard.started.handle.numbers();
    let noticed = |shard: &Shard| numbers(shard).namesake == 1;
    until("both say it", || noticed(&one) && noticed(&namesake));
    assert!(!noticed(&well), "a number of its own");
    drop(namesake);
    until("the number is its own again", || !noticed(&one));
    // Who begins in place of another is no namesake.
    drop(one);
    let next = Shard::start(&options);
    until("it has looked", || numbers(&next).commands > 30);
    assert!(!noticed(&next));
}

#[test]
fn how_deliveries_stand_is_remembered_until_a_trim() {
    let server = Server::start(&[]);
    let mut shard = Shard::start(&options(&[server.address()]));
    let mark = Mark { sent: 2, rounds: 3, quarantined: true };
    let remember = |mark| Command::Mark { product: 0, user: "ann".into(), mark };
    shard.send(vec![append("ann", 1, "one"), append("ann", 2, "two")]).unwrap();
    shard.send(vec![remember(Some(Mark { rounds: 1, ..mark })), remember(Some(mark))]).unwrap();
    let opened = shard.open("ann");
    assert_eq!((opened.mark, opened.sequences(), opened.last), (Some(mark), vec![1, 2], 2));
    shard.send(vec![trim("ann", 1)]).unwrap();
    let opened = shard.open("ann");
    assert_eq!((opened.mark, opened.sequences()), (None, vec![2]), "an acknowledgement ends it");
    shard.send(vec![remember(Some(mark)), remember(None)]).unwrap();
    assert_eq!(shard.open("ann").mark, None);
}

#[test]
fn a_sequence_that_was_given_and_not_stored_is_not_given_again() {
    let server = Server::start(&[]);
    let mut shard = Shard::start(&options(&[server.address()]));
    let given = |upto| Command::Given { product: 0, user: "ann".into(), upto };
    shard.send(vec![append("ann", 5, "five"), given(9), given(8)]).unwrap();
    let opened = shard.open("ann");
    assert_eq!((opened.last, opened.sequences()), (9, vec![5]));
}

#[test]
fn a_reservation_gives_a_block_that_nobody_else_has() {
    let server = Server::start(&[]);
    let options = options(&[server.address()]);
    let (mut one, other) = (Shard::start(&options), Shard::start(&options));
    let others = other.started.recovered[0].sequence;
    let own = one.started.recovered[0].sequence;
    one.send(vec![Command::Reserve(own + (1 << 30) + 1)]).unwrap();
    match one.hear_news() {
        Event::Block(behind) => assert!(behind >= others + (1 << 30), "{behind} and {others}"),
        told => panic!("{told:?} instead of a block"),
    }
}

/// A message that goes out of date at once, of which a backend wants to hear.
fn brief(user: &str) -> Command {
    let receipt = Some("billing".into());
    Command::Append(Append { expires: now(), receipt, ..message(user, 1, "brief", "") })
}

#[track_caller]
fn looks(shard: &mut Shard, wanted: &str) {
    match shard.hear_news() {
        Event::Look { product: 0, user } => assert_eq!(user, wanted),
        told => panic!("{told:?} instead of a look at {wanted}"),
    }
}

#[test]
fn who_wants_to_hear_of_the_end_of_a_message_is_not_forgotten() {
    let server = Server::start(&[]);
    let options = options(&[server.address()]);
    let mut shard = Shard::start(&options);
    shard.send(vec![brief("ann"), append("bob", 1, "nobody asks")]).unwrap();
    looks(&mut shard, "ann");
    shard.send(vec![brief("cid")]).unwrap();
    drop(shard);
    // The next life of the host, and no other one, looks at what this one had left.
    let mut shard = Shard::start(&options);
    loop {
        match shard.hear_news() {
            Event::Look { user, .. } if user == "cid" => break,
            // It may be said again that ann's is over.
            Event::Look { user, .. } => assert_eq!(user, "ann"),
            told => panic!("{told:?} instead of a look"),
        }
    }
    while !server.cli(&["keys", "*deadlines*"]).trim().is_empty() {
        pause();
    }
}

#[test]
fn a_message_that_was_acknowledged_is_not_looked_at_when_it_would_end() {
    let server = Server::start(&[]);
    let mut shard = Shard::start(&options(&[server.address()]));
    for batch in 0..10 {
        let names: Vec<_> = (0..300).map(|user| format!("{batch}-{user}")).collect();
        let pushes = names.iter().map(|user| brief(user));
        shard.send(pushes.chain(names.iter().map(|user| trim(user, 1))).collect()).unwrap();
    }
    shard.send(vec![brief("ann")]).unwrap();
    while !server.cli(&["keys", "*deadlines*"]).trim().is_empty() {
        pause();
    }
    looks(&mut shard, "ann");
    assert_eq!(shard.started.handle.numbers().looks, 1, "nobody else has anything left");
}

/// How often bodies were asked for.
fn fetched(server: &Server) -> String {
    let stats = server.cli(&["info", "commandstats"]);
    let calls = stats.lines().find(|line| line.starts_with("cmdstat_hmget"));
    let calls = calls.and_then(|line| line.split(',').next());
    calls.unwrap_or_default().to_owned()
}

#[test]
fn a_broadcast_that_is_over_is_fetched_once() {
    let server = Server::start(&[]);
    let options = options(&[server.address()]);
    let (mut one, mut other) = (Shard::start(&options), Shard::start(&options));
    let cancelled = Broadcast { state: BroadcastState::Cancelled, ..broadcast(1) };
    let ended = Broadcast { expires: now() - 1, ..broadcast(2) };
    for news in [broadcast(3), cancelled, ended, broadcast(4)] {
        one.send(vec![Command::Broadcast(Arc::new(news))]).unwrap();
    }
    let numbers = [(); 2].map(|()| match other.hear_news() {
        Event::Broadcast(heard) => heard.number,
        told => panic!("{told:?} instead of a broadcast"),
    });
    assert_eq!(numbers, [3, 4]);
    let before = fetched(&server);
    assert!(!before.is_empty());
    let state = BroadcastState::Paused;
    one.send(vec![Command::Steer { product: 0, number: 4, state }]).unwrap();
    match other.hear_news() {
        Event::Steered { number: 4, .. } => {}
        told => panic!("{told:?} instead of the state"),
    }
    assert_eq!(fetched(&server), before, "there was nothing to fetch");
}
