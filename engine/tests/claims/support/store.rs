//! A store that outlives the gateways of a claim.

use super::{Gateway, Which, until};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A store, which goes with this.
#[derive(Debug)]
pub(crate) enum Store {
    /// A directory.
    Embedded(TempDir),
    /// A server of its own.
    Redis(Server),
}

/// A running `redis-server`, which is killed with this.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = std::env::var("HOLDFAST_REDIS_SERVER");
        let mut command = Command::new(program.as_deref().unwrap_or("redis-server"));
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--port").arg(port.to_string()).arg("--dir").arg(directory.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("redis-server: {error}; install the package redis-server")
        });
        let server = Self { child, port, _directory: directory };
        until("redis-server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }
}

impl Server {
    /// Stops it where it stands, or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Store {
    /// The server, where it is one.
    #[track_caller]
    pub(crate) fn server(&self) -> &Server {
        match self {
            Self::Redis(server) => server,
            Self::Embedded(_) => panic!("not a server"),
        }
    }

    /// An empty directory.
    pub(crate) fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().expect("a directory for temporary files"))
    }

    /// An empty server.
    pub(crate) fn redis() -> Self {
        Self::Redis(Server::start())
    }

    /// Whether several hosts may use it at once.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// The settings with which a gateway uses it.
    pub(crate) fn settings(&self) -> Vec<String> {
        match self {
            Self::Embedded(directory) => vec![
                "store.kind=embedded".to_owned(),
                format!("store.directory={}", directory.path().display()),
            ],
            Self::Redis(server) => vec![
                "store.kind=redis".to_owned(),
                format!("redis.addresses=[\"127.0.0.1:{}\"]", server.port),
            ],
        }
    }

    /// A gateway in this process that uses it.
    #[track_caller]
    pub(crate) fn gateway(&self, io: Which, changes: &[&str]) -> Gateway {
        let own = self.settings();
        let own = own.iter().map(String::as_str);
        let all: Vec<&str> = own.chain(changes.iter().copied()).collect();
        Gateway::start(io, &all)
    }
}
