//! How late single messages come, alone and while a broadcast runs.
//!
//! Messages are due at fixed moments, whatever became of the ones before; lateness counts from
//! then, so a stall of the gateway shows in every message that it held up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::api::Api;
use super::fleet::Manner;
use super::worker::Order;
use super::{Driver, Subject, hurry, stamp};

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

impl Driver {
    /// Sends `rate` single messages a second for so long, with broadcasts one after the other or
    /// without.
    pub(in crate::floor) fn probe(
        &mut self,
        rate: u32,
        time: Duration,
        broadcast: bool,
    ) -> Result<Probed, String> {
        if self.probe.count() == 0 {
            let manner = Manner { greet: true, held: None };
            self.probe.order(Order::Open { numbers: FIRST..FIRST + USERS, manner });
            self.probe.wait()?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        self.probe.order(Order::Listen { stop: Arc::clone(&stop) });
        let subject = self.subject.clone();
        let sender = thread::spawn(move || send_evenly(&subject, rate, time));
        let mut broadcasts = 0;
        while broadcast && !sender.is_finished() {
            self.broadcast_once(1)?;
            broadcasts += 1;
        }
        let sent = sender.join().map_err(|_| "the probe's sender panicked")?;
        // What was held up is still on its way.
        sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
        let done = self.probe.wait()?;
        let (sent, latency) = (sent?, done.latency.ok_or("the probe has no latencies")?);
        if latency.len() != sent as u64 {
            return Err(format!("{} of {sent} single messages came", latency.len()));
        }
        Ok(Probed { sent, latency, broadcasts })
    }
}

fn send_evenly(subject: &Subject, rate: u32, time: Duration) -> Result<usize, String> {
    hurry();
    let mut api = Api::holdfast(subject.api_ports[0], &subject.api_key)?;
    let (start, gap) = (Instant::now(), Duration::from_secs(1) / rate.max(1));
    let mut sent = 0;
    loop {
        let due = start + gap * sent;
        if due > start + time {
            return Ok(sent as usize);
        }
        sleep(due.saturating_duration_since(Instant::now()));
        api.push_one(FIRST + sent % USERS, &stamp::message(due))?;
        sent += 1;
    }
}
