//! The service's unit: how much of the host it leaves to who breaks into the gateway, by systemd's
//! own account.

use std::process::Command;

use super::debian;
use crate::shell::{Result, root, run};

const UNIT: &str = "packaging/holdfast.service";
/// Tenths of the points that `systemd-analyze security` gives at most.
const EXPOSURE: &str = "15";

/// Refuses a unit that exposes more, or that systemd does not understand.
pub(crate) fn check() -> Result {
    debian::ensure(&[("systemd-analyze", "systemd")])?;
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE]);
    run(security.arg(root().join(UNIT)))
}
