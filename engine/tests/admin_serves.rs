//! The admin port tells whether the process lives, is ready and what it counted; and no peer can
//! hold it, flood it or ask it without the token.

use holdfast::admin::{self, Handle, Options, State, Status};
use holdfast::config::Secret;
use holdfast::metrics::{Counter, Gauge, ShardMetrics};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Only for a test that fails: an answer that should come and does not.
const PATIENCE: Duration = Duration::from_secs(30);

/// A port with two shards and a clock that the test turns.
struct Port {
    handle: Handle,
    shards: Arc<[ShardMetrics]>,
    status: Arc<Status>,
    micros: Arc<AtomicU64>,
}

fn options() -> Options {
    Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        token: None,
        connections_max: 32,
        request_timeout: PATIENCE,
        stall_timeout: Duration::from_secs(10),
        now_micros: Box::new(|| 0),
    }
}

impl Port {
    fn open(change: impl FnOnce(&mut Options)) -> Self {
        let micros = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&micros);
        let mut options =
            Options { now_micros: Box::new(move || clock.load(Relaxed)), ..options() };
        change(&mut options);
        let shards: Arc<[ShardMetrics]> = (0..2).map(|_| ShardMetrics::default()).collect();
        let status = Arc::new(Status::new(7));
        let handle = admin::spawn(options, Arc::clone(&shards), Arc::clone(&status));
        Self { handle: handle.expect("a free port"), shards, status, micros }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.handle.address()).expect("the port is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time above 0");
        stream
    }

    /// What comes back for these bytes, until the port closes the connection.
    fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("room for a request");
        read(&mut stream)
    }

    fn get(&self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }
}

fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A port that closes with bytes of ours unread resets the connection; what it said still
    // counts.
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the port neither answers nor closes: {error}"),
    }
    String::from_utf8(answer).expect("text")
}

#[track_caller]
fn is(answer: &str, code: u16, body: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
    let (_, got) = answer.split_once("\r\n\r\n").expect("a head");
    assert_eq!(got, body, "{answer}");
}

#[test]
fn health_names_the_shard_that_does_not_turn() {
    let port = Port::open(|_| {});
    port.status.set(State::Ready);
    port.micros.store(20_000_000, Relaxed);
    port.shards[0].turned(19_000_000);
    port.shards[1].turned(10_000_000);
    is(&port.get("/healthz"), 200, "ok\n");
    port.micros.store(21_000_000, Relaxed);
    is(&port.get("/healthz"), 503, "shard 1 has not finished a turn for 11 s\n");
    port.shards[1].turned(21_000_000);
    is(&port.get("/healthz"), 200, "ok\n");
}

#[test]
fn a_slow_start_is_not_unhealthy() {
    let port = Port::open(|_| {});
    port.micros.store(3_600_000_000, Relaxed);
    is(&port.get("/healthz"), 200, "ok\n");
    port.status.set(State::Ready);
    assert!(port.get("/healthz").starts_with("HTTP/1.1 503 "));
}

#[test]
fn readiness_follows_the_life_of_the_process() {
    let port = Port::open(|_| {});
    is(&port.get("/readyz"), 503, "starting\n");
    port.status.set(State::Ready);
    is(&port.get("/readyz"), 200, "ready\n");
    port.status.set(State::Draining);
    is(&port.get("/readyz"), 503, "draining\n");
}

#[test]
fn a_store_that_takes_nothing_is_not_ready_until_it_does() {
    let port = Port::open(|_| {});
    port.status.set(State::Ready);
    port.shards[1].set(Gauge::StoreTrouble, 1);
    is(&port.get("/readyz"), 503, "store: it takes nothing now\n");
    assert!(port.get("/metrics").contains("\nholdfast_ready 0\n"));
    port.shards[1].set(Gauge::StoreTrouble, 0);
    is(&port.get("/readyz"), 200, "ready\n");
    assert!(port.get("/metrics").contains("\nholdfast_ready 1\n"));
    // Going away is what counts then.
    port.shards[1].set(Gauge::StoreTrouble, 1);
    port.status.set(State::Draining);
    is(&port.get("/readyz"), 503, "draining\n");
}

#[test]
fn metrics_are_those_of_the_shards_and_of_the_process() {
    let port = Port::open(|_| {});
    port.micros.store(90_500_000, Relaxed);
    port.shards[1].add(Counter::Logins, 12);
    let answer = port.get("/metrics");
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{answer}"
    );
    for line in [
        "holdfast_logins_total{shard=\"1\"} 12",
        "holdfast_ready 0",
        "holdfast_incarnation 7",
        "holdfast_uptime_seconds 90",
        concat!(
            "holdfast_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\",revision=\"",
            env!("HOLDFAST_COMMIT"),
            "\"} 1"
        ),
        "# EOF",
    ] {
        assert!(answer.lines().any(|each| each == line), "{line} is not in\n{answer}");
    }
}

#[test]
fn the_index_and_unknown_paths_say_what_there_is() {
    let port = Port::open(|_| {});
    let index = port.get("/");
    assert!(index.starts_with("HTTP/1.1 200 ") && index.contains("/healthz"), "{index}");
    let lost = port.get("/nowhere");
    assert!(lost.starts_with("HTTP/1.1 404 ") && lost.contains("/metrics"), "{lost}");
    assert!(port.get("/healthz?verbose=1").starts_with("HTTP/1.1 200 "));
    is(&port.exchange("HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n"), 503, "");
}

#[test]
fn nothing_but_reading_is_served() {
    let port = Port::open(|_| {});
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = port.exchange(&format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(
            answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD"),
            "{answer}"
        );
    }
}

#[test]
fn every_path_wants_the_token() {
    let token = "an-admin-token-of-16-bytes";
    let port = Port::open(|options| options.token = Some(Secret::new(token)));
    let ask = |path: &str, header: &str| {
        port.exchange(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n"))
    };
    for path in ["/", "/healthz", "/readyz", "/metrics", "/nowhere"] {
        assert!(ask(path, "").starts_with("HTTP/1.1 401 "), "{path}");
    }
    for wrong in ["Bearer ", "Bearer x", "Basic an-admin-token-of-16-bytes", token, "Bearer"] {
        let answer = ask("/", &format!("Authorization: {wrong}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 401 "), "{wrong}: {answer}");
        assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
    }
    for good in [format!("Bearer {token}"), format!("bearer {token}")] {
        assert!(ask("/", &format!("Authorization: {good}\r\n")).starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn a_head_over_its_size_is_refused_and_the_next_request_served() {
    let port = Port::open(|_| {});
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65));
    for request in [long.as_str(), many.as_str(), "nonsense\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        let mut stream = port.connect();
        // The port may close before it took all of it.
        let _ = stream.write_all(request.as_bytes());
        let answer = read(&mut stream);
        assert!(!answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert!(port.get("/").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_body_is_not_read() {
    let port = Port::open(|_| {});
    let answer =
        port.exchange("GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n");
    is(&answer, 200, "ok\n");
}

#[test]
fn a_peer_that_says_nothing_is_closed() {
    let port = Port::open(|options| options.request_timeout = Duration::from_millis(50));
    assert_eq!(read(&mut port.connect()), "");
    let mut half = port.connect();
    half.write_all(b"GET / HTTP/1.1\r\n").expect("room for a line");
    assert_eq!(read(&mut half), "");
}

#[test]
fn only_so_many_are_served_at_once_and_the_rest_wait() {
    let port = Port::open(|options| options.connections_max = 1);
    let holder = port.connect();
    // Connections are accepted in their order, so the place is the holder's.
    let mut second = port.connect();
    second.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").expect("room for a request");
    second.set_read_timeout(Some(Duration::from_millis(200))).expect("a time above 0");
    let early = second.read(&mut [0; 1]).expect_err("the only place is taken");
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    drop(holder);
    second.set_read_timeout(Some(PATIENCE)).expect("a time above 0");
    is(&read(&mut second), 503, "starting\n");
}

#[test]
fn a_stopped_port_is_closed_at_once() {
    let port = Port::open(|_| {});
    let address = port.handle.address();
    let mut under_way = port.connect();
    port.handle.stop();
    assert_eq!(read(&mut under_way), "");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_address_in_use_is_refused_by_its_setting() {
    let port = Port::open(|_| {});
    let address = port.handle.address();
    let again = Options { listen: address, ..options() };
    let error = admin::spawn(again, Arc::clone(&port.shards), Arc::clone(&port.status));
    let words = error.expect_err("the port is taken").to_string();
    assert!(
        words.starts_with(&format!("cannot listen on admin.listen = \"{address}\"")),
        "{words}"
    );
}
