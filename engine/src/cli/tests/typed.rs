//! What may be typed, and how a mistake is met.

use super::command;
use crate::cli::args::{Class, IoBackend, JobAction, ServeArgs};
use crate::cli::{ClientCommand, Command, parse_from};
use clap::error::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

fn parsed(line: &str) -> Result<Command, clap::Error> {
    parse_from(line.split_whitespace())
}

fn mistake(line: &str) -> clap::Error {
    parsed(line).expect_err(line)
}

#[test]
fn without_a_command_it_serves() {
    assert_eq!(parsed("holdfast").unwrap(), Command::Serve(ServeArgs::default()));
    let line = "--config /etc/hf.toml --set a.b=1 -s c=x=y --io epoll --shards 4";
    let args = ServeArgs {
        config: Some(PathBuf::from("/etc/hf.toml")),
        set: vec!["a.b=1".to_owned(), "c=x=y".to_owned()],
        io: Some(IoBackend::Epoll),
        shards: Some(4),
    };
    for (line, wanted) in [
        (format!("holdfast {line}"), Command::Serve(args.clone())),
        (format!("holdfast serve {line}"), Command::Serve(args.clone())),
        (format!("holdfast config {line}"), Command::Config(args.clone())),
    ] {
        assert_eq!(parsed(&line).unwrap(), wanted, "{line}");
    }
    assert_eq!(args.sets(), ["a.b=1", "c=x=y", "io=epoll", "shards=4"]);
}

#[test]
fn the_settings_of_the_options_are_settings_that_exist() {
    let args = ServeArgs { io: Some(IoBackend::Uring), shards: Some(3), ..<_>::default() };
    let config = crate::config::Config::load(None, &args.sets()).unwrap();
    assert_eq!((config.io, config.shards), (crate::config::IoChoice::Uring, 3));
}

#[test]
fn a_push_has_its_options_in_any_place() {
    let words = ["push", "chat", "--ttl", "2h", "alice", "hi there", "--class", "durable"];
    let ClientCommand::Push(args) = command(&words) else { panic!("not a push") };
    assert_eq!((args.product.as_str(), args.user.as_str()), ("chat", "alice"));
    assert_eq!(
        (args.text.as_str(), args.care.ttl, args.care.class()),
        ("hi there", Some(7200), Class::Durable)
    );
}

#[test]
fn a_broadcast_takes_rates_with_multiples() {
    let words =
        "broadcast news hi --tag sport --users-per-second 50k --bits-per-second 2M --no-wait";
    let words: Vec<_> = words.split(' ').collect();
    let ClientCommand::Broadcast(args) = command(&words) else { panic!("not a broadcast") };
    assert_eq!((args.users_per_second, args.bits_per_second), (50_000, 2_000_000));
    assert!(args.no_wait && args.tag == "sport");
}

#[test]
fn a_job_is_steered_by_its_number() {
    let ClientCommand::Job(args) = command(&["job", "pause", "7"]) else { panic!("not a job") };
    assert!(matches!(args.action, JobAction::Pause(one) if one.job == 7));
}

#[test]
fn the_connection_has_its_defaults_and_takes_several_addresses() {
    let ClientCommand::Status(args) = command(&["status"]) else { panic!("not a status") };
    assert_eq!(args.api.api, ["127.0.0.1:7600"]);
    assert_eq!((args.api.timeout, args.api.name.as_str()), (Duration::from_secs(5), "cli"));
    let words = ["status", "--api", "gw1,[::1]:9", "--timeout", "250ms", "--json"];
    let ClientCommand::Status(args) = command(&words) else { panic!("not a status") };
    assert_eq!(args.api.api, ["gw1", "[::1]:9"]);
    assert!(args.api.timeout == Duration::from_millis(250) && args.api.json);
}

#[test]
fn mistakes_end_with_2_and_say_what_is_right() {
    for (line, wanted) in [
        ("holdfast pusj chat alice hi", "push"),
        ("holdfast push chat alice", "<TEXT>"),
        ("holdfast push chat alice hi --class firm", "durable"),
        ("holdfast push chat alice hi --ttl soon", "such as 90s"),
        ("holdfast broadcast news hi --users-per-second many", "such as 5000, 50k"),
        ("holdfast broadcast news hi --users-per-second 5G", "4294967295"),
        ("holdfast online chat", "<USER>"),
        ("holdfast job", "watch"),
        ("holdfast job cancel seven", "JOB"),
        ("holdfast status --timeout 0", "500ms"),
        ("holdfast --set verbose", "KEY=VALUE"),
        ("holdfast --shards 0", "1..=1024"),
        ("holdfast --io aio", "epoll"),
        ("holdfast push chat alice hi --class online --ttl 5s", "--durable"),
        ("holdfast push chat alice hi --class online --durable", "cannot be used with"),
        ("holdfast push chat alice hi --idempotency-key k", "--durable"),
        ("holdfast push chat alice hi --receipt 5s", "--durable"),
        ("holdfast push chat alice hi --durable --receipt", "<TIME>"),
        ("holdfast mailbox show chat", "<USER>"),
        ("holdfast mailbox purg chat alice", "purge"),
        ("holdfast store check", "<DIRECTORY>"),
        ("holdfast store salvage here", "<TO>"),
    ] {
        let error = match parsed(line) {
            Err(error) => error,
            Ok(command) => panic!("{line}: {command:?}"),
        };
        assert_eq!(error.exit_code(), 2, "{line}");
        let text = error.render().to_string();
        assert!(text.contains(wanted), "{line}: {text}");
    }
    for line in [&["push", "a", "b", ""][..], &["broadcast", "a", ""]] {
        let error = parse_from([&["holdfast"], line].concat()).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line:?}");
        let text = error.render().to_string();
        assert!(text.starts_with("error: the text is empty"), "{text}");
        assert!(text.contains(&format!("Usage: holdfast {} ", line[0])), "{text}");
    }
}

#[test]
fn help_and_version_are_no_mistakes() {
    let help = mistake("holdfast --help");
    assert_eq!((help.kind(), help.exit_code()), (ErrorKind::DisplayHelp, 0));
    let text = help.render().to_string();
    for wanted in [
        "serve",
        "config",
        "store",
        "push",
        "broadcast",
        "job",
        "online",
        "kick",
        "mailbox",
        "status",
    ] {
        assert!(text.contains(&format!("\n  {wanted}")), "{wanted} is not in\n{text}");
    }
    assert!(text.contains("130  interrupted"), "{text}");
    assert_eq!(mistake("holdfast --version").exit_code(), 0);
}

#[test]
fn the_help_lists_every_exit_code_and_no_other() {
    use crate::cli::exit::{Exit, HELP};
    use crate::serve::{EXIT_FAILED, EXIT_NOT_STARTED};
    let mut listed: Vec<u8> = HELP
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    let mut used: Vec<u8> = Exit::ALL.iter().map(|exit| *exit as u8).collect();
    used.extend([EXIT_FAILED, EXIT_NOT_STARTED]);
    for codes in [&mut listed, &mut used] {
        codes.sort_unstable();
        codes.dedup();
    }
    assert_eq!(listed, used, "{HELP}");
}

#[test]
fn the_help_does_not_show_the_key() {
    let text = mistake("holdfast push --help").render().to_string();
    assert!(text.contains("HOLDFAST_API_KEY") && !text.contains("HOLDFAST_API_KEY="), "{text}");
}
