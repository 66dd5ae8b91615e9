//! A gateway in a process of its own, which is killed, stopped and started again on the same store
//! and the same ports.

use crate::plan::{MAILBOX, PRODUCTS, SESSIONS, SHARED};
use crate::redis::Server;
use holdfast::io::sim::Chance;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a gateway may take to be ready, and to end.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A free port under those that Linux gives out by itself, so that nobody takes it while none of
/// the run's gateways listens.
pub(crate) fn port() -> SocketAddr {
    let mut chance = Chance::new(u64::from(std::process::id()), "ports");
    loop {
        let port = u16::try_from(chance.between(12_000, 32_000)).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let is_new = GIVEN.lock().unwrap().insert(port);
        if is_new && TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Ports that were given out in this process.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Bytes of a segment of the store.
pub(crate) const SEGMENT_BYTES: u64 = 1 << 20;
/// How long a gateway may take to answer a question, before it is asked again.
const ANSWER: Duration = Duration::from_secs(5);

/// Where gateways live, one after the other.
#[derive(Debug)]
pub(crate) struct House {
    /// What keeps their messages, where that is a server.
    pub(crate) redis: Option<Server>,
    pub(crate) store: PathBuf,
    log: PathBuf,
    settings: Vec<String>,
    clients: SocketAddr,
    backends: SocketAddr,
    admin: SocketAddr,
    /// What runs the gateway: its own program, or one that runs it elsewhere.
    through: Vec<String>,
}

impl House {
    /// A house whose store is in this directory; its log is beside it.
    pub(crate) fn new(directory: &Path, io: &str) -> Self {
        let (clients, backends, admin) = (port(), port(), port());
        let store = directory.join("store");
        let settings = vec![
            format!("io={io}"),
            "shards=2".to_owned(),
            "pin=off".to_owned(),
            format!("products={PRODUCTS:?}"),
            format!("client.listen=[\"{clients}\"]"),
            format!("backend.listen=[\"{backends}\"]"),
            format!("admin.listen={admin}"),
            "client.connections_max=2000".to_owned(),
            "client.pong_delay=0s".to_owned(),
            "client.linger=1s".to_owned(),
            "drain.clients_per_second=0".to_owned(),
            "store.kind=embedded".to_owned(),
            format!("store.directory={}", store.display()),
            format!("store.segment_bytes={SEGMENT_BYTES}"),
            "store.idempotency_window=60s".to_owned(),
            "mailbox.redelivery_after=2s".to_owned(),
            // No client is to be given up here, however seldom it acknowledges.
            "mailbox.redelivery_rounds=1000".to_owned(),
            format!("mailbox.messages_max={}", MAILBOX[0]),
            format!(
                "mailbox.products=[{{ product = \"{}\", messages_max = {}, \
                 when_full = \"drop_oldest\" }}, {{ product = \"{}\", \
                 sessions_max = {SESSIONS} }}]",
                PRODUCTS[1], MAILBOX[1], PRODUCTS[SHARED]
            ),
            "broadcast.kept_max=10000".to_owned(),
        ];
        let log = directory.join("log");
        let through = Vec::new();
        Self { redis: None, store, log, settings, clients, backends, admin, through }
    }

    /// A house whose messages are kept by a server, whose files are in this directory.
    pub(crate) fn with_redis(directory: &Path, io: &str) -> Self {
        let mut house = Self::new(directory, io);
        let server = Server::start(directory);
        house.settings.extend(server.settings());
        house.redis = Some(server);
        house
    }

    /// Has later gateways start with this setting too.
    pub(crate) fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// Has gateways run by another program, which becomes them.
    pub(crate) fn through(mut self, words: &[String]) -> Self {
        self.through = words.to_vec();
        self
    }

    pub(crate) fn clients(&self) -> SocketAddr {
        self.clients
    }

    pub(crate) fn backends(&self) -> SocketAddr {
        self.backends
    }

    /// All that gateways said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Starts one; it may not be ready yet.
    pub(crate) fn start(&self) -> Gateway {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let binary = std::env::var("HOLDFAST_BINARY").ok().filter(|path| !path.is_empty());
        let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_holdfast").to_owned());
        let mut words = self.through.iter().cloned().chain([binary]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("serve");
        for set in &self.settings {
            command.args(["--set", set]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let (child, admin) = (command.spawn().unwrap(), self.admin);
        Gateway { child, backends: self.backends(), admin }
    }

    /// The segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        segments(&self.store)
    }

    /// Bytes of all segments.
    pub(crate) fn disk(&self) -> u64 {
        // One may go while they are counted.
        self.segments().iter().filter_map(|path| Some(fs::metadata(path).ok()?.len())).sum()
    }

    /// Leaves what a write that did not finish leaves: bytes behind the end of the newest segment.
    pub(crate) fn tear(&self, bytes: usize, chance: &mut Chance) {
        let Some(newest) = self.segments().pop() else { return };
        let torn: Vec<u8> = (0..bytes).map(|_| chance.next().to_le_bytes()[0]).collect();
        let mut file = OpenOptions::new().append(true).open(newest).unwrap();
        file.write_all(&torn).unwrap();
    }
}

/// The segments of a store, oldest first.
pub(crate) fn segments(store: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(store) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut all: Vec<_> =
        paths.filter(|path| path.extension() == Some("segment".as_ref())).collect();
    all.sort();
    all
}

/// A running gateway; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    backends: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    /// What it says of itself at `/readyz`, its status line first; nothing where it does not say.
    pub(crate) fn readiness(&self) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.admin, ANSWER).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Whether it says that it takes everything.
    pub(crate) fn is_ready(&self) -> bool {
        self.readiness().is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Whether it says that its store takes nothing.
    pub(crate) fn misses_its_store(&self) -> bool {
        let says = |answer: String| answer.starts_with("HTTP/1.1 503") && answer.contains("store:");
        self.readiness().is_some_and(says)
    }

    /// Whether backends can connect; fails where it has ended.
    pub(crate) fn is_there(&mut self) -> Result<bool, ExitStatus> {
        if let Some(status) = self.child.try_wait().unwrap() {
            return Err(status);
        }
        Ok(TcpStream::connect(self.backends).is_ok())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the gateway does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It fails where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Flips one bit of a file.
pub(crate) fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 0x10;
    File::create(path).unwrap().write_all(&bytes).unwrap();
}
