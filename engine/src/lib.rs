//! The Holdfast gateway: holds client connections, takes pushes from backends, delivers them.
//!
//! Map, from the outside in: [`config`] and [`auth`] say what is allowed; [`boot`] starts a
//! [`shard`] on each core; [`path`] is what a shard does, in the order in which a message travels,
//! over what a shard owns: [`connection`], [`directory`], [`backend`], [`broadcast`] and its ends
//! of the [`mesh`]. [`io`] is all that it asks of the kernel. [`metrics`], [`logs`] and [`admin`]
//! tell others how it goes.
//!
//! Of one core: everything in a shard. Shared: the rings of the mesh, the settings, which never
//! change, and counters, which only their owner writes. Nothing else.

pub mod admin;
pub mod auth;
pub mod backend;
pub mod boot;
pub mod broadcast;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection;
pub mod directory;
pub mod io;
pub mod limits;
pub mod logs;
pub mod mailbox;
pub mod mesh;
pub mod metrics;
pub mod path;
pub mod serve;
pub mod shard;
