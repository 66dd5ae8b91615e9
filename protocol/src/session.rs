//! The gateway's half of a client connection: which frame may come when.
//!
//! ```text
//!            hello                registered
//!  Opening ─────────▶ Greeting ───────────────▶ Online
//!     │                  │                        │  ping, ack, bye
//!     └──────────────────┴────── close ───────────┴──▶ Closing
//! ```
//!
//! The state is one byte, so that a million of them cost a megabyte; what belongs to a state
//! besides (deadlines, sequences) is the caller's to keep and is passed in.

use crate::client::FromClient;
use crate::error::Violation;

/// Where a client connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Connected; only a hello may come.
    Opening,
    /// The hello was good; the user's home has not answered yet.
    Greeting,
    /// Welcomed.
    Online,
    /// A close was sent; whatever comes is ignored.
    Closing,
}

/// What the gateway does about a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Check the token and log the user in.
    LogIn,
    /// Answer with a pong.
    Pong,
    /// Take the acknowledgement.
    Acknowledge(u64),
    /// End the session in order.
    Leave,
    /// Nothing.
    Ignore,
}

/// Judges one frame. `sent` is the greatest sequence that may be acknowledged: the greatest that
/// was pushed on this connection, and not less than the welcome's next sequence minus one.
///
/// # Errors
/// A frame that may not come in this state, or an acknowledgement over `sent`.
pub fn receive(state: State, frame: &FromClient<'_>, sent: u64) -> Result<Action, Violation> {
    match (state, frame) {
        (State::Closing, _) | (_, FromClient::Skipped) => Ok(Action::Ignore),
        (State::Opening, FromClient::Hello(_)) => Ok(Action::LogIn),
        (_, FromClient::Bye) => Ok(Action::Leave),
        // A client may heartbeat and write ahead while its home is asked.
        (State::Greeting | State::Online, FromClient::Ping) => Ok(Action::Pong),
        (State::Online, FromClient::Ack { sequence }) if *sequence > sent => {
            Err(Violation::AckFromTheFuture)
        }
        (State::Online, FromClient::Ack { sequence }) => Ok(Action::Acknowledge(*sequence)),
        (State::Opening, FromClient::Ping | FromClient::Ack { .. })
        | (State::Greeting, FromClient::Ack { .. })
        | (State::Greeting | State::Online, FromClient::Hello(_)) => Err(Violation::WrongState),
    }
}
