//! Phases of the durable class: kept for who is there, stored for who is not, taken at login.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use holdfast_protocol::client::Class;

use super::api::{BODY_MAX, Pushes, Sort};
use super::hurry::Hurry;
use super::probe::{Probed, Singles};
use super::worker::Order;
use super::{Driver, Sample};
use crate::floor::control::MESSAGE;

/// Users of one request of a phase that has no say in it.
const TARGETS: u32 = 64;
/// Users of one request beside single messages: everything behind a request waits for all of it,
/// so with many the latency would be that of the load alone.
const BESIDE: u32 = 16;
/// Requests without an answer while offline users' messages are stored.
const STORING: usize = 64;

impl Driver {
    /// As [`Driver::push`], of class durable or not, with so many requests unanswered. What is
    /// durable is acknowledged by all when this ends.
    pub(in crate::floor) fn push_many(
        &mut self,
        class: Class,
        each: [u32; 2],
        requests: usize,
        in_flight: usize,
    ) -> Result<Sample, String> {
        let sort = Sort { class, ..Sort::DURABLE };
        self.push_sort(sort, each, requests, in_flight)
    }

    /// Has all clients that are there acknowledge so late from now on.
    pub(in crate::floor) fn late(&mut self, late: Duration) -> Result<Sample, String> {
        self.cost(0, |driver| driver.all(|_| Order::Wait { late }).map(drop))
    }

    /// `each` durable messages for each of these users, who are not there, in turn.
    pub(in crate::floor) fn store(
        &mut self,
        users: Range<u32>,
        each: usize,
        body: usize,
    ) -> Result<Sample, String> {
        if body == 0 || body > BODY_MAX {
            return Err(format!("a body has 1 to {BODY_MAX} bytes"));
        }
        let numbers: Vec<u32> = users.collect();
        let sort = Sort { body, ..Sort::DURABLE };
        let lists = (0..each).flat_map(|_| numbers.chunks(TARGETS as usize).map(<[u32]>::to_vec));
        let requests = lists.collect();
        let pushes = Pushes { requests, repeat: 1, in_flight: STORING, sort };
        self.cost(numbers.len() * each, |driver| driver.api.push(&pushes))
    }

    /// Empties the mailboxes of these users.
    pub(in crate::floor) fn purge(&mut self, users: Range<u32>) -> Result<Sample, String> {
        self.cost(users.len(), |driver| driver.api.purge(users))
    }

    /// Connects `count` more clients at once, each of which takes `each` messages that wait for it
    /// and acknowledges them, while single online messages go to others.
    pub(in crate::floor) fn load(
        &mut self,
        count: u32,
        each: usize,
        rate: u32,
    ) -> Result<(Probed, Sample), String> {
        let singles = Singles { rate, time: None, class: Class::Online };
        self.beside(singles, |driver, _| {
            let units = count as usize * each.max(1);
            driver.cost_amid(units, |driver| {
                driver.spread(count, |numbers| Order::Load { numbers, each })
            })
        })
    }

    /// `rate` durable messages a second go to all clients, in requests of 16, while single ones go
    /// to others for so long; every one of both must come.
    pub(in crate::floor) fn paced(
        &mut self,
        rate: f64,
        singles: u32,
        time: Duration,
    ) -> Result<(Probed, Sample), String> {
        let singles = Singles { rate: singles, time: Some(time), class: Class::Durable };
        self.beside(singles, |driver, are_over| {
            let mut sent = 0;
            let mut sample = driver.cost_amid(0, |driver| {
                sent = driver.pace(rate, are_over)?;
                Ok(())
            })?;
            sample.units = sent as u64;
            Ok(sample)
        })
    }

    fn pace(&mut self, rate: f64, is_over: &dyn Fn() -> bool) -> Result<usize, String> {
        let stop = Arc::new(AtomicBool::new(false));
        for worker in &mut self.workers {
            worker.order(Order::Listen { stop: Arc::clone(&stop) });
        }
        // One that waits for the receivers would catch up in bursts that nobody wants.
        let _hurry = Hurry::begin();
        let gap = Duration::from_secs_f64(f64::from(BESIDE) / rate.max(1.0));
        let (start, mut requests) = (Instant::now(), 0);
        let mut failed = Ok(());
        while failed.is_ok() && !is_over() {
            sleep((start + gap * requests).saturating_duration_since(Instant::now()));
            let users = self.random_users(BESIDE);
            failed = self.api.push_to(&users, Class::Durable, &[0x5a; MESSAGE]);
            requests += 1;
        }
        let failed = failed.and_then(|()| self.api.settle());
        // What was held up is still on its way.
        sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        let came: Result<usize, String> =
            self.workers.iter().try_fold(0, |came, worker| Ok(came + worker.wait()?.came));
        let (came, sent) = (came?, (requests * BESIDE) as usize);
        failed?;
        if came == sent { Ok(sent) } else { Err(format!("{came} of {sent} messages came")) }
    }
}
