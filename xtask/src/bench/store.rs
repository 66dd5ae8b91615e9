//! What the embedded store costs by itself, against bare bytes that are appended and synced.

use serde_json::Value;

use super::disk::Folder;
use super::driver::Answer;
use super::turns::ratio;
use super::{Figure, Io, Run};
use crate::process::Running;
use crate::shell::{Result, target};

pub(super) const FIGURE: Figure = Figure {
    name: "store",
    what: "CPU of the store per message (append, sync, trim), as a ratio to a bare append and sync",
    unit: "",
    at_most: 3.0,
    runs_max: 99,
    run,
};

/// The store's own program, which gives both their turns.
pub(super) const PROGRAM: &str = "cost";

/// No kernel interface is asked of the store: both back ends of the gateway have the same.
fn run(_: Io) -> Result<Run> {
    let folder = Folder::new()?;
    let program = target().join("release/examples").join(PROGRAM);
    let words = [folder.path().display().to_string(), "figure".to_owned()];
    let mut process = Running::start(&program, &words, Some(0))?;
    let line = process.line()?;
    let raw: Value = serde_json::from_str(&line).map_err(|error| format!("{line}: {error}"))?;
    let turns = |name: &str| {
        let turns = raw[name].as_array().into_iter().flatten();
        turns.map(|turn| Answer(turn.clone())).collect::<Vec<_>>()
    };
    let value = ratio(&turns("store"), &turns("bare"), "us")?;
    Ok(Run { value, raw })
}
