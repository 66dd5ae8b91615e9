//! A durable broadcast reaches each user once: who was there, who logged in while it ran, and who
//! was away; pausing, cancelling and restarting keep that promise.

use crate::support::backend::everybody;
use crate::support::{Client, Gateway, Hello, Said, Store, Told, Which, until};
use holdfast_protocol::backend::request::{self, Broadcast, JobAction};
use holdfast_protocol::backend::{Job, JobState};
use holdfast_protocol::client::Class;
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
}

fn kept(body: &[u8]) -> Broadcast<'_> {
    Broadcast { class: Class::Durable, ..everybody(body) }
}

/// The next frame, which must be a durable broadcast: its number and its body.
#[track_caller]
fn notice(client: &mut Client) -> (u64, Vec<u8>) {
    match client.hear() {
        Said::Push { durable: true, broadcast: true, again: false, sequence, body } => {
            (sequence, body)
        }
        other => panic!("not a fresh durable broadcast: {other:?}"),
    }
}

fn done(gateway: &Gateway, job: Job) {
    let ended = gateway.backend().end_of(job.id);
    assert_eq!(ended.state, JobState::Done);
}

fn who_was_away_gets_it_on_login_once(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let job = gateway.backend().broadcast(&kept(b"news"));
    let mut ann = gateway.client("ann");
    assert_eq!(notice(&mut ann), (job.sequence, b"news".to_vec()));
    until("it is known that ann has it", || gateway.count("store_batches") >= 2);
    drop(ann);
    gateway.client("ann").hears_nothing_else();
    assert_eq!(notice(&mut gateway.client("bob")).1, b"news");
}

fn who_was_there_does_not_get_it_again(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut ann = gateway.client("ann");
    let job = gateway.backend().broadcast(&kept(b"news"));
    assert_eq!(notice(&mut ann).1, b"news");
    done(&gateway, job);
    drop(ann);
    gateway.client("ann").hears_nothing_else();
}

fn it_outlives_the_gateway(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut ann = gateway.client("ann");
    let job = gateway.backend().broadcast(&kept(b"news"));
    assert_eq!(notice(&mut ann).1, b"news");
    done(&gateway, job);
    drop((ann, gateway));
    let gateway = store.gateway(io, &[]);
    gateway.client("ann").hears_nothing_else();
    assert_eq!(notice(&mut gateway.client("bob")), (job.sequence, b"news".to_vec()));
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
        assert_eq!(notice(client).1, b"news");
    }
    done(&gateway, job);
    there.iter_mut().chain(&mut came).for_each(Client::hears_nothing_else);
}

fn nobody_gets_it_while_it_is_paused(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
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
    assert_eq!(notice(&mut ann).1, b"news");
    ann.hears_nothing_else();
    assert_eq!(notice(&mut gateway.client("bob")).1, b"news");
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
    assert_eq!(notice(&mut bob).1, b"news");
}

fn several_come_in_order_and_class_online_does_not(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let one = backend.broadcast(&kept(b"one"));
    backend.broadcast(&everybody(b"gone"));
    let two = backend.broadcast(&kept(b"two"));
    let mut ann = gateway.client("ann");
    assert_eq!(notice(&mut ann), (one.sequence, b"one".to_vec()));
    assert_eq!(notice(&mut ann), (two.sequence, b"two".to_vec()));
    ann.hears_nothing_else();
}

fn what_was_written_and_lost_comes_again(io: Which, store: &Store) {
    let gateway = store.gateway(io, &[]);
    let mut backend = gateway.backend();
    let mut ann = gateway.client("ann");
    let jobs = [backend.broadcast(&kept(b"one")), backend.broadcast(&kept(b"two"))];
    for job in jobs {
        backend.end_of(job.id);
    }
    assert_eq!(notice(&mut ann).1.len() + notice(&mut ann).1.len(), 6);
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
    assert_eq!(notice(&mut ann).1, b"news");
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
    assert_eq!(notice(&mut ann).1, b"next");
    ann.hears_nothing_else();
}
