//! Listeners and connected sockets, the same for both kernel back ends.
//!
//! Owns the options of every socket of the gateway and the meaning of the results of `recv(2)` and
//! `send(2)`. Options are set once, on the listener: Linux gives them to each accepted socket, so a
//! connect storm pays no `setsockopt`. No call here blocks; nobody above looks at an errno.

#![allow(unsafe_code, reason = "rustix has no TCP_NOTSENT_LOWAT")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::{How, Received, Sent};

/// What every socket of a listener is set to. `None` leaves the kernel's own value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketOptions {
    /// `TCP_NODELAY`. On by default: the flush already joins what belongs together, so Nagle's wait
    /// only adds a round trip.
    pub no_delay: bool,
    /// `TCP_USER_TIMEOUT`: how long sent bytes may stay unacknowledged before the connection counts
    /// as broken. 30 seconds by default, since the kernel's own limit (about 15 minutes) would keep
    /// the sessions of phones that left the network for that long.
    pub user_timeout: Option<Duration>,
    /// `TCP_NOTSENT_LOWAT`: how many bytes may wait in the kernel that are not on the wire yet. 16
    /// KiB by default: a slow reader then fills the outbox, which has a policy, and not kernel
    /// memory, which has none. What is on the wire does not count, so long fat paths lose nothing.
    pub not_sent_low_water: Option<u32>,
    /// `SO_SNDBUF`. None by default: a fixed size ends the kernel's tuning, and
    /// `not_sent_low_water` bounds what a slow reader can hold.
    pub send_buffer: Option<usize>,
    /// `SO_RCVBUF`. None by default: the engine reads at once, so nothing stays there; a fixed size
    /// below the kernel's bounds what may wait while reading is paused.
    pub receive_buffer: Option<usize>,
    /// The queue of connections that nobody accepted yet; the kernel cuts it to
    /// `net.core.somaxconn`. 4,096 by default, the kernel's own limit since Linux 5.4.
    pub backlog: u32,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            no_delay: true,
            user_timeout: Some(Duration::from_secs(30)),
            not_sent_low_water: Some(16 * 1024),
            send_buffer: None,
            receive_buffer: None,
            backlog: 4096,
        }
    }
}

/// A listening TCP socket of one shard.
///
/// Each shard binds its own to the same address (`SO_REUSEPORT`) and the kernel spreads the
/// connections. A listener that stops accepting still gets its share in its backlog, and closing
/// it resets what waits there.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
}

impl Listener {
    /// Binds and listens. An IPv6 address takes IPv6 alone, so both families can hold one port.
    ///
    /// # Errors
    /// The address is in use or not ours, or the kernel refuses an option.
    pub fn bind(address: SocketAddr, options: &SocketOptions) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = net::socket_with(family, SocketType::STREAM, flags, None)?;
        if address.is_ipv6() {
            sockopt::set_ipv6_v6only(&fd, true)?;
        }
        // A restart must not wait for the sockets of the last run to leave TIME_WAIT.
        sockopt::set_socket_reuseaddr(&fd, true)?;
        sockopt::set_socket_reuseport(&fd, true)?;
        set_inherited(&fd, options)?;
        net::bind(&fd, &address)?;
        net::listen(&fd, i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        Ok(Self { fd })
    }

    /// Whether nobody listens on the address yet: listeners of one port let each other in, so two
    /// gateways would share their users without a word.
    ///
    /// # Errors
    /// Somebody listens there, or the address is not ours.
    pub fn claim(address: SocketAddr) -> io::Result<()> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let fd = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        if address.is_ipv6() {
            sockopt::set_ipv6_v6only(&fd, true)?;
        }
        sockopt::set_socket_reuseaddr(&fd, true)?;
        Ok(net::bind(&fd, &address)?)
    }

    /// Where it listens; tells the port that the kernel chose for port 0.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::try_from(net::getsockname(&self.fd)?)?)
    }

    /// Refuses who waits and who will come. The kernel gives nothing more to accept.
    pub(super) fn close(&self) {
        // It fails only where it does not listen any more.
        let _ = net::shutdown(&self.fd, net::Shutdown::Read);
    }

    /// Takes one waiting connection, if there is one.
    pub(super) fn accept(&self) -> Result<Socket, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        net::accept_with(&self.fd, flags).map(Socket::from)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A connected, non-blocking, close-on-exec TCP socket; 4 bytes.
///
/// Dropping it shuts it down and closes it. The first is for polls that the kernel may still hold:
/// they keep the connection open beyond its descriptor, and end with a shutdown.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// The other end, or an error where the connection is already gone.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        let address = net::getpeername(&self.fd)?.ok_or(io::ErrorKind::NotConnected)?;
        Ok(SocketAddr::try_from(address)?)
    }

    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub(super) fn receive(&self, buffer: &mut [u8]) -> Received {
        self.try_receive(buffer).unwrap_or_else(failed_receive)
    }

    /// As [`Socket::receive`], with the error for who has to tell them apart.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> Result<Received, Errno> {
        debug_assert!(!buffer.is_empty(), "a receive into nothing would read as end of stream");
        let (_, count) = retry_on_intr(|| net::recv(&self.fd, &mut *buffer, RecvFlags::DONTWAIT))?;
        Ok(if count == 0 { Received::End } else { Received::Bytes(count) })
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Sent {
        match net::send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(count) if count == bytes.len() => Sent::All,
            Ok(count) => Sent::Part(count),
            Err(error) => failed_send(error),
        }
    }

    pub(super) fn shutdown(&self, how: How) {
        let how = match how {
            How::Write => net::Shutdown::Write,
            How::Both => net::Shutdown::Both,
        };
        // It fails only where the connection is already gone, which is what was asked for.
        let _ = net::shutdown(&self.fd, how);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shutdown(How::Both);
    }
}

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a failed send means. A shortage of kernel memory passes, so it reads as a full buffer: the
/// watch for room then finds some at once, and the send is tried again in the next turn.
pub(super) fn failed_send(error: Errno) -> Sent {
    match error {
        Errno::AGAIN | Errno::INTR => Sent::Part(0),
        error if is_shortage(error) => Sent::Part(0),
        _ => Sent::Broken,
    }
}

/// What a failed receive means. A shortage of kernel memory passes and says nothing about the
/// connection: what waits is still there for the next receive.
pub(super) fn failed_receive(error: Errno) -> Received {
    match error {
        Errno::AGAIN => Received::Empty,
        error if is_shortage(error) => Received::Empty,
        _ => Received::Broken,
    }
}

/// Whether the kernel only lacked memory for the call.
pub(super) fn is_shortage(error: Errno) -> bool {
    matches!(error, Errno::NOBUFS | Errno::NOMEM)
}

/// Whether a failed accept is about that one connection only, so that accepting goes on.
pub(super) fn concerns_one_connection(error: Errno) -> bool {
    // accept(2) hands over network errors of the connection that it would have returned.
    matches!(
        error,
        Errno::CONNABORTED
            | Errno::INTR
            | Errno::PERM
            | Errno::PROTO
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NOPROTOOPT
            | Errno::NONET
    )
}

fn set_inherited(fd: &OwnedFd, options: &SocketOptions) -> io::Result<()> {
    sockopt::set_tcp_nodelay(fd, options.no_delay)?;
    if let Some(limit) = options.user_timeout {
        let millis = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(fd, millis)?;
    }
    if let Some(size) = options.send_buffer {
        sockopt::set_socket_send_buffer_size(fd, size)?;
    }
    if let Some(size) = options.receive_buffer {
        sockopt::set_socket_recv_buffer_size(fd, size)?;
    }
    options.not_sent_low_water.map_or(Ok(()), |bytes| set_not_sent_low_water(fd, bytes))
}

fn set_not_sent_low_water(fd: &OwnedFd, bytes: u32) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<u32>()).unwrap_or(4);
    let value = (&raw const bytes).cast::<libc::c_void>();
    // SAFETY: `value` points to `size` bytes that live until the call returns; the kernel only
    // reads them.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, value, size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_of_memory_breaks_no_connection() {
        for error in [Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(failed_send(error), Sent::Part(0), "{error}");
            assert_eq!(failed_receive(error), Received::Empty, "{error}");
        }
        for error in [Errno::CONNRESET, Errno::TIMEDOUT, Errno::PIPE] {
            assert_eq!(failed_send(error), Sent::Broken, "{error}");
            assert_eq!(failed_receive(error), Received::Broken, "{error}");
        }
    }

    #[test]
    fn a_shortage_ends_accepting_and_a_lost_connection_does_not() {
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(!concerns_one_connection(error), "{error}");
        }
        for error in [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::NETUNREACH] {
            assert!(concerns_one_connection(error), "{error}");
        }
    }
}
