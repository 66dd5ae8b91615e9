//! Servers of a test: Debian's `redis-server`, on loopback, in a temporary directory. The variable
//! `HOLDFAST_REDIS_SERVER` names another program, for instance `valkey-server`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server that ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
    /// Removed with the server.
    folder: Option<tempfile::TempDir>,
}

/// A port that is free, and whose number for a Cluster's own traffic is in range too.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 50_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
        // The kernel gave a high one: take one from the lower half by our own count.
        let port = 20_000 + port % 25_000;
        let both = [port, port + 10_000].map(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
        if both == [true, true] {
            return port;
        }
    }
}

impl Server {
    /// A server with nothing on disk and these arguments besides.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().to_path_buf();
        let mut server = Self::start_in(&directory, free_port(), arguments);
        server.folder = Some(folder);
        server
    }

    /// A server whose files lie here.
    pub(crate) fn start_in(directory: &Path, port: u16, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
        let child = spawn(directory, port, &arguments);
        let server =
            Self { child, port, directory: directory.to_path_buf(), arguments, folder: None };
        server.wait();
        server
    }

    /// Until it answers. (Or wants a password, or TLS: then it answers that.)
    fn wait(&self) {
        if self.arguments.iter().any(|argument| argument == "--tls-port") {
            while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
                pause();
            }
            return;
        }
        loop {
            let answer = self.cli(&["ping"]);
            if answer.contains("PONG") || answer.contains("NOAUTH") {
                return;
            }
            pause();
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Whether it syncs when asked to, as Redis does from 7.2 on.
    pub(crate) fn knows_waitaof(&self) -> bool {
        self.cli(&["command", "info", "waitaof"]).contains("waitaof")
    }

    /// What `redis-cli` says.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        cli(self.port, arguments)
    }

    /// Stops it in its tracks (`SIGSTOP`), or lets it go on.
    pub(crate) fn pause(&self, paused: bool) {
        let signal =
            if paused { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// `SIGKILL`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`kill`](Self::kill), with its files.
    pub(crate) fn again(&mut self) {
        self.child = spawn(&self.directory, self.port, &self.arguments);
        self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &Path, port: u16, arguments: &[String]) -> Child {
    let port = port.to_string();
    let program = std::env::var("HOLDFAST_REDIS_SERVER");
    let mut command = Command::new(program.as_deref().unwrap_or("redis-server"));
    if arguments.iter().any(|argument| argument == "--sentinel") {
        // A Sentinel keeps its state in its file.
        command.arg(directory.join("sentinel.conf")).args(["--port", &port]);
    } else if arguments.iter().any(|argument| argument == "--tls-port") {
        command.args(["--port", "0", "--save", ""]);
    } else {
        command.args(["--port", &port, "--save", ""]);
    }
    command.args(["--bind", "127.0.0.1"]).args(arguments).current_dir(directory);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.unwrap_or_else(|why| {
        panic!("redis-server: {why}. These tests need it: apt-get install redis-server")
    })
}

/// What `redis-cli` says of the server at this port.
pub(crate) fn cli(port: u16, arguments: &[&str]) -> String {
    let port = port.to_string();
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &port]).args(arguments);
    let output = command.output().unwrap_or_else(|why| {
        panic!("redis-cli: {why}. These tests need it: apt-get install redis-server")
    });
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// A moment, where nothing can be waited for but the passing of time.
pub(crate) fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}
