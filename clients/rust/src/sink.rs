//! Where the answer to a request goes.
//!
//! A sink knows which kind of answer its request must get, so that a gateway that answers something
//! else is found out instead of being believed.

use crate::error::Error;
use holdfast_protocol::backend::{Answer, Job, Mailbox, Outcome};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Takes the answer to one request; called once, on the client's thread, without any lock held.
pub(crate) type Callback<T> = Box<dyn FnOnce(Result<T, Error>) + Send>;

/// The kind of answer that is expected, and who takes it.
pub(crate) enum Sink {
    /// So many outcomes.
    Push(usize, Callback<Vec<Outcome>>),
    Job(Callback<Job>),
    /// So many counts.
    Online(usize, Callback<Vec<u32>>),
    Kick(Callback<u32>),
    Counters(Callback<Vec<(String, u64)>>),
    Mailbox(Callback<Mailbox>),
}

/// The answer is not of the kind, or not of the length, that the request must get.
pub(crate) struct WrongAnswer(pub(crate) Sink);

impl Sink {
    /// Hands over the answer.
    pub(crate) fn answer(self, answer: &Answer<'_>) -> Result<(), WrongAnswer> {
        match (self, answer) {
            (sink, Answer::Error { code, retry_after, text, .. }) => {
                let after =
                    (*retry_after > 0).then(|| Duration::from_millis((*retry_after).into()));
                let text = (*text).to_owned();
                sink.fail(Error::Declined { code: *code, retry_after: after, text });
            }
            (Self::Push(count, done), Answer::Push(_, outcomes)) if outcomes.len() == count => {
                call(done, Ok(outcomes.iter().collect()));
            }
            (Self::Job(done), Answer::Job(_, job)) => call(done, Ok(*job)),
            (Self::Online(count, done), Answer::Online(_, counts)) if counts.len() == count => {
                call(done, Ok(counts.iter().collect()));
            }
            (Self::Kick(done), Answer::Kick(_, sessions)) => call(done, Ok(*sessions)),
            (Self::Counters(done), Answer::Counters(_, counters)) => {
                call(
                    done,
                    Ok(counters.iter().map(|(name, value)| (name.to_owned(), value)).collect()),
                );
            }
            (Self::Mailbox(done), Answer::Mailbox(_, mailbox)) => call(done, Ok(*mailbox)),
            (sink, _) => return Err(WrongAnswer(sink)),
        }
        Ok(())
    }

    /// Hands over why there is no answer.
    pub(crate) fn fail(self, error: Error) {
        match self {
            Self::Push(_, done) => call(done, Err(error)),
            Self::Job(done) => call(done, Err(error)),
            Self::Online(_, done) => call(done, Err(error)),
            Self::Kick(done) => call(done, Err(error)),
            Self::Counters(done) => call(done, Err(error)),
            Self::Mailbox(done) => call(done, Err(error)),
        }
    }
}

/// A callback that panics has spoken through the panic hook; it must not take the client's thread,
/// and with it all other requests, along. Nothing of ours is reachable from it, so nothing can be
/// left half changed.
fn call<T>(done: Callback<T>, result: Result<T, Error>) {
    let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
}
