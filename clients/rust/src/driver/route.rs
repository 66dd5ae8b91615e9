//! Where to dial next, and after what delay.
//!
//! The addresses are tried in turn from one drawn by lot. One whole round of failures costs a delay
//! that doubles from round to round; half of each delay is drawn by lot, so that a thousand
//! backends that lost the same gateway do not come back in the same millisecond. A connection that
//! lasted forgives what was before it; one that was welcomed and cut at once does not, or a gateway
//! that is overloaded would be dialled at full speed.

use crate::error::Cause;
use crate::options::Options;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// Doubling more often than this reaches no greater delay.
const DOUBLINGS_MAX: u32 = 16;

pub(super) struct Route {
    addresses: Vec<Arc<str>>,
    index: usize,
    /// Failures since the last round was finished.
    failed: usize,
    rounds: u32,
    min: Duration,
    max: Duration,
}

impl Route {
    pub(super) fn new(options: &Options) -> Self {
        let addresses: Vec<Arc<str>> =
            options.addresses.iter().map(|a| a.as_str().into()).collect();
        let index = fastrand::usize(..addresses.len());
        let (min, max) = (options.backoff_min, options.backoff_max.max(options.backoff_min));
        Self { addresses, index, failed: 0, rounds: 0, min, max }
    }

    /// The address whose turn it is.
    pub(super) fn next(&mut self) -> Arc<str> {
        let address = Arc::clone(&self.addresses[self.index]);
        self.index = (self.index + 1) % self.addresses.len();
        address
    }

    /// Takes note of a visit that failed, or that was a welcomed connection for so long; gives the
    /// delay before the next one, and whether every address has now failed.
    pub(super) fn after(&mut self, talked: Option<Duration>) -> (Duration, bool) {
        if let Some(talked) = talked {
            if talked >= self.max {
                self.rounds = 0;
            }
            self.failed = 0;
            let delay = self.delay(self.rounds);
            self.rounds += 1;
            return (delay, false);
        }
        self.failed += 1;
        if self.failed < self.addresses.len() {
            return (Duration::ZERO, false);
        }
        self.failed = 0;
        let delay = self.delay(self.rounds);
        self.rounds += 1;
        (delay, true)
    }

    fn delay(&self, rounds: u32) -> Duration {
        let whole = self.min.saturating_mul(1 << rounds.min(DOUBLINGS_MAX)).min(self.max);
        whole.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// The socket addresses behind `host:port`.
pub(super) fn resolve(name: &str) -> Result<Vec<SocketAddr>, Cause> {
    let found = name.to_socket_addrs().map_err(|error| Cause::Name(error.to_string().into()))?;
    let found: Vec<_> = found.collect();
    if found.is_empty() { Err(Cause::Name("it has no address".into())) } else { Ok(found) }
}

/// How a socket address is called in errors: with its name, if it has one.
pub(super) fn label(name: &Arc<str>, socket: SocketAddr) -> Arc<str> {
    let plain = socket.to_string();
    if plain == **name { Arc::clone(name) } else { format!("{name} ({plain})").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(addresses: &[&str]) -> Route {
        let mut options = Options::new(addresses.iter().copied());
        options.backoff_min = Duration::from_millis(100);
        options.backoff_max = Duration::from_secs(1);
        Route::new(&options)
    }

    #[test]
    fn every_address_is_tried_before_the_first_delay() {
        let mut route = route(&["a:1", "b:1", "c:1"]);
        let mut tried: Vec<_> = (0..3).map(|_| route.next()).collect();
        tried.sort();
        assert_eq!(tried, ["a:1".into(), "b:1".into(), "c:1".into()]);
        assert_eq!(route.after(None), (Duration::ZERO, false));
        assert_eq!(route.after(None), (Duration::ZERO, false));
        let (delay, round) = route.after(None);
        assert!(round && delay >= Duration::from_millis(50));
    }

    #[test]
    fn the_delay_doubles_up_to_its_bound_and_half_of_it_is_drawn() {
        let mut route = route(&["a:1"]);
        for whole in [100, 200, 400, 800, 1000, 1000] {
            let whole = Duration::from_millis(whole);
            let (delay, _) = route.after(None);
            assert!(delay >= whole / 2 && delay <= whole, "{delay:?} of {whole:?}");
        }
        route.rounds = u32::MAX - 1;
        assert!(route.after(None).0 <= Duration::from_secs(1));
    }

    #[test]
    fn only_a_connection_that_lasted_forgives() {
        let mut route = route(&["a:1"]);
        route.rounds = 5;
        assert!(route.after(Some(Duration::from_millis(3))).0 >= Duration::from_millis(500));
        assert!(route.after(Some(Duration::from_secs(2))).0 <= Duration::from_millis(100));
    }

    #[test]
    fn a_name_is_shown_with_the_address_behind_it() {
        let socket = "127.0.0.1:7600".parse().unwrap();
        assert_eq!(&*label(&"localhost:7600".into(), socket), "localhost:7600 (127.0.0.1:7600)");
        assert_eq!(&*label(&"127.0.0.1:7600".into(), socket), "127.0.0.1:7600");
    }
}
