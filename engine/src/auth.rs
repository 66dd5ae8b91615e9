//! Who may connect: clients by signed tokens, backends by keys.
//!
//! A check is a function of its arguments: keys are prepared once, the time is passed in, and
//! nothing is remembered. `jsonwebtoken` takes tokens apart and judges the signature, the
//! algorithm, the user and the product; the dates are compared here, since it would read the clock.
//! It knows one provider of signatures for the whole process; the first key makes ours that one.
//!
//! What cannot happen: the key decides the algorithm and a token's `alg` must agree, so `none` and
//! a public key taken for a secret are refused; no byte of the claims is looked at before the
//! signature holds; a token over its length is refused unread. What this does not do: there is no
//! list of revoked tokens, so they should expire soon; a kick ends a session that runs.
//!
//! Map: [`client`] checks tokens, [`key`] prepares keys, `provider` has the arithmetic of
//! signatures, [`reason`] says to the operator what was wrong, [`backend`] checks API keys,
//! [`issue`] makes tokens.

pub mod backend;
pub mod client;
pub mod issue;
pub mod key;
mod provider;
pub mod reason;

pub use backend::BackendAuth;
pub use client::ClientAuth;
pub use issue::{Claims, Signer};
pub use key::KeyError;
pub use reason::Reason;

use holdfast_protocol::close::Code;
use std::fmt;

/// Why somebody may not come in. It says no more, for the one who is told may be guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The token or the key does not prove this identity.
    BadToken,
    /// The token proved it once.
    Expired,
}

impl Denied {
    /// The code with which the connection is closed.
    pub const fn close_code(self) -> Code {
        match self {
            Self::BadToken => Code::BadToken,
            Self::Expired => Code::ExpiredToken,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.close_code().name())
    }
}

impl std::error::Error for Denied {}
