//! A gateway in a process of its own, which is killed, stopped and started again on the same store
//! and the same ports.

use crate::plan::{MAILBOX, PRODUCTS};
use holdfast::io::sim::Chance;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a gateway may take to be ready, and to end.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A free port under those that Linux gives out by itself, so that nobody takes it while none of
/// the run's gateways listens.
fn port() -> SocketAddr {
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

/// Where gateways live, one after the other.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) store: PathBuf,
    log: PathBuf,
    settings: Vec<String>,
    clients: SocketAddr,
    backends: SocketAddr,
    /// What runs the gateway: its own program, or one that runs it elsewhere.
    through: Vec<String>,
}

impl House {
    /// A house whose store is in this directory; its log is beside it.
    pub(crate) fn new(directory: &Path, io: &str) -> Self {
        let (clients, backends) = (port(), port());
        let store = directory.join("store");
        let settings = vec![
            format!("io={io}"),
            "shards=2".to_owned(),
            "pin=off".to_owned(),
            format!("products={PRODUCTS:?}"),
            format!("client.listen=[\"{clients}\"]"),
            format!("backend.listen=[\"{backends}\"]"),
            "admin.listen=127.0.0.1:0".to_owned(),
            "client.connections_max=2000".to_owned(),
            "client.pong_delay=0s".to_owned(),
            "client.linger=1s".to_owned(),
            "drain.clients_per_second=0".to_owned(),
            "store.kind=embedded".to_owned(),
            format!("store.directory={}", store.display()),
            "store.segment_bytes=1048576".to_owned(),
            "store.idempotency_window=60s".to_owned(),
            "mailbox.redelivery_after=2s".to_owned(),
            // No client is to be given up here, however seldom it acknowledges.
            "mailbox.redelivery_rounds=1000".to_owned(),
            format!("mailbox.messages_max={}", MAILBOX[0]),
            format!(
                "mailbox.products=[{{ product = \"{}\", messages_max = {}, \
                 when_full = \"drop_oldest\" }}]",
                PRODUCTS[1], MAILBOX[1]
            ),
        ];
        let log = directory.join("log");
        let through = Vec::new();
        Self { store, log, settings, clients, backends, through }
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
        Gateway { child: command.spawn().unwrap(), backends: self.backends() }
    }

    /// The segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        segments(&self.store)
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
}

impl Gateway {
    /// Whether it serves; fails where it has ended.
    pub(crate) fn is_ready(&mut self) -> Result<bool, ExitStatus> {
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
