//! Sockets of clients: opened without waiting, read into a lent buffer, written at once or not at
//! all.
//!
//! The runtime owns a client's socket and says when it is ready; the bytes move here, with plain
//! calls that never block, so that no client needs a buffer of its own.

use crate::clock::SECOND;
use monoio::net::TcpStream;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recv, recvmsg, send, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

/// Gives the calling thread its own descriptor table, so that the limit of descriptors counts for
/// it alone. To be called before the thread opens anything; what was open is open in both tables,
/// and nothing opened later may leave the thread.
pub(crate) fn own_descriptors() -> io::Result<()> {
    Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES)?)
}

/// Gives a socket to the runtime of the calling thread.
pub(crate) fn adopt(socket: OwnedFd) -> io::Result<TcpStream> {
    TcpStream::from_std(std::net::TcpStream::from(socket))
}

/// Begins to connect to `gateway` from `source`; the socket becomes writable when it is decided. If
/// `stamped`, the kernel keeps the time at which bytes arrive, for [`read_stamped`].
pub(crate) fn dial(
    gateway: SocketAddr,
    source: Option<IpAddr>,
    stamped: bool,
) -> io::Result<OwnedFd> {
    let family = if gateway.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket: OwnedFd = socket_with(family, SocketType::STREAM, flags, None)?;
    // Acknowledgements and pings are small and must not wait for each other.
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    if stamped {
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    }
    if let Some(source) = source {
        // The port is chosen at connect, where only the whole four-tuple must be free.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        bind(&socket, &SocketAddr::new(source, 0))?;
    }
    match connect(&socket, &gateway) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// What one read gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing waits now.
    Empty,
    /// The gateway closed in order.
    End,
    /// The connection is broken, with this error.
    Broken(Errno),
}

/// Reads what waits, as much as fits.
pub(crate) fn read(stream: &TcpStream, buffer: &mut [u8]) -> Read {
    match recv(stream.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
        Ok(0) => Read::End,
        Ok(length) => Read::Bytes(length),
        Err(Errno::EAGAIN | Errno::EINTR) => Read::Empty,
        Err(error) => Read::Broken(error),
    }
}

/// As [`read`], and when the last of the bytes arrived in the kernel, nanoseconds since 1970 UTC.
pub(crate) fn read_stamped(stream: &TcpStream, buffer: &mut [u8]) -> (Read, Option<u64>) {
    let mut space = cmsg_space!(TimeSpec);
    let mut pieces = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    match recvmsg::<()>(stream.as_raw_fd(), &mut pieces, Some(&mut space), flags) {
        Ok(message) if message.bytes == 0 => (Read::End, None),
        Ok(message) => {
            let stamp = message.cmsgs().ok().and_then(|mut all| all.find_map(|one| stamp(&one)));
            (Read::Bytes(message.bytes), stamp)
        }
        Err(Errno::EAGAIN | Errno::EINTR) => (Read::Empty, None),
        Err(error) => (Read::Broken(error), None),
    }
}

fn stamp(message: &ControlMessageOwned) -> Option<u64> {
    let ControlMessageOwned::ScmTimestampns(time) = message else { return None };
    let seconds = u64::try_from(time.tv_sec()).ok()?;
    Some(seconds * SECOND + u64::try_from(time.tv_nsec()).ok()?)
}

/// Writes what the kernel takes now; gives how much that was.
pub(crate) fn write(stream: &TcpStream, bytes: &[u8]) -> Result<usize, Errno> {
    match send(stream.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
        Ok(length) => Ok(length),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Ends both directions, so that whoever waits for the socket is woken.
pub(crate) fn shut(stream: &TcpStream) {
    // A connection that is gone already needs no end.
    let _ = nix::sys::socket::shutdown(stream.as_raw_fd(), nix::sys::socket::Shutdown::Both);
}

/// A word for an error, for counting.
pub(crate) fn word(error: Errno) -> String {
    match error {
        Errno::ECONNREFUSED => "connection refused (nothing listens there)".to_owned(),
        Errno::ECONNRESET => "connection reset by the gateway".to_owned(),
        Errno::ETIMEDOUT => "connection timed out".to_owned(),
        Errno::EADDRNOTAVAIL => {
            "no local port or address left (name more with --source)".to_owned()
        }
        Errno::EMFILE | Errno::ENFILE => {
            "no descriptor left (raise it with `ulimit -n`)".to_owned()
        }
        other => other.desc().to_owned(),
    }
}
