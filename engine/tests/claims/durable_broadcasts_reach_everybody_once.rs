//! A durable broadcast reaches each user once: who was there, who logged in while it ran, and who
//! was away; pausing, cancelling and restarting keep that promise.

use crate::support::backend::{everybody, kept};
use crate::support::client::hello;
use crate::support::{Backend, Client, Gateway, Hello, Peer, Said, Store, Told, Which, until};
use holdfast_protocol::backend::request::{self, Broadcast, JobAction};
use holdfast_protocol::backend::{Job, JobState};
use holdfast_protocol::client::from_client::Resume;

on_every_store! {
    who_was_away_gets_it_on_login_once,
    who_was_there_does_not_get_it_again,
    it_outlives_the_gateway,
    who_logs_in_while_it_runs_gets_it_once,
    nobody_gets_it_while_it_is_paused,
    what_is_cancelled_is_not_made_up_for,
    only_sessions_with_the_tag_get_it,
    several_come_in_order_and_class_online_does_not,
    what_was_written_and_lost_comes_again,
    the_same_key_is_the_same_job,
    it_ends_with_its_time_to_live,
    more_than_an_outbox_holds_comes_as_it_is_read,
    what_found_no_room_comes_while_the_session_lasts,
    what_was_written_while_the_session_closed_counts,
    what_waited_while_it_was_paused_says_that_it_may_have_come,
    another_number_of_shards_changes_nothing,
}

fn done(gateway: &Gateway, job: Job) {
    let ended = gateway.backend().end_of(job.id);
    assert_eq!(ended.state, JobState::Done);
}

fn who_was_away_gets_it_on_login_once(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let job = gateway.backend().broadcast(&kept(b"news"));
    let mut ann = gateway.client("ann");
    assert_eq!(ann.notice(), (job.sequence, b"news".to_vec()));
    until("it is known that ann has it", || gateway.count("store_batches") >= 2);
    drop(ann);
    gateway.client("ann").hears_nothing_else();
    assert_eq!(gateway.client("bob").notice().1, b"news");
}

fn who_was_there_does_not_get_it_again(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut ann = gateway.client("ann");
    let job = gateway.backend().broadcast(&kept(b"news"));
    assert_eq!(ann.notice().1, b"news");
    done(&gateway, job);
    drop(ann);
    gateway.client("ann").hears_nothing_else();
}

fn it_outlives_the_gateway(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut ann = gateway.client("ann");
    let job = gateway.backend().broadcast(&kept(b"news"));
    assert_eq!(ann.notice().1, b"news");
    done(&gateway, job);
    drop((ann, gateway));
    let gateway = store.gateway(io, &[]);
    gateway.client("ann").hears_nothing_else();
    assert_eq!(gateway.client("bob").notice(), (job.sequence, b"news".to_vec()));
    let next = gateway.backend().broadcast(&kept(b"more"));
    assert!(next.sequence > job.sequence, "no number comes twice");
}

fn who_logs_in_while_it_runs_gets_it_once(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut there: Vec<_> = (0..20).map(|n| gateway.client(&format!("there-{n}"))).collect();
    let slow = Broadcast { users_per_second: 40, ..kept(b"news") };
    let job = gateway.backend().broadcast(&slow);
    let mut came: Vec<_> = (0..20).map(|n| gateway.client(&format!("came-{n}"))).collect();
    for client in there.iter_mut().chain(&mut came) {
        assert_eq!(client.notice().1, b"news");
    }
    done(&gateway, job);
    there.iter_mut().chain(&mut came).for_each(Client::hears_nothing_else);
}

fn nobody_gets_it_while_it_is_paused(io: Which, store: &Store) {
    // Shards hear of a pause one after the other.
    let gateway = store.gateway(io, &["shards=1"]);
    let mut backend = gateway.backend();
    let job = backend.broadcast(&kept(b"news"));
    assert_eq!(backend.steer(JobAction::Pause, job.id).state, JobState::Paused);
    let mut ann = gateway.client("ann");
    ann.hears_nothing_else();
    drop((ann, backend, gateway));
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let mut ann = gateway.client("ann");
    ann.hears_nothing_else();
    assert_eq!(backend.steer(JobAction::Resume, job.id).state, JobState::Done);
    assert_eq!(ann.notice().1, b"news");
    ann.hears_nothing_else();
    assert_eq!(gateway.client("bob").notice().1, b"news");
}

fn what_is_cancelled_is_not_made_up_for(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let job = backend.broadcast(&kept(b"wrong"));
    assert_eq!(backend.steer(JobAction::Cancel, job.id).state, JobState::Cancelled);
    // The shards hear of it one after the other.
    let mut users = 0;
    until("newcomers hear nothing", || {
        users += 1;
        gateway.client(&format!("user-{users}")).rest().is_empty()
    });
    drop((backend, gateway));
    store.gateway(io, &[]).client("ann").hears_nothing_else();
}

fn only_sessions_with_the_tag_get_it(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    gateway.backend().broadcast(&Broadcast { tag: "beta", ..kept(b"news") });
    gateway.client("ann").hears_nothing_else();
    let hello = Hello { tags: &["beta"], ..Hello::default() }.bytes("bob");
    let mut bob = Client::log_in(gateway.stranger(), &hello);
    assert_eq!(bob.notice().1, b"news");
}

fn several_come_in_order_and_class_online_does_not(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let one = backend.broadcast(&kept(b"one"));
    backend.broadcast(&everybody(b"gone"));
    let two = backend.broadcast(&kept(b"two"));
    let mut ann = gateway.client("ann");
    assert_eq!(ann.notice(), (one.sequence, b"one".to_vec()));
    assert_eq!(ann.notice(), (two.sequence, b"two".to_vec()));
    ann.hears_nothing_else();
}

/// Two broadcasts that are over, and that this client has had.
fn two_had(backend: &mut Backend, client: &mut Client) -> [Job; 2] {
    let jobs = [backend.broadcast(&kept(b"one")), backend.broadcast(&kept(b"two"))];
    for job in jobs {
        backend.end_of(job.id);
    }
    assert_eq!(client.notice().1.len() + client.notice().1.len(), 6);
    jobs
}

fn what_was_written_and_lost_comes_again(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let mut ann = gateway.client("ann");
    let jobs = two_had(&mut backend, &mut ann);
    let resume = Resume { session: ann.welcome.session, sequence: 0, broadcast: jobs[0].sequence };
    drop(ann);
    let hello = Hello { resume: Some(resume), ..Hello::default() }.bytes("ann");
    let mut ann = Client::log_in(gateway.stranger(), &hello);
    match ann.hear() {
        Said::Push { durable: true, broadcast: true, again: true, sequence, .. } => {
            assert_eq!(sequence, jobs[1].sequence);
        }
        other => panic!("not the second: {other:?}"),
    }
    ann.hears_nothing_else();
}

fn the_same_key_is_the_same_job(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let keyed = Broadcast { key: b"campaign", ..kept(b"news") };
    let first = gateway.backend().broadcast(&keyed);
    assert_eq!(gateway.backend().broadcast(&keyed).id, first.id);
    drop(gateway);
    let gateway = store.gateway(io, &[]);
    assert_eq!(gateway.backend().broadcast(&keyed).id, first.id);
    let mut ann = gateway.client("ann");
    assert_eq!(ann.notice().1, b"news");
    ann.hears_nothing_else();
}

fn it_ends_with_its_time_to_live(io: Which, store: &Store) {
    let gateway = store.gateway(io, &["broadcast.kept_max=1"]);
    let mut backend = gateway.backend();
    let first = backend.broadcast(&Broadcast { ttl: 1, ..kept(b"brief") });
    backend.end_of(first.id);
    // While it is kept there is no room for another.
    until("it has ended", || {
        let id = backend.ask(|id, out| request::put_broadcast(id, &kept(b"next"), out));
        matches!(backend.peer.told(), Told::Job(of, _) if of == id)
    });
    let mut ann = gateway.client("ann");
    assert_eq!(ann.notice().1, b"next");
    ann.hears_nothing_else();
}

/// A long body, and settings under which a slow reader's outbox holds two of them.
const LONG: [u8; 16 << 10] = [7; 16 << 10];
const NARROW: [&str; 4] =
    ["body_max=16384", "client.outbox_bytes=40000", "socket.send_buffer=16384", "shards=1"];
/// More of them than kernels and outbox take.
const MANY: usize = 40;

/// Begins many long ones; gives their numbers.
fn many(gateway: &Gateway) -> Vec<u64> {
    let mut backend = gateway.backend();
    (0..MANY).map(|_| backend.broadcast(&kept(&LONG)).sequence).collect()
}

/// A client whose kernel takes little, and which reads nothing yet.
fn slow(gateway: &Gateway) -> Client {
    Client::log_in(Peer::with_small_buffer(gateway.clients), &hello("ann"))
}

/// The numbers of all fresh ones until the connection ends.
fn until_its_end(client: &mut Client) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        match client.hear() {
            Said::Push { broadcast: true, again: false, sequence, .. } => numbers.push(sequence),
            Said::Kick { .. } | Said::Close { .. } => {}
            Said::End => return numbers,
            other => panic!("{other:?}"),
        }
    }
}

fn more_than_an_outbox_holds_comes_as_it_is_read(io: Which, store: &Store) {
    let gateway = store.gateway(io, &NARROW);
    let numbers = many(&gateway);
    let mut ann = slow(&gateway);
    until("it does not fit", || gateway.count("outbox") > 0);
    let got: Vec<_> = (0..MANY).map(|_| ann.notice().0).collect();
    assert_eq!(got, numbers, "all of them, in order");
    ann.hears_nothing_else();
    ann.hears_nothing_else();
}

fn what_found_no_room_comes_while_the_session_lasts(io: Which, store: &Store) {
    let gateway = store.gateway(io, &NARROW);
    let mut ann = slow(&gateway);
    let numbers = many(&gateway);
    until("some found no room", || gateway.count("drops.outbox_full") > 0);
    let mut got: Vec<_> = (0..MANY).map(|_| ann.notice().0).collect();
    got.sort_unstable();
    assert_eq!(got, numbers);
    ann.hears_nothing_else();
}

fn what_was_written_while_the_session_closed_counts(io: Which, store: &Store) {
    let gateway = store.gateway(io, &NARROW);
    let numbers = many(&gateway);
    let mut ann = slow(&gateway);
    until("it does not fit", || gateway.count("outbox") > 0);
    assert_eq!(gateway.backend().kick("ann", "go"), 1);
    until("the session has left", || gateway.backend().online(&["ann"]) == [0]);
    let first = until_its_end(&mut ann);
    assert!(!first.is_empty() && first.len() < MANY);
    // No hello names what came: the gateway's own record decides.
    let mut ann = slow(&gateway);
    let rest: Vec<_> = (first.len()..MANY).map(|_| ann.notice().0).collect();
    assert_eq!([first, rest].concat(), numbers, "each of them once");
    ann.hears_nothing_else();
}

fn what_waited_while_it_was_paused_says_that_it_may_have_come(io: Which, store: &Store) {
    // Shards hear of a pause one after the other.
    let gateway = store.gateway(io, &["shards=1"]);
    let mut backend = gateway.backend();
    let mut ann = gateway.client("ann");
    let jobs = two_had(&mut backend, &mut ann);
    backend.steer(JobAction::Pause, jobs[1].id);
    let resume = Resume { session: ann.welcome.session, sequence: 0, broadcast: jobs[0].sequence };
    drop(ann);
    let hello = Hello { resume: Some(resume), ..Hello::default() }.bytes("ann");
    let mut ann = Client::log_in(gateway.stranger(), &hello);
    ann.hears_nothing_else();
    backend.steer(JobAction::Resume, jobs[1].id);
    match ann.hear() {
        Said::Push { broadcast: true, again: true, sequence, .. } => {
            assert_eq!(sequence, jobs[1].sequence);
        }
        other => panic!("not the second: {other:?}"),
    }
}

fn another_number_of_shards_changes_nothing(io: Which, store: &Store) {
    let users: Vec<_> = (0..20).map(|n| format!("user-{n}")).collect();
    let keyed = Broadcast { key: b"campaign", ..kept(b"news") };
    let gateway = store.gateway(io, &["shards=4"]);
    let mut there: Vec<_> = users[..10].iter().map(|user| gateway.client(user)).collect();
    let job = gateway.backend().broadcast(&keyed);
    for client in &mut there {
        assert_eq!(client.notice().0, job.sequence);
    }
    done(&gateway, job);
    drop((there, gateway));
    for shards in ["shards=1", "shards=3", "shards=2"] {
        let gateway = store.gateway(io, &[shards]);
        for user in &users[..10] {
            gateway.client(user).hears_nothing_else();
        }
        let mut backend = gateway.backend();
        assert_eq!(backend.broadcast(&keyed).id, job.id, "the same key is the same job");
        assert_eq!(backend.steer(JobAction::Pause, job.id).state, JobState::Paused);
        assert_eq!(backend.steer(JobAction::Resume, job.id).state, JobState::Done);
    }
    let gateway = store.gateway(io, &["shards=1"]);
    for user in &users[10..] {
        let mut client = gateway.client(user);
        assert_eq!(client.notice(), (job.sequence, b"news".to_vec()));
        client.hears_nothing_else();
    }
    let cancelled = gateway.backend().steer(JobAction::Cancel, job.id);
    assert_eq!(cancelled.state, JobState::Cancelled);
}
