//! A server under measurement: a child process on its own core, on free ports of loopback, in a
//! folder of its own; gone with its handle.
//!
//! It is asked to end, waited for, and killed if it stays, with the processes that it started, each
//! by its id. Should the generator itself be killed, the kernel ends its child (`setpriv`).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::crowd::Ports;
use super::packages::{NCHAN, Packages};
use super::subject::{Place, Subject};
use crate::floor::machine;
use crate::floor::started::free_ports;
use crate::host;

/// How long a server may take to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at one.
const PAUSE: Duration = Duration::from_millis(50);
/// Connections beside those of clients.
const SPARE: u32 = 128;
/// Lines of a server's own words that are shown when it fails.
const LAST_LINES: usize = 5;

/// Where and how servers are started.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    /// Holdfast's program.
    pub(super) holdfast: PathBuf,
    pub(super) packages: Packages,
    /// The servers' core; the generator is on the next one.
    pub(super) core: usize,
    /// Clients that each must hold.
    pub(super) clients: u32,
    /// Where servers' folders are made.
    pub(super) folder: PathBuf,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    subject: Subject,
    child: Child,
    folder: TempDir,
    place: Place,
}

impl Stage {
    /// The server's program.
    pub(super) fn program(&self, subject: Subject) -> Result<PathBuf, String> {
        match subject.needs() {
            [] => Ok(self.holdfast.clone()),
            [program, ..] => self
                .packages
                .find(*program)
                .ok_or_else(|| format!("package {} is not installed", program.package)),
        }
    }

    /// A command that finds the libraries of its package.
    fn command(&self, subject: Subject, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(libraries) = self.packages.libraries().filter(|_| !subject.is_ours()) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// What the server's program says that it is.
    pub(super) fn version(&self, subject: Subject) -> Result<String, String> {
        let program = self.program(subject)?;
        let mut command = self.command(subject, &program);
        let output = command.arg(subject.asks_version()).output();
        let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("unknown");
        Ok(said_version(line))
    }

    /// Starts a server and waits until it listens.
    pub(super) fn start(&self, subject: Subject) -> Result<Server, String> {
        let failed = |error: io::Error| format!("{}: {error}", subject.name());
        let folder = tempfile::Builder::new()
            .prefix("holdfast-peer-")
            .tempdir_in(&self.folder)
            .map_err(failed)?;
        let [port, api, admin] = free_ports().map_err(failed)?;
        let place = Place {
            folder: folder.path().to_owned(),
            port,
            api,
            admin,
            connections: self.clients + SPARE,
            module: self.packages.find(NCHAN),
        };
        let file = folder.path().join("settings");
        fs::write(&file, subject.configuration(&place)).map_err(failed)?;
        let log = File::create(folder.path().join("log")).map_err(failed)?;
        let [launcher, words @ ..] = subject.launcher() else {
            return Err("no launcher".to_owned());
        };
        let mut command = self.command(subject, Path::new(launcher));
        command.args(words).arg(self.program(subject)?);
        command.args(subject.arguments(&file, &place)).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        let child = machine::spawn_on(self.core, &mut command).map_err(failed)?;
        let child = child.map_err(|error| format!("{launcher}, of util-linux: {error}"))?;
        let mut server = Server { subject, child, folder, place };
        server.await_listening().map_err(|error| server.explained(&error))?;
        Ok(server)
    }
}

/// A line such as `nginx version: nginx/1.22.1` or `nats-server: v2.9.10`, as name and number.
fn said_version(line: &str) -> String {
    let (name, rest) = line.trim().split_once([' ', ':']).unwrap_or((line.trim(), ""));
    let number = rest.rsplit([' ', '/']).next().unwrap_or_default();
    format!("{name} {}", number.trim_start_matches('v'))
}

impl Server {
    /// Where its clients and its publisher connect.
    pub(super) const fn ports(&self) -> Ports {
        let Place { port, api, .. } = self.place;
        Ports { clients: port, publisher: if self.subject.is_ours() { api } else { port } }
    }

    /// Its process and those that it started.
    pub(super) fn pids(&self) -> Vec<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|word| word.parse().ok());
        [pid].into_iter().chain(children).collect()
    }

    /// Memory of its processes, each page divided by those who share it: bytes.
    pub(super) fn memory(&self) -> u64 {
        let processes = self.pids().into_iter().filter_map(host::process);
        processes.map(|process| process.pss).sum()
    }

    fn await_listening(&mut self) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        let Ports { clients, publisher } = self.ports();
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            let listens = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            if listens(clients) && listens(publisher) {
                return Ok(());
            }
            sleep(PAUSE);
        }
        Err(format!("it did not listen within {PATIENCE:?}"))
    }

    /// What nchan says of itself; waits until the process that serves is there.
    pub(super) fn module(&self) -> Result<Option<String>, String> {
        if self.subject != Subject::Nchan {
            return Ok(None);
        }
        let text = status(self.place.port).map_err(|error| format!("nchan's status: {error}"))?;
        let version = text.lines().find_map(|line| line.strip_prefix("nchan version: "));
        Ok(Some(format!("nchan {}", version.unwrap_or("unknown").trim())))
    }

    /// An error, with the last of what the server said.
    pub(super) fn explained(&self, error: &str) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        let said = if last.is_empty() {
            String::new()
        } else {
            format!("; it said:\n{}", last.join("\n"))
        };
        format!("{}: {error}{said}", self.subject.name())
    }
}

fn status(port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /status HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn signal(pid: u32, signal: Signal) {
    // One that is gone already is what is wanted.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let children: Vec<u32> = self.pids().into_iter().skip(1).collect();
        signal(self.child.id(), Signal::TERM);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            sleep(PAUSE);
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // Its children have no other parent to end them, and keep their numbers while it lives.
            for pid in children {
                signal(pid, Signal::KILL);
            }
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_name_and_a_number() {
        for (said, version) in [
            ("mosquitto version 2.0.11", "mosquitto 2.0.11"),
            ("nats-server: v2.9.10", "nats-server 2.9.10"),
            ("nginx version: nginx/1.22.1", "nginx 1.22.1"),
            ("holdfast 0.1.0", "holdfast 0.1.0"),
        ] {
            assert_eq!(said_version(said), version);
        }
    }
}
