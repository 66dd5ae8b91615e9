//! The log: `tracing` to standard error, and gates that keep a flood of bad peers out of it.
//!
//! Standard error is the one place: whoever runs the gateway decides where that goes. What a peer
//! can cause at will is logged through a [`gate::Gate`], which is a shard's own and needs no clock.

pub mod gate;

pub use gate::{Gate, Pass};

use crate::config::{Log, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// Whether `level` is a filter: a level, or a list of `module=level`.
pub(crate) fn filter_is_valid(level: &str) -> bool {
    !level.trim().is_empty() && level.parse::<Targets>().is_ok()
}

/// Sends what the process logs to standard error, as `options` say.
///
/// # Errors
/// The process has a log already.
pub fn install(options: &Log) -> Result<(), TryInitError> {
    // A configuration has a valid filter; a struct made by hand may not, and then says more.
    let filter = options.level.parse::<Targets>().unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match options.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
}
