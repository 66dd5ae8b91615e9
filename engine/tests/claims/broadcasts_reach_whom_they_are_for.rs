//! A broadcast reaches everybody it is for, once, and nobody else; it can be paced and steered, its
//! figures add up at every moment, and it costs what its recipients cost.

use crate::support::backend::everybody;
use crate::support::{Backend, Client, Gateway, Hello, Told, Which, until};
use holdfast_protocol::backend::request::{self, JobAction};
use holdfast_protocol::backend::{Broadcast, Job, JobState};
use std::time::{Duration, Instant};

on_both! {
    the_product_and_no_other,
    those_with_the_tag_and_nobody_else,
    a_tag_that_stands_twice_counts_once,
    broadcasts_are_numbered_apart_from_pushes,
    paused_it_stands_and_resumed_it_goes_on,
    cancelled_it_ends_where_it_is,
    it_is_not_faster_than_its_pace,
    who_leaves_before_its_turn_is_dropped,
    what_is_left_at_its_time_to_live_is_dropped,
    more_jobs_than_may_run_are_refused,
    it_costs_what_its_recipients_cost,
    a_job_is_named_as_none_of_an_earlier_life,
}

const TWO: &str = "products=[\"demo\", \"other\"]";

fn clients(gateway: &Gateway, count: usize) -> Vec<Client> {
    (0..count).map(|n| gateway.client(&format!("user-{n}"))).collect()
}

fn with_hello(gateway: &Gateway, user: &str, hello: &Hello<'_>) -> Client {
    Client::log_in(gateway.stranger(), &hello.bytes(user))
}

#[track_caller]
fn expect_done(job: Job, delivered: u64, dropped: u64) {
    let Job { state, total, .. } = job;
    assert_eq!((job.delivered, job.dropped), (delivered, dropped), "{job:?}");
    assert_eq!((state, total), (JobState::Done, delivered + dropped), "{job:?}");
}

/// How many of the clients got exactly one broadcast, when each got one or none.
#[track_caller]
fn heard(clients: &mut [Client]) -> u64 {
    let heard = clients.iter_mut().map(|client| client.rest().len()).collect::<Vec<_>>();
    assert!(heard.iter().all(|&times| times <= 1), "somebody heard it twice: {heard:?}");
    heard.into_iter().sum::<usize>() as u64
}

fn the_product_and_no_other(io: Which) {
    let gateway = Gateway::start(io, &[TWO]);
    let mut members = clients(&gateway, 40);
    let other = Hello { product: Some("other"), ..Hello::default() };
    let mut others: Vec<_> =
        (0..40).map(|n| with_hello(&gateway, &format!("user-{n}"), &other)).collect();
    let mut backend = gateway.backend();
    let job = backend.broadcast(&everybody(b"hear, hear"));
    assert_eq!(job.total, 40);
    for member in &mut members {
        assert_eq!(member.broadcast(), (1, b"hear, hear".to_vec()));
    }
    expect_done(backend.end_of(job.id), 40, 0);
    others.iter_mut().chain(&mut members).for_each(Client::hears_nothing_else);
}

fn those_with_the_tag_and_nobody_else(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let tags: [&[&str]; 4] = [&["ios", "beta"], &["ios"], &["android"], &[]];
    let mut clients: Vec<_> = (0..40)
        .map(|n| {
            let hello = Hello { tags: tags[n % 4], ..Hello::default() };
            with_hello(&gateway, &format!("user-{n}"), &hello)
        })
        .collect();
    let mut backend = gateway.backend();
    for (tag, count) in [("ios", 20), ("beta", 10), ("android", 10), ("none", 0), ("i", 0)] {
        let job = backend.broadcast(&Broadcast { tag, ..everybody(tag.as_bytes()) });
        assert_eq!(job.total, count, "{tag}");
        expect_done(backend.end_of(job.id), count, 0);
        for (n, client) in clients.iter_mut().enumerate() {
            let expected = usize::from(tags[n % 4].contains(&tag));
            assert_eq!(client.rest().len(), expected, "{tag} to client {n}");
        }
    }
}

fn a_tag_that_stands_twice_counts_once(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let hello = Hello { tags: &["a", "b", "a"], ..Hello::default() };
    let mut client = with_hello(&gateway, "ann", &hello);
    let mut backend = gateway.backend();
    let job = backend.broadcast(&Broadcast { tag: "a", ..everybody(b"x") });
    expect_done(backend.end_of(job.id), 1, 0);
    assert_eq!(client.rest().len(), 1);
}

fn broadcasts_are_numbered_apart_from_pushes(io: Which) {
    let gateway = Gateway::start(io, &[TWO]);
    let mut client = gateway.client("ann");
    let mut backend = gateway.backend();
    for sequence in 1..=3 {
        assert_eq!(backend.broadcast(&everybody(b"b")).sequence, sequence);
        assert_eq!(client.broadcast().0, sequence);
        backend.push_one("ann", b"p");
        assert_eq!(client.push().0, sequence);
    }
    let other = Broadcast { product: "other", ..everybody(b"b") };
    assert_eq!(backend.broadcast(&other).sequence, 1, "each product counts its own");
}

/// A broadcast to all of these, so slow that it does not end by itself.
fn crawl(backend: &mut Backend) -> Job {
    let job = backend.broadcast(&Broadcast { users_per_second: 20, ..everybody(b"x") });
    assert_eq!(job.state, JobState::Running);
    job
}

fn paused_it_stands_and_resumed_it_goes_on(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut clients = clients(&gateway, 40);
    let mut backend = gateway.backend();
    let job = crawl(&mut backend).id;
    assert_eq!(backend.steer(JobAction::Pause, job).state, JobState::Paused);
    // The order is with every shard by now, or very soon.
    for client in &mut clients {
        client.rest();
    }
    let before = gateway.count("broadcast_deliveries");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(gateway.count("broadcast_deliveries"), before, "it went on");
    assert!(before < 40);
    let paused = backend.steer(JobAction::Status, job);
    assert!(paused.delivered + paused.dropped <= paused.total && paused.total == 40);
    assert_eq!(backend.steer(JobAction::Resume, job).state, JobState::Running);
    expect_done(backend.end_of(job), 40, 0);
    assert_eq!(gateway.count("broadcast_deliveries"), 40);
}

fn cancelled_it_ends_where_it_is(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut clients = clients(&gateway, 40);
    let mut backend = gateway.backend();
    let job = crawl(&mut backend).id;
    clients[39].broadcast();
    assert_eq!(backend.steer(JobAction::Cancel, job).state, JobState::Cancelled);
    until("it is over", || gateway.count("broadcasts") == 0);
    let end = backend.steer(JobAction::Resume, job);
    assert_eq!((end.state, end.total), (JobState::Cancelled, 40));
    assert!(end.delivered < 40, "{end:?}");
    assert_eq!(heard(&mut clients) + 1, end.delivered, "what is told is what was heard");
}

fn it_is_not_faster_than_its_pace(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut clients = clients(&gateway, 30);
    let mut backend = gateway.backend();
    let body = [7; 1000];
    let by_users = Broadcast { users_per_second: 30, ..everybody(&body) };
    let by_bits = Broadcast { bits_per_second: 30 * 8000, ..everybody(&body) };
    for paced in [by_users, by_bits] {
        let start = Instant::now();
        let job = backend.broadcast(&paced);
        expect_done(backend.end_of(job.id), 30, 0);
        // Each shard may serve its first at once, and what a twentieth of a second brings ahead.
        let least = Duration::from_millis(800);
        assert!(start.elapsed() >= least, "30 at 30/s in {:?}", start.elapsed());
        assert_eq!(heard(&mut clients), 30);
    }
}

fn who_leaves_before_its_turn_is_dropped(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut clients = clients(&gateway, 20);
    let mut backend = gateway.backend();
    let job = crawl(&mut backend).id;
    backend.steer(JobAction::Pause, job);
    let already = heard(&mut clients);
    clients.clear();
    until("they are gone", || gateway.count("users") == 0);
    let newcomer = gateway.client("newcomer");
    backend.steer(JobAction::Resume, job);
    expect_done(backend.end_of(job), already, 20 - already);
    drop(newcomer);
}

fn what_is_left_at_its_time_to_live_is_dropped(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut clients = clients(&gateway, 100);
    let mut backend = gateway.backend();
    let brief = Broadcast { ttl: 1, users_per_second: 10, ..everybody(b"x") };
    let job = backend.broadcast(&brief);
    let end = backend.end_of(job.id);
    assert!(end.dropped > 0);
    expect_done(end, heard(&mut clients), end.dropped);
}

fn more_jobs_than_may_run_are_refused(io: Which) {
    let gateway = Gateway::start(io, &["broadcast.jobs_max=2"]);
    let _clients = clients(&gateway, 20);
    let mut backend = gateway.backend();
    let jobs = [crawl(&mut backend), crawl(&mut backend)];
    let id = backend.ask(|id, out| request::put_broadcast(id, &everybody(b"x"), out));
    assert_eq!(backend.peer.told(), Told::Error { id, code: 7 });
    backend.steer(JobAction::Cancel, jobs[0].id);
    backend.end_of(jobs[0].id);
    until("it is over", || gateway.count("broadcasts") == 1);
    crawl(&mut backend);
}

fn it_costs_what_its_recipients_cost(io: Which) {
    // One recipient a turn, so that turns count who was looked at.
    let gateway = Gateway::start(io, &[TWO, "broadcast.slice=1"]);
    let other = Hello { product: Some("other"), ..Hello::default() };
    let mut few: Vec<_> =
        (0..4).map(|n| with_hello(&gateway, &format!("user-{n}"), &other)).collect();
    let _many = clients(&gateway, 600);
    let mut backend = gateway.backend();
    let (turns, deliveries) = (gateway.count("turns"), gateway.count("broadcast_deliveries"));
    backend.broadcast(&Broadcast { product: "other", ..everybody(b"x") });
    for client in &mut few {
        assert_eq!(client.broadcast().0, 1);
    }
    until("it is over", || gateway.count("broadcasts") == 0);
    assert_eq!(gateway.count("broadcast_deliveries") - deliveries, 4);
    let turns = gateway.count("turns") - turns;
    assert!(turns < 200, "{turns} turns for 4 recipients");
}

fn a_job_is_named_as_none_of_an_earlier_life(io: Which) {
    let mut lives = Vec::new();
    for _ in 0..3 {
        let gateway = Gateway::start(io, &[]);
        let mut backend = gateway.backend();
        let job = backend.broadcast(&everybody(b"x"));
        lives.push((backend.welcome.incarnation, job.id));
    }
    let grows = |pair: &[(u32, u64)]| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1;
    assert!(lives.windows(2).all(grows), "{lives:?}");
}
