//! Waiting that Ctrl-C ends.

use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::Screen;
use std::thread;
use std::time::{Duration, Instant};

/// How long Ctrl-C may go unnoticed.
pub(super) const NOTICE: Duration = Duration::from_millis(25);

/// The first Ctrl-C is noticed by [`nap`]; a second ends the program at once, whatever it waits
/// for.
pub(super) fn listen_for_ctrl_c(screen: &Screen<'_>) -> Result<(), Failure> {
    use signal_hook::consts::SIGINT;
    let flag = screen.interrupt();
    let code = i32::from(Exit::Interrupted as u8);
    signal_hook::flag::register_conditional_shutdown(SIGINT, code, flag.clone())
        .and_then(|_| signal_hook::flag::register(SIGINT, flag))
        .map(|_| ())
        .map_err(|error| Failure::usage(format!("cannot listen for Ctrl-C: {error}")))
}

/// Sleeps; `false` when Ctrl-C came.
pub(super) fn nap(time: Duration, screen: &Screen<'_>) -> bool {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if screen.is_interrupted() {
            return false;
        }
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(NOTICE));
    }
}
