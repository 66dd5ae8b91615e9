//! The descriptor that ends a shard's wait.
//!
//! One eventfd a shard, made before any thread takes its own descriptor table, so that its number
//! means the same file in every table (see [`super::table`]). A write is kept by the kernel until
//! it is drained, so a wake-up before the wait is not lost; several merge into one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

use super::Wake;

/// An eventfd shared by its shard and all that wake it.
///
/// The shard and every waking thread must hold the same table as at its creation, or one that
/// kept its number. The last clone closes the number in its own thread's table; in other tables
/// it stays open until their threads end, which costs a number and nothing else.
#[derive(Debug, Clone)]
pub struct WakeFd {
    fd: Arc<OwnedFd>,
}

impl WakeFd {
    /// # Errors
    /// No descriptor or no memory is left.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { fd: Arc::new(fd) })
    }

    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Takes the wake-ups so far; what comes after makes the descriptor ready again.
    pub(super) fn drain(&self) {
        // "Would block" means that another drain took them.
        let _ = rustix::io::read(&self.fd, &mut [0_u8; 8]);
    }
}

impl Wake for WakeFd {
    fn wake(&self) {
        // It fails only where 2^64 - 2 wake-ups already wait, and then the shard is awake.
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }
}

impl AsFd for WakeFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
