//! Where the report goes: the table, or the verdict alone, to standard output, JSON and HTML where
//! the options say, findings to standard error.

use super::table;
use crate::options::Output;
use crate::report::{Report, html};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the JSON goes.
enum Json {
    Nowhere,
    Stdout,
    File(PathBuf, File),
}

/// Where a report goes. It is made before the run, so that a report is never lost for want of a
/// place.
pub(crate) struct Publisher {
    json: Json,
    html: Option<(PathBuf, File)>,
    quiet: bool,
}

impl Publisher {
    /// Opens what the options name. A file that exists keeps its content until the report is
    /// written.
    ///
    /// # Errors
    /// The file cannot be opened for writing; the text names it.
    pub(crate) fn open(options: &Output) -> Result<Self, String> {
        let json = match options.json.as_deref() {
            None => Json::Nowhere,
            Some(path) if path == Path::new("-") => Json::Stdout,
            Some(path) => Json::File(path.to_owned(), open(path)?),
        };
        let html = options.html.as_deref();
        let html = html.map(|path| Ok::<_, String>((path.to_owned(), open(path)?))).transpose()?;
        Ok(Self { json, html, quiet: options.quiet })
    }

    /// Prints the table, or its verdict alone, and writes the JSON and the HTML.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub(crate) fn publish(self, report: &Report) -> Result<(), String> {
        let shown = self.shows();
        let printed = match (shown, self.quiet) {
            (false, _) => Ok(()),
            (true, true) => show(&table::verdict(report)),
            (true, false) => show(&table::render(report)),
        };
        // Both end with the findings: who reads both streams in one place has read them.
        if !shown || !same_file(io::stdout().as_fd(), io::stderr().as_fd()) {
            for finding in &report.verdict {
                eprintln!("holdfast-loadgen: {finding}");
            }
            if !report.generator.kept_up() {
                eprintln!("holdfast-loadgen: {}", report.generator.verdict());
            }
            for missed in report.slo.iter().filter(|judged| !judged.met) {
                eprintln!("holdfast-loadgen: SLO missed: {}: {}", missed.clause, missed.says);
            }
        }
        // The files are written also where nobody can read the table.
        self.write(report, || html::render(report)).and(printed)
    }

    /// Whether standard output is for people.
    pub(crate) const fn shows(&self) -> bool {
        !matches!(self.json, Json::Stdout)
    }

    /// Writes the JSON and the page, where the options want them.
    ///
    /// # Errors
    /// One of them cannot be made or written.
    pub(crate) fn write(
        self,
        found: &impl Serialize,
        page: impl FnOnce() -> Result<String, String>,
    ) -> Result<(), String> {
        if let Some((path, file)) = self.html {
            replace(file, page()?.as_bytes()).map_err(|error| cannot_write(&path, &error))?;
        }
        let mut json = serde_json::to_vec_pretty(found).map_err(|error| error.to_string())?;
        json.push(b'\n');
        match self.json {
            Json::Nowhere => Ok(()),
            Json::Stdout => io::stdout()
                .write_all(&json)
                .map_err(|error| format!("cannot write the report: {error}")),
            Json::File(path, file) => {
                replace(file, &json).map_err(|error| cannot_write(&path, &error))
            }
        }
    }
}

/// Prints `text` to standard output. Whoever stopped reading, such as `head`, has seen enough.
///
/// # Errors
/// It cannot be written, such as to a full disk.
pub(crate) fn show(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Opens a file for a report, and leaves what it holds as it is.
fn open(path: &Path) -> Result<File, String> {
    let file = File::options().write(true).create(true).truncate(false).open(path);
    file.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// Makes `bytes` all that the file holds.
fn replace(mut file: File, bytes: &[u8]) -> io::Result<()> {
    // A pipe or a device has no length.
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    file.write_all(bytes)
}

/// Whether both lead to the same file, pipe or terminal.
fn same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let place = |end: BorrowedFd<'_>| {
        let file = File::from(end.try_clone_to_owned().ok()?).metadata().ok()?;
        Some((file.dev(), file.ino()))
    };
    place(one).is_some_and(|here| place(other) == Some(here))
}
