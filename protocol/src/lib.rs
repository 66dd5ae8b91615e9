//! The Holdfast wire: bytes in, meanings out.
//!
//! Two protocols share one framing ([`frame`]): clients speak [`client`], backend services speak
//! [`backend`]. `SPEC.md` beside this crate describes both byte by byte; the names here are the
//! names there.
//!
//! Everything is pure. Decoders take a slice and borrow from it, never allocate, and answer "not
//! yet" for a frame that is still incomplete, so a caller may cut the stream anywhere. Encoders
//! append to a `Vec<u8>`. Nothing here reads a clock or a socket.
//!
//! Map: [`varint`] and [`frame`] are the alphabet; [`limits`] ties every bound together; [`client`]
//! and [`backend`] are the two vocabularies, each with both directions and with the peer's half of
//! the conversation as a state machine ([`client::machine`], [`backend::machine`]); [`session`] is
//! the gateway's half for clients; [`error`] says what a peer did wrong and which close code it
//! earns.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod backend;
pub mod client;
pub mod close;
pub mod error;
pub mod field;
pub mod frame;
pub mod limits;
pub mod session;
pub mod varint;
