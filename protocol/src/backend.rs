//! The backend API: what a backend service and the gateway say to each other.
//!
//! Requests carry an id of the backend's choice, many may be in flight, answers come in any order.
//! A receipt answers no request: it tells later what became of a durable message.
//! [`request`] and [`answer`] are the two directions; [`machine`] is the backend's half of the
//! conversation.

pub mod answer;
pub mod machine;
pub mod request;

pub use answer::{Answer, Job, JobState, Mailbox, Outcome, Receipt, Welcome};
pub use request::{Broadcast, MailboxAction, Push, Request, Target};

/// The id of a request: the backend's choice, unique among those it has in flight.
pub type RequestId = u64;

/// The id of a broadcast job, unique in the cluster for the life of a gateway.
pub type JobId = u64;
