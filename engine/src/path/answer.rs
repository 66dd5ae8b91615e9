//! What became of the parts of a request comes back to its backend's shard; with the last part the
//! backend is answered.

use crate::backend::requests::Requests;
use crate::connection::Ending;
use crate::io::{Io, Key};
use crate::mesh::ToOrigin;
use crate::mesh::letter::{Origin, Receipt};
use crate::metrics::{Counter, Histogram};
use crate::shard::{Shard, key as key_of};
use holdfast_protocol::backend::answer;
use std::sync::Arc;

impl<I: Io> Shard<I> {
    /// A letter for a backend of this shard, or for this shard as the owner of a broadcast.
    pub(crate) fn at_origin(&mut self, letter: ToOrigin) {
        match letter {
            ToOrigin::Outcome(origin, outcome) => {
                self.metrics.outcome(outcome);
                self.part_answered(origin, |requests, out| requests.outcome(origin, outcome, out));
            }
            ToOrigin::Mailbox(origin, mailbox) => self.part_answered(origin, |requests, out| {
                requests.mailbox(origin.request, &mailbox, out)
            }),
            ToOrigin::Receipt(receipt) => self.receipt(receipt),
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

    /// A receipt goes to the connection that pushed, or to another one of the same backend; from
    /// shard to shard until there is one.
    fn receipt(&mut self, mut receipt: Box<Receipt>) {
        let limit = self.settings.backend_outbox_bytes;
        let named = |shard: &mut Self, key: Key| {
            let connection = shard.connections.get_mut(key);
            let open =
                connection.filter(|it| it.ending == Ending::Open && it.parked_bytes() < limit);
            let backend = open.and_then(|connection| connection.backend());
            backend.is_some_and(|it| it.open && it.name == receipt.backend)
        };
        let own = receipt.connection.filter(|id| id.shard == self.number).map(key_of);
        let mut found = own.filter(|&key| named(self, key));
        for index in 0..self.backends.len() {
            let key = self.backends[index];
            found = found.or_else(|| named(self, key).then_some(key));
        }
        let Some(key) = found else {
            receipt.hops += 1;
            if receipt.hops < self.settings.shards {
                let next = (self.number + 1) % self.settings.shards;
                self.ends.origin_out.send(next, ToOrigin::Receipt(receipt));
            } else {
                self.metrics.count(Counter::ReceiptsLost);
            }
            return;
        };
        self.metrics.count(Counter::Receipts);
        let settings = Arc::clone(&self.settings);
        let Receipt { product, ref user, sequence, outcome, .. } = *receipt;
        let product = &settings.products[usize::from(product)].name;
        let told = answer::Receipt { product, user, sequence, outcome };
        self.answer(key, |out| answer::put_receipt(&told, out));
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
