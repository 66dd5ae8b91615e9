//! What a bare server asks of the kernel, so that the same few lines run on a ring and on epoll.

use std::io;
use std::os::fd::OwnedFd;

/// One thing that happened.
#[derive(Debug)]
pub(in crate::floor) enum Event {
    /// A connection came in on the listener of this id.
    Accepted(u32, OwnedFd),
    /// The socket of this id has something to read.
    Ready(u32),
    /// The kernel ended the watch of this id: watch it again.
    Ended(u32),
}

/// The kernel, as one thread sees it.
pub(in crate::floor) trait Kernel {
    /// Accepts on a listener from now on.
    fn listen(&mut self, listener: &OwnedFd, id: u32) -> io::Result<()>;

    /// Reports when the socket has something to read, each time anew.
    fn watch(&mut self, socket: &OwnedFd, id: u32) -> io::Result<()>;

    /// Ends the watch; the caller closes the socket next.
    fn forget(&mut self, socket: &OwnedFd, id: u32) -> io::Result<()>;

    /// Sends the same bytes to each socket without blocking; gives how many were not sent in full.
    fn send(&mut self, sockets: &[&OwnedFd], bytes: &'static [u8]) -> io::Result<usize>;

    /// Waits until something happened and appends it.
    fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()>;
}
