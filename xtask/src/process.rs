//! Processes that a chore starts beside itself: pinned, read line by line, and gone when the chore
//! is.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::shell::Result;

/// How long a process may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that ends with its handle.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Starts `program` on one core, or on any. Its standard input and output are the handle's.
    pub(crate) fn start(program: &Path, words: &[String], core: Option<usize>) -> Result<Self> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = on_core(core, || command.spawn().map_err(|error| error.to_string()))
            .map_err(|error| format!("{name}: {error}"))?;
        let output = child.stdout.take().ok_or("a child without an output")?;
        Ok(Self { name, input: child.stdin.take(), output: BufReader::new(output), child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err(format!("{} ended before it answered", self.name)),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(format!("{}: {error}", self.name)),
        }
    }

    /// Sends it a line.
    pub(crate) fn say(&mut self, line: &str) -> Result {
        let input = self.input.as_mut().ok_or("a child without an input")?;
        writeln!(input, "{line}").map_err(|error| format!("{}: {error}", self.name))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It did not end well.
    pub(crate) fn finish(&mut self) -> Result {
        self.input = None;
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{}: {status}", self.name)),
            Err(error) => Err(format!("{}: {error}", self.name)),
        }
    }

    /// Asks it to end and waits; gives whether it ended in order.
    pub(crate) fn stop(&mut self) -> bool {
        self.input = None;
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        let end = Instant::now() + PATIENCE;
        while asked && Instant::now() < end {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => sleep(Duration::from_millis(20)),
                Err(_) => break,
            }
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.input = None;
        // One that has ended already has nothing left to stop.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Does something on one core: a child that is started meanwhile inherits it.
fn on_core<T>(core: Option<usize>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(core) = core else { return work() };
    let before = sched_getaffinity(None).map_err(|error| error.to_string())?;
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).map_err(|error| format!("core {core}: {error}"))?;
    let done = work();
    sched_setaffinity(None, &before).map_err(|error| error.to_string())?;
    done
}

/// A port on loopback that nobody listens on now, and that was not given out before.
pub(crate) fn free_port() -> Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let address = listener.and_then(|listener| listener.local_addr());
        let port = address.map_err(|error| error.to_string())?.port();
        let mut given = GIVEN.lock().map_err(|error| error.to_string())?;
        if given.insert(port) {
            return Ok(port);
        }
    }
}

/// Waits until the admin port says that the gateway is ready.
pub(crate) fn await_ready(gateway: &mut Running, admin: u16) -> Result {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Ok(Some(status)) = gateway.child.try_wait() {
            return Err(format!("{} did not start: {status}", gateway.name));
        }
        if is_ready(admin) {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    Err(format!("{} was not ready after {PATIENCE:?}", gateway.name))
}

fn is_ready(admin: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, admin)) else { return false };
    let request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_spoken_with_and_stopped() {
        let mut cat = Running::start(Path::new("cat"), &[], Some(0)).unwrap();
        cat.say("hello").unwrap();
        assert_eq!(cat.line().unwrap(), "hello");
        cat.stop();
        assert!(cat.line().is_err());
    }
}
