//! `report`: the HTML page of a report that was written before.

use super::{Report, html};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// The file cannot be read, is no report, or the page cannot be written.
const NOT_DRAWN: u8 = 2;

/// The command line of `report`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A report that `run --json` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the page goes
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
}

/// Draws the page.
pub(crate) fn main(args: &Args) -> ExitCode {
    let page = Report::read(&args.file).and_then(|report| html::render(&report));
    let written = page.and_then(|page| {
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
