//! Threads that go before others on their core, so that what they send is sent when it is due and
//! what they time is timed when it comes.
//!
//! All of a driver shares one core, and a thread there has its turn of some milliseconds before one
//! of the same kind may go on, however nice: only a real-time thread goes at once.

#![allow(unsafe_code, reason = "rustix does not set the scheduler of a thread")]

use std::marker::PhantomData;

/// The calling thread goes before others until this is dropped, where that is allowed. It must
/// sleep most of the time.
#[derive(Debug)]
pub(super) struct Hurry {
    /// It is the calling thread's.
    here: PhantomData<*const ()>,
}

impl Hurry {
    pub(super) fn begin() -> Self {
        set(libc::SCHED_FIFO, 1);
        Self { here: PhantomData }
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        set(libc::SCHED_OTHER, 0);
    }
}

/// Where it is not allowed the thread stays as it is, and latencies are a little worse.
fn set(policy: libc::c_int, priority: libc::c_int) {
    let parameter = libc::sched_param { sched_priority: priority };
    // SAFETY: the call reads the parameter and keeps nothing; 0 is the calling thread.
    let _ = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
}
