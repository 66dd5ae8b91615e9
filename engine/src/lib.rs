//! The Holdfast gateway.

pub mod config;
pub mod io;
pub mod logs;
pub mod metrics;
