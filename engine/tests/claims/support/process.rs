//! A gateway in a process of its own, for what concerns the whole process: its memory, its
//! descriptors, its end.

use super::gateway::settings;
use super::{Backend, PATIENCE, Which};
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Instant;

/// It is killed when this is dropped.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It fails where it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running process, which ends with this.
#[derive(Debug)]
pub(crate) struct Process {
    child: Running,
    log: BufReader<ChildStderr>,
    pub(crate) clients: SocketAddr,
    pub(crate) backends: SocketAddr,
}

/// The first address behind `name` in a line of the log.
fn address(line: &str, name: &str) -> Option<SocketAddr> {
    let rest = line.split_once(&format!("{name}=["))?.1;
    rest.split([',', ']']).next()?.parse().ok()
}

/// The arguments of `serve` with these settings.
fn serve(io: Which, changes: &[&str]) -> Vec<String> {
    let sets = settings(io, changes).into_iter().flat_map(|set| ["--set".to_owned(), set]);
    std::iter::once("serve".to_owned()).chain(sets).collect()
}

impl Process {
    /// `holdfast serve` with these settings.
    #[track_caller]
    pub(crate) fn serve(io: Which, changes: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        Self::start(command.args(serve(io, changes)))
    }

    /// The same with these variables.
    #[track_caller]
    pub(crate) fn serve_with_environment(
        io: Which,
        changes: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        Self::start(command.envs(variables.iter().copied()).args(serve(io, changes)))
    }

    /// The same with limits that the shell's `ulimit` sets by these words, such as `-S -n 64`.
    #[track_caller]
    pub(crate) fn serve_with_limit(io: Which, changes: &[&str], words: &str) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit {words} && exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_holdfast")]);
        Self::start(command.args(serve(io, changes)))
    }

    /// `holdfast serve` where it does not start, with so many descriptors: its exit code and what
    /// it said.
    #[track_caller]
    pub(crate) fn refused(
        io: Which,
        changes: &[&str],
        descriptors: Option<u32>,
    ) -> (Option<i32>, String) {
        let limit = descriptors.map_or(String::new(), |most| format!("ulimit -n {most} && "));
        let script = format!("{limit}exec timeout 20 \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_holdfast")]).args(serve(io, changes));
        let output = command.stdin(Stdio::null()).output().expect("the process starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Any process that says where it listens, as the gateway does.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Running(command.spawn().expect("the process starts"));
        let mut log = BufReader::new(child.0.stderr.take().unwrap());
        let mut said = String::new();
        loop {
            let start = said.len();
            let length = log.read_line(&mut said).expect("the log is text");
            assert!(length > 0, "it ended and was never ready:\n{said}");
            let line = &said[start..];
            if let (Some(clients), Some(backends)) =
                (address(line, "clients"), address(line, "backends"))
            {
                return Self { child, log, clients, backends };
            }
        }
    }

    pub(crate) fn backend(&self) -> Backend {
        Backend::at(self.backends, b"")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child.0)
    }

    /// A number of kilobytes from `/proc/PID/status`, in bytes.
    #[track_caller]
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a known name");
        let kilobytes: u64 = line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        kilobytes << 10
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the end; gives how it ended and what it said since it was ready.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                let mut said = String::new();
                self.log.read_to_string(&mut said).unwrap();
                return (status, said);
            }
            assert!(start.elapsed() < PATIENCE, "the process does not end");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
