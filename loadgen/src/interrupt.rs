//! Ctrl-C and SIGTERM: the first asks a run to end early, with its report; the second ends the
//! process at once.
//!
//! What this does not do: it stops nothing. Each stage looks at it and decides what it leaves out.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code after a second signal, as a shell reports Ctrl-C.
const AT_ONCE: i32 = 130;

/// Whether somebody asked the run to end early. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes SIGINT and SIGTERM over, for the rest of the process's life.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub(crate) fn listen() -> io::Result<Self> {
        let came = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // First this one: it looks at the flag before the next handler sets it.
            flag::register_conditional_shutdown(signal, AT_ONCE, Arc::clone(&came.0))?;
            flag::register(signal, Arc::clone(&came.0))?;
        }
        Ok(came)
    }

    /// Asks for it without a signal.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a signal came, or it was asked for otherwise.
    pub(crate) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
