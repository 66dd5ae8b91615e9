//! What became of the parts of a request comes back to its backend's shard; with the last part the
//! backend is answered.

use crate::backend::requests::Requests;
use crate::io::Io;
use crate::mesh::ToOrigin;
use crate::mesh::letter::Origin;
use crate::metrics::Histogram;
use crate::shard::{Shard, key as key_of};

impl<I: Io> Shard<I> {
    /// A letter for a backend of this shard, or for this shard as the owner of a broadcast.
    pub(crate) fn at_origin(&mut self, letter: ToOrigin) {
        match letter {
            ToOrigin::Outcome(origin, outcome) => {
                self.metrics.outcome(outcome);
                self.part_answered(origin, |requests, out| {
                    requests.outcome(origin.request, origin.part, outcome, out)
                });
            }
            ToOrigin::Count(origin, count) => self.part_answered(origin, |requests, out| {
                requests.count(origin.request, origin.part, count, out)
            }),
            ToOrigin::Job(origin, job) => {
                let request = origin.request;
                self.part_answered(origin, |requests, out| requests.job(request, job, out));
            }
            ToOrigin::Part(report) => {
                let mut send = Vec::new();
                self.owner.report(report, &mut send);
                self.carry_out(send);
            }
        }
    }

    fn part_answered(
        &mut self,
        origin: Origin,
        take: impl FnOnce(&mut Requests, &mut Vec<u8>) -> Option<u64>,
    ) {
        let key = key_of(origin.connection);
        let connection = self.connections.get_mut(key);
        // A backend that has gone is told nothing; its users got their messages all the same.
        let Some(backend) = connection.and_then(|connection| connection.backend()) else { return };
        let mut out = Vec::new();
        let used = backend.requests.used();
        let answered = take(&mut backend.requests, &mut out);
        self.in_flight -= u64::from(used - backend.requests.used());
        if let Some(since) = answered {
            self.metrics.observe(Histogram::Request, self.now.micros.saturating_sub(since));
            self.queue_bytes(key, out);
        }
    }
}
