//! The Holdfast gateway.

pub mod io;
