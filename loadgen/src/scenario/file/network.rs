//! `[network.weak]` of a scenario file: what the way to the gateway is like for some clients.

use super::kinds;
use super::table::Table;
use crate::clock::SECOND;
use crate::weak::{BUFFER, Stall, Weak};

pub(super) const KEYS: [&str; 8] =
    ["share", "delay", "jitter", "loss", "stall", "cut", "silent", "buffer"];
/// Bytes on their way, each way, at most, where the file says nothing.
const USUAL: usize = 64 << 10;

/// Reads `[network]`; `None` where it is wrong.
pub(super) fn read(network: &Table<'_>) -> Option<Weak> {
    network.only(&["weak"]);
    if network.is_empty() {
        network.wrong("[network] is empty; it needs [network.weak]");
    }
    let table = network.table("weak")?.called("[network.weak]".to_owned());
    table.only(&KEYS);
    let (time, some) = (kinds::time(0), kinds::share(true));
    let share = table.need("share", &kinds::share(false));
    let delay = table.get("delay", &time).unwrap_or(0);
    let jitter = table.get("jitter", &time).unwrap_or(0);
    if jitter > delay {
        table.wrong_at("jitter", "jitter is more or less than delay by so much: at most the delay");
    }
    let loss = table.get("loss", &kinds::up_to(0.5)).unwrap_or(0.0);
    Some(Weak {
        share: share?,
        delay,
        jitter,
        loss,
        stall: stall(&table),
        cut: table.get("cut", &some).unwrap_or(0.0),
        silent: table.get("silent", &some).unwrap_or(0.0),
        buffer: table
            .get("buffer", &kinds::number(*BUFFER.start(), *BUFFER.end()))
            .unwrap_or(USUAL),
    })
}

fn stall(table: &Table<'_>) -> Option<Stall> {
    if !table.has("stall") {
        return None;
    }
    let stall = table.table("stall")?.called("stall".to_owned());
    stall.only(&["every", "for"]);
    let (every, length) = (kinds::time(100), kinds::time(1));
    let (every, length) = (stall.need("every", &every)?, stall.need("for", &length)?);
    if length >= every {
        let most = every / SECOND;
        stall.wrong_at("for", format!("a stall is shorter than the {most} s that it comes in"));
    }
    Some(Stall { every, length: length.min(every - 1) })
}
