//! A load from several hosts: an agent on each, and one controller that hands out the shares.
//!
//! ```text
//! run --agents (controller)                 agent
//!   connect, prove the key to each other     [`channel`]
//!   the share of the load           ->       refused, or set up       [`load`], [`allow`]
//!   go, at each barrier             <->      ready                    [`conductor`], [`session`]
//!                                   <-       every second: counts and histograms
//!                                   <-       what was found
//!   add up, judge                            free for the next        [`total`]
//! ```
//! What is decided stands in two machines without I/O, [`conductor`] and [`session`];
//! [`controller`] and [`agent`] are the threads and sockets around them. Latency is measured on one
//! clock alone: each agent pushes to its own clients. An agent runs loads and nothing else, and
//! connects to nothing that its allow-list does not name.

pub(crate) mod agent;
mod allow;
mod board;
mod channel;
mod conductor;
pub(crate) mod controller;
mod key;
mod lease;
mod load;
mod makers;
mod seconds;
mod session;
mod together;
mod total;
mod wire;

use std::time::Duration;

/// Who says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
