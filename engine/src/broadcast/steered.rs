//! Durable jobs that were steered, until the store has it.
//!
//! Who steered one is answered when the batch with the order is. Where that failed its broadcast is
//! remembered, so that who asks again has the order written again, although nothing else here knows
//! a cancelled one any more.
//!
//! Pure: batches are numbers, and the shard sends the answers.

use super::owner::Send;
use holdfast_protocol::backend::JobId;
use holdfast_protocol::backend::answer::ErrorCode;
use std::collections::{BTreeMap, VecDeque};

/// One order that waits for the store.
#[derive(Debug)]
struct Waiting {
    /// The batch that it is in.
    batch: u64,
    job: JobId,
    answers: Vec<Send>,
}

/// All of one shard.
#[derive(Debug, Default)]
pub struct Steered {
    /// In the order of their batches.
    waiting: VecDeque<Waiting>,
    /// The product and the number of each broadcast whose last order the store may not have. No
    /// more than are kept: an order that fails is of one that was there.
    open: BTreeMap<JobId, (u16, u64)>,
}

impl Steered {
    /// The product and the number of a job that was steered and of which the store may not know.
    pub fn find(&self, job: JobId) -> Option<(u16, u64)> {
        self.open.get(&job).copied()
    }

    /// This job, with this product and number, is steered in a batch; its `answers` wait for that.
    pub fn wait(&mut self, batch: u64, job: JobId, of: (u16, u64), answers: Vec<Send>) {
        self.open.insert(job, of);
        self.waiting.push_back(Waiting { batch, job, answers });
    }

    /// The store has answered so many batches, the last of them with `trouble`; gives what is to be
    /// sent.
    pub fn answered(&mut self, batches: u64, trouble: Option<ErrorCode>) -> Vec<Send> {
        let mut send = Vec::new();
        while let Some(Waiting { job, mut answers, .. }) =
            self.waiting.pop_front_if(|waiting| waiting.batch <= batches)
        {
            for answer in &mut answers {
                if let (Send::Answer(_, told), Some(code)) = (answer, trouble) {
                    *told = Err(code);
                }
            }
            send.extend(answers);
            let again = self.waiting.iter().any(|waiting| waiting.job == job);
            if trouble.is_none() && !again {
                self.open.remove(&job);
            }
        }
        send
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::id::ConnectionId;
    use crate::mesh::letter::Origin;
    use holdfast_protocol::backend::answer::{Job, JobState};

    const JOB: JobId = 77;
    const OF: (u16, u64) = (1, 5);

    fn answer() -> Vec<Send> {
        let connection = ConnectionId { shard: 0, slot: 0, generation: 0 };
        let origin = Origin { connection, request: 0, part: 0, copies: 1 };
        let state = JobState::Cancelled;
        let job = Job { id: JOB, state, sequence: 5, total: 0, delivered: 0, dropped: 0 };
        vec![Send::Answer(origin, Ok(job))]
    }

    fn told(send: &[Send]) -> Option<ErrorCode> {
        let [Send::Answer(_, told)] = send else { panic!("not one answer: {send:?}") };
        told.as_ref().err().copied()
    }

    #[test]
    fn what_failed_is_known_until_it_is_safe() {
        let mut steered = Steered::default();
        steered.wait(1, JOB, OF, answer());
        assert!(steered.answered(0, None).is_empty(), "its batch is not answered");
        let busy = Some(ErrorCode::StoreBusy);
        assert_eq!(told(&steered.answered(1, busy)), busy);
        assert_eq!(steered.find(JOB), Some(OF));
        steered.wait(2, JOB, OF, answer());
        assert_eq!(told(&steered.answered(2, None)), None);
        assert_eq!(steered.find(JOB), None);
    }

    #[test]
    fn a_later_order_is_not_safe_with_an_earlier_one() {
        let mut steered = Steered::default();
        steered.wait(1, JOB, OF, answer());
        steered.wait(2, JOB, OF, answer());
        assert_eq!(steered.answered(1, None).len(), 1);
        steered.answered(2, Some(ErrorCode::StoreFull));
        assert_eq!(steered.find(JOB), Some(OF));
    }
}
