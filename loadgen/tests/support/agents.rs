//! Agents as processes, and runs on them.

use crate::gateway::Gateway;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// After so long something that does not come will not.
const NEVER: Duration = Duration::from_mins(2);

/// Waits until `is` holds.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < NEVER, "{what} does not come");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A key in a file of its own, which goes with it.
pub(crate) struct Key {
    _folder: tempfile::TempDir,
    pub(crate) file: PathBuf,
}

impl Key {
    pub(crate) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        Self { _folder: folder, file }
    }

    pub(crate) fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }
}

/// An agent, until it is dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) address: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Agent {
    pub(crate) fn start(key: &Key, allow: &str) -> Self {
        let words = ["agent", "--listen", "127.0.0.1:0", "--key-file", key.path()];
        let mut child = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"))
            .args(words)
            .args(["--allow", allow])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&said);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let mut agent = Self { child, address: String::new(), said };
        agent.says("waits at");
        let first = agent.said.lock().unwrap()[0].clone();
        first.split(' ').nth(3).unwrap().clone_into(&mut agent.address);
        agent
    }

    /// Three of them that may go to loopback.
    pub(crate) fn three(key: &Key) -> [Self; 3] {
        [(); 3].map(|()| Self::start(key, "127.0.0.1:*"))
    }

    /// Waits until it says something with `words`.
    pub(crate) fn says(&self, words: &str) {
        until(words, || self.said.lock().unwrap().iter().any(|line| line.contains(words)));
    }

    /// Stops it where it is, or lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A run of 40 clients on the agents, with more options.
pub(crate) fn controller(agents: &[Agent], key: &Key, gateway: &Gateway, extra: &[&str]) -> Child {
    let load = [&["--connections", "40"], extra].concat();
    started("run", (agents, key), (gateway.clients, gateway.api), &load)
}

/// A command that makes runs on the agents, with more options.
pub(crate) fn started(
    command: &str,
    (agents, key): (&[Agent], &Key),
    (clients, api): (SocketAddr, SocketAddr),
    extra: &[&str],
) -> Child {
    let names: Vec<&str> = agents.iter().map(|agent| agent.address.as_str()).collect();
    let (clients, api) = (clients.to_string(), api.to_string());
    let to = ["--agents", &names.join(","), "--key-file", key.path(), "--gateway", &clients];
    let load = ["--api", &api, "--connect-rate", "2000", "--settle", "0"];
    let rest = ["--drain", "5", "--quiet", "--json", "-"];
    Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"))
        .arg(command)
        .args([&to[..], &load, &rest, extra].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a run says while it goes on.
pub(crate) struct Heard {
    child: Child,
    said: Arc<Mutex<String>>,
    reader: thread::JoinHandle<()>,
}

impl Heard {
    pub(crate) fn of(mut child: Child) -> Self {
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let all = Arc::clone(&said);
        let reader = thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|length| length > 0) {
                all.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self { child, said, reader }
    }

    /// Waits until it says something with `words`, and gives that line; it must go on still.
    pub(crate) fn says(&mut self, words: &str) -> String {
        let line = || {
            let said = self.said.lock().unwrap();
            said.lines().find(|line| line.contains(words)).map(str::to_owned)
        };
        until(words, || line().is_some());
        assert!(self.child.try_wait().unwrap().is_none(), "it has ended: {}", line().unwrap());
        line().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn ran(self) -> Ran {
        let output = self.child.wait_with_output().unwrap();
        self.reader.join().unwrap();
        let stderr = self.said.lock().unwrap().clone().into_bytes();
        Ran::of(Output { stderr, ..output })
    }
}

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) report: Value,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        let stderr = String::from_utf8(output.stderr).unwrap();
        Self { code: output.status.code().unwrap_or(-1), report, stderr }
    }

    pub(crate) fn number(&self, pointer: &str) -> u64 {
        let value = self.report.pointer(pointer).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no number at {pointer}: {}", self.stderr))
    }

    pub(crate) fn sum(&self, of: &str) -> u64 {
        let agents = self.report["agents"].as_array().unwrap();
        agents.iter().map(|agent| agent[of].as_u64().unwrap_or_default()).sum()
    }
}
