//! Several servers: what was answered as replicated outlives the server that answered.

use crate::server::{Server, free_port, pause};
use crate::shard::{OneShard, Shard, append, options, trim};
use holdfast_store::redis::{Durability, Mode, Options, start};
use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tests with a Cluster take turns: a server that gets no processor answers as one that is gone.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One replica must have it.
pub(crate) fn replicated(addresses: &[String], mode: Mode) -> Options {
    let durability = Durability::Replicas { replicas: 1, timeout: Duration::from_millis(500) };
    Options { mode, durability, ..options(addresses) }
}

/// Messages that were answered, by user.
#[derive(Default)]
pub(crate) struct Promised {
    next: u64,
    kept: HashMap<String, Vec<u64>>,
}

impl Promised {
    /// How many messages were answered.
    pub(crate) fn answered(&self) -> usize {
        self.kept.values().map(Vec::len).sum()
    }

    /// The next batch is one of somebody else.
    pub(crate) fn skip(&mut self) {
        self.next += 1;
    }

    /// The sequence of the last batch.
    pub(crate) fn last(&self) -> u64 {
        self.next
    }

    /// Looks no more at anybody but these.
    pub(crate) fn forget_others(&mut self, users: &[usize]) {
        let names: Vec<_> = users.iter().map(|user| format!("user-{user}")).collect();
        self.kept.retain(|user, _| names.contains(user));
    }

    /// A user's messages up to this one need not be there any more.
    pub(crate) fn acknowledged(&mut self, user: &str, upto: u64) {
        self.kept.get_mut(user).unwrap().retain(|sequence| *sequence > upto);
    }

    /// Sends a batch of one message each for these users; keeps what is answered.
    pub(crate) fn push(&mut self, shard: &mut Shard, users: usize) -> bool {
        self.next = self.next.max(shard.floor) + 1;
        let names: Vec<_> = (0..users).map(|user| format!("user-{user}")).collect();
        let batch =
            names.iter().map(|user| append(user, self.next, &format!("{user}/{}", self.next)));
        let Ok(places) = shard.send(batch.collect()) else { return false };
        let all = places.iter().all(|place| place.is_one());
        let answered = names.into_iter().zip(places).filter(|(_, place)| place.is_one());
        for (user, _) in answered {
            self.kept.entry(user).or_default().push(self.next);
        }
        all
    }

    /// Everything that was answered is there, in order, with its body.
    pub(crate) fn check(&self, shard: &mut Shard) {
        for (user, promised) in &self.kept {
            let opened = shard.open(user);
            let there = opened.sequences();
            assert!(there.is_sorted(), "{user}: {there:?}");
            let lost: Vec<_> = promised.iter().filter(|one| !there.contains(one)).collect();
            assert!(lost.is_empty(), "{user} lost {lost:?} of {promised:?}");
            let bodies = there.iter().map(|sequence| format!("{user}/{sequence}"));
            assert_eq!(shard.load(user, &opened.messages), bodies.collect::<Vec<_>>());
        }
    }
}

/// Three primaries with a replica each.
fn cluster() -> Vec<Server> {
    cluster_of(|_| Vec::new(), |_| {})
}

/// The same with arguments of each node besides; `first` is told of the first of them.
pub(crate) fn cluster_of(
    more: impl Fn(usize) -> Vec<String>,
    first: impl Fn(&Server),
) -> Vec<Server> {
    let start = |node| {
        let more = more(node);
        let mut arguments = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        arguments.extend(more.iter().map(String::as_str));
        Server::start(&arguments)
    };
    let servers: Vec<_> = (0..6).map(start).collect();
    first(&servers[0]);
    let addresses: Vec<_> = servers.iter().map(Server::address).collect();
    let mut create = vec!["--cluster", "create"];
    create.extend(addresses.iter().map(String::as_str));
    create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
    let said = servers[0].cli(&create);
    assert!(said.contains("All 16384 slots covered"), "{said}");
    // Each replica has taken over its primary's data, and every node knows all of it.
    for server in &servers {
        while !server.cli(&["cluster", "info"]).contains("cluster_state:ok") {
            pause();
        }
        let up = ["master_link_status:up", "connected_slaves:1"];
        while !up.iter().any(|up| server.cli(&["info", "replication"]).contains(up)) {
            pause();
        }
    }
    servers
}

pub(crate) fn is_primary(server: &Server) -> bool {
    server.cli(&["role"]).starts_with("master")
}

#[test]
fn a_cluster_spreads_users_and_survives_its_primaries() {
    let _turn = turn();
    let mut servers = cluster();
    let address = servers[3].address();
    let mut shard = Shard::start(&replicated(&[address], Mode::Cluster));
    let mut promised = Promised::default();
    for _ in 0..20 {
        promised.push(&mut shard, 30);
    }
    let held = |server: &Server| server.cli(&["dbsize"]).trim().parse::<usize>().unwrap();
    let spread: Vec<_> = servers.iter().filter(|one| is_primary(one)).map(held).collect();
    assert!(spread.len() == 3 && spread.iter().all(|keys| *keys > 6), "{spread:?}");
    promised.check(&mut shard);

    // A primary dies under load; its replica takes over, and it comes back as a replica.
    let victim = servers.iter().position(is_primary).unwrap();
    servers[victim].kill();
    assert!(!promised.push(&mut shard, 30), "a third of the users is nowhere");
    let successor = |servers: &[Server]| {
        let living = servers.iter().enumerate().filter(|(at, _)| *at != victim);
        living.filter(|(_, server)| is_primary(server)).count() == 3
    };
    while !successor(&servers) {
        promised.push(&mut shard, 30);
        pause();
    }
    servers[victim].again();
    while !promised.push(&mut shard, 30) {
        pause();
    }
    assert!(!is_primary(&servers[victim]));
    promised.check(&mut shard);

    // Users whose slots move to another node under load are followed there.
    let (from, to) = two_primaries(&servers);
    std::thread::scope(|scope| {
        let mover = scope.spawn(|| reshard(&servers[0], &from, &to));
        while !mover.is_finished() {
            promised.push(&mut shard, 30);
        }
    });
    while !promised.push(&mut shard, 30) {
        pause();
    }
    promised.check(&mut shard);
    shard.insist(|| vec![trim("user-0", promised.next - 1)]);
    assert_eq!(shard.open("user-0").sequences(), [promised.next]);
    promised.kept.remove("user-0");
    promised.check(&mut shard);
}

/// Moves an eighth of all slots.
fn reshard(server: &Server, from: &str, to: &str) {
    let address = server.address();
    let mut arguments = vec!["--cluster", "reshard", &address, "--cluster-slots", "2000"];
    arguments.extend(["--cluster-from", from, "--cluster-to", to, "--cluster-yes"]);
    let said = server.cli(&arguments);
    assert!(!said.contains("ERR"), "{said}");
}

/// The names of two primaries of a Cluster.
fn two_primaries(servers: &[Server]) -> (String, String) {
    let primaries = servers.iter().filter(|server| is_primary(server));
    let mut names = primaries.map(|server| server.cli(&["cluster", "myid"]).trim().to_owned());
    (names.next().unwrap(), names.next().unwrap())
}

#[test]
fn sentinel_says_who_is_the_primary_now() {
    let _turn = turn();
    let mut primary = Server::start(&[]);
    let port = primary.port.to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &port]);
    while !replica.cli(&["info", "replication"]).contains("master_link_status:up") {
        pause();
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "sentinel monitor pushes 127.0.0.1 {port} 1\nsentinel failover-timeout pushes 10000\n"
    );
    fs::write(folder.path().join("sentinel.conf"), settings).unwrap();
    let sentinel = Server::start_in(folder.path(), free_port(), &["--sentinel"]);
    let down_after = |milliseconds| {
        let settings = ["sentinel", "set", "pushes", "down-after-milliseconds", milliseconds];
        assert_eq!(sentinel.cli(&settings).trim(), "OK");
    };
    // A server that gets no processor for a moment is not down: Sentinel would go back to one that
    // has nothing yet.
    down_after("600000");
    let known = || sentinel.cli(&["sentinel", "replicas", "pushes"]);
    while !known().contains(&replica.port.to_string()) {
        pause();
    }

    let options = replicated(&[sentinel.address()], Mode::Sentinel("pushes".into()));
    let mut shard = Shard::start(&options);
    let mut promised = Promised::default();
    for _ in 0..50 {
        promised.push(&mut shard, 10);
    }
    primary.kill();
    down_after("500");
    // Before Sentinel has said so, an old primary that comes back empty would be taken for the
    // primary still, and its replica be made as empty.
    let named = || sentinel.cli(&["sentinel", "get-master-addr-by-name", "pushes"]);
    while !named().contains(&replica.port.to_string()) {
        promised.push(&mut shard, 10);
        pause();
    }
    down_after("600000");
    // One copy is not two: until the old one is back as a replica, nothing is called safe.
    assert!(!promised.push(&mut shard, 10));
    primary.again();
    while !promised.push(&mut shard, 10) {
        pause();
    }
    promised.check(&mut shard);
    assert!(promised.kept["user-0"].len() > 50);
    let wrong = Options { mode: Mode::Sentinel("others".into()), ..options };
    let refused = start(&wrong, OneShard::new(), Vec::new()).unwrap_err().to_string();
    assert!(refused.contains("no primary \"others\""), "{refused}");
}
