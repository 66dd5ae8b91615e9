//! What the proxy's threads tell the clients behind them: where to connect, up to when all that
//! the gateway wrote has come through, and whether the network ended the connection.
//!
//! A message that the gateway wrote and the network swallowed is no loss of the gateway's, if it
//! was of the class that is not kept; to tell the two apart a client must know what was on its way.

use crate::clock::MILLISECOND;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is in no doubt: only the thread's own sweep says how far it is.
const ALL: u64 = u64::MAX;
/// What the gateway wrote may be in the kernel for so long before the proxy sees it.
const KERNEL: u64 = 20 * MILLISECOND;

/// Shared by the clients' threads and the proxy's. Times are nanoseconds of the run's clock.
#[derive(Debug)]
pub(crate) struct Board {
    /// Where each thread of the proxy listens.
    ports: OnceLock<Vec<SocketAddr>>,
    /// Up to when each thread has seen all that came.
    swept: Vec<AtomicU64>,
    clients: Vec<Line>,
    /// Whether connections are cut and fall silent now.
    rough: AtomicBool,
}

/// What is known of one client's connection.
#[derive(Debug)]
struct Line {
    clear: AtomicU64,
    ended: AtomicBool,
}

impl Board {
    /// For so many clients, through so many threads.
    pub(crate) fn new(clients: u32, threads: u32) -> Self {
        let line = |_| Line { clear: AtomicU64::new(ALL), ended: AtomicBool::new(false) };
        Self {
            ports: OnceLock::new(),
            swept: (0..threads.max(1)).map(|_| AtomicU64::new(0)).collect(),
            clients: (0..clients).map(line).collect(),
            rough: AtomicBool::new(false),
        }
    }

    /// The threads listen there, in their order.
    pub(super) fn listen(&self, ports: Vec<SocketAddr>) {
        // It is said once, before any client exists.
        let _ = self.ports.set(ports);
    }

    /// Where a client connects to; `None` before the threads listen.
    pub(crate) fn port(&self, client: u32) -> Option<SocketAddr> {
        self.ports.get()?.get(self.thread(client)).copied()
    }

    fn thread(&self, client: u32) -> usize {
        client as usize % self.swept.len()
    }

    /// From now on connections are cut and fall silent, or no more.
    pub(crate) fn set_rough(&self, rough: bool) {
        self.rough.store(rough, Ordering::Release);
    }

    /// Whether they are.
    pub(super) fn is_rough(&self) -> bool {
        self.rough.load(Ordering::Acquire)
    }

    /// Thread `index` has seen all that came up to `at`.
    pub(super) fn sweep(&self, index: u32, at: u64) {
        self.swept[index as usize].store(at, Ordering::Release);
    }

    /// Up to when thread `index` has.
    pub(super) fn swept(&self, index: u32) -> u64 {
        self.swept[index as usize].load(Ordering::Acquire)
    }

    /// A connection of the client begins.
    pub(super) fn begins(&self, client: u32) {
        let Some(line) = self.clients.get(client as usize) else { return };
        line.clear.store(ALL, Ordering::Release);
        line.ended.store(false, Ordering::Release);
    }

    /// Up to when all that the gateway wrote is handed to the client; `None` for all that came.
    pub(super) fn clear(&self, client: u32, at: Option<u64>) {
        let Some(line) = self.clients.get(client as usize) else { return };
        line.clear.store(at.unwrap_or(ALL), Ordering::Release);
    }

    /// The network ends the connection, or has made it end by silence; all was handed over up to
    /// `clear`. To be said before the connection is closed.
    pub(super) fn ends(&self, client: u32, clear: u64) {
        let Some(line) = self.clients.get(client as usize) else { return };
        line.clear.store(clear, Ordering::Release);
        line.ended.store(true, Ordering::Release);
    }

    /// Whether the network ended the client's last connection.
    pub(crate) fn ended(&self, client: u32) -> bool {
        self.clients.get(client as usize).is_some_and(|line| line.ended.load(Ordering::Acquire))
    }

    /// Up to when all that the gateway wrote to the client is surely in its socket, at most `now`.
    pub(crate) fn through(&self, client: u32, now: u64) -> u64 {
        let swept = self.swept[self.thread(client)].load(Ordering::Acquire);
        let line = self.clients.get(client as usize);
        let clear = line.map_or(ALL, |line| line.clear.load(Ordering::Acquire));
        swept.min(clear).min(now).saturating_sub(KERNEL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_trust_the_network_up_to_what_is_on_its_way() {
        let board = Board::new(10, 2);
        board.sweep(1, 900 * MILLISECOND);
        let now = 1_000 * MILLISECOND;
        assert_eq!(board.through(3, now), 880 * MILLISECOND);
        assert_eq!(board.through(2, now), 0, "another thread's, which saw nothing yet");
        board.clear(3, Some(500 * MILLISECOND));
        assert_eq!(board.through(3, now), 480 * MILLISECOND);
        board.clear(3, None);
        assert_eq!(board.through(3, 890 * MILLISECOND), 870 * MILLISECOND);
    }

    #[test]
    fn an_end_stays_until_the_next_connection_begins() {
        let board = Board::new(10, 1);
        board.sweep(0, 900 * MILLISECOND);
        board.ends(4, 300 * MILLISECOND);
        assert!(board.ended(4) && !board.ended(5));
        assert_eq!(board.through(4, 950 * MILLISECOND), 280 * MILLISECOND);
        board.begins(4);
        assert!(!board.ended(4));
        assert_eq!(board.through(4, 950 * MILLISECOND), 880 * MILLISECOND);
    }
}
