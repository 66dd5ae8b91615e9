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

/// What the words of the accounts mean, for people.
pub(crate) const HELP: &str = "\
What the report says of every message that was offered:
  delivered    it arrived at its client
  refused      the gateway said that it will not arrive, and why; it did not
  gone         its client's connection ended, or its time to live, before it could arrive
  lost         the gateway took it, and it did not arrive though it should have
  unanswered   it did not arrive and has no answer: nobody knows whether the gateway took it
and of what arrived:
  duplicates     came twice; redelivered: again, and marked so, as a durable one may
  out of order   behind one that was sent to the same user later
  corrupt        its checksum is wrong
  misdelivered   for another user; foreign: not of this run";

pub(crate) mod away;
pub(crate) mod body;
pub(crate) mod judge;
pub(crate) mod ledger;
pub(crate) mod order;
