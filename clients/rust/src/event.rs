//! What happens to the connection, for logs and gauges.

use crate::error::{Attempt, Close};
use holdfast_protocol::backend::Welcome;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened to the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A gateway welcomed this backend.
    Connected {
        /// The gateway.
        address: Arc<str>,
        /// What it granted.
        welcome: Welcome,
    },
    /// An address did not answer, or did not welcome.
    Failed(Attempt),
    /// A welcomed connection ended; what was in flight was answered with
    /// [`crate::Error::ConnectionLost`].
    Lost {
        /// Where and why.
        attempt: Attempt,
        /// How many requests were in flight.
        in_flight: usize,
    },
    /// The gateway shuts down. New requests wait for the next connection, which is made once all
    /// answers are here, at the latest after this long.
    Draining {
        /// The gateway.
        address: Arc<str>,
        /// Until it closes.
        delay: Duration,
    },
    /// All addresses failed; they are tried again after this long.
    Waiting(Duration),
    /// The gateway said "do not come back", and the client will not: every call answers
    /// [`crate::Error::Refused`] from now on.
    Refused {
        /// The gateway.
        address: Arc<str>,
        /// What it said.
        close: Close,
    },
}
