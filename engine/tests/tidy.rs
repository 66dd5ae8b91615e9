//! The style law. Each rule is a check over every file of the repository, and each check has a test
//! that it can fail.
//!
//! Exemptions are the constants at the head of a check's file; they only shrink.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(missing_docs, reason = "tests are named after what they show")]

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use source::Source;

/// A check: what it finds wrong in one file, a line each.
type Check = fn(&Source) -> Vec<String>;

fn nothing_found(check: Check) {
    let files = source::all();
    assert!(files.len() > 100, "only {} files were found", files.len());
    let found: Vec<String> = files.iter().flat_map(check).collect();
    assert!(found.is_empty(), "{} found:\n{}", found.len(), found.join("\n"));
}

/// A check that finds nothing wrong here and something wrong there.
fn finds(check: Check, wrong: &[(&str, &str)], right: &[(&str, &str)]) {
    for (path, text) in wrong {
        assert!(!check(&Source::new(path, text)).is_empty(), "not found in {path}:\n{text}");
    }
    for (path, text) in right {
        let found = check(&Source::new(path, text));
        assert!(found.is_empty(), "found in {path}:\n{text}\n{found:?}");
    }
}
