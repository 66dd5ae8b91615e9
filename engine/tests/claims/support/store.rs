//! A store that outlives the gateways of a claim.

use super::{Gateway, Which, until};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
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
    /// Two servers of a Cluster, each with half of the slots: that of the product `demo` is of the
    /// first half.
    Cluster([Server; 2]),
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

/// The highest port whose cluster bus, 10,000 above it, has one too.
const HIGHEST: u16 = 55_535;

/// Where no claim says otherwise, a server that is slow on a busy machine is not taken for one that
/// is away.
const PATIENT: &str = "redis.timeout=60s";

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = std::iter::repeat_with(free).find(|port| *port <= HIGHEST).unwrap();
        let program = std::env::var("HOLDFAST_REDIS_SERVER");
        let mut command = Command::new(program.as_deref().unwrap_or("redis-server"));
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--port").arg(port.to_string()).arg("--dir").arg(directory.path());
        command.args(arguments);
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

    /// What it answers to a command, as it stands on the wire, as far as it comes at once.
    pub(crate) fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }
}

impl Store {
    /// The server, where it is one.
    #[track_caller]
    pub(crate) fn server(&self) -> &Server {
        match self {
            Self::Redis(server) => server,
            Self::Embedded(_) | Self::Cluster(_) => panic!("not a server"),
        }
    }

    /// An empty Cluster. A server of it that stops answering is not given up by the other.
    pub(crate) fn cluster() -> Self {
        let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "600000"];
        let servers = [(); 2].map(|()| Server::start(&arguments));
        for (server, slots) in servers.iter().zip(["0 8191", "8192 16383"]) {
            assert_eq!(server.ask(&format!("CLUSTER ADDSLOTSRANGE {slots}")), "+OK\r\n");
        }
        assert_eq!(servers[1].ask("CLUSTER SET-CONFIG-EPOCH 2"), "+OK\r\n");
        let meet = format!("CLUSTER MEET 127.0.0.1 {}", servers[1].port);
        assert_eq!(servers[0].ask(&meet), "+OK\r\n");
        for server in &servers {
            until("the cluster has all slots", || {
                server.ask("CLUSTER INFO").contains("cluster_state:ok")
            });
        }
        Self::Cluster(servers)
    }

    /// An empty directory.
    pub(crate) fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().expect("a directory for temporary files"))
    }

    /// An empty server.
    pub(crate) fn redis() -> Self {
        Self::Redis(Server::start(&[]))
    }

    /// Whether several hosts may use it at once.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, Self::Embedded(_))
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
                PATIENT.to_owned(),
                format!("redis.addresses=[\"127.0.0.1:{}\"]", server.port),
            ],
            Self::Cluster([server, _]) => vec![
                "store.kind=redis".to_owned(),
                "redis.mode=cluster".to_owned(),
                PATIENT.to_owned(),
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
