//! Kernel memory of an idle connection at the gateway, against a socket, a file and one watch.
//!
//! Both ends of every connection are on this machine. The clients' end is the same under every
//! server, so what two servers differ in is their own; a server that watches nothing has a bare
//! socket and file.

use serde_json::json;

use super::driver::{Answer, Driver};
use super::subject::Subject;
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const FIGURE: Figure = Figure {
    name: "kernel_memory",
    what: "kernel memory per idle connection, as a ratio to socket, file and one watch",
    unit: "",
    at_most: 1.02,
    runs_max: 99,
    run,
};

const CLIENTS: u32 = 19_000;
/// Clients that are there before the first reading: tables and caches have begun.
const WARM: u32 = 2000;

fn run(io: Io) -> Result<Run> {
    let unwatched = grown(Subject::floor(io, CLIENTS, false)?, "open")?;
    let floor = grown(Subject::floor(io, CLIENTS, true)?, "login")?;
    let gateway = grown(Subject::gateway(io, CLIENTS, false)?, "login")?;
    let socket = unwatched.number("one_socket")?;
    let bare = unwatched.number("both_ends")?;
    let server_end = |grown: &Answer| Ok::<_, String>(socket + grown.number("both_ends")? - bare);
    let (floor_bytes, gateway_bytes) = (server_end(&floor)?, server_end(&gateway)?);
    let raw = json!({
        "floor_bytes": floor_bytes,
        "gateway_bytes": gateway_bytes,
        "unwatched": unwatched.0,
        "floor": floor.0,
        "gateway": gateway.0,
    });
    Ok(Run { value: gateway_bytes / floor_bytes, raw })
}

fn grown(subject: Subject, phase: &str) -> Result<Answer> {
    let mut driver = Driver::start(subject)?;
    driver.phase(&format!("{phase} {WARM}"))?;
    driver.phase("mark")?;
    driver.phase(&format!("{phase} {}", CLIENTS - WARM))?;
    driver.phase(&format!("grown {}", CLIENTS - WARM))
}
