//! The ring itself: set-up, submission, completions in order.
//!
//! Owns the set-up flags and their reasons, and the rule for a ring that fails: it is entered no
//! more, every later call says so, and no submission left in its queue ever reaches the kernel.
//! What completions mean is not known here.

#![allow(unsafe_code, reason = "pushing an entry is a promise about the memory that it names")]

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use io_uring::register::Restriction;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::UringOptions;

/// How often a submission that the kernel has no memory for is tried again before the ring counts
/// as failed. Each try reaps what it can, which is what frees memory.
const TRIES: usize = 1000;

/// One result, copied out of the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Completion {
    /// The operation's `user_data`: an encoded token.
    pub(super) name: u64,
    pub(super) result: i32,
    /// The operation goes on and will complete again.
    pub(super) more: bool,
}

impl From<cqueue::Entry> for Completion {
    fn from(entry: cqueue::Entry) -> Self {
        let more = cqueue::more(entry.flags());
        Self { name: entry.user_data(), result: entry.result(), more }
    }
}

pub(super) struct Ring {
    queues: IoUring,
    /// Completions taken out of the queue and not yet acted on; they come before those in it.
    kept: VecDeque<Completion>,
    overflows: u64,
    restricted: bool,
    /// The errno that ended the ring's use.
    failed: Option<i32>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("kept", &self.kept.len())
            .field("overflows", &self.overflows)
            .field("restricted", &self.restricted)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Ring {
    pub(super) fn new(options: UringOptions) -> io::Result<Self> {
        let ring = IoUring::builder()
            // One thread enters: the kernel needs no lock of the ring (6.0).
            .setup_single_issuer()
            // Completions run when this thread asks for them, never in the middle of its work, and
            // nobody interrupts it (6.1, 5.19).
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            // Says, without a call, that more completions could be made (5.19).
            .setup_taskrun_flag()
            // A bad entry fails alone; the rest of its batch still goes.
            .setup_submit_all()
            .setup_cqsize(options.completions)
            // Nothing can be submitted until the restrictions stand.
            .setup_r_disabled()
            .build(options.submissions)?;
        let restricted = restrict(&ring);
        ring.submitter().register_enable_rings()?;
        Ok(Self { queues: ring, kept: VecDeque::new(), overflows: 0, restricted, failed: None })
    }

    pub(super) fn is_restricted(&self) -> bool {
        self.restricted
    }

    pub(super) fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Queues an operation, submitting first where the queue is full. A failed ring drops it.
    ///
    /// # Safety
    /// Memory that the entry names stays valid, and unchanged where it is to be written, until the
    /// operation completed or this ring returned an error.
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) {
        while self.failed.is_none() {
            // SAFETY: the caller's promise.
            if unsafe { self.queues.submission().push(entry) }.is_ok() || self.submit().is_err() {
                return;
            }
        }
    }

    /// Whether a completion can be had without waiting.
    pub(super) fn has_completions(&mut self) -> bool {
        !self.kept.is_empty() || !self.queues.completion().is_empty()
    }

    /// Whether the kernel has more for us than the queue shows: work not run, or completions that
    /// did not fit.
    pub(super) fn has_work(&mut self) -> bool {
        let queue = self.queues.submission();
        queue.taskrun() || queue.cq_overflow()
    }

    /// Whether completions wait in kernel memory as the queue was full.
    pub(super) fn has_overflowed(&mut self) -> bool {
        self.queues.submission().cq_overflow()
    }

    /// How many completions are kept; see [`Ring::take_kept_after`].
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Takes back the completions kept after the first `count`.
    pub(super) fn take_kept_after(&mut self, count: usize) -> VecDeque<Completion> {
        self.kept.split_off(count.min(self.kept.len()))
    }

    /// The oldest completion at hand.
    pub(super) fn next_completion(&mut self) -> Option<Completion> {
        self.kept.pop_front().or_else(|| self.next_unkept())
    }

    /// The oldest completion in the queue, leaving out those that were kept.
    pub(super) fn next_unkept(&mut self) -> Option<Completion> {
        self.queues.completion().next().map(Completion::from)
    }

    /// Puts a completion aside, to be acted on at the next wait.
    pub(super) fn keep(&mut self, completion: Completion) {
        self.kept.push_back(completion);
    }

    /// Hands all that is queued to the kernel, without waiting, and has it finish what it can.
    ///
    /// # Errors
    /// The ring has failed.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        for _ in 0..TRIES {
            self.check()?;
            self.count_overflow();
            if self.queues.submission().is_empty() && !self.has_work() {
                return Ok(());
            }
            let entered = self.queues.submit();
            self.judge(entered)?;
            if self.queues.submission().is_empty() {
                return Ok(());
            }
        }
        Err(self.fail(libc::EAGAIN))
    }

    /// As [`Ring::submit`], then waits for a completion, at most `timeout`.
    pub(super) fn submit_and_wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.check()?;
        self.count_overflow();
        if timeout == Some(Duration::ZERO) {
            return self.submit();
        }
        let timeout = timeout.map(Timespec::from);
        let entered = match &timeout {
            Some(timeout) => {
                self.queues.submitter().submit_with_args(1, &SubmitArgs::new().timespec(timeout))
            }
            None => self.queues.submit_and_wait(1),
        };
        self.judge(entered)?;
        // It waits only where it took all; what is left is the kernel's lack of memory.
        if self.queues.submission().is_empty() { Ok(()) } else { self.submit() }
    }

    /// What an enter's result means: an error only where the ring can not go on.
    fn judge(&mut self, entered: io::Result<usize>) -> io::Result<()> {
        let Err(error) = entered else { return Ok(()) };
        match error.raw_os_error() {
            Some(libc::EINTR | libc::ETIME) => Ok(()),
            // Too many completions wait, or no memory: take what is there and try again.
            Some(libc::EBUSY | libc::EAGAIN | libc::ENOMEM) => {
                self.keep_all();
                Ok(())
            }
            other => Err(self.fail(other.unwrap_or(libc::EIO))),
        }
    }

    fn keep_all(&mut self) {
        while let Some(completion) = self.next_unkept() {
            self.keep(completion);
        }
    }

    fn count_overflow(&mut self) {
        if self.queues.submission().cq_overflow() {
            self.overflows += 1;
        }
    }

    fn fail(&mut self, errno: i32) -> io::Error {
        self.failed = Some(errno);
        io::Error::from_raw_os_error(errno)
    }

    fn check(&self) -> io::Result<()> {
        self.failed.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }
}

/// Holds the ring to what this program does with it, so that a stray write into its memory can not
/// make the kernel open, read or send anything else. `false` where the kernel refuses.
fn restrict(ring: &IoUring) -> bool {
    let mut allowed = [
        Restriction::sqe_op(opcode::PollAdd::CODE),
        Restriction::sqe_op(opcode::AcceptMulti::CODE),
        Restriction::sqe_op(opcode::AsyncCancel::CODE),
        Restriction::sqe_op(opcode::Send::CODE),
        Restriction::sqe_flags_allowed(squeue::Flags::SKIP_SUCCESS.bits()),
    ];
    ring.submitter().register_restrictions(&mut allowed).is_ok()
}
