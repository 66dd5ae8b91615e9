//! A gateway in this process.

use super::{Backend, Client, Peer, Which, counted};
use holdfast::boot;
use holdfast::config::Config;
use holdfast::shard::drain::Left;
use std::net::SocketAddr;
use std::time::Duration;

/// A running gateway; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    inner: Option<boot::Gateway>,
    pub(crate) clients: SocketAddr,
    pub(crate) backends: SocketAddr,
}

/// Two shards on loopback with room for a thousand, so that every claim crosses shards.
const SETTINGS: [&str; 8] = [
    "client.listen=[\"127.0.0.1:0\"]",
    "backend.listen=[\"127.0.0.1:0\"]",
    "shards=2",
    "pin=off",
    "client.connections_max=1024",
    "admin.listen=127.0.0.1:0",
    "store.kind=none",
    // Claims wait for pongs, to know that something was dealt with.
    "client.pong_delay=0s",
];

/// The configuration of a gateway with `settings` on `io`.
pub(crate) fn settings(io: Which, settings: &[&str]) -> Vec<String> {
    let io = format!("io={}", io.name());
    let all = SETTINGS.iter().copied().chain(settings.iter().copied()).map(str::to_owned);
    all.chain([io]).collect()
}

impl Gateway {
    #[track_caller]
    pub(crate) fn start(io: Which, changes: &[&str]) -> Self {
        let config = Config::load(None, &settings(io, changes));
        let config = config.unwrap_or_else(|refused| panic!("{refused}"));
        let inner = boot::start(&config).unwrap_or_else(|error| panic!("{error}"));
        let (clients, backends) = (inner.client_addresses[0], inner.backend_addresses[0]);
        Self { inner: Some(inner), clients, backends }
    }

    pub(crate) fn inner(&self) -> &boot::Gateway {
        self.inner.as_ref().unwrap()
    }

    /// A peer on the clients' port that has said nothing.
    #[track_caller]
    pub(crate) fn stranger(&self) -> Peer {
        Peer::connect(self.clients)
    }

    /// A logged-in client.
    #[track_caller]
    pub(crate) fn client(&self, user: &str) -> Client {
        Client::at(self.clients, user)
    }

    /// A logged-in backend.
    #[track_caller]
    pub(crate) fn backend(&self) -> Backend {
        Backend::at(self.backends, b"")
    }

    /// A counter or gauge, over all shards.
    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> u64 {
        counted(&self.inner().metrics, name)
    }

    /// Leaves in order; gives what became of the connections.
    pub(crate) fn drain(mut self, timeout: Duration) -> Left {
        self.inner.take().unwrap().drain(timeout)
    }
}

impl Drop for Gateway {
    /// No claim may cost a shard its life.
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        let lost = inner.has_lost_a_shard();
        inner.drain(Duration::ZERO);
        assert!(!lost || std::thread::panicking(), "a shard ended");
    }
}
