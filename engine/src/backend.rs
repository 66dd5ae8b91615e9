//! One backend's connection: who it is, and its requests that wait for answers.

pub mod requests;

use compact_str::CompactString;
use requests::Requests;

/// A backend.
#[derive(Debug, Default)]
pub struct Backend {
    /// Its name, from the hello.
    pub name: CompactString,
    /// Whether its hello was good.
    pub open: bool,
    /// Whether it is not read because letters or answers wait for room.
    pub held: bool,
    /// What it waits for.
    pub requests: Requests,
}
