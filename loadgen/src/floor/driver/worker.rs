//! A thread that owns a fleet, and the orders it takes.

use std::net::SocketAddrV4;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::fleet::{Fleet, Manner};
use super::hurry::Hurry;
use crate::floor::language::{Language, Wanted};
use crate::floor::machine;

/// Makes the login token of a user; an empty one where the subject needs none.
pub(super) type Tokens = Arc<dyn Fn(u32) -> Vec<u8> + Send + Sync>;

/// What a worker is to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Connect these.
    Open { numbers: Range<u32>, manner: Manner },
    /// Connect these, each of which takes so many messages that wait for it.
    Load { numbers: Range<u32>, each: usize },
    /// Knock on every connection, so many times.
    Echo { rounds: usize },
    /// Knock at this rate for so long.
    Beat { rate: f64, time: Duration },
    /// Receive so many messages.
    Collect { messages: usize },
    /// Acknowledge so late from now on.
    Wait { late: Duration },
    /// Receive until told to stop; answers with the lateness of stamped messages.
    Listen { stop: Arc<AtomicBool> },
}

/// What a worker has done.
#[derive(Debug)]
pub(super) struct Done {
    /// Messages or answers that came.
    pub(super) came: usize,
    /// How late the stamped ones were, in nanoseconds; only after [`Order::Listen`].
    pub(super) latency: Option<Histogram<u64>>,
}

/// The handle of a worker.
#[derive(Debug)]
pub(super) struct Worker {
    /// `None` once it is told to end.
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    results: Receiver<Result<Done, String>>,
    /// The users that it has, by number.
    pub(super) numbers: Vec<Range<u32>>,
}

/// What every worker of a driver needs to know.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) language: Language,
    pub(super) target: SocketAddrV4,
    pub(super) tokens: Tokens,
}

impl Worker {
    /// Starts a worker; `urgent` puts it before the others on their core.
    pub(super) fn start(common: Common, urgent: bool) -> Self {
        let (orders, inbox) = mpsc::channel();
        let (outbox, results) = mpsc::channel();
        let thread = thread::spawn(move || {
            let _hurry = urgent.then(Hurry::begin);
            let made =
                machine::own_table().and_then(|()| Fleet::new(common.language, common.target));
            let mut fleet = match made {
                Ok(fleet) => fleet,
                Err(error) => return drop(outbox.send(Err(error.to_string()))),
            };
            for order in inbox {
                if outbox.send(carry_out(&mut fleet, order, &common.tokens)).is_err() {
                    return;
                }
            }
        });
        Self { orders: Some(orders), thread: Some(thread), results, numbers: Vec::new() }
    }

    /// How many users it has.
    pub(super) fn count(&self) -> usize {
        self.numbers.iter().map(ExactSizeIterator::len).sum()
    }

    /// Whether it has the user with this number.
    pub(super) fn has(&self, number: u32) -> bool {
        self.numbers.iter().any(|numbers| numbers.contains(&number))
    }

    /// Gives an order; the result comes with [`Worker::wait`].
    pub(super) fn order(&mut self, order: Order) {
        if let Order::Open { numbers, .. } | Order::Load { numbers, .. } = &order {
            self.numbers.push(numbers.clone());
        }
        // A worker that is gone has left its reason for `wait`.
        if let Some(orders) = &self.orders {
            drop(orders.send(order));
        }
    }

    /// Waits for the result of the last order.
    pub(super) fn wait(&self) -> Result<Done, String> {
        self.results.recv().unwrap_or_else(|_| Err("a worker ended".into()))
    }
}

impl Drop for Worker {
    /// Waits until every connection is closed, so that the next measurement starts from rest.
    fn drop(&mut self) {
        self.orders = None;
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn carry_out(fleet: &mut Fleet, order: Order, tokens: &Tokens) -> Result<Done, String> {
    let came = match order {
        Order::Open { numbers, manner } => {
            let count = numbers.len();
            fleet.open(numbers, manner, &**tokens).map(|()| count)
        }
        Order::Load { numbers, each } => fleet.load(numbers, each, &**tokens),
        Order::Echo { rounds } => fleet.echo(rounds).map(|()| rounds),
        Order::Beat { rate, time } => fleet.beat(rate, time),
        Order::Collect { messages } => {
            let came = fleet.collect(Wanted::Message, messages);
            came.and_then(|came| fleet.acknowledge_all().map(|()| came))
        }
        Order::Wait { late } => {
            fleet.acks.wait(late);
            Ok(0)
        }
        Order::Listen { stop } => return listen(fleet, &stop),
    };
    came.map(|came| Done { came, latency: None })
}

fn listen(fleet: &mut Fleet, stop: &AtomicBool) -> Result<Done, String> {
    fleet.latency.reset();
    let mut came = 0;
    while !stop.load(Ordering::Relaxed) {
        came += fleet.turn(Wanted::Message, Duration::from_millis(50))?;
    }
    fleet.acknowledge_all()?;
    Ok(Done { came, latency: Some(fleet.latency.clone()) })
}
