//! The text of a scenario file, and all that is wrong with it, each with its place.

use std::cell::RefCell;

/// A file while it is read. What is wrong is collected, so that one look is enough to correct it.
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
    problems: RefCell<Vec<(usize, String)>>,
}

impl<'a> Source<'a> {
    /// The text of the file called `name`.
    pub(super) const fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text, problems: RefCell::new(Vec::new()) }
    }

    /// What stands in these bytes of the file, in one line.
    pub(super) fn written(&self, span: std::ops::Range<usize>) -> String {
        let words: Vec<&str> = self.text.get(span).unwrap_or_default().split_whitespace().collect();
        words.join(" ")
    }

    /// Keeps that something is wrong at byte `at`.
    pub(super) fn problem(&self, at: usize, what: impl Into<String>) {
        self.problems.borrow_mut().push((at, what.into()));
    }

    /// Whether something is wrong.
    pub(super) fn is_wrong(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// All that is wrong, a line each: file, line, column, what.
    pub(super) fn refusal(&self) -> String {
        let mut problems = self.problems.borrow().clone();
        problems.sort();
        // A key that is asked for twice is wrong once.
        problems.dedup();
        let line = |(at, what): &(usize, String)| {
            let before = self.text.get(..*at).unwrap_or(self.text);
            let start = before.rfind('\n').map_or(0, |end| end + 1);
            let row = before.matches('\n').count() + 1;
            let column = before[start..].chars().count() + 1;
            format!("{}:{row}:{column}: {what}", self.name)
        };
        problems.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
