//! The admin port: health, readiness and metrics over HTTP, for those who run the gateway.
//!
//! It has a thread and a runtime of its own and only reads what the shards write, so no request
//! reaches the data path. Requests are small and answers are made at once: each connection serves
//! one request, within one time limit, and only so many are served at once; more wait in the
//! kernel.
//!
//! Map: [`status`] says what the process is about to do, `pages` makes answers and knows no socket,
//! `serve` moves them.

pub(crate) mod health;
mod pages;
mod serve;
pub mod status;

pub use status::{State, Status};

use crate::config;
use crate::metrics::ShardMetrics;
use pages::Pages;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// What the port needs to know.
pub struct Options {
    /// Where to listen; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// Demanded of every request as `Authorization: Bearer …`.
    pub token: Option<config::Secret>,
    /// Requests that are served at once.
    pub connections_max: usize,
    /// A connection is closed after this long, whatever it does.
    pub request_timeout: Duration,
    /// A shard that did not finish a turn for this long is not healthy.
    pub stall_timeout: Duration,
    /// Microseconds of the clock by which shards note their turns.
    pub now_micros: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Options {
    /// The options that the configuration gives.
    pub fn new(admin: &config::Admin, now_micros: Box<dyn Fn() -> u64 + Send + Sync>) -> Self {
        Self {
            listen: admin.listen,
            token: admin.token.clone(),
            connections_max: admin.connections_max,
            request_timeout: admin.request_timeout,
            stall_timeout: admin.stall_timeout,
            now_micros,
        }
    }
}

/// Why the port does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is in use or not ours.
    #[error("cannot listen on admin.listen = \"{address}\": {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The kernel's answer.
        error: std::io::Error,
    },
    /// The kernel gives no thread or no event set.
    #[error("cannot start the admin thread: {0}")]
    Start(#[from] std::io::Error),
}

/// The running port. Dropping it closes the port.
pub struct Handle {
    address: SocketAddr,
    // Dropping the sender ends the thread's wait.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and waits for its thread; requests under way are cut.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin thread panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Handle").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Opens the port and serves it on a thread of its own.
///
/// # Errors
/// The port cannot be opened or the thread cannot be started.
pub fn spawn(
    options: Options,
    shards: Arc<[ShardMetrics]>,
    status: Arc<Status>,
) -> Result<Handle, Error> {
    let listener = listen(options.listen)?;
    let address = listener.local_addr()?;
    let limits = serve::Limits {
        connections: options.connections_max,
        request_timeout: options.request_timeout,
    };
    let pages = Arc::new(Pages::new(options, shards, status));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let thread =
        std::thread::Builder::new().name("holdfast-admin".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve::serve(listener, pages, limits) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
    Ok(Handle { address, stop: Some(stop), thread: Some(thread) })
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let open = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|error| Error::Listen { address, error })
}
