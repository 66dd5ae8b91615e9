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
//! # When to push again
//! A durable push with an idempotency key ([`Target::key`]) may be sent again without fear of a
//! second message, as long as the key, the user and the product are the same and the gateway's
//! window for keys (10 minutes unless configured otherwise) has not passed. Only accepted pushes
//! are remembered, so a refused one is simply tried once more. Push again with the same key after:
//!
//! | what came | when |
//! |---|---|
//! | [`Error::ConnectionLost`], [`Error::TimedOut`] | at once, or once connected again |
//! | [`Outcome::Busy`] | after its milliseconds |
//! | [`Rejection::StoreFull`] | much later: an operator makes room |
//! | [`Rejection::MailboxFull`] | much later: the user comes and reads |
//! | [`Error::Declined`] with a delay | after that delay |
//!
//! Every other outcome is the last word. `Stored` is as good as it gets for a user who is away;
//! after `Expired` the message is of no use; after another rejection, change it. For the class
//! online a key has no effect: pushed again, it is another message.
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
mod receipt;
mod sink;
#[cfg(feature = "testing")]
pub mod testing;

pub use backend::Backend;
pub use error::{Advice, Attempt, Cause, Close, Error};
pub use event::Event;
pub use holdfast_protocol::backend::answer::{DropReason, ErrorCode, Rejection};
pub use holdfast_protocol::backend::request::{JobAction, MailboxAction};
pub use holdfast_protocol::backend::{
    Broadcast, Job, JobId, JobState, Mailbox, Outcome, Target, Welcome,
};
pub use holdfast_protocol::client::Class;
pub use options::{DEFAULT_PORT, Listener, Options, ReceiptListener};
pub use pending::Pending;
pub use receipt::Receipt;

/// A target of class online with the gateway's own time to live. For anything else:
/// `Target { class: Class::Durable, ..target(user, body) }`.
///
/// Targets that share a body travel with one copy of it when they stand side by side and hold the
/// very same slice.
pub const fn target<'a>(user: &'a str, body: &'a [u8]) -> Target<'a> {
    Target { user, class: Class::Online, ttl: 0, key: &[], receipt: false, body }
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
