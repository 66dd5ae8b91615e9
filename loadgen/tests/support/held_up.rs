//! A generator that is held up from outside, so that nothing in it knows of the test.

use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Output};
use std::thread;
use std::time::Duration;

/// Stops the process for most of the time until it ends.
pub(crate) fn held_up(mut run: Child) -> Output {
    let pid = Pid::from_child(&run);
    while run.try_wait().unwrap().is_none() {
        // Until it is waited for, its number is nobody else's.
        kill_process(pid, Signal::STOP).unwrap();
        thread::sleep(Duration::from_millis(250));
        kill_process(pid, Signal::CONT).unwrap();
        thread::sleep(Duration::from_millis(50));
    }
    run.wait_with_output().unwrap()
}
