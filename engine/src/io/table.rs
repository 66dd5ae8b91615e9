//! What a shard's thread takes for itself: a descriptor table and a core.
//!
//! A table of its own means that no other thread's `accept` or `close` takes its lock, that the
//! kernel need not count each use of a descriptor, and that `RLIMIT_NOFILE` counts for this shard
//! alone.
//!
//! A descriptor number then means a file only together with a thread. That would break Rust's
//! rule that an `OwnedFd` owns its number, so a shard's thread keeps to three rules:
//!
//! - It splits before it opens anything, and what it was handed from outside is in `keep`, which
//!   every shard keeps. Those numbers mean the same file in all tables.
//! - Sockets, listeners and rings made after the split never leave the thread.
//! - Nothing else that owns a descriptor enters the thread. All such numbers are closed here, and
//!   their owners live in other threads, where the number is still theirs.

#![allow(unsafe_code, reason = "unshare and close_range are foreign calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::thread::{CpuSet, UnshareFlags, sched_setaffinity, unshare_unsafe};

/// Standard input, output and error stay: logs and panics go there.
const STANDARD: u32 = 3;

/// Gives the calling thread its own descriptor table, with nothing in it but standard streams and
/// `keep`. The module's rules say who may call it, and when.
///
/// # Errors
/// The kernel has no memory for a table, or a container forbids `unshare` or `close_range`. In the
/// second case the table may already be the thread's own but still hold the rest: harmless, as the
/// copies cost numbers only.
pub fn own_descriptor_table(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    // SAFETY: the module's rules: what this thread uses later is in `keep` or made later.
    unsafe { unshare_unsafe(UnshareFlags::FILES) }?;
    let mut kept: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd().cast_unsigned()).collect();
    kept.sort_unstable();
    let mut first = STANDARD;
    for fd in kept.into_iter().filter(|fd| *fd >= STANDARD) {
        if first < fd {
            close_range(first, fd - 1)?;
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // Through `syscall`, since the C library's wrapper is younger than the oldest one we link to.
    // SAFETY: the numbers belong to owners in other threads, which mean another table by them.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Binds the calling thread to one core, so that its memory and its interrupts stay near it.
///
/// # Errors
/// The core does not exist or is not ours (a container's cpuset). A shard runs without it, only
/// slower, so the caller logs it and goes on.
pub fn pin_to_core(core: usize) -> io::Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
