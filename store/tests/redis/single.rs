//! One Redis server keeps what it is given, for every process, and says when it cannot.

use crate::server::{self, Server};
use crate::shard::{self, OneShard, Shard, append, message, now, options, trim};
use holdfast_store::letter::Append;
use holdfast_store::redis::{Credentials, Durability, Mode, OpenError, Options, start};
use holdfast_store::{Broadcast, BroadcastState, Command, KeyMark, Seen, Trouble};
use holdfast_store::{Homes, Place, port::key_hash};
use std::time::Duration;

fn one(server: &Server) -> Options {
    options(&[server.address()])
}

#[test]
fn what_is_stored_is_opened_loaded_and_trimmed_in_order() {
    let server = Server::start(&[]);
    let mut shard = Shard::start(&one(&server));
    let mut with_receipt = message("u", 2, "two", "");
    with_receipt.receipt = Some("billing".into());
    let batch = vec![append("u", 1, "one"), Command::Append(with_receipt), append("u", 9, "nine")];
    assert_eq!(shard.send(batch), Ok(vec![Place::default(); 3]));

    let opened = shard.open("u");
    assert_eq!((opened.sequences(), opened.last), (vec![1, 2, 9], 9));
    let receipts: Vec<_> = opened.messages.iter().map(|kept| kept.receipt.as_deref()).collect();
    assert_eq!(receipts, [None, Some("billing"), None]);
    assert_eq!(shard.load("u", &opened.messages), ["one", "two", "nine"]);

    // A trim and an append of one batch are carried out in their order.
    assert_eq!(
        shard.send(vec![trim("u", 2), append("u", 10, "ten"), trim("u", 9)]).unwrap().len(),
        1
    );
    let left = shard.open("u");
    assert_eq!((left.sequences(), left.last), (vec![10], 10));
    assert_eq!(shard.load("u", &opened.messages), ["", "", ""], "trimmed bodies are gone");

    // An empty mailbox still knows the greatest sequence.
    shard.send(vec![trim("u", 10)]).unwrap();
    let empty = shard.open("u");
    assert_eq!((empty.sequences(), empty.last), (vec![], 10));
    let never = shard.open("nobody");
    assert_eq!((never.sequences(), never.last), (vec![], 0));
}

#[test]
fn bodies_may_be_any_bytes_and_products_stay_apart() {
    let server = Server::start(&[]);
    let mut shard = Shard::start(&one(&server));
    let mut other = message("u", 1, "of news", "");
    other.product = 1;
    shard.send(vec![Command::Append(other), append("u", 1, "\0\r\n$5\r\n{}")]).unwrap();
    let opened = shard.open("u");
    assert_eq!(shard.load("u", &opened.messages), ["\0\r\n$5\r\n{}"]);
}

/// How many seconds a body outlives its message.
const GRACE: u32 = 60;

/// A message that is known for a moment more, and so is its body: it was out of date long ago.
fn almost_gone(key: &str) -> Append {
    let (at, expires) = (now() + 2, now() + 2 - GRACE);
    Append { at, expires, ..message("u", 5, "soon", key) }
}

#[test]
fn everything_expires_by_itself() {
    let server = Server::start(&[]);
    let remember = Duration::ZERO;
    let mut shard = Shard::start(&Options { remember, ..one(&server) });
    shard.send(vec![Command::Append(almost_gone("key"))]).unwrap();
    let keys = server.cli(&["keys", "*"]);
    let endless = keys.lines().filter(|key| server.cli(&["ttl", key]).trim() == "-1");
    let endless: Vec<_> = endless.filter(|key| !key.ends_with(":sequence")).collect();
    assert!(endless.is_empty(), "{endless:?} of {keys}");
    while shard.open("u").last != 0 {
        server::pause();
    }
    // Nothing but the sequence, the probe and the idempotency key is left, once the body's grace
    // is over.
    while server.cli(&["keys", "*"]).contains("chat/u") {
        server::pause();
    }
}

#[test]
fn a_greater_sequence_is_remembered_beyond_its_message() {
    let server = Server::start(&[]);
    let mut shard = Shard::start(&one(&server));
    shard.send(vec![Command::Append(almost_gone(""))]).unwrap();
    while shard.load("u", &shard::kept(5, 4)) != [""] {
        server::pause();
    }
    assert_eq!(shard.open("u").last, 5, "the body is gone, the sequence is not given again");
}

#[test]
fn two_processes_share_one_store() {
    let server = Server::start(&[]);
    let mut first = Shard::start(&one(&server));
    let mut second = Shard::start(&one(&server));
    let begin = |shard: &Shard| shard.started.recovered[0].sequence;
    assert!(begin(&second) >= begin(&first) + (1 << 30), "sequences of their own");

    let keyed = Command::Append(message("u", 1, "from one", "order-7"));
    first.send(vec![keyed, append("u", 2, "and two")]).unwrap();
    let opened = second.open("u");
    assert_eq!(second.load("u", &opened.messages), ["from one", "and two"]);
    let user = OneShard::new().hash(0, "u");
    let marks: Vec<_> =
        opened.keys.iter().map(|mark| (mark.user, mark.key, mark.sequence)).collect();
    assert_eq!(marks, [(user, key_hash(b"order-7"), 1)]);

    // A key that was used for something that needed no storing.
    let mark = KeyMark { user, key: 77, sequence: 3, at: now() };
    second.send(vec![Command::Keys(vec![mark])]).unwrap();
    assert!(first.open("u").keys.contains(&mark));
    first.send(vec![Command::Reserve(begin(&second) + (9 << 30))]).unwrap();
    let third = Shard::start(&one(&server));
    assert!(begin(&third) >= begin(&second) + (9 << 30), "behind what was reserved");
}

#[test]
fn what_another_process_overtook_is_refused() {
    let server = Server::start(&[]);
    let (mut old, mut new) = (Shard::start(&one(&server)), Shard::start(&one(&server)));
    old.send(vec![append("u", 1, "one")]).unwrap();
    new.send(vec![append("u", 7, "seven"), trim("u", 7)]).unwrap();
    // Were it kept, the acknowledgement of 7 would have spoken for it.
    let mixed = old.send(vec![append("u", 2, "two"), append("v", 2, "another's")]).unwrap();
    assert_eq!(mixed[0], Place::REFUSED);
    assert_ne!(mixed[1], Place::REFUSED, "nobody else's message is refused with it");
    assert_eq!(old.started.handle.numbers().overtaken, 1);
    assert_eq!(new.open("u").sequences(), [0; 0]);
    assert!(
        old.send(vec![append("u", 8, "eight")]).is_ok_and(|places| all_kept(&places)),
        "the store is well"
    );
}

/// A message that goes behind this sequence.
fn behind(user: &str, sequence: u64, behind: u64) -> Command {
    Command::Append(Append { behind, ..message(user, sequence, "body", "") })
}

#[test]
fn nothing_is_stored_behind_what_its_process_does_not_know() {
    let server = Server::start(&[]);
    let (mut low, mut high) = (Shard::start(&one(&server)), Shard::start(&one(&server)));
    low.send(vec![behind("u", 5, 0)]).unwrap();
    high.open("u");
    low.send(vec![behind("u", 6, 5)]).unwrap();
    // The other process gives greater numbers, and knows nothing of 6: neither the first nor what
    // follows it is kept, in the batch and behind it, and an acknowledgement does not speak for 6.
    let batch = vec![behind("u", 100, 5), behind("u", 101, 100), behind("v", 100, 0)];
    assert_eq!(high.send(batch).unwrap()[..2], [Place::REFUSED; 2]);
    assert_eq!(high.send(vec![behind("u", 102, 101), trim("u", 5)]), Ok(vec![Place::REFUSED]));
    assert_eq!(low.open("u").sequences(), [6]);
    // Once it knows, it goes on behind that, and then the first one does not know.
    let known = high.open("u");
    assert_eq!((known.sequences(), known.last), (vec![6], 6));
    assert!(
        high.send(vec![behind("u", 103, 6), behind("u", 104, 103)])
            .is_ok_and(|places| all_kept(&places))
    );
    assert_eq!(low.send(vec![behind("u", 105, 6)]), Ok(vec![Place::REFUSED]));
    assert_eq!(low.open("u").sequences(), [6, 103, 104]);
    // Both give the next sequence: that it is there does not say whose message it is of.
    low.open("u");
    low.send(vec![behind("u", 105, 104)]).unwrap();
    let batch = vec![behind("u", 105, 104), behind("u", 106, 105)];
    assert_eq!(high.send(batch), Ok(vec![Place::REFUSED; 2]));
    assert_eq!(low.open("u").sequences(), [6, 103, 104, 105]);
    // What was given and not stored counts too.
    let given = Command::Given { product: 0, user: "u".into(), upto: 200 };
    low.send(vec![given]).unwrap();
    assert_eq!(high.send(vec![behind("u", 201, 105)]), Ok(vec![Place::REFUSED]));
    assert!(high.send(vec![behind("u", 201, 200)]).is_ok_and(|places| all_kept(&places)));
    assert_eq!(high.started.handle.numbers().overtaken, 6);
}

#[test]
fn a_server_that_lost_a_sequence_forgets_nothing_that_came_in_its_place() {
    let server = Server::start(&[]);
    let (mut one, mut other) = (Shard::start(&one(&server)), Shard::start(&one(&server)));
    one.send(vec![append("u", 5, "five"), append("u", 9, "nine")]).unwrap();
    // As after a failover to a replica that had not got 9.
    let index = server.cli(&["keys", "*:i:chat/u"]);
    server.cli(&["zremrangebyscore", index.trim(), "9", "9"]);
    server.cli(&["zadd", index.trim(), "-5", "last"]);
    other.send(vec![append("u", 6, "six")]).unwrap();
    one.send(vec![trim("u", 9)]).unwrap();
    let left = other.open("u");
    assert_eq!((left.sequences(), left.last), (vec![5, 6], 9));
}

fn news(number: u64, expires: u32) -> Broadcast {
    Broadcast {
        product: 0,
        number,
        job: 70 + number,
        tag: "blue".into(),
        at: now(),
        expires,
        state: BroadcastState::Running,
        key: b"k".as_slice().into(),
        body: b"hello all".as_slice().into(),
    }
}

#[test]
fn broadcasts_outlive_the_process_with_their_state_and_their_users() {
    let server = Server::start(&[]);
    let mut first = Shard::start(&one(&server));
    let user = OneShard::new().hash(0, "u");
    let (kept, over) = (news(4, now() + 100), news(5, now()));
    let seen = Seen { product: 0, number: 4, until: kept.expires, users: vec![1, user, u64::MAX] };
    let state = BroadcastState::Paused;
    let commands = vec![
        Command::Broadcast(kept.clone().into()),
        Command::Broadcast(over.clone().into()),
        Command::Steer { product: 0, number: 4, state },
        Command::Seen(seen),
    ];
    assert_eq!(first.send(commands).unwrap().len(), 2);
    assert_eq!(first.open("u").seen, [4]);
    while now() <= over.expires {
        server::pause();
    }
    drop(first);
    let mut second = Shard::start(&one(&server));
    assert_eq!(second.started.recovered[0].broadcasts, [Broadcast { state, ..kept.clone() }]);
    assert_eq!(second.open("u").seen, [4]);
    assert_eq!(second.open("somebody").seen, [0; 0]);
    // Another broadcast of the same number would take its place; the same one again is the same.
    let other = Broadcast { job: 1, ..kept.clone() };
    let refused = second.send(vec![Command::Broadcast(other.into())]).unwrap();
    assert_eq!(refused, [Place::REFUSED]);
    assert_eq!(second.send(vec![Command::Broadcast(kept.into())]).unwrap().len(), 1);
}

#[test]
fn a_full_server_refuses_takes_trims_and_recovers() {
    let server = Server::start(&["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"]);
    let mut shard = Shard::start(&one(&server));
    let body = "x".repeat(100_000);
    let mut stored = 0;
    let trouble = loop {
        match shard.send(vec![append("u", stored + 1, &body)]) {
            Ok(_) => stored += 1,
            Err(trouble) => break trouble,
        }
    };
    assert_eq!(trouble, Trouble::Full);
    shard.await_state(Some(Trouble::Full));
    assert_eq!(shard.open("u").sequences(), (1..=stored).collect::<Vec<_>>(), "nothing is lost");
    // What makes room is carried out although the store is full.
    assert_eq!(shard.send(vec![trim("u", stored)]), Err(Trouble::Full));
    shard.await_state(None);
    assert_eq!(shard.open("u").sequences(), [0; 0]);
    assert!(shard.send(vec![append("u", stored + 9, &body)]).is_ok());
}

#[test]
fn a_server_without_room_for_anything_takes_acknowledgements() {
    let server = Server::start(&[]);
    let mut shard = Shard::start(&one(&server));
    let body = "x".repeat(100_000);
    for sequence in 1..=60 {
        shard.send(vec![append("u", sequence, &body)]).unwrap();
    }
    server.cli(&["config", "set", "maxmemory", "4mb"]);
    assert_eq!(shard.send(vec![append("v", 1, "small")]), Err(Trouble::Full));
    shard.await_state(Some(Trouble::Full));
    shard.send(vec![trim("u", 60)]).unwrap_err();
    shard.await_state(None);
    assert_eq!(shard.open("u").sequences(), [0; 0]);
    shard.send(vec![append("v", 2, "small")]).unwrap();
}

#[test]
fn a_server_that_stops_answering_is_down_until_it_answers() {
    let server = Server::start(&[]);
    let mut shard = Shard::start(&one(&server));
    shard.send(vec![append("u", 1, "before")]).unwrap();
    server.pause(true);
    assert_eq!(shard.send(vec![append("u", 2, "lost"), trim("v", 4)]), Err(Trouble::Down));
    shard.await_state(Some(Trouble::Down));
    assert_eq!(shard.send(vec![append("u", 3, "refused"), trim("u", 1)]), Err(Trouble::Down));
    server.pause(false);
    shard.await_state(None);
    let opened = shard.open("u");
    assert!(!opened.sequences().contains(&1), "the trim was owed, and came");
    assert!(!opened.sequences().contains(&3), "what was refused is not there: {opened:?}");
    assert_eq!(shard.open("v").last, 4, "the trim of the failed batch was owed, and came");
    let numbers = shard.started.handle.numbers();
    assert_eq!((numbers.owed, numbers.dropped, numbers.troubles), (0, 0, 1));
    shard.send(vec![append("u", 4, "after")]).unwrap();
}

#[test]
fn what_a_dead_server_did_not_take_is_carried_out_later() {
    let mut server = Server::start(&[]);
    let mut shard = Shard::start(&one(&server));
    shard.send(vec![append("u", 1, "before")]).unwrap();
    server.kill();
    assert_eq!(shard.send(vec![append("u", 2, "lost"), trim("v", 4)]), Err(Trouble::Down));
    shard.await_state(Some(Trouble::Down));
    shard.send(vec![append("u", 3, "refused"), trim("w", 6)]).unwrap_err();
    assert_eq!(shard.started.handle.numbers().owed, 2);
    server.again();
    shard.await_state(None);
    assert_eq!((shard.open("v").last, shard.open("w").last), (4, 6));
    assert_eq!(shard.open("u").last, 0, "the server keeps nothing, and what failed is not sent");
}

#[test]
fn an_idle_store_says_that_its_server_is_gone() {
    let mut server = Server::start(&[]);
    let mut shard = Shard::start(&one(&server));
    server.kill();
    shard.await_state(Some(Trouble::Down));
    server.again();
    shard.await_state(None);
}

fn all_kept(places: &[Place]) -> bool {
    places.iter().all(|place| place.is_one())
}

#[test]
fn what_was_answered_as_synced_is_there_after_kill_9() {
    // Where the server can be asked to sync, its own time for it must not matter.
    let knows = Server::start(&[]).knows_waitaof();
    let own = if knows { "everysec" } else { "always" };
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", own]);
    let durability = Durability::Synced { replicas: 0, timeout: Duration::from_secs(1) };
    let mut shard = Shard::start(&Options { durability, ..one(&server) });
    let (mut next, mut answered) = (0, Vec::new());
    for _ in 0..3 {
        for _ in 0..40 {
            let batch: Vec<_> = (0..20)
                .map(|_| {
                    next += 1;
                    next
                })
                .collect();
            let commands = batch.iter().map(|&at| append(&format!("u{}", at % 7), at, "body"));
            if shard.send(commands.collect()).is_ok_and(|places| all_kept(&places)) {
                answered.extend(batch);
            }
        }
        // In the middle of a batch: nobody waits for this one.
        let commands = (0..200).map(|at| append(&format!("u{}", at % 7), next + 1 + at, "body"));
        let answers = shard.post(commands.collect());
        next += 200;
        server.kill();
        server.again();
        if shard.settle(&answers).is_ok_and(|places| all_kept(&places)) {
            answered.extend(next - 199..=next);
        }
        shard.insist(|| {
            next += 1;
            vec![append("w", next, "well")]
        });
    }
    for user in 0..7 {
        let kept = shard.open(&format!("u{user}")).sequences();
        let lost: Vec<_> =
            answered.iter().filter(|at| *at % 7 == user && !kept.contains(at)).collect();
        assert!(lost.is_empty(), "u{user} lost {lost:?}");
    }
}

#[test]
fn a_server_that_does_not_sync_is_not_taken_for_one_that_does() {
    let durability = Durability::Synced { replicas: 0, timeout: Duration::from_secs(1) };
    let why = |arguments: &[&str]| {
        let server = Server::start(arguments);
        let options = Options { durability, ..one(&server) };
        let refused = start(&options, OneShard::new(), Vec::new());
        (refused.err().map(|why| why.to_string()), server.knows_waitaof())
    };
    let (memory_alone, _) = why(&[]);
    assert!(memory_alone.unwrap().contains("appendonly"));
    // Servers with WAITAOF sync when asked; those without must do it always.
    let (each_second, knows) = why(&["--appendonly", "yes"]);
    let refused = each_second.is_some_and(|why| why.contains("appendfsync always"));
    assert_eq!(refused, !knows);
}

#[test]
fn a_replica_that_hangs_keeps_answers_back() {
    let server = Server::start(&[]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &server.port.to_string()]);
    while !replica.cli(&["info", "replication"]).contains("master_link_status:up") {
        server::pause();
    }
    let durability = Durability::Replicas { replicas: 1, timeout: Duration::from_millis(300) };
    let mut shard = Shard::start(&Options { durability, ..one(&server) });
    shard.send(vec![append("u", 1, "two copies")]).unwrap();
    replica.pause(true);
    assert_eq!(shard.send(vec![append("u", 2, "one copy")]), Err(Trouble::Down));
    shard.await_state(Some(Trouble::Down));
    replica.pause(false);
    shard.await_state(None);
    shard.send(vec![append("u", 3, "two again")]).unwrap();
}

#[test]
fn replicas_that_are_not_there_are_not_counted() {
    let server = Server::start(&[]);
    let durability = Durability::Replicas { replicas: 1, timeout: Duration::from_millis(50) };
    let refused = start(&Options { durability, ..one(&server) }, OneShard::new(), Vec::new());
    assert!(refused.unwrap_err().to_string().contains("WAIT 1 50"), "one server has no replica");
}

#[test]
fn passwords_and_users_are_asked_for() {
    let server = Server::start(&["--requirepass", "secret"]);
    let acl = ["--no-auth-warning", "-a", "secret", "acl", "setuser", "push", "on", ">word"];
    let rights = ["~holdfast:*", "+@all"];
    server.cli(&[acl.as_slice(), rights.as_slice()].concat());
    let with = |user: Option<&str>, password: &str| {
        let user = user.map(str::to_owned);
        let credentials = Some(Credentials { user, password: password.to_owned() });
        start(&Options { credentials, ..one(&server) }, OneShard::new(), Vec::new())
    };
    assert!(with(None, "secret").is_ok() && with(Some("push"), "word").is_ok());
    assert!(matches!(with(Some("push"), "wrong"), Err(OpenError::Unreachable(_))));
    assert!(start(&one(&server), OneShard::new(), Vec::new()).is_err(), "without any");
}

#[test]
fn a_server_of_another_kind_is_told_from_what_was_expected() {
    let server = Server::start(&[]);
    let why = |mode: Mode| {
        let options = Options { mode, ..one(&server) };
        start(&options, OneShard::new(), Vec::new()).unwrap_err().to_string()
    };
    let [sentinel, cluster] = [why(Mode::Sentinel("m".into())), why(Mode::Cluster)];
    for (why, what) in [(&sentinel, "a Sentinel"), (&cluster, "a node of a Cluster")] {
        assert!(why.contains(&format!("is that {what}")), "{why}");
        assert!(why.contains(&server.address()) && why.contains("mode \"single\""), "{why}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let none = Options { addresses: Vec::new(), ..Options::default() };
    let brace = Options { prefix: "a{b".into(), ..Options::default() };
    let two = Options { addresses: vec!["a".into(), "b".into()], ..Options::default() };
    let bare = Options { addresses: vec!["rediss://a".into()], ..Options::default() };
    for wrong in [none, brace, two, bare] {
        let refused = start(&wrong, OneShard::new(), Vec::new());
        assert!(matches!(refused, Err(OpenError::Settings(_))), "{wrong:?}");
    }
}

#[test]
fn what_was_sent_before_the_end_is_written() {
    let server = Server::start(&[]);
    let mut shard = Shard::start(&one(&server));
    shard.post(vec![append("u", 1, "last words")]);
    shard.started.handle.stop();
    assert_eq!(Shard::start(&one(&server)).open("u").sequences(), [1]);
}
