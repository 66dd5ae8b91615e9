//! What ends a rest: the few descriptors of a shard that cannot wait.
//!
//! A shard whose clients only heartbeat would be woken for each of them, and a wake-up costs more
//! than the answer. So it rests for some milliseconds on this small epoll instance, which knows
//! its listeners, its backends and its wake-up descriptor and no other socket; what the clients
//! send meanwhile waits in the kernel and is answered in one go. Both kernel back ends do it the
//! same way.
//!
//! The instance only says that there is something; the back end's own wait says what. All is
//! registered edge-triggered: what is known and not dealt with yet (a paused listener, a backend
//! that is not read) ends one rest and not every rest.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::socket::Listener;
use super::wake::WakeFd;

/// The descriptors for which a rest ends at once.
#[derive(Debug)]
pub(super) struct Urgent {
    instance: OwnedFd,
    /// Whether one is missing: then no rest is safe.
    incomplete: bool,
}

impl Urgent {
    /// Of the shard that is woken by `wake`.
    ///
    /// # Errors
    /// No descriptor or no memory is left.
    pub(super) fn new<'a>(
        wake: &WakeFd,
        listeners: impl Iterator<Item = &'a Listener>,
    ) -> std::io::Result<Self> {
        let instance = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut urgent = Self { instance, incomplete: false };
        urgent.add(wake);
        listeners.for_each(|listener| urgent.add(listener));
        Ok(urgent)
    }

    /// Ends rests for this descriptor too, until it is closed.
    pub(super) fn add(&mut self, fd: impl AsFd) {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        // The kernel is out of memory or of watches: nobody shall wait for what is not seen.
        let added = epoll::add(&self.instance, fd, DATA, flags);
        self.incomplete |= !matches!(added, Ok(()) | Err(Errno::EXIST));
    }

    /// Sleeps until one of the descriptors has something new, at most `limit`.
    pub(super) fn rest(&self, limit: Duration) {
        if self.incomplete {
            return;
        }
        let Ok(limit) = Timespec::try_from(limit) else { return };
        let mut reported = [epoll::Event { flags: epoll::EventFlags::empty(), data: DATA }; 16];
        // An error or an interrupt ends the rest early, which is always right.
        let _ = epoll::wait(&self.instance, reported.as_mut_slice(), Some(&limit));
    }
}

/// What is reported is not looked at.
const DATA: epoll::EventData = epoll::EventData::new_u64(0);
