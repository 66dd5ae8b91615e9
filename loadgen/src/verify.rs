//! Nothing is taken on trust: every body is checked, every message is accounted for, order is
//! watched.
//!
//! - [`body`] writes and reads what stands in a message: number, due time, checksum.
//! - [`ledger`] has one word a message: what the API answered, and whether it arrived.
//! - [`order`] watches the sequences of one user.
//! - [`away`] says when a user had no connection.
//! - [`judge`] adds it up: offered = delivered + refused + gone + lost + unanswered,
//!   each with its reasons.
//!
//! The sums are counted from the ledger, message by message, not from counters kept on the way:
//! they close because every message falls into exactly one class.

pub(crate) mod away;
pub(crate) mod body;
pub(crate) mod judge;
pub(crate) mod ledger;
pub(crate) mod order;
