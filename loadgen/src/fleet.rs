//! Many clients on few threads.
//!
//! Each thread has its own descriptor table, its own runtime and a range of the clients; nothing of
//! a client leaves its thread. What threads share is read-only (the scenario), atomic (the ledger,
//! the gauges, the phase) or added up about once a second (the tally).
//!
//! A client costs a socket, a task that waits for it, and its entry in the thread's table. Bytes
//! are read into one buffer of the thread; a client keeps bytes of its own only while a frame is
//! incomplete.

pub(crate) mod client;
pub(crate) mod shared;
pub(crate) mod socket;
pub(crate) mod verdict;
pub(crate) mod worker;

use crate::weak::proxy;
use shared::Shared;
use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

/// Stack of a client thread in bytes; the work on it is shallow.
const STACK_BYTES: usize = 512 << 10;

/// The threads of a run.
pub(crate) struct Fleet {
    threads: Vec<JoinHandle<()>>,
    /// Those of the weak network, if there is one.
    network: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// Starts the threads and waits until each has its own descriptor table and runtime. No client
    /// exists yet, and none is opened before the phase says so.
    ///
    /// # Errors
    /// A thread could not be set up; the text says why.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self, String> {
        let network = proxy::start(shared)?;
        let (ready, started) = mpsc::channel();
        let mut threads = Vec::new();
        for index in 0..shared.scenario.threads {
            let (shared, ready) = (Arc::clone(shared), ready.clone());
            let work = move || worker::run(&shared, index, |result| drop(ready.send(result)));
            let thread = thread::Builder::new().name(format!("clients-{index}"));
            let thread = thread.stack_size(STACK_BYTES).spawn(work);
            threads.push(thread.map_err(|error| format!("cannot start a thread: {error}"))?);
        }
        drop(ready);
        for _ in 0..threads.len() {
            let result: io::Result<()> = started.recv().unwrap_or(Ok(()));
            result.map_err(|error| format!("cannot set up a client thread: {error}"))?;
        }
        Ok(Self { threads, network })
    }

    /// Waits until every thread has ended; the phase must be [`shared::Phase::Stop`] by now or
    /// soon.
    pub(crate) fn join(self) {
        for thread in self.threads.into_iter().chain(self.network) {
            // A thread that panicked has said so; its messages are missing from the accounts.
            let _ = thread.join();
        }
    }
}
