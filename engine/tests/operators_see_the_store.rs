//! What an operator sees of the store, with the program alone: what waits, how full it is, whether
//! it works, whether its files are sound; and what a start and an end say of it.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Only for a test that fails: something that should come and does not.
const PATIENCE: Duration = Duration::from_secs(30);

const PROGRAM: &str = env!("CARGO_BIN_EXE_holdfast");

/// It is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It fails where it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A gateway in a process of its own, which ends with this.
struct Gateway {
    child: Running,
    rest: BufReader<ChildStderr>,
    /// What it said until it was ready.
    said: String,
    api: String,
    admin: String,
}

/// The arguments of a gateway with its store in this directory.
fn arguments(directory: &Path) -> Vec<String> {
    let directory = format!("store.directory={}", directory.display());
    let sets = [
        "client.listen=[\"127.0.0.1:0\"]",
        "backend.listen=[\"127.0.0.1:0\"]",
        "admin.listen=127.0.0.1:0",
        "shards=2",
        "pin=off",
        "client.connections_max=1024",
        "store.segment_bytes=1 MiB",
        &directory,
    ];
    let sets = sets.into_iter().flat_map(|set| ["--set".to_owned(), set.to_owned()]);
    std::iter::once("serve".to_owned()).chain(sets).collect()
}

/// The address behind `name=`, in brackets or not.
fn address(line: &str, name: &str) -> String {
    let rest = line.split_once(&format!("{name}=")).unwrap().1.trim_start_matches('[');
    rest.split([' ', ']', ',']).next().unwrap().to_owned()
}

impl Gateway {
    fn serve(directory: &Path) -> Self {
        Self::start(Command::new(PROGRAM).args(arguments(directory)))
    }

    #[track_caller]
    fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Running(command.spawn().unwrap());
        let mut rest = BufReader::new(child.0.stderr.take().unwrap());
        let mut said = String::new();
        loop {
            let start = said.len();
            let length = rest.read_line(&mut said).unwrap();
            assert!(length > 0, "it was never ready:\n{said}");
            let line = &said[start..];
            if line.contains("clients=[") {
                let (api, admin) = (address(line, "backends"), address(line, "admin"));
                return Self { child, rest, said, api, admin };
            }
        }
    }

    /// An operator's command, its exit code and what it said.
    fn run(&self, words: &[&str]) -> (i32, String) {
        run(&[words, &["--api", &self.api]].concat())
    }

    /// The answer of a command in JSON.
    #[track_caller]
    fn ask(&self, words: &[&str]) -> Value {
        let (_, said) = self.run(&[words, &["--json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// The code and the body of a page of the admin port.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Ends it in order; all that it said.
    fn end(mut self) -> String {
        kill_process(Pid::from_child(&self.child.0), Signal::TERM).unwrap();
        let mut said = std::mem::take(&mut self.said);
        self.rest.read_to_string(&mut said).unwrap();
        assert_eq!(self.child.0.wait().unwrap().code(), Some(0), "{said}");
        said
    }
}

/// A command, its exit code, and what it said on both ways out.
fn run(words: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = Command::new(PROGRAM).args(words).output().unwrap();
    let said = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "this never came: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The files of the segments of a store, oldest first.
fn segments(directory: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some()).collect();
    paths.sort();
    paths
}

#[test]
fn what_waits_is_seen_and_told_at_the_end_and_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::serve(directory.path());
    let stored = gateway.ask(&["push", "demo", "ann", "hello", "--durable"]);
    assert_eq!(stored["outcome"], "stored");
    let shown = gateway.ask(&["mailbox", "show", "demo", "ann"]);
    assert_eq!((&shown["messages"], &shown["first"]), (&1.into(), &stored["sequence"]));
    let said = gateway.end();
    assert!(said.contains("messages_waiting=1"), "{said}");

    let gateway = Gateway::serve(directory.path());
    let opened = gateway.said.lines().find(|line| line.contains("the store is open")).unwrap();
    let path = directory.path().display().to_string();
    assert!(opened.contains(&path) && opened.contains("messages=1"), "{opened}");
    let (code, said) = gateway.run(&["mailbox", "purge", "demo", "ann"]);
    assert_eq!((code, said.as_str()), (0, "1 message for ann given up (5 B)\n"));
    assert_eq!(gateway.run(&["mailbox", "purge", "demo", "ann"]).0, 1);
    let said = gateway.end();
    assert!(said.contains("messages_waiting=0"), "{said}");
}

#[test]
fn metrics_and_status_show_the_store_and_its_mailboxes() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::serve(directory.path());
    for user in ["ann", "bob"] {
        assert_eq!(gateway.run(&["push", "demo", user, "hello", "--durable"]).0, 0);
    }
    let (_, metrics) = gateway.get("/metrics");
    let line = |line: &str| metrics.lines().any(|each| each == line);
    assert!(line("holdfast_store_appended_total 2"), "{metrics}");
    assert!(line("holdfast_store_full 0") && line("holdfast_store_down 0"), "{metrics}");
    for name in ["store_disk_bytes", "store_sync_seconds_total", "store_sync_longest_seconds"] {
        assert!(metrics.contains(&format!("\nholdfast_{name} ")), "{name} is not in {metrics}");
    }
    until("both wait", || {
        let counters = &gateway.ask(&["status"])["counters"];
        assert_eq!(counters["store_appended"], 2);
        (&counters["mailboxes"], &counters["mailbox_messages"]) == (&2.into(), &2.into())
    });
    let (_, status) = gateway.run(&["status"]);
    assert!(status.contains("\nstore now\n") && status.contains("store disk"), "{status}");
}

/// A `redis-server` that ends with this.
struct Server {
    child: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The listener goes at once, so that the server can have its port.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = std::env::var("HOLDFAST_REDIS_SERVER");
        let mut command = Command::new(program.as_deref().unwrap_or("redis-server"));
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]);
        command.arg("--dir").arg(directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("install the package redis-server");
        let server = Self { child, port, _directory: directory };
        until("it answers", || server.answers());
        server
    }

    /// Whether it answers; that something listens there says less.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").unwrap();
        stream.read_exact(&mut answer).is_ok() && answer == *b"+PONG"
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn metrics_and_status_show_a_store_in_redis() {
    let (directory, server) = (tempfile::tempdir().unwrap(), Server::start());
    let mut arguments = arguments(directory.path());
    let address = format!("redis.addresses=[\"127.0.0.1:{}\"]", server.port);
    for set in ["store.kind=redis", "redis.timeout=1", &address] {
        arguments.extend(["--set".to_owned(), set.to_owned()]);
    }
    let gateway = Gateway::start(Command::new(PROGRAM).args(arguments));
    assert_eq!(gateway.run(&["push", "demo", "ann", "hello", "--durable"]).0, 0);
    let metrics = gateway.get("/metrics").1;
    let line = |metrics: &str, line: &str| metrics.lines().any(|each| each == line);
    for sure in ["appended_total 1", "servers_away 0", "down 0", "full 0", "in_flight 0"] {
        assert!(line(&metrics, &format!("holdfast_store_{sure}")), "{sure} is not in {metrics}");
    }
    for name in ["write_seconds_total", "write_longest_seconds", "waits_failed_total", "owed"] {
        assert!(metrics.contains(&format!("\nholdfast_store_{name} ")), "{name}: {metrics}");
    }
    let counters = &gateway.ask(&["status"])["counters"];
    assert_eq!((&counters["store_appended"], &counters["store_errors"]), (&1.into(), &0.into()));
    assert!(counters["store_commands"].as_u64() > Some(0), "{counters}");
    let (_, status) = gateway.run(&["status"]);
    assert!(!status.contains("\nother\n  store"), "{status}");

    server.signal(Signal::STOP);
    until("it is not ready", || gateway.get("/readyz").0 == 503);
    until("it is said why", || gateway.get("/readyz").1 == "store: its servers do not serve\n");
    let metrics = gateway.get("/metrics").1;
    for sure in ["down 1", "servers_away 1", "servers_lost_total 1", "outages_total 1"] {
        assert!(line(&metrics, &format!("holdfast_store_{sure}")), "{sure} is not in {metrics}");
    }
    server.signal(Signal::CONT);
    until("it is ready again", || gateway.get("/readyz").0 == 200);
    let counters = &gateway.ask(&["status"])["counters"];
    assert!(counters["store_connections_lost"].as_u64() > Some(0), "{counters}");
    gateway.end();
}

#[test]
fn a_store_in_memory_or_none_is_said_at_the_start() {
    for (kind, words) in [("memory", "lost when this process ends"), ("none", "are refused")] {
        let directory = tempfile::tempdir().unwrap();
        let mut arguments = arguments(directory.path());
        arguments.extend(["--set".to_owned(), format!("store.kind={kind}")]);
        let gateway = Gateway::start(Command::new(PROGRAM).args(arguments));
        assert!(gateway.said.contains(words), "{}", gateway.said);
        assert_eq!(gateway.get("/readyz"), (200, "ready\n".to_owned()));
        if kind == "memory" {
            assert_eq!(gateway.run(&["push", "demo", "ann", "hello", "--durable"]).0, 0);
            let said = gateway.end();
            assert!(said.contains("lost: they were in memory") && said.contains("=1"), "{said}");
        }
    }
}

#[test]
fn files_are_not_looked_at_while_a_gateway_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let gateway = Gateway::serve(directory.path());
    let new = directory.path().join("new");
    for words in [&["store", "check", path][..], &["store", "salvage", path, new.to_str().unwrap()]]
    {
        let (code, said) = run(words);
        assert_eq!(code, 9, "{said}");
        assert!(said.contains("another process has this store open"), "{said}");
    }
    gateway.end();
    let (code, said) = run(&["store", "check", path]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("sound: ") && said.contains("kept back for a full disk"), "{said}");
    let empty = tempfile::tempdir().unwrap();
    for nothing in [empty.path().to_str().unwrap(), "/nowhere"] {
        let (code, said) = run(&["store", "check", nothing]);
        assert_eq!(code, 9, "{said}");
        assert!(said.contains("`store.directory`"), "{said}");
    }
}

#[test]
fn a_torn_end_is_told_and_the_next_start_cuts_it_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let gateway = Gateway::serve(directory.path());
    assert_eq!(gateway.run(&["push", "demo", "ann", "hello", "--durable"]).0, 0);
    gateway.end();
    let last = segments(directory.path()).pop().unwrap();
    OpenOptions::new().append(true).open(&last).unwrap().write_all(&[7; 100]).unwrap();
    let (code, said) = run(&["store", "check", path]);
    assert_eq!(code, 7, "{said}");
    let (code, said) = run(&["store", "check", path, "--json"]);
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["state"]), (7, &"torn".into()));
    let gateway = Gateway::serve(directory.path());
    let shown = gateway.ask(&["mailbox", "show", "demo", "ann"]);
    assert_eq!(shown["messages"], 1);
    gateway.end();
    assert_eq!(run(&["store", "check", path]).0, 0);
}

#[test]
fn a_damaged_store_is_refused_checked_and_salvaged() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    let (from, to) = (old.to_str().unwrap(), new.to_str().unwrap());
    let gateway = Gateway::serve(&old);
    for body in ["first", "second", "third"] {
        assert_eq!(gateway.run(&["push", "demo", "ann", body, "--durable"]).0, 0);
    }
    gateway.end();
    let file = segments(&old).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let place = bytes.windows(6).position(|at| at == b"second").unwrap();
    bytes[place] ^= 1;
    fs::write(&file, bytes).unwrap();

    let refused = Command::new(PROGRAM).args(arguments(&old)).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("holdfast store salvage {from} NEW")), "{said}");
    let (code, said) = run(&["store", "check", from]);
    assert_eq!(code, 8, "{said}");
    assert!(said.contains("DAMAGED at offset") && said.contains("store salvage"), "{said}");
    let (code, said) = run(&["store", "salvage", from, to, "--json"]);
    let done: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, done["losses"].as_array().unwrap().len()), (0, 1), "{said}");
    assert_eq!(done["losses"][0]["reads"][0]["user"], "ann");
    let (code, said) = run(&["store", "salvage", from, to]);
    assert_eq!(code, 9, "it does not overwrite: {said}");
    let third = old.with_file_name("third");
    let (_, said) = run(&["store", "salvage", from, third.to_str().unwrap()]);
    assert!(said.contains("; reads as message 2 of demo/ann, which no sum vouches for"), "{said}");
    for (directory, what) in [(from, "it must be another one"), ("/dev/null/new", "/dev/null/new")]
    {
        let (code, said) = run(&["store", "salvage", from, directory]);
        assert!(code == 9 && said.contains(what), "{code}: {said}");
    }
    assert_eq!(run(&["store", "check", to]).0, 0);
    let gateway = Gateway::serve(&new);
    assert_eq!(gateway.ask(&["mailbox", "show", "demo", "ann"])["messages"], 2);
    gateway.end();
}

#[test]
fn a_damaged_header_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::serve(directory.path());
    assert_eq!(gateway.run(&["push", "demo", "ann", "hello", "--durable"]).0, 0);
    gateway.end();
    let file = segments(directory.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[12] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (code, said) = run(&["store", "check", directory.path().to_str().unwrap()]);
    assert_eq!(code, 8, "{said}");
    assert_eq!(said.matches("DAMAGED").count(), 1, "{said}");
}

#[test]
fn a_gateway_that_was_killed_leaves_a_sound_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let gateway = Gateway::serve(directory.path());
    // Enough that segments are written over files of older ones, and one is prepared.
    let body = "x".repeat(50_000);
    for _ in 0..4 {
        for _ in 0..14 {
            assert_eq!(gateway.run(&["push", "demo", "ann", &body, "--durable"]).0, 0);
        }
        assert_eq!(gateway.run(&["mailbox", "purge", "demo", "ann"]).0, 0);
    }
    for _ in 0..14 {
        assert_eq!(gateway.run(&["push", "demo", "ann", "short", "--durable"]).0, 0);
    }
    drop(gateway);
    let (code, said) = run(&["store", "check", path]);
    assert_eq!(code, 0, "{said}");
    let new = directory.path().join("new");
    let (code, said) = run(&["store", "salvage", path, new.to_str().unwrap()]);
    assert!(code == 0 && !said.contains("lost"), "{code}: {said}");
    let gateway = Gateway::serve(directory.path());
    assert!(!gateway.said.contains("torn"), "{}", gateway.said);
    assert_eq!(gateway.ask(&["mailbox", "show", "demo", "ann"])["messages"], 14);
    gateway.end();
}

/// `holdfast serve` with its store on a file system of this size, which no other process sees; none
/// where nothing may be mounted here.
fn on_a_small_disk(directory: &Path) -> Option<Gateway> {
    let script = "mount -t tmpfs -o size=3m holdfast \"$0\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(directory);
    let tried = command.arg("true").output();
    if !tried.is_ok_and(|output| output.status.success()) {
        eprintln!("not shown: nothing may be mounted here");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(directory).arg(PROGRAM);
    Some(Gateway::start(command.args(arguments(&directory.join("store")))))
}

#[test]
fn a_full_disk_is_not_ready_and_refuses_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let Some(gateway) = on_a_small_disk(directory.path()) else { return };
    let push = |body: &str| gateway.run(&["push", "demo", "ann", body, "--durable"]);
    assert_eq!(push("before").0, 0);
    assert_eq!(gateway.get("/readyz"), (200, "ready\n".to_owned()));
    // Its own view of the directory.
    let inside = format!("/proc/{}/root{}", gateway.child.0.id(), directory.path().display());
    let filler = Path::new(&inside).join("filler");
    let full = fs::write(&filler, vec![0; 4 << 20]).expect_err("it has 3 MiB");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let body = "x".repeat(60_000);
    until("the store is full", || {
        let (code, said) = push(&body);
        code == 6
            && said.contains("store_full")
            && said.contains("when the gateway's disk has room")
    });
    until("it is not ready", || gateway.get("/readyz").0 == 503);
    assert_eq!(gateway.get("/readyz").1, "store: the disk is full\n");
    let (_, metrics) = gateway.get("/metrics");
    assert!(metrics.contains("\nholdfast_ready 0\n"), "{metrics}");
    assert!(metrics.contains("\nholdfast_store_full 1\n"), "{metrics}");
    // Messages that are not stored go on.
    let (code, said) = gateway.run(&["push", "demo", "ann", "now"]);
    assert_eq!((code, said.as_str()), (1, "ann is offline; nothing was delivered\n"));
    fs::remove_file(&filler).unwrap();
    until("it is ready again", || gateway.get("/readyz").0 == 200);
    assert_eq!(push("after").0, 0);
    assert!(gateway.ask(&["mailbox", "show", "demo", "ann"])["messages"].as_u64() >= Some(2));
    gateway.end();
}

#[test]
fn a_file_size_limit_refuses_and_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::serve(directory.path());
    let push = |body: &str| gateway.run(&["push", "demo", "ann", body, "--durable"]);
    let limit = |current| {
        let pid = Some(Pid::from_child(&gateway.child.0));
        let maximum = rustix::process::getrlimit(Resource::Fsize).maximum;
        prlimit(pid, Resource::Fsize, Rlimit { current, maximum }).unwrap();
    };
    limit(Some(200_000));
    let body = "x".repeat(60_000);
    until("no more is taken", || push(&body).0 == 6);
    assert_eq!(gateway.get("/readyz").0, 503);
    limit(None);
    until("it is ready again", || gateway.get("/readyz").0 == 200);
    assert_eq!(push("after").0, 0);
    let said = gateway.end();
    assert!(said.contains("`ulimit -f`"), "{said}");
}

#[test]
fn a_file_size_limit_ends_no_salvage() {
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("old");
    let gateway = Gateway::serve(&old);
    assert_eq!(gateway.run(&["push", "demo", "ann", &"x".repeat(60_000), "--durable"]).0, 0);
    gateway.end();
    let script = "ulimit -f 8; exec \"$0\" store salvage \"$1\" \"$1.new\"";
    let ended = Command::new("sh").args(["-c", script, PROGRAM]).arg(&old).output().unwrap();
    assert_eq!(ended.status.code(), Some(9), "{ended:?}");
}
