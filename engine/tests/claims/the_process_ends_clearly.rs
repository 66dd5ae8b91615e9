//! How the process ends says why: in order after a signal, with a message and an exit code when a
//! shard is lost.

use crate::support::backend::target;
use crate::support::client::hello;
use crate::support::process::Process;
use crate::support::{Client, Peer, Told, Which, until};
use holdfast_protocol::backend::request;
use holdfast_protocol::close::Code;
use rustix::process::Signal;
use std::process::Command;

on_both! {
    a_signal_leaves_in_order_and_reports,
    a_deaf_client_does_not_hold_the_end_up,
    a_second_signal_ends_at_once,
    a_panic_in_a_shard_ends_the_process,
    a_hangup_is_ignored_and_said,
    two_gateways_do_not_share_a_port,
    no_room_for_clients_is_no_start,
}

fn a_signal_leaves_in_order_and_reports(io: Which) {
    for signal in [Signal::TERM, Signal::INT] {
        let process = Process::serve(io, &[]);
        let mut clients: Vec<_> =
            (0..20).map(|n| Client::at(process.clients, &format!("user-{n}"))).collect();
        let mut backend = process.backend();
        process.signal(signal);
        for client in &mut clients {
            client.peer.expect_leaving();
        }
        assert_eq!(backend.peer.told(), Told::Drain);
        assert_eq!(backend.peer.told(), Told::Close { code: Code::GoingAway.number() });
        drop((clients, backend));
        let (status, said) = process.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains("closed=21 connections_cut_off=0"), "it reports: {said}");
    }
}

fn a_deaf_client_does_not_hold_the_end_up(io: Which) {
    let limits = ["client.outbox_bytes=1048576", "socket.send_buffer=16384", "drain.timeout=1s"];
    let process = Process::serve(io, &limits);
    let _deaf = Client::log_in(Peer::with_small_buffer(process.clients), &hello("deaf"));
    let mut backend = process.backend();
    for _ in 0..4 {
        backend.send_push(&[target("deaf", &vec![1; 64 << 10])]);
    }
    until("much waits for it", || process.backend().counters()["outbox"] > 100_000);
    // A backend that waits for an answer would be left over as well.
    drop(backend);
    until("the backend is gone", || process.backend().counters()["backends"] == 1);
    process.signal(Signal::TERM);
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("connections_cut_off=1"), "it reports what was left: {said}");
}

fn a_second_signal_ends_at_once(io: Which) {
    let process = Process::serve(io, &["drain.timeout=1h"]);
    let _client = Client::at(process.clients, "ann");
    // Both wait when it goes on, so the second is there before the first is carried out.
    for signal in [Signal::STOP, Signal::TERM, Signal::INT, Signal::CONT] {
        process.signal(signal);
    }
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(70), "{said}");
    assert!(said.contains("second signal"), "it says why: {said}");
}

fn a_hangup_is_ignored_and_said(io: Which) {
    let process = Process::serve(io, &[]);
    let mut client = Client::at(process.clients, "ann");
    process.signal(Signal::HUP);
    process.signal(Signal::TERM);
    client.peer.expect_leaving();
    drop(client);
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("SIGHUP is ignored"), "{said}");
}

fn two_gateways_do_not_share_a_port(io: Which) {
    let first = Process::serve(io, &[]);
    for (name, address) in [("client", first.clients), ("backend", first.backends)] {
        let (code, said) = Process::refused(io, &[&format!("{name}.listen={address}")], None);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    }
}

fn no_room_for_clients_is_no_start(io: Which) {
    // A soft limit is raised to the hard one.
    drop(Process::serve_with_limit(io, &["shards=1"], "-S -n 64"));
    let (code, said) = Process::refused(io, &["shards=1"], Some(64));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no client could connect"), "{said}");
}

/// Not a claim of its own: the process that [`a_panic_in_a_shard_ends_the_process`] starts.
#[test]
#[ignore = "it is started by another test"]
fn child_that_panics() {
    use holdfast::config::Config;
    use std::fmt::Write as _;
    use tracing::field::{Field, Visit};

    /// A log that prints to standard error and, on a certain line, panics: on the thread that says
    /// it.
    struct Fatal;

    #[derive(Default)]
    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let _ = write!(self.0, "{}={value:?} ", field.name());
        }
    }

    impl tracing::Subscriber for Fatal {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = Line::default();
            event.record(&mut line);
            eprintln!("{}", line.0);
            assert!(!line.0.contains("name=\"fatal\""), "planted");
        }

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    let Ok(settings) = std::env::var("HOLDFAST_TEST_SETTINGS") else { return };
    tracing::subscriber::set_global_default(Fatal).unwrap();
    let settings: Vec<_> = settings.split('\n').map(str::to_owned).collect();
    let code = holdfast::serve::serve(&Config::load(None, &settings).unwrap());
    panic!("it went on serving, and ended with {code:?}");
}

fn a_panic_in_a_shard_ends_the_process(io: Which) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_process_ends_clearly::child_that_panics"]);
    command.args(["--ignored", "--nocapture"]);
    let settings = crate::support::gateway::settings(io, &[]).join("\n");
    let process = Process::start(command.env("HOLDFAST_TEST_SETTINGS", settings));
    let mut client = Client::at(process.clients, "ann");
    let mut hello = Vec::new();
    request::put_hello("fatal", b"", &mut hello);
    Peer::connect(process.backends).send(&hello);
    // All of it ends, not only the shard: nobody is held by a gateway that limps.
    assert!(matches!(client.hear(), crate::support::Said::End | crate::support::Said::Reset));
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(70), "{said}");
    let told = said.lines().find(|line| line.contains("panicked")).unwrap_or_default();
    assert!(told.contains("shard-") && said.contains("planted"), "who and why: {said}");
}
