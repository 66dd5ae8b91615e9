//! `holdfast-tuning` on a kernel where everything may be changed: what it sets is set, what it
//! undoes is as it was to the byte, also when it was killed amid; and a gateway in one process with
//! one shard serves many clients there.

use super::{Program, build, guest, prepare, watch};
use crate::shell::{Result, cargo};
use std::path::Path;

const SCRIPT: &str = concat!(include_str!("must.sh"), include_str!("tuning.sh"));
/// What the guest gets; only the first where there are no clients.
const PROGRAMS: [&str; 3] = ["holdfast-tuning", "holdfast", "holdfast-loadgen"];
/// Megabytes of the guest without clients, and bytes for both ends of each.
const MEMORY: (u32, u32) = (1_500, 12_000);

/// Runs it with so many clients; without a gateway for none, and then with what was built to be
/// tested.
pub(super) fn run(tool: &Path, limit: u32, clients: u32) -> Result {
    let (profile, programs) =
        if clients > 0 { ("release", &PROGRAMS[..]) } else { ("dev", &PROGRAMS[..1]) };
    let mut command = cargo(&["build", "--profile", profile]);
    command.args(programs.iter().flat_map(|program| ["--bin", program]));
    let built = build(command, programs)?;
    let (folder, script) = prepare(SCRIPT)?;
    let mut guest = guest(tool, limit);
    let megabytes = MEMORY.0
        + u32::try_from((u64::from(clients) * u64::from(MEMORY.1)) >> 20)
            .map_err(|error| error.to_string())?;
    guest.args(["-m", &megabytes.to_string()]);
    for program in built {
        guest.arg("-a").arg(Program { in_place: false, ..program }.pack(&folder)?);
    }
    let (summary, ended) = watch(guest.arg(script).arg(clients.to_string()))?;
    eprint!("\n{summary}");
    ended?;
    summary.judge(1)
}
