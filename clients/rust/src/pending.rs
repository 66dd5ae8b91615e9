//! An answer that is on its way: to be waited for by a thread, or awaited by a task of any runtime.

use crate::error::Error;
use crate::sink::Callback;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The answer to one request, once it is there.
///
/// It comes at the latest when [`crate::Options::timeout`] has passed, as an error if need be.
/// Dropping it forgets the answer, not the request. Do not wait for it inside a callback of this
/// crate: the thread that would bring the answer is the one that waits.
#[must_use = "a request whose answer nobody looks at may have failed"]
#[derive(Debug)]
pub struct Pending<T> {
    slot: Arc<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

#[derive(Debug)]
enum State<T> {
    Empty(Option<Waker>),
    Full(Result<T, Error>),
    Taken,
}

impl<T> Pending<T> {
    /// Waits for the answer.
    pub fn wait(self) -> Result<T, Error> {
        let mut state = self.slot.lock();
        loop {
            if let Some(result) = state.take() {
                return result;
            }
            state = self.slot.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the answer so long, and no longer than [`crate::Options::timeout`] in any case.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it did not come; the request goes on without anybody to answer to.
    pub fn wait_timeout(self, timeout: Duration) -> Result<T, Error> {
        let end = Instant::now() + timeout;
        let mut state = self.slot.lock();
        loop {
            if let Some(result) = state.take() {
                return result;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::TimedOut(timeout));
            }
            let waited = self.slot.filled.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the answer is there, so that [`wait`](Self::wait) returns at once.
    pub fn is_ready(&self) -> bool {
        !matches!(*self.slot.lock(), State::Empty(_))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.slot.lock();
        if let Some(result) = state.take() {
            return Poll::Ready(result);
        }
        if matches!(*state, State::Taken) {
            return Poll::Ready(Err(Error::Closed));
        }
        *state = State::Empty(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Option<Result<T, Error>> {
        if !matches!(self, Self::Full(_)) {
            return None;
        }
        match mem::replace(self, Self::Taken) {
            Self::Full(result) => Some(result),
            Self::Empty(_) | Self::Taken => None,
        }
    }
}

/// Fills a slot, at the latest when it is dropped, so that nobody waits for a thread that is gone.
struct Filler<T> {
    slot: Arc<Slot<T>>,
}

impl<T> Filler<T> {
    fn fill(&self, result: Result<T, Error>) {
        let mut state = self.slot.lock();
        let State::Empty(waker) = &mut *state else { return };
        let waker = waker.take();
        *state = State::Full(result);
        drop(state);
        self.slot.filled.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Filler<T> {
    fn drop(&mut self) {
        self.fill(Err(Error::Closed));
    }
}

/// An answer to wait for, and the callback that brings it, after `map`.
pub(crate) fn pair<A: 'static, T: Send + 'static>(
    map: impl FnOnce(A) -> T + Send + 'static,
) -> (Callback<A>, Pending<T>) {
    let slot = Arc::new(Slot { state: Mutex::new(State::Empty(None)), filled: Condvar::new() });
    let filler = Filler { slot: Arc::clone(&slot) };
    (Box::new(move |result: Result<A, Error>| filler.fill(result.map(map))), Pending { slot })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;
    use std::thread;

    fn plain() -> (Callback<u32>, Pending<u32>) {
        pair(|value: u32| value)
    }

    #[test]
    fn a_waiting_thread_gets_the_answer_of_another() {
        let (done, pending) = plain();
        let waiter = thread::spawn(|| pending.wait());
        done(Ok(7));
        assert_eq!(waiter.join().unwrap(), Ok(7));
    }

    #[test]
    fn a_callback_that_is_dropped_answers_closed() {
        let (done, pending) = plain();
        drop(done);
        assert!(pending.is_ready());
        assert_eq!(pending.wait(), Err(Error::Closed));
    }

    #[test]
    fn a_wait_ends_at_its_timeout() {
        let (_done, pending) = plain();
        let soon = Duration::from_millis(1);
        assert_eq!(pending.wait_timeout(soon), Err(Error::TimedOut(soon)));
    }

    #[test]
    fn a_task_is_woken_and_gets_the_answer() {
        struct Flag(AtomicBool);
        impl Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        let (done, mut pending) = plain();
        assert_eq!(Pin::new(&mut pending).poll(&mut context), Poll::Pending);
        assert!(!flag.0.load(Ordering::SeqCst));
        done(Ok(9));
        assert!(flag.0.load(Ordering::SeqCst));
        assert_eq!(Pin::new(&mut pending).poll(&mut context), Poll::Ready(Ok(9)));
    }
}
