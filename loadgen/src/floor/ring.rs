//! The bare server's `io_uring`.
//!
//! Nothing that the kernel is given here can dangle: sends borrow `'static` bytes, watches and
//! accepts lend no memory at all. A descriptor that was closed meanwhile gives an error completion
//! and no more.

#![allow(unsafe_code, reason = "entries are pushed to the ring on the caller's word")]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::{IoUring, opcode, squeue, types};

use super::server::kernel::{Event, Kernel};

/// Entries of the submission queue; a batch of sends is flushed when it is full.
const ENTRIES: u32 = 128;
/// Room for one completion of each of many sockets that become ready at once.
const COMPLETIONS: u32 = 16 * 1024;

const ACCEPT: u64 = 1 << 32;
const READY: u64 = 2 << 32;
const SEND: u64 = 3 << 32;
const FORGET: u64 = 4 << 32;

/// The ring of one bare server thread.
pub(super) struct Ring {
    uring: IoUring,
    held: VecDeque<Event>,
    failed: usize,
}

impl Ring {
    pub(super) fn new() -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_cqsize(COMPLETIONS)
            .build(ENTRIES)?;
        Ok(Self { uring, held: VecDeque::new(), failed: 0 })
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: the module's rule: an entry lends the kernel `'static` bytes or nothing.
            let pushed = unsafe { self.uring.submission().push(entry) };
            if pushed.is_ok() {
                return Ok(());
            }
            self.submit(0)?;
        }
    }

    fn submit(&mut self, wait: usize) -> io::Result<()> {
        match self.uring.submit_and_wait(wait) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn reap(&mut self) -> io::Result<()> {
        let mut again = Vec::new();
        for completion in self.uring.completion() {
            let (token, result) = (completion.user_data(), completion.result());
            let id = u32::try_from(token & u64::from(u32::MAX)).unwrap_or_default();
            let more = io_uring::cqueue::more(completion.flags());
            match token - u64::from(id) {
                SEND => self.failed += 1,
                FORGET => {}
                ACCEPT if result >= 0 => {
                    // SAFETY: a completed accept hands this thread a new descriptor, once.
                    let socket = unsafe { OwnedFd::from_raw_fd(result) };
                    self.held.push_back(Event::Accepted(id, socket));
                    if !more {
                        return Err(io::Error::other("the multishot accept ended"));
                    }
                }
                ACCEPT => return Err(io::Error::from_raw_os_error(-result)),
                _ => {
                    if result >= 0 {
                        self.held.push_back(Event::Ready(id));
                    }
                    if result >= 0 && !more {
                        again.push(id);
                    }
                }
            }
        }
        self.held.extend(again.into_iter().map(Event::Ended));
        Ok(())
    }
}

impl Kernel for Ring {
    fn listen(&mut self, listener: &OwnedFd, id: u32) -> io::Result<()> {
        let accept = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
        self.push(&accept.build().user_data(ACCEPT | u64::from(id)))
    }

    fn watch(&mut self, socket: &OwnedFd, id: u32) -> io::Result<()> {
        let events = (libc::POLLIN | libc::POLLRDHUP).cast_unsigned();
        let poll =
            opcode::PollAdd::new(types::Fd(socket.as_raw_fd()), u32::from(events)).multi(true);
        self.push(&poll.build().user_data(READY | u64::from(id)))
    }

    fn forget(&mut self, _socket: &OwnedFd, id: u32) -> io::Result<()> {
        let remove = opcode::PollRemove::new(READY | u64::from(id)).build();
        self.push(&remove.user_data(FORGET))?;
        // The socket is closed right after; an entry not yet submitted would miss it.
        self.submit(0)
    }

    fn send(&mut self, sockets: &[&OwnedFd], bytes: &'static [u8]) -> io::Result<usize> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let flags = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        for socket in sockets {
            let fd = types::Fd(socket.as_raw_fd());
            let entry = opcode::Send::new(fd, bytes.as_ptr(), length).flags(flags).build();
            self.push(&entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND))?;
        }
        self.submit(0)?;
        self.reap()?;
        Ok(std::mem::take(&mut self.failed))
    }

    fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        if self.held.is_empty() {
            self.submit(1)?;
            self.reap()?;
        }
        events.extend(self.held.drain(..));
        Ok(())
    }
}
