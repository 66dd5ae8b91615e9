//! A user with sessions at two hosts of one store at the same time, to which both messages come:
//! all of them have one order, nothing that was accepted is lost, and no client gets a message
//! behind one that it has dealt with.

use crate::support::backend::durable;
use crate::support::client::Said;
use crate::support::{Backend, Client, Gateway, Hello, Store, Which, until};
use holdfast_protocol::backend::request::MailboxAction;
use holdfast_protocol::backend::{Outcome, Target};
use holdfast_protocol::client::from_client::{self, Resume};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

on_both! {
    what_one_host_stored_comes_before_what_the_other_stores,
    what_waits_for_its_turn_keeps_its_key_its_receipt_and_its_order,
    what_came_in_a_quarantine_is_not_passed_over,
    nothing_is_lost_of_what_comes_at_both_at_once,
}

/// The user.
const ANN: &str = "ann";

/// Two hosts; the second one's sequences lie behind the first one's.
fn hosts(store: &Store, io: Which) -> [Gateway; 2] {
    [1, 2].map(|number| {
        let number = format!("host={number}");
        let often = "client.frames_per_second=60000";
        store.gateway(io, &[number.as_str(), "client.sessions_max=3", often])
    })
}

fn what_one_host_stored_comes_before_what_the_other_stores(io: Which) {
    let store = Store::redis();
    let [one, other] = hosts(&store, io);
    let (mut here, mut there) = (one.client(ANN), other.client(ANN));
    let first = one.backend().keep(ANN, b"first");
    assert_eq!(here.fresh(), (first, b"first".to_vec()));
    there.hears_nothing_else();
    // The other host does not know of it. Its backend notices nothing of that.
    let next = other.backend().keep(ANN, b"next");
    assert!(next > first, "{next} is behind {first}");
    assert_eq!(there.durable_again(), (first, b"first".to_vec()));
    assert_eq!(there.durable(), (next, b"next".to_vec()));
    // Nor does the first one of this, whose own numbers are smaller.
    let last = one.backend().keep(ANN, b"last");
    assert!(last > next, "{last} is behind {next}");
    let counted = ["taken", "kept_again", "stored", "not_stored"];
    assert_eq!(counted.map(|what| other.count(&format!("durable_{what}"))), [2, 1, 1, 0]);
    assert_eq!(here.durable_again(), (next, b"next".to_vec()));
    assert_eq!(here.durable(), (last, b"last".to_vec()));
    // Who has dealt with these has dealt with all.
    there.ack(next);
    until("the other host has nothing left", || waiting(&other) == 0);
    drop(there);
    let hello = Hello { resume: Some(resume(&here, last)), ..Hello::default() }.bytes(ANN);
    let mut there = Client::log_in(other.stranger(), &hello);
    there.hears_nothing_else();
    assert_eq!(waiting(&other), 0);
    assert_eq!([&one, &other].map(|host| host.count("store_unreadable")), [0; 2]);
}

fn what_waits_for_its_turn_keeps_its_key_its_receipt_and_its_order(io: Which) {
    let store = Store::redis();
    let [one, other] = hosts(&store, io);
    let mut there = other.client(ANN);
    let bodies: Vec<_> = (0..20).map(|number| format!("message {number}")).collect();
    let key = |body: &str| body.as_bytes().to_vec();
    let keys: Vec<_> = bodies.iter().map(|body| key(body)).collect();
    let targets: Vec<_> = (bodies.iter().zip(&keys))
        .map(|(body, key)| Target { key, receipt: true, ..durable(ANN, body.as_bytes()) })
        .collect();
    let first = one.backend().keep(ANN, b"first");
    let mut backend = other.backend();
    // Twenty requests, of which all but the first are on their way while that is refused; and each
    // of them twice.
    let ids: Vec<_> =
        targets.iter().flat_map(|it| [*it; 2]).map(|it| backend.send_push(&[it])).collect();
    let outcomes = backend.each_outcome(&ids);
    let sequences: Vec<_> = outcomes.iter().map(|outcome| stored(*outcome)).collect();
    assert_eq!(there.durable_again(), (first, b"first".to_vec()));
    for (body, sequences) in bodies.iter().zip(sequences.chunks_exact(2)) {
        assert_eq!(sequences[0], sequences[1], "one message");
        assert_eq!(there.durable(), (sequences[0], key(body)));
    }
    there.hears_nothing_else();
    // The key holds at the other host too.
    assert_eq!(one.backend().push(&targets[..1]), outcomes[..1]);
    there.ack(*sequences.last().unwrap());
    for sequences in sequences.chunks_exact(2) {
        let acked = Outcome::Acked(sequences[0]);
        assert_eq!(backend.receipt(), (ANN.to_owned(), sequences[0], acked));
    }
}

fn what_came_in_a_quarantine_is_not_passed_over(io: Which) {
    let store = Store::redis();
    let quick = [
        "mailbox.redelivery_after=1",
        "mailbox.redelivery_at_most=1",
        "mailbox.redelivery_rounds=1",
    ];
    let [one, other] = ["host=1", "host=2"].map(|number| {
        let settings = [number, "client.sessions_max=2", quick[0], quick[1], quick[2]];
        store.gateway(io, &settings)
    });
    let mut here = one.client(ANN);
    let mut backend = one.backend();
    let mut order = vec![backend.keep(ANN, b"poison")];
    assert_eq!(here.fresh().0, order[0]);
    assert_eq!(here.durable_again().0, order[0]);
    until("it is quarantined", || one.count("quarantined_mailboxes") == 1);
    let mut device = one.client(ANN);
    device.hears_nothing_else();
    order.push(backend.keep(ANN, b"in quarantine"));
    order.push(other.backend().keep(ANN, b"elsewhere"));
    // Of which this host hears now.
    order.push(backend.keep(ANN, b"last"));
    here.hears_nothing_else();
    backend.mailbox(ANN, MailboxAction::Release);
    for session in [&mut here, &mut device] {
        let heard: Vec<_> = order.iter().map(|_| session.durable().0).collect();
        assert_eq!(heard, order);
    }
}

#[track_caller]
fn stored(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Stored(sequence) | Outcome::Acked(sequence) => sequence,
        other => panic!("not kept: {other:?}"),
    }
}

fn resume(client: &Client, sequence: u64) -> Resume {
    Resume { session: client.welcome.session, sequence, broadcast: 0 }
}

fn waiting(host: &Gateway) -> u32 {
    host.backend().mailbox(ANN, MailboxAction::Show).messages
}

/// How many messages come at each host, and how many of them at a time.
const MESSAGES: usize = 150;
const AT_ONCE: usize = 5;
/// After how many messages a device goes to the other host.
const STAY: usize = 25;

/// What was accepted, or dealt with: bodies by sequence.
type Messages = BTreeMap<u64, Vec<u8>>;

/// A device as the specification wants it: it deals with each message once, remembers how far it
/// has come, and says so.
struct Device<'a> {
    hosts: [&'a Gateway; 2],
    at: usize,
    client: Client,
    remembered: u64,
    dealt_with: Messages,
}

impl<'a> Device<'a> {
    fn at(hosts: [&'a Gateway; 2], at: usize) -> Self {
        let client = hosts[at].client(ANN);
        Self { hosts, at, client, remembered: 0, dealt_with: Messages::new() }
    }

    /// Deals with everything that is on its way, and acknowledges it.
    fn take(&mut self) -> usize {
        self.client.peer.send(&from_client::PING);
        let before = self.dealt_with.len();
        let mut came = 0;
        loop {
            match self.client.hear() {
                Said::Push { durable: true, broadcast: false, sequence, body, .. } => {
                    came += 1;
                    if sequence > self.remembered {
                        self.remembered = sequence;
                        self.dealt_with.insert(sequence, body);
                    } else {
                        let known = self.dealt_with.contains_key(&sequence);
                        assert!(known, "{sequence} comes behind {}", self.remembered);
                    }
                }
                Said::Pong => break,
                other => panic!("neither a message nor the pong: {other:?}"),
            }
        }
        if came > 0 {
            self.client.ack(self.remembered);
        }
        self.dealt_with.len() - before
    }

    /// Goes to the other host, perhaps before that one has heard the last acknowledgement.
    fn move_on(&mut self) {
        self.at = 1 - self.at;
        let resume = Some(resume(&self.client, self.remembered));
        let hello = Hello { resume, ..Hello::default() }.bytes(ANN);
        self.client = Client::log_in(self.hosts[self.at].stranger(), &hello);
        let next = self.client.welcome.next_sequence;
        assert!(next > self.remembered, "{next} is not behind {}", self.remembered);
    }
}

/// Pushes all messages of one host; gives those that were accepted, by sequence.
fn push_all(backend: &mut Backend, host: usize) -> Messages {
    let mut accepted = Messages::new();
    for first in (0..MESSAGES).step_by(AT_ONCE) {
        let bodies = (first..first + AT_ONCE).map(|number| format!("{number} at {host}"));
        let bodies: Vec<_> = bodies.map(String::into_bytes).collect();
        let ids: Vec<_> =
            bodies.iter().map(|body| backend.send_push(&[durable(ANN, body)])).collect();
        for (outcome, body) in backend.each_outcome(&ids).into_iter().zip(bodies) {
            match outcome {
                Outcome::Stored(sequence) | Outcome::Acked(sequence) => {
                    let twice = accepted.insert(sequence, body);
                    assert_eq!(twice, None, "{sequence} was given twice");
                }
                // It is not accepted, and nothing is promised.
                Outcome::Busy(_) => {}
                other => panic!("neither kept nor busy: {other:?}"),
            }
        }
    }
    accepted
}

fn nothing_is_lost_of_what_comes_at_both_at_once(io: Which) {
    let store = Store::redis();
    let [one, other] = hosts(&store, io);
    let hosts = [&one, &other];
    let mut devices = [Device::at(hosts, 0), Device::at(hosts, 1)];
    let over = AtomicUsize::new(0);
    let over = &over;
    let accepted = std::thread::scope(|scope| {
        let pushes = [0, 1].map(|at| {
            scope.spawn(move || {
                let accepted = push_all(&mut hosts[at].backend(), at);
                over.fetch_add(1, SeqCst);
                accepted
            })
        });
        for device in &mut devices {
            scope.spawn(move || {
                let mut stayed = 0;
                while over.load(SeqCst) < hosts.len() {
                    stayed += device.take();
                    if stayed >= STAY {
                        stayed = 0;
                        device.move_on();
                    }
                }
            });
        }
        pushes.map(|push| push.join().expect("its messages were pushed"))
    });
    // What is left comes with the next login.
    let [device, _] = &mut devices;
    device.move_on();
    until("nothing waits any more", || {
        device.take();
        waiting(device.hosts[device.at]) == 0
    });
    let [here, there] = &accepted;
    assert!(here.keys().all(|sequence| !there.contains_key(sequence)), "a number was given twice");
    assert!(here.len() + there.len() > MESSAGES, "most are accepted");
    for (sequence, body) in here.iter().chain(there) {
        let came = devices.iter().filter_map(|device| device.dealt_with.get(sequence));
        let came: Vec<_> = came.collect();
        let text = String::from_utf8_lossy(body);
        assert!(!came.is_empty(), "{sequence} ({text}) was accepted, and nobody got it");
        assert!(came.iter().all(|it| *it == body), "{sequence} is not {text}");
    }
    assert_eq!(hosts.map(|host| host.count("store_unreadable")), [0; 2]);
}
