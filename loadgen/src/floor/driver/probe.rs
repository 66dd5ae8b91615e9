//! How late single messages come, alone and while something else goes on.
//!
//! Messages are due at fixed moments, whatever became of the ones before; lateness counts from
//! then, so a stall of the gateway shows in every message that it held up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use holdfast_protocol::client::Class;

use super::api::Api;
use super::fleet::Manner;
use super::hurry::Hurry;
use super::worker::Order;
use super::{Driver, Subject, stamp};

/// Users that the single messages go to.
const USERS: u32 = 64;
/// Their numbers, out of the way of the others'.
const FIRST: u32 = 1 << 30;

/// What a probe saw.
#[derive(Debug)]
pub(in crate::floor) struct Probed {
    /// Messages sent, every one of which came.
    pub(in crate::floor) sent: usize,
    /// Their lateness in nanoseconds.
    pub(in crate::floor) latency: Histogram<u64>,
    /// Broadcasts that ran meanwhile.
    pub(in crate::floor) broadcasts: usize,
}

/// Single messages, one after the other.
#[derive(Debug, Clone, Copy)]
pub(in crate::floor) struct Singles {
    /// A second.
    pub(in crate::floor) rate: u32,
    /// For so long; `None` until the work beside them is done.
    pub(in crate::floor) time: Option<Duration>,
    /// Whether they are kept until they are acknowledged.
    pub(in crate::floor) class: Class,
}

impl Driver {
    /// Sends single messages of class online, with broadcasts one after the other or without.
    pub(in crate::floor) fn probe(
        &mut self,
        rate: u32,
        time: Duration,
        broadcast: bool,
    ) -> Result<Probed, String> {
        let singles = Singles { rate, time: Some(time), class: Class::Online };
        let (mut probed, broadcasts) = self.beside(singles, |driver, are_over| {
            let mut broadcasts = 0;
            while !are_over() {
                if broadcast {
                    driver.broadcast_once(1)?;
                    broadcasts += 1;
                } else {
                    sleep(Duration::from_millis(100));
                }
            }
            Ok(broadcasts)
        })?;
        probed.broadcasts = broadcasts;
        Ok(probed)
    }

    /// Sends single messages while some work is done, which may ask whether they are over.
    pub(super) fn beside<T>(
        &mut self,
        singles: Singles,
        work: impl FnOnce(&mut Self, &dyn Fn() -> bool) -> Result<T, String>,
    ) -> Result<(Probed, T), String> {
        if self.probe.count() == 0 {
            let numbers = FIRST..FIRST + USERS;
            self.probe.order(Order::Open { numbers, manner: Manner::POLITE });
            self.probe.wait()?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let over = Arc::new(AtomicBool::new(false));
        self.probe.order(Order::Listen { stop: Arc::clone(&stop) });
        let (subject, until) = (self.subject.clone(), Arc::clone(&over));
        let sender = thread::spawn(move || send_evenly(&subject, singles, &until));
        let worked = work(self, &|| sender.is_finished());
        if singles.time.is_none() || worked.is_err() {
            over.store(true, Ordering::Relaxed);
        }
        let sent = sender.join().map_err(|_| "the probe's sender panicked")?;
        // What was held up is still on its way.
        sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
        let done = self.probe.wait()?;
        let (worked, sent) = (worked?, sent?);
        let latency = done.latency.ok_or("the probe has no latencies")?;
        if latency.len() != sent as u64 {
            return Err(format!("{} of {sent} single messages came", latency.len()));
        }
        Ok((Probed { sent, latency, broadcasts: 0 }, worked))
    }
}

fn send_evenly(subject: &Subject, singles: Singles, over: &AtomicBool) -> Result<usize, String> {
    let _hurry = Hurry::begin();
    let mut api = Api::holdfast(subject.api_ports[0], &subject.api_key)?;
    let (start, gap) = (Instant::now(), Duration::from_secs(1) / singles.rate.max(1));
    let mut sent = 0;
    loop {
        let due = start + gap * sent;
        let ends = singles.time.is_some_and(|time| due > start + time);
        if ends || over.load(Ordering::Relaxed) {
            api.settle()?;
            return Ok(sent as usize);
        }
        sleep(due.saturating_duration_since(Instant::now()));
        api.push_to(&[FIRST + sent % USERS], singles.class, &stamp::message(due))?;
        sent += 1;
    }
}
