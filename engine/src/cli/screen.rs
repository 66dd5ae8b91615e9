//! Where a command writes: answers, complaints, and the one line that changes while it waits.
//!
//! A reader that has gone away (`| head`) is no error of the command, so failed writes are passed
//! over.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// Standard error is a terminal: a line can be written over.
    live: bool,
    /// A line is standing that the next one replaces.
    standing: bool,
    interrupted: Arc<AtomicBool>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, live: bool) -> Self {
        Self { out, err, live, standing: false, interrupted: Arc::default() }
    }

    /// Whether progress can be shown in place.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// The flag that Ctrl-C sets, once a command wants to hear of it.
    pub(super) fn interrupt(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// A line of the answer.
    pub(super) fn say(&mut self, line: &str) {
        self.clear();
        let _ = writeln!(self.out, "{line}");
        let _ = self.out.flush();
    }

    /// A line beside the answer: how far something is, or a hint.
    pub(super) fn note(&mut self, line: &str) {
        self.clear();
        let _ = writeln!(self.err, "{line}");
    }

    /// What went wrong, as what reads the arguments begins it.
    pub(super) fn complain(&mut self, text: &str) {
        self.note(&format!("error: {text}"));
    }

    /// What to try.
    pub(super) fn advise(&mut self, text: &str) {
        self.note(&format!("  try: {text}"));
    }

    /// The line that changes; a line of its own where nothing can be written over.
    pub(super) fn progress(&mut self, line: &str) {
        if self.live {
            let _ = write!(self.err, "\r\x1b[K{line}");
            let _ = self.err.flush();
            self.standing = true;
        } else {
            let _ = writeln!(self.err, "{line}");
        }
    }

    fn clear(&mut self) {
        if self.standing {
            let _ = write!(self.err, "\r\x1b[K");
            let _ = self.err.flush();
            self.standing = false;
        }
    }
}
