//! The log: `tracing` to standard error, and gates that keep a flood of bad peers out of it.
//!
//! Standard error is the one place: whoever runs the gateway decides where that goes. What a peer
//! can cause at will is logged through a [`gate::Gate`], which is a shard's own and needs no clock.

pub mod gate;

pub use gate::{Gate, Pass};

use crate::config::{Log, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// Whether `level` is a filter: levels and `module=level`, with commas between them.
pub(crate) fn filter_is_valid(level: &str) -> bool {
    // Targets takes a word that is no level for a module and shows all of it; here it is a mistake.
    let known = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    level.split(',').all(known) && level.parse::<Targets>().is_ok()
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
