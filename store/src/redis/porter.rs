//! Carries letters from the shards to the control thread.
//!
//! A shard must not wake the control thread by itself: that takes a descriptor of the runtime, and
//! a shard has a descriptor table of its own, in which the number means nothing or something else.
//! Threads that wait without a descriptor stand between.

use crate::port::Server;
use flume::{Receiver, RecvTimeoutError, Sender};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How soon a porter without work sees that it is to end.
const ROUND: Duration = Duration::from_millis(50);

/// The threads; they end with [`Porters::end`], or when all shards have.
#[derive(Debug)]
pub(super) struct Porters {
    ending: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Porters {
    /// Puts porters before a server; gives what stands behind them.
    pub(super) fn before(server: Server) -> io::Result<(Server, Self)> {
        let ending = Arc::new(AtomicBool::new(false));
        let Server { batches, asks, ears } = server;
        let (batches, first) = porter("store-redis-in", batches, &ending)?;
        let (asks, second) = porter("store-redis-ask", asks, &ending)?;
        Ok((Server { batches, asks, ears }, Self { ending, threads: vec![first, second] }))
    }

    /// Returns when everything that was sent has been handed on.
    pub(super) fn end(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has nothing that could panic.
            let _ = thread.join();
        }
    }
}

fn porter<T: Send + 'static>(
    name: &str,
    from: Receiver<T>,
    ending: &Arc<AtomicBool>,
) -> io::Result<(Receiver<T>, JoinHandle<()>)> {
    let (to, out) = flume::unbounded();
    let ending = Arc::clone(ending);
    let thread = Builder::new().name(name.to_owned());
    let thread = thread.spawn(move || carry(&from, &to, &ending))?;
    Ok((out, thread))
}

fn carry<T>(from: &Receiver<T>, to: &Sender<T>, ending: &AtomicBool) {
    loop {
        match from.recv_timeout(ROUND) {
            Ok(letter) => {
                if to.send(letter).is_err() {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) if ending.load(Ordering::Relaxed) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
