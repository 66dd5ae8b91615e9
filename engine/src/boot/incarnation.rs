//! What tells one start of the gateway from every other.

use crate::clock::Clock;
use std::thread;
use std::time::Duration;

/// Waits for an eighth of a second to begin, whose number is the process's incarnation. So one that
/// starts later has a greater one, however soon the other died. (The number has 32 bits, which last
/// for 17 years; the next time that it begins again is in 2038.)
pub(super) fn next(clock: Clock) -> u32 {
    const MILLIS: u64 = 125;
    let eighth = || clock.now().unix_millis / MILLIS;
    let before = eighth();
    while eighth() == before {
        let left = MILLIS - clock.now().unix_millis % MILLIS;
        thread::sleep(Duration::from_millis(left));
    }
    let [.., a, b, c, d] = eighth().to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}
