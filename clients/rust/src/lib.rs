//! The backend client: a service's way to push through a Holdfast gateway.
//!
//! A [`Backend`] keeps one connection to one of several gateways. Any thread may use it, from any
//! runtime or none: requests are written by one thread of its own, many are in flight at once, and
//! answers come in any order, as a [`Pending`] (to wait for, or to `.await`) or to a callback.
//!
//! ```
//! use holdfast_client::{Backend, Options, Outcome, target};
//! # let gateway = holdfast_client::testing::Gateway::bind();
//! # let address = gateway.address();
//! # let script = gateway.run(1024);
//!
//! let backend = Backend::connect(Options::new([address]))?;
//! let targets = [target("alice", b"hello"), target("bob", b"hello")];
//! let outcomes = backend.push("chat", &targets)?.wait()?;
//! for (target, outcome) in targets.iter().zip(outcomes) {
//!     match outcome {
//!         Outcome::Delivered(sequence) => println!("{} has it as {sequence}", target.user),
//!         other => println!("{}: {}", target.user, other.name()),
//!     }
//! }
//! # drop(backend);
//! # script.stop();
//! # Ok::<(), holdfast_client::Error>(())
//! ```
//!
//! # What it promises
//! - Every request that was accepted gets exactly one answer or one [`Error`], at the latest when
//!   [`Options::timeout`] has passed.
//! - Nothing is sent twice. A request whose connection died answers [`Error::ConnectionLost`]: it
//!   may have been carried out. [`Error::advice`] says for each error whether a retry is safe.
//! - The window that the gateway grants is kept: a call waits for room, or says
//!   [`Error::WindowFull`] in its `try_` form.
//! - A lost connection is opened again, after a growing and jittered delay, at the next address. A
//!   close that says "do not come back" (a wrong key, above all) is obeyed: every later call
//!   answers [`Error::Refused`].
//!
//! # What it does not do
//! It never retries a request, keeps no queue while it has no connection, and spreads no load over
//! several gateways at once (make several of it for that).
//!
//! Map: [`Backend`] is the handle; `ledger` keeps what is in flight under one short lock; `driver`
//! is the thread that owns the socket.

#![forbid(unsafe_code)]

mod backend;
mod check;
mod driver;
mod error;
mod event;
mod ledger;
mod options;
mod pending;
mod sink;
#[cfg(feature = "testing")]
pub mod testing;

pub use backend::Backend;
pub use error::{Advice, Attempt, Cause, Close, Error};
pub use event::Event;
pub use holdfast_protocol::backend::answer::{DropReason, ErrorCode, Rejection};
pub use holdfast_protocol::backend::request::JobAction;
pub use holdfast_protocol::backend::{Broadcast, Job, JobId, JobState, Outcome, Target, Welcome};
pub use holdfast_protocol::client::Class;
pub use options::{DEFAULT_PORT, Listener, Options};
pub use pending::Pending;

/// A target of class online with the gateway's own time to live. For anything else:
/// `Target { class: Class::Durable, ..target(user, body) }`.
///
/// Targets that share a body travel with one copy of it when they stand side by side and hold the
/// very same slice.
pub const fn target<'a>(user: &'a str, body: &'a [u8]) -> Target<'a> {
    Target { user, class: Class::Online, ttl: 0, key: &[], body }
}

/// A broadcast of class online to all of `product`, as fast as it goes. For anything else:
/// `Broadcast { tag: "news", users_per_second: 10_000, ..broadcast(product, body) }`.
pub const fn broadcast<'a>(product: &'a str, body: &'a [u8]) -> Broadcast<'a> {
    Broadcast {
        product,
        tag: "",
        class: Class::Online,
        ttl: 0,
        users_per_second: 0,
        bits_per_second: 0,
        key: &[],
        body,
    }
}
