//! Whether `io_uring` works on this machine, and if not, what to change.
//!
//! It does not compare version numbers: it sets a real ring up and runs each operation once, on
//! loopback, since containers forbid parts of it and kernels have had faults that no version tells
//! (an accept that reports a wrong descriptor, 6.6 to 6.8).

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Uring, UringOptions};
use crate::io::socket::{Listener, Socket, SocketOptions};
use crate::io::wake::WakeFd;
use crate::io::{Event, Interest, Io, Key, Outgoing, Port, Received, Sent, Wake};

const SIZES: UringOptions = UringOptions { submissions: 8, completions: 64 };

/// How long one step may take: far more than any needs.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than a small send buffer and a client's receive buffer hold together.
const TOO_MUCH: usize = 1 << 20;

const KEY: Key = Key { slot: 1, generation: 1 };

/// Why `io_uring` can not be used here, and what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refused {}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self { reason: format!("io_uring could not be tried out: {error}") }
    }
}

/// Sets a ring up and uses it once, in a few milliseconds.
///
/// # Errors
/// The reason in words for an operator.
pub fn probe() -> Result<(), Refused> {
    let options = SocketOptions { send_buffer: Some(4096), ..SocketOptions::default() };
    let listener = listen(&options)?;
    let address = listener.local_address()?;
    let wake = WakeFd::new()?;
    let mut uring =
        Uring::new(SIZES, vec![(Port::Client, listener)], wake).map_err(|e| explain(&e))?;
    let socket = try_accept(&mut uring, address)?;
    try_wake(&mut uring)?;
    try_echo(&mut uring, &socket)?;
    try_short_send(&mut uring, socket)
}

/// The accepted end and the client's.
type Pair = (Socket, TcpStream);

fn listen(options: &SocketOptions) -> io::Result<Listener> {
    Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options)
        .or_else(|_| Listener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), options))
}

fn try_accept(uring: &mut Uring, address: SocketAddr) -> Result<Pair, Refused> {
    uring.accept(Port::Client);
    let client = TcpStream::connect_timeout(&address, PATIENCE)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let socket = match next(uring, "accept")? {
        Event::Accepted(Port::Client, socket) => socket,
        other => return Err(wrong("accept", &other)),
    };
    if socket.peer_address()? == client.local_addr()? {
        Ok((socket, client))
    } else {
        Err(wrong("accept", &"the wrong connection"))
    }
}

fn try_wake(uring: &mut Uring) -> Result<(), Refused> {
    uring.waker().wake();
    match next(uring, "wake")? {
        Event::Woken => Ok(()),
        other => Err(wrong("wake", &other)),
    }
}

fn try_echo(uring: &mut Uring, (socket, client): &Pair) -> Result<(), Refused> {
    uring.watch(KEY, socket, Interest::Read);
    (&mut &*client).write_all(b"?")?;
    match next(uring, "poll")? {
        Event::Ready { key, readable: true, .. } if key == KEY => {}
        other => return Err(wrong("poll", &other)),
    }
    let mut buffer = [0; 8];
    match uring.receive(socket, &mut buffer) {
        Received::Bytes(1) if buffer[0] == b'?' => {}
        other => return Err(wrong("receive", &other)),
    }
    match send(uring, socket, b"!") {
        Some(Sent::All) => {}
        other => return Err(wrong("send", &other)),
    }
    (&mut &*client).read_exact(&mut buffer[..1])?;
    if buffer[0] == b'!' { Ok(()) } else { Err(wrong("send", &buffer)) }
}

/// The belief that losing it would lose bytes: a send that does not fit says how much did.
fn try_short_send(uring: &mut Uring, (socket, mut client): Pair) -> Result<(), Refused> {
    let taken = match send(uring, &socket, &vec![7; TOO_MUCH]) {
        Some(Sent::Part(taken)) => taken,
        other => return Err(wrong("short send", &other)),
    };
    drop(socket);
    let mut arrived = Vec::new();
    client.read_to_end(&mut arrived)?;
    if arrived.len() == taken { Ok(()) } else { Err(wrong("short send", &arrived.len())) }
}

fn send(uring: &mut Uring, socket: &Socket, bytes: &[u8]) -> Option<Sent> {
    let mut outcomes = Vec::new();
    uring.send(&[Outgoing { socket, bytes }], &mut outcomes);
    outcomes.pop()
}

/// The next event, waiting again where a wait ended with nothing.
fn next(uring: &mut Uring, step: &str) -> Result<Event<Socket>, Refused> {
    let mut events = Vec::new();
    for _ in 0..8 {
        uring.wait(Some(PATIENCE), &mut events)?;
        if let Some(event) = events.pop() {
            return Ok(event);
        }
    }
    Err(wrong(step, &"nothing"))
}

fn wrong(step: &str, found: &dyn fmt::Debug) -> Refused {
    let kernel = kernel();
    let reason = format!("io_uring is faulty on kernel {kernel}: the {step} test found {found:?}");
    Refused { reason }
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// What refused the set-up, by its errno.
fn explain(error: &io::Error) -> Refused {
    let cause = match error.raw_os_error() {
        Some(libc::ENOSYS) => "the kernel is built without it or a sandbox hides it; use a kernel \
            with CONFIG_IO_URING, or a sandbox that allows it"
            .to_owned(),
        Some(libc::EPERM | libc::EACCES) => forbidden(),
        Some(libc::EINVAL) => format!(
            "kernel {} lacks what is needed (deferred task work of 6.1); upgrade it",
            kernel()
        ),
        Some(libc::ENOMEM) => "locked or control-group memory does not suffice; raise \
            RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) or the memory limit"
            .to_owned(),
        Some(libc::EMFILE | libc::ENFILE) => {
            "no descriptor is left; raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE=)".to_owned()
        }
        _ => "no known cause".to_owned(),
    };
    Refused { reason: format!("io_uring is refused ({error}): {cause}") }
}

/// A sysctl or a sandbox: the first can be read.
fn forbidden() -> String {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    match disabled.as_deref().map(str::trim) {
        Ok("2") => "sysctl kernel.io_uring_disabled is 2; set it to 0".to_owned(),
        Ok("1") => "sysctl kernel.io_uring_disabled is 1; set it to 0, or put the user into the \
            group of kernel.io_uring_group"
            .to_owned(),
        _ => "a sandbox forbids it (the default seccomp profiles of Docker and containerd do); \
            use a profile that allows io_uring_setup, io_uring_enter and io_uring_register"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_refusal_says_what_to_change() {
        let cases = [
            (libc::ENOSYS, "CONFIG_IO_URING"),
            (libc::EINVAL, "upgrade"),
            (libc::ENOMEM, "RLIMIT_MEMLOCK"),
            (libc::EMFILE, "RLIMIT_NOFILE"),
        ];
        for (errno, advice) in cases {
            let refused = explain(&io::Error::from_raw_os_error(errno)).to_string();
            assert!(refused.contains(advice), "{refused}");
        }
        assert!(
            explain(&io::Error::from_raw_os_error(libc::EPERM)).to_string().contains("io_uring")
        );
    }
}
