//! The client protocol: what a client and the gateway say to each other.
//!
//! [`from_client`] and [`from_server`] are the two directions; [`machine`] is the client's half of
//! the conversation. The gateway's half is [`crate::session`].

pub mod from_client;
pub mod from_server;
pub mod machine;

pub use from_client::{FromClient, Hello, Resume};
pub use from_server::{Class, FromServer, Notice, Push, Welcome};

use crate::limits::SESSION_ID_BYTES;

/// Names a session, to come back to it.
pub type SessionId = [u8; SESSION_ID_BYTES];
