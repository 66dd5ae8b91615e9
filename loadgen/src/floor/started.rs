//! What is measured, in a child process on its core, and a driver connected to it.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use super::Backend;
use super::driver::{Driver, Subject};
use super::language::{Language, PRODUCT};
use super::machine;

/// How often, and how long apart, a gateway is asked whether it listens: for ten seconds.
const ASKED: (u32, Duration) = (200, Duration::from_millis(50));

/// A server in a child process; the child ends with it.
#[derive(Debug)]
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to stop.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The bare server with these options.
pub(super) fn bare(core: usize, io: Backend, options: &[&str]) -> Result<(Driver, Server), String> {
    let core = core.to_string();
    let common = ["--io", io.name(), "--core", &core];
    let (server, subject) = start_bare(&[&common, options].concat())
        .map_err(|error| format!("the bare server did not start: {error}"))?;
    Ok((Driver::new(subject, Arc::new(|_| Vec::new()))?, server))
}

/// The null server, with the addresses of its clients and of its backends.
///
/// # Errors
/// It did not start; the text says why.
pub(crate) fn null(core: Option<usize>) -> Result<(Server, [SocketAddr; 2]), String> {
    let core = core.map(|core| core.to_string());
    let options = core.as_ref().map_or(vec![], |core| vec!["--core", core]);
    let started = start_half("null", &options).and_then(|(server, ports)| {
        let [clients, backends] = ports[..] else { return Err(io::Error::other("no ports")) };
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok((server, [at(clients), at(backends)]))
    });
    started.map_err(|error| format!("the null server did not start: {error}"))
}

fn start_bare(options: &[&str]) -> io::Result<(Server, Subject)> {
    let (server, ports) = start_half("serve", options)?;
    let mut ports = ports.into_iter();
    let subject = Subject {
        language: Language::Bare,
        pid: server.0.id(),
        client_port: ports.next().ok_or_else(|| io::Error::other("no server"))?,
        api_ports: ports.collect(),
        api_key: String::new(),
    };
    Ok((server, subject))
}

/// A half of `floor` in a child process, with the ports that it prints when it listens.
fn start_half(half: &str, options: &[&str]) -> io::Result<(Server, Vec<u16>)> {
    let child = Command::new(std::env::current_exe()?)
        .args(["floor", half])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut server = Server(child);
    let mut line = String::new();
    if let Some(stdout) = server.0.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    Ok((server, line.split_whitespace().map_while(|word| word.parse().ok()).collect()))
}

/// A gateway of one shard, with its defaults but for ports and product.
pub(super) fn gateway(
    core: usize,
    io: Backend,
    program: &Path,
) -> Result<(Driver, Server), String> {
    let failed = |error: io::Error| format!("{}: {error}", program.display());
    let [client_port, api, admin] = free_ports().map_err(failed)?;
    let settings = [
        format!("io={}", io.name()),
        "shards=1".to_owned(),
        format!("products=[\"{PRODUCT}\"]"),
        format!("client.listen=127.0.0.1:{client_port}"),
        "store.kind=none".to_owned(),
        format!("backend.listen=127.0.0.1:{api}"),
        format!("admin.listen=127.0.0.1:{admin}"),
        "log.level=error".to_owned(),
    ];
    let mut command = Command::new(program);
    command.arg("serve").args(settings.iter().flat_map(|set| ["--set", set.as_str()]));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = machine::spawn_on(core, &mut command).flatten().map_err(failed)?;
    let mut server = Server(child);
    await_listening(&mut server, api).map_err(failed)?;
    let subject = Subject {
        language: Language::Holdfast,
        pid: server.0.id(),
        client_port,
        api_ports: vec![api],
        api_key: String::new(),
    };
    Ok((Driver::new(subject, Arc::new(|_| Vec::new()))?, server))
}

/// Three ports that nobody had a moment ago.
pub(crate) fn free_ports() -> io::Result<[u16; 3]> {
    let any = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = [any()?, any()?, any()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn await_listening(server: &mut Server, port: u16) -> io::Result<()> {
    for _ in 0..ASKED.0 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(());
        }
        if let Some(status) = server.0.try_wait()? {
            return Err(io::Error::other(format!("it ended with {status}")));
        }
        sleep(ASKED.1);
    }
    Err(io::Error::other("it does not listen"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_given_out_once() {
        let [first, second, third] = free_ports().unwrap();
        assert!(first != second && second != third && third != first);
    }
}
