//! Why there is no report of a run, and whose matter that is: a search for the most that a gateway
//! takes goes on below what the gateway did not take, and ends where there is nothing to try.

use serde::{Deserialize, Serialize};

/// Whose matter it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whose {
    /// The run cannot be at all: a wrong option, no gateway there, no agent.
    Nobodys,
    /// It does not fit on the host that was to offer it.
    Generators,
    /// The gateway is there and did not do its part.
    Gateways,
}

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// In words.
    pub(crate) why: String,
    pub(crate) whose: Whose,
}

impl Failure {
    pub(crate) const fn nobodys(why: String) -> Self {
        Self { why, whose: Whose::Nobodys }
    }

    pub(crate) const fn generators(why: String) -> Self {
        Self { why, whose: Whose::Generators }
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.why
    }
}
