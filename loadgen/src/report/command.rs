//! `report`: the HTML page of what a run or `capacity` wrote before.

use super::{Report, html};
use crate::capacity::found::Capacity;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The file cannot be read, is no report, or the page cannot be written.
const NOT_DRAWN: u8 = 2;

/// The command line of `report`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `run --json` or `capacity --json` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the page goes
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
}

/// Draws the page.
pub(crate) fn main(args: &Args) -> ExitCode {
    let written = page(&args.file).and_then(|page| {
        let shown = args.html.display();
        fs::write(&args.html, page).map_err(|error| format!("cannot write {shown}: {error}"))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("holdfast-loadgen: {why}");
            ExitCode::from(NOT_DRAWN)
        }
    }
}

/// The page of what the file holds. The two kinds have different fields, so neither is taken for
/// the other.
fn page(file: &Path) -> Result<String, String> {
    let bytes = fs::read(file).unwrap_or_default();
    match serde_json::from_slice::<Capacity>(&bytes) {
        Ok(capacity) => html::knee::render(&capacity),
        Err(_) => html::render(&Report::read(file)?),
    }
}
