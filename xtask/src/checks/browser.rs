//! The pages of the load generator are looked at in a real browser.

use super::debian;
use crate::shell::Result;

/// The program, and Debian's package of it.
const CHROMIUM: &str = "chromium";
/// Demands of the tests that they use this browser; without it they do without one.
pub(super) const DEMANDED: &str = "HOLDFAST_BROWSER";

/// Sees to it that there is a browser, and gives what it is called.
pub(super) fn ensure() -> Result<&'static str> {
    debian::ensure(&[(CHROMIUM, CHROMIUM)])?;
    Ok(CHROMIUM)
}
