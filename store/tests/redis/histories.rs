//! A replica takes the place of a primary and lacks the last writes: no sequence is of two messages
//! all the same, so that nobody's acknowledgement speaks for what another process stored since.

use crate::proxy::Proxy;
use crate::server::{Server, pause};
use crate::shard::{Shard, append, message, options, trim};
use holdfast_store::letter::Append;
use holdfast_store::{Command, Event, Place};

/// A primary and its replica; clients reach the primary by the proxy.
fn pair() -> (Proxy, Server, Server) {
    let primary = Server::start(&[]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let proxy = Proxy::start();
    proxy.lead_to(primary.port);
    (proxy, primary, replica)
}

/// The replica has everything, and hears of nothing more.
fn part(primary: &Server, replica: &Server) {
    let size = |server: &Server| server.cli(&["dbsize"]);
    while size(primary) != size(replica) {
        pause();
    }
    replica.cli(&["replicaof", "no", "one"]);
}

/// Sends a message that goes behind that one until the store takes it, or says that it never will.
fn answer(shard: &mut Shard, sequence: u64, behind: u64, body: &str) -> Place {
    loop {
        let append = Append { behind, ..message("ann", sequence, body, "") };
        match shard.send(vec![Command::Append(append)]) {
            Ok(places) if places != [Place::AWAY] => return places[0],
            Ok(_) | Err(_) => pause(),
        }
    }
}

fn block(shard: &mut Shard) -> u64 {
    loop {
        if let Event::Block(behind) = shard.hear_news() {
            return behind;
        }
    }
}

#[test]
fn what_a_replica_lacked_is_not_taken_for_what_came_in_its_place() {
    let (proxy, mut primary, replica) = pair();
    let options = options(&[format!("127.0.0.1:{}", proxy.port)]);
    let (mut one, mut other) = (Shard::start(&options), Shard::start(&options));
    let begin = other.started.recovered[0].sequence;
    assert_eq!(answer(&mut one, begin + 1, 0, "both have it"), Place::default());
    part(&primary, &replica);
    assert_eq!(answer(&mut one, begin + 2, begin + 1, "lost"), Place::default());
    primary.kill();
    proxy.lead_to(replica.port);

    // To the other process the sequence is free. It hears first that it is not to be used.
    assert_eq!(answer(&mut other, begin + 2, begin + 1, "in its place"), Place::REFUSED);
    let own = block(&mut other) + 1;
    assert!(own > begin + (1 << 30), "{own} is in a block of its own");
    assert_eq!(answer(&mut other, own, begin + 1, "in its place"), Place::default());
    // The client of the one has dealt with what is lost.
    one.insist(|| vec![append("bob", u64::MAX >> 12, "to see that it is there")]);
    assert!(one.send(vec![trim("ann", begin + 2)]).is_ok());
    let opened = other.open("ann");
    assert_eq!(opened.sequences(), [own]);
    assert_eq!(other.load("ann", &opened.messages), ["in its place"]);
    assert_ne!(block(&mut one), own - 1, "nor has the one the same block");
    assert!(one.started.handle.numbers().overtaken == 0);
}

#[test]
fn a_server_that_begins_anew_gives_no_block_twice() {
    let mut server = Server::start(&[]);
    let mut shard = Shard::start(&options(&[server.address()]));
    let begin = shard.started.recovered[0].sequence;
    server.kill();
    // It has kept nothing.
    server.again();
    assert_eq!(answer(&mut shard, begin + 1, 0, "numbered before"), Place::REFUSED);
    let own = block(&mut shard);
    assert!(own >= begin + (1 << 30), "{own} is behind the block that it had");
    assert_eq!(answer(&mut shard, own + 1, 0, "numbered behind it"), Place::default());
}
