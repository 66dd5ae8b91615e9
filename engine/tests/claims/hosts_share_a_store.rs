//! Two hosts with one store: what one of them knows of a user, and what it began, is known to the
//! other; and who comes while the store is away is treated by what is known once it is back.

use crate::support::backend::{durable, kept};
use crate::support::{Backend, Client, Gateway, Hello, Store, Told, Which, until};
use holdfast_protocol::backend::answer::{DropReason, ErrorCode};
use holdfast_protocol::backend::request::{self, Broadcast, JobAction, MailboxAction};
use holdfast_protocol::backend::{JobState, Outcome, Target};
use holdfast_protocol::client::from_client::Resume;
use rustix::process::Signal;

on_both! {
    a_quarantine_outlives_the_mailbox_in_memory,
    logins_count_over_both_hosts,
    an_operator_releases_it_for_both,
    a_durable_broadcast_of_one_host_reaches_who_logs_in_at_the_other,
    who_comes_while_the_store_is_away_gets_no_sequence_and_no_broadcast_twice,
    an_acknowledgement_at_a_login_without_the_store_counts,
    an_acknowledgement_without_the_store_counts_when_its_client_has_gone,
    the_end_of_a_message_is_told_after_a_restart,
    what_came_at_one_host_is_not_acknowledged_away_unread_at_another,
    a_broadcast_that_was_had_at_another_host_comes_to_no_lingering_session,
    a_broadcast_whose_end_is_not_safe_is_not_said_to_have_ended,
    a_message_whose_body_is_gone_is_said_to_be_lost,
}

/// Longer than a busy machine takes; how long it takes to see that the store is away.
const QUICK: [&str; 2] = ["redis.timeout=3s", "client.linger=0"];
const FEW_ROUNDS: [&str; 2] = ["client.linger=0", "mailbox.redelivery_rounds=2"];

/// A gateway that is the host of this number.
fn host(store: &Store, io: Which, number: u8, changes: &[&str]) -> Gateway {
    let number = format!("host={number}");
    let all: Vec<&str> = changes.iter().copied().chain([number.as_str()]).collect();
    store.gateway(io, &all)
}

/// The user has gone, and the host needs its mailbox no more.
fn gone(gateway: &Gateway, user: &str) {
    let mut backend = gateway.backend();
    until("the user is gone", || backend.online(&[user]) == [0]);
    until("its mailbox is let go", || gateway.count("mailboxes") == 0);
}

fn a_quarantine_outlives_the_mailbox_in_memory(io: Which) {
    let store = Store::redis();
    let gateway = host(&store, io, 1, &FEW_ROUNDS);
    let poison = gateway.backend().keep("ann", b"poison");
    assert_eq!(gateway.client("ann").durable().1, b"poison");
    for _ in 0..2 {
        gone(&gateway, "ann");
        assert_eq!(gateway.client("ann").durable_again().1, b"poison");
    }
    gone(&gateway, "ann");
    gateway.client("ann").hears_nothing_else();
    gone(&gateway, "ann");
    let mut backend = gateway.backend();
    assert!(backend.mailbox("ann", MailboxAction::Show).quarantined);
    // What comes meanwhile waits with it, until an acknowledgement of what was sent.
    let next = backend.keep("ann", b"next");
    let mut ann = gateway.client("ann");
    ann.hears_nothing_else();
    ann.ack(poison);
    assert_eq!(ann.fresh(), (next, b"next".to_vec()));
    drop(ann);
    gone(&gateway, "ann");
    assert!(!backend.mailbox("ann", MailboxAction::Show).quarantined);
}

fn logins_count_over_both_hosts(io: Which) {
    let store = Store::redis();
    let (one, other) = (host(&store, io, 1, &FEW_ROUNDS), host(&store, io, 2, &FEW_ROUNDS));
    one.backend().keep("ann", b"poison");
    assert_eq!(one.client("ann").durable().1, b"poison");
    for gateway in [&other, &one] {
        gone(&one, "ann");
        gone(&other, "ann");
        assert_eq!(gateway.client("ann").durable_again().1, b"poison");
    }
    gone(&one, "ann");
    other.client("ann").hears_nothing_else();
    gone(&other, "ann");
    assert!(one.backend().mailbox("ann", MailboxAction::Show).quarantined);
}

fn an_operator_releases_it_for_both(io: Which) {
    let store = Store::redis();
    let changes = ["client.linger=0", "mailbox.redelivery_rounds=1"];
    let (one, other) = (host(&store, io, 1, &changes), host(&store, io, 2, &changes));
    one.backend().keep("ann", b"poison");
    assert_eq!(one.client("ann").durable().1, b"poison");
    gone(&one, "ann");
    assert_eq!(one.client("ann").durable_again().1, b"poison");
    gone(&one, "ann");
    one.client("ann").hears_nothing_else();
    gone(&one, "ann");
    let writes = other.count("store_writes");
    assert!(!other.backend().mailbox("ann", MailboxAction::Release).quarantined);
    until("the store knows", || other.count("store_writes") > writes);
    assert_eq!(one.client("ann").durable_again().1, b"poison");
}

/// Waits until newcomers at a gateway get a broadcast, or do not any more.
fn until_newcomers(gateway: &Gateway, get_it: bool) {
    let mut users = 0;
    until("newcomers are served so", || {
        users += 1;
        let mut client = gateway.client(&format!("new-{get_it}-{users}"));
        client.rest().is_empty() != get_it
    });
}

fn a_durable_broadcast_of_one_host_reaches_who_logs_in_at_the_other(io: Which) {
    let store = Store::redis();
    let changes = ["client.linger=0"];
    let (one, other) = (host(&store, io, 1, &changes), host(&store, io, 2, &changes));
    let mut backend = one.backend();
    let mut ann = one.client("ann");
    // Who is at the other host when it begins gets it with the next login.
    let mut bob = other.client("bob");
    let job = backend.broadcast(&kept(b"news"));
    assert_eq!(ann.notice(), (job.sequence, b"news".to_vec()));
    backend.end_of(job.id);
    until_newcomers(&other, true);
    bob.hears_nothing_else();
    drop(bob);
    assert_eq!(other.client("bob").notice(), (job.sequence, b"news".to_vec()));
    // Who had it is not given it again, wherever.
    drop(ann);
    gone(&one, "ann");
    other.client("ann").hears_nothing_else();
    gone(&other, "bob");
    one.client("bob").hears_nothing_else();
    assert_eq!(backend.steer(JobAction::Cancel, job.id).state, JobState::Cancelled);
    until_newcomers(&other, false);
}

/// A store that does not answer from now on, of which the gateway knows.
fn stop(store: &Store, backend: &mut Backend) {
    store.server().signal(Signal::STOP);
    until("it is known that the store is away", || {
        matches!(backend.push(&[durable("nobody", b"x")])[0], Outcome::Busy(_))
    });
}

/// The store answers again, and the mailbox of this user was opened.
fn go_on(store: &Store, backend: &mut Backend, user: &str) -> u64 {
    store.server().signal(Signal::CONT);
    let mut sequence = 0;
    until("the user can be sent durable messages again", || {
        match backend.push(&[durable(user, b"afterwards")])[0] {
            Outcome::Stored(stored) | Outcome::Acked(stored) => sequence = stored,
            _ => return false,
        }
        true
    });
    sequence
}

fn who_comes_while_the_store_is_away_gets_no_sequence_and_no_broadcast_twice(io: Which) {
    let store = Store::redis();
    // The second host's sequences lie behind the first one's.
    let (one, other) = (host(&store, io, 1, &QUICK), host(&store, io, 2, &QUICK));
    let mut given = Vec::new();
    let mut ann = other.client("ann");
    let job = other.backend().broadcast(&kept(b"news"));
    assert_eq!(ann.notice().0, job.sequence);
    for body in [b"one", b"two"] {
        assert!(matches!(other.backend().push_one("ann", body), Outcome::Delivered(_)));
        given.push(ann.push().0);
    }
    let first = other.backend().keep("ann", b"durable");
    assert_eq!(ann.durable().0, first);
    given.push(first);
    until("it is known who had the news", || other.count("store_waiting") == 0);
    drop(ann);
    gone(&other, "ann");
    until_newcomers(&one, true);

    let mut backend = one.backend();
    stop(&store, &mut backend);
    let mut ann = one.client("ann");
    ann.hears_nothing_else();
    for body in [b"three", b"fours"] {
        assert!(matches!(backend.push_one("ann", body), Outcome::Delivered(_)));
        let (sequence, heard) = ann.push();
        assert_eq!(heard, body);
        assert!(!given.contains(&sequence), "{sequence} was given before: {given:?}");
        given.push(sequence);
    }
    let newest = go_on(&store, &mut backend, "ann");
    assert!(given.iter().all(|sequence| newest > *sequence), "{newest} is behind {given:?}");
    // What waited comes first, and the news not at all: ann has had them.
    assert_eq!(ann.durable_again(), (first, b"durable".to_vec()));
    loop {
        let (sequence, body) = ann.durable();
        assert_eq!(body, b"afterwards");
        if sequence == newest {
            break;
        }
    }
    ann.hears_nothing_else();
    assert!(matches!(backend.push_one("ann", b"online"), Outcome::Delivered(_)));
    assert!(ann.push().0 > newest, "the sequence goes on where it stands");
    // Who has not had the news gets them when that is known.
    stop(&store, &mut backend);
    let mut bob = one.client("bob");
    bob.hears_nothing_else();
    store.server().signal(Signal::CONT);
    assert_eq!(bob.notice(), (job.sequence, b"news".to_vec()));
}

fn an_acknowledgement_at_a_login_without_the_store_counts(io: Which) {
    let store = Store::redis();
    let gateway = host(&store, io, 1, &QUICK);
    let mut backend = gateway.backend();
    let dealt_with = backend.keep("ann", b"dealt with");
    let waits = backend.keep("ann", b"waits");
    let ann = gateway.client("ann");
    let resume = Resume { session: ann.welcome.session, sequence: dealt_with, broadcast: 0 };
    drop(ann);
    gone(&gateway, "ann");
    stop(&store, &mut backend);
    let hello = Hello { resume: Some(resume), ..Hello::default() }.bytes("ann");
    let mut ann = Client::log_in(gateway.stranger(), &hello);
    ann.hears_nothing_else();
    store.server().signal(Signal::CONT);
    assert_eq!(ann.durable_again(), (waits, b"waits".to_vec()));
}

fn an_acknowledgement_without_the_store_counts_when_its_client_has_gone(io: Which) {
    let store = Store::redis();
    let gateway = host(&store, io, 1, &QUICK);
    let mut backend = gateway.backend();
    let sequences = [b"one", b"two"].map(|body| backend.keep("ann", body));
    let ann = gateway.client("ann");
    let session = ann.welcome.session;
    drop(ann);
    gone(&gateway, "ann");
    stop(&store, &mut backend);
    let resume = Resume { session, sequence: sequences[1], broadcast: 0 };
    let hello = Hello { resume: Some(resume), ..Hello::default() }.bytes("ann");
    drop(Client::log_in(gateway.stranger(), &hello));
    gone(&gateway, "ann");
    store.server().signal(Signal::CONT);
    until("both are acknowledged", || gateway.count("durable_acked") == 2);
}

fn the_end_of_a_message_is_told_after_a_restart(io: Which) {
    let store = Store::redis();
    let gateway = host(&store, io, 1, &[]);
    // Longer than the first gateway takes to end.
    let brief = Target { ttl: 3, receipt: true, ..durable("ann", b"brief") };
    let outcome = gateway.backend().push(&[brief])[0];
    let Outcome::Stored(sequence) = outcome else { panic!("not kept: {outcome:?}") };
    drop(gateway);
    let gateway = host(&store, io, 1, &[]);
    let mut backend = gateway.backend();
    assert_eq!(backend.receipt(), ("ann".to_owned(), sequence, Outcome::Expired));
    assert_eq!(backend.mailbox("ann", MailboxAction::Show).messages, 0);
}

/// The user's connection has ended; its session, and with it the mailbox, is still there.
fn lingers(gateway: &Gateway, user: &str) {
    let mut backend = gateway.backend();
    until("the user has gone", || backend.online(&[user]) == [0]);
    assert_eq!(gateway.count("mailboxes"), 1, "the host keeps the mailbox");
}

fn what_came_at_one_host_is_not_acknowledged_away_unread_at_another(io: Which) {
    let store = Store::redis();
    // The second host's sequences lie behind the first one's.
    let (one, other) = (host(&store, io, 1, &[]), host(&store, io, 2, &[]));
    let mut backend = other.backend();
    drop(other.client("ann"));
    lingers(&other, "ann");
    // She is elsewhere for a moment, too short to deal with what comes there.
    let mut ann = one.client("ann");
    let unread = one.backend().keep("ann", b"unread");
    assert_eq!(ann.fresh(), (unread, b"unread".to_vec()));
    drop(ann);
    lingers(&one, "ann");
    let mut ann = other.client("ann");
    let next = backend.keep("ann", b"next");
    assert!(next > unread, "{next} is behind {unread}");
    assert_eq!(ann.durable_again(), (unread, b"unread".to_vec()));
    assert_eq!(ann.fresh(), (next, b"next".to_vec()));
    ann.ack(next);
    until("all is acknowledged", || backend.mailbox("ann", MailboxAction::Show).messages == 0);
    // Nor does what was acknowledged there come again here.
    let newest = backend.keep("ann", b"newest");
    drop(ann);
    lingers(&other, "ann");
    let mut ann = one.client("ann");
    assert_eq!(ann.durable_again(), (newest, b"newest".to_vec()));
    ann.hears_nothing_else();
    assert_eq!(one.count("store_unreadable"), 0);
}

fn a_broadcast_that_was_had_at_another_host_comes_to_no_lingering_session(io: Which) {
    let store = Store::redis();
    let (one, other) = (host(&store, io, 1, &[]), host(&store, io, 2, &[]));
    let mut backend = other.backend();
    drop(other.client("ann"));
    lingers(&other, "ann");
    let job = backend.broadcast(&kept(b"news"));
    until_newcomers(&one, true);
    let mut ann = one.client("ann");
    assert_eq!(ann.notice(), (job.sequence, b"news".to_vec()));
    ann.hears_nothing_else();
    // The store has this behind who had the news.
    let marker = one.backend().keep("ann", b"marker");
    assert_eq!(ann.fresh(), (marker, b"marker".to_vec()));
    drop(ann);
    let mut ann = other.client("ann");
    assert_eq!(ann.durable_again(), (marker, b"marker".to_vec()));
    ann.hears_nothing_else();
}

fn a_broadcast_whose_end_is_not_safe_is_not_said_to_have_ended(io: Which) {
    let store = Store::cluster();
    // What is asked at once goes to the store at once. The second product is the other server's.
    let changes = ["shards=1", "products=[\"demo\",\"chat\"]", QUICK[0]];
    let gateway = host(&store, io, 1, &changes);
    let mut backend = gateway.backend();
    let elsewhere = Broadcast { product: "chat", ..kept(b"chat") };
    let job = backend.broadcast(&elsewhere);
    let Store::Cluster([_, server]) = &store else { panic!("not a cluster") };
    server.signal(Signal::STOP);
    let (mut bytes, news) = (Vec::new(), kept(b"news"));
    request::put_broadcast(100, &news, &mut bytes);
    request::put_job(101, JobAction::Cancel, job.id, &mut bytes);
    backend.peer.send(&bytes);
    let mut told = [backend.peer.told(), backend.peer.told()];
    told.sort_by_key(|told| matches!(told, Told::Error { .. }));
    assert!(matches!(&told[0], Told::Job(100, _)), "{told:?}");
    let busy = u16::from(ErrorCode::StoreBusy.number());
    assert_eq!(told[1], Told::Error { id: 101, code: busy });
    server.signal(Signal::CONT);
    // Who asks again hears when it is safe.
    let mut id = 101;
    until("it has ended", || {
        id += 1;
        bytes.clear();
        request::put_job(id, JobAction::Cancel, job.id, &mut bytes);
        backend.peer.send(&bytes);
        match backend.peer.told() {
            Told::Job(_, job) => job.state == JobState::Cancelled,
            Told::Error { code, .. } => {
                assert_eq!(code, busy);
                false
            }
            other => panic!("not an answer: {other:?}"),
        }
    });
}

fn a_message_whose_body_is_gone_is_said_to_be_lost(io: Which) {
    let store = Store::redis();
    let gateway = host(&store, io, 1, &["client.linger=0"]);
    let mut backend = gateway.backend();
    let target = |body| Target { receipt: true, ..durable("ann", body) };
    let [lost, there] = [b"lost", b"here"].map(|body| match backend.push(&[target(body)])[0] {
        Outcome::Stored(sequence) => sequence,
        other => panic!("{other:?}"),
    });
    // A server that makes room by itself may do so.
    let bodies = store.server().ask("KEYS *:b:demo/ann");
    let bodies = bodies.lines().last().unwrap();
    assert_eq!(store.server().ask(&format!("HDEL {bodies} {lost}")), ":1\r\n");
    let mut ann = gateway.client("ann");
    assert_eq!(ann.durable(), (there, b"here".to_vec()));
    let unreadable = Outcome::Dropped(DropReason::Unreadable);
    assert_eq!(backend.receipt(), ("ann".to_owned(), lost, unreadable));
    ann.ack(there);
    assert_eq!(backend.receipt(), ("ann".to_owned(), there, Outcome::Acked(there)));
    assert_eq!(gateway.count("store_unreadable"), 1);
    drop(ann);
    gone(&gateway, "ann");
}
