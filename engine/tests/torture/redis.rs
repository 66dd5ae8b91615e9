//! A `redis-server` of the run's own, which syncs before it answers. `HOLDFAST_REDIS_SERVER` names
//! another program, for instance `valkey-server`.

use crate::gateway::port;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long it may take to say that it is there, before it is asked again.
const PATIENCE: Duration = Duration::from_secs(2);

/// A server, which is killed with this; its files are not.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Server {
    /// A server whose files, and what it says, lie in this directory; it may not answer yet.
    pub(crate) fn start(directory: &Path) -> Self {
        let (address, directory) = (port(), directory.join("redis"));
        std::fs::create_dir(&directory).unwrap();
        Self { child: spawn(address, &directory), address, directory }
    }

    /// The settings with which a gateway keeps its messages there, synced before it says so.
    pub(crate) fn settings(&self) -> [String; 5] {
        [
            "store.kind=redis".to_owned(),
            format!("redis.addresses=[\"{}\"]", self.address),
            "redis.durability=synced".to_owned(),
            "redis.replicas=0".to_owned(),
            // Longer than a busy machine takes; how long it takes to see that it is away.
            "redis.timeout=3s".to_owned(),
        ]
    }

    /// Whether it answers; fails where it has ended.
    pub(crate) fn is_ready(&mut self) -> bool {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "redis-server ended: {ended:?}; see {}", self.directory.display());
        self.says_pong().unwrap_or(false)
    }

    fn says_pong(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"PING\r\n")?;
        // While it loads its files it answers something else.
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok(answer == *b"+PONG\r\n")
    }

    /// Stops it where it stands, or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on its files; it may not answer yet.
    pub(crate) fn again(&mut self) {
        self.child = spawn(self.address, &self.directory);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(address: SocketAddr, directory: &Path) -> Child {
    let program = std::env::var("HOLDFAST_REDIS_SERVER").ok().filter(|path| !path.is_empty());
    let mut command = Command::new(program.as_deref().unwrap_or("redis-server"));
    command.args(["--bind", "127.0.0.1", "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    command.arg("--port").arg(address.port().to_string()).arg("--dir").arg(directory);
    let log = File::options().create(true).append(true).open(directory.join("log")).unwrap();
    let child = command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn();
    child.unwrap_or_else(|error| panic!("redis-server: {error}; install the package redis-server"))
}
