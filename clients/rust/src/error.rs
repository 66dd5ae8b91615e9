//! What can go wrong, sorted by what to do about it.
//!
//! Every error says whether the request may have been carried out: [`Error::advice`] is the short
//! form of it. All are cheap to clone, since one lost connection answers every request that was in
//! flight.

use holdfast_protocol::backend::answer::ErrorCode;
use holdfast_protocol::close;
use holdfast_protocol::error::Violation;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The first close code that says "do not come back"; codes of later versions keep to it.
const FIRST_TERMINAL: u16 = 3500;

/// Why a call, or a request, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call itself is wrong and nothing was sent: say something else.
    #[error("{0}")]
    Invalid(String),
    /// No address answered when first connecting; each was tried once.
    #[error("cannot reach a gateway: {}", Listed(.0))]
    Unreachable(Arc<[Attempt]>),
    /// There is no connection now, and nothing was sent; the client goes on trying.
    #[error("not connected{}", After(.last))]
    NotConnected {
        /// Why the last attempt or the last connection failed.
        last: Option<Attempt>,
    },
    /// The window is full and nothing was sent; wait for answers.
    #[error("the gateway's window is full: {needed} needed, {left} left")]
    WindowFull {
        /// What the request costs: one for each target of a push, one for any other.
        needed: u32,
        /// What is free.
        left: u32,
    },
    /// The request is larger than the whole window and nothing was sent: cut it.
    #[error("the request needs {needed} of a window of {window}")]
    OverWindow {
        /// What the request costs.
        needed: u32,
        /// The whole window.
        window: u32,
    },
    /// The gateway did not carry out this request; the connection goes on.
    #[error("the gateway declined: {}", Why(*.code, .text))]
    Declined {
        /// An [`ErrorCode`], perhaps of a later version.
        code: u16,
        /// After this it may succeed; `None` for never.
        retry_after: Option<Duration>,
        /// The error in words.
        text: String,
    },
    /// No answer came in time. The request may have been carried out.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection ended before the answer came. The request may have been carried out.
    #[error("the connection was lost: {0}")]
    ConnectionLost(Attempt),
    /// The gateway ended the connection for good, and the client does not come back: a wrong key,
    /// an unknown version, a program that breaks the protocol.
    #[error("the gateway at {address} refused this backend: {close}")]
    Refused {
        /// The gateway.
        address: Arc<str>,
        /// What it said.
        close: Close,
    },
    /// The client was dropped. A request that was in flight may have been carried out.
    #[error("the client is closed")]
    Closed,
    /// The machine gives no thread or no poll; nothing was sent.
    #[error("cannot start the client: {0}")]
    System(Arc<str>),
}

/// What to do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Nothing was done, and it will fail again: change the request or the configuration.
    Change,
    /// Nothing was done: the same request may be sent again after this long.
    Retry(Duration),
    /// It may have been done: send it again only if twice is as good as once (an idempotency key).
    RetryIfIdempotent,
}

impl Error {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Invalid(_)
            | Self::OverWindow { .. }
            | Self::Refused { .. }
            | Self::Declined { retry_after: None, .. } => Advice::Change,
            Self::Unreachable(_) | Self::NotConnected { .. } | Self::System(_) => {
                Advice::Retry(Duration::from_secs(1))
            }
            Self::WindowFull { .. } => Advice::Retry(Duration::from_millis(1)),
            Self::Declined { retry_after: Some(after), .. } => Advice::Retry(*after),
            Self::TimedOut(_) | Self::ConnectionLost(_) | Self::Closed => Advice::RetryIfIdempotent,
        }
    }

    /// The gateway's error code, if it is one that this version knows.
    pub fn declined(&self) -> Option<ErrorCode> {
        let Self::Declined { code, .. } = self else { return None };
        ErrorCode::from_number(u64::from(*code))
    }
}

/// A connection that was not made, or that ended, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address}: {cause}")]
pub struct Attempt {
    /// The gateway, with the address that its name stood for.
    pub address: Arc<str>,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// Why a connection was not made, or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The name could not be resolved.
    #[error("the name cannot be resolved: {0}")]
    Name(Arc<str>),
    /// The system's error.
    #[error("{text}")]
    Io {
        /// Its kind.
        kind: io::ErrorKind,
        /// The system's words.
        text: Arc<str>,
    },
    /// No welcome in time.
    #[error("no welcome within {0:?}")]
    NoWelcome(Duration),
    /// The gateway said why it closes.
    #[error("closed by the gateway: {0}")]
    Closed(Close),
    /// The other end closed without a word.
    #[error("closed by the other end without a reason")]
    EndOfStream,
    /// Nothing was heard, not even a pong.
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    /// The gateway drained and the client left, as it was told.
    #[error("the gateway shuts down")]
    Drained,
    /// What came is not the backend API of a Holdfast gateway.
    #[error("the other end does not speak the Holdfast backend API ({0})")]
    Protocol(Violation),
}

impl Cause {
    pub(crate) fn io(error: &io::Error) -> Self {
        Self::Io { kind: error.kind(), text: error.to_string().into() }
    }
}

/// Why a gateway closed a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// A [`close::Code`], perhaps of a later version.
    pub code: u16,
    /// The reason in words; may be empty.
    pub reason: Arc<str>,
}

impl Close {
    /// The code, if it is one that this version knows.
    pub const fn known(&self) -> Option<close::Code> {
        close::Code::from_number(self.code)
    }

    /// Whether it says "do not come back".
    pub const fn terminal(&self) -> bool {
        self.code >= FIRST_TERMINAL
    }
}

impl fmt::Display for Close {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.known().map_or("unknown code", close::Code::name);
        write!(out, "{} {name}", self.code)?;
        if self.reason.is_empty() || *self.reason == *name {
            Ok(())
        } else {
            write!(out, ": {}", self.reason)
        }
    }
}

struct Listed<'a>(&'a [Attempt]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attempt) in self.0.iter().enumerate() {
            write!(out, "{}{attempt}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

struct After<'a>(&'a Option<Attempt>);

impl fmt::Display for After<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |last| write!(out, " (last: {last})"))
    }
}

/// The name of an error code, and the gateway's own words where they say more.
struct Why<'a>(u16, &'a str);

impl fmt::Display for Why<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = ErrorCode::from_number(u64::from(self.0));
        match known {
            Some(code) => out.write_str(code.name())?,
            None => write!(out, "code {}", self.0)?,
        }
        let said = self.1.is_empty() || known.is_some_and(|code| code.name() == self.1);
        if said { Ok(()) } else { write!(out, " ({})", self.1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateways_words_are_not_said_twice() {
        let declined = |code, text: &str| {
            Error::Declined { code, retry_after: None, text: text.to_owned() }.to_string()
        };
        assert_eq!(declined(2, "unknown_product"), "the gateway declined: unknown_product");
        assert_eq!(declined(2, "no chat"), "the gateway declined: unknown_product (no chat)");
        assert_eq!(declined(99, ""), "the gateway declined: code 99");
        let close = Close { code: 3502, reason: "bad_token".into() };
        assert_eq!(close.to_string(), "3502 bad_token");
    }
}
