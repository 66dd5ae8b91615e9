//! Documents: what they name exists, and the first one stays short.

use std::collections::HashSet;
use std::sync::OnceLock;

use crate::source::{Source, all, root};
use crate::{finds, nothing_found};

const README_LINES: usize = 120;

/// Endings by which a word in a document is a file of the repository.
const ENDINGS: [&str; 6] = [".rs", ".md", ".toml", ".sh", ".py", ".json"];

/// Files that a reader makes, or that other programs have.
const ELSEWHERE: [&str; 3] = ["holdfast.toml", "gateway.toml", "report.json"];

fn long_readme(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let long = source.path == "README.md" && lines > README_LINES;
    if long { vec![format!("README.md: {lines} lines")] } else { Vec::new() }
}

/// Files that a document or a comment names in backticks, and links to, and that are not there.
fn missing_files(source: &Source) -> Vec<String> {
    let mut missing = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let prose = source.is_document || line.trim_start().starts_with("//");
        if !prose {
            continue;
        }
        let named = line.split('`').skip(1).step_by(2).chain(links(line));
        let gone = named.filter(|word| is_file_name(word) && !exists(word, &source.path));
        missing.extend(gone.map(|word| format!("{}:{}: {word}", source.path, index + 1)));
    }
    missing
}

/// What stands in the brackets of Markdown links, without what follows `#`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.contains("://"))
}

fn is_file_name(word: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let named = ENDINGS.iter().any(|ending| word.ends_with(ending) && word.len() > ending.len());
    named
        && !word.starts_with('/')
        && !word.starts_with("target/")
        && word.chars().all(plain)
        && !ELSEWHERE.contains(&word)
}

/// Whether a file's path ends with these names: `path/close.rs` may be said of
/// `engine/src/path/close.rs`.
fn exists(word: &str, from: &str) -> bool {
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let parts = all().iter().flat_map(|source| {
            let path = source.path.as_str();
            let cuts = path.match_indices('/').map(|(at, _)| path[at + 1..].to_owned());
            cuts.chain([path.to_owned()])
        });
        parts.collect()
    });
    let beside = root().join(from).parent().is_some_and(|folder| folder.join(word).is_file());
    let word = word.trim_start_matches("../").trim_start_matches("./");
    beside || names.contains(word) || root().join(word).is_file()
}

#[test]
fn the_readme_is_short() {
    nothing_found(long_readme);
    finds(
        long_readme,
        &[("README.md", &"line\n".repeat(121))],
        &[("README.md", &"line\n".repeat(120)), ("engine/NOTES.md", &"line\n".repeat(500))],
    );
}

#[test]
fn documents_name_files_that_exist() {
    nothing_found(missing_files);
    finds(
        missing_files,
        &[
            ("A.md", "see `engine/src/gone.rs`"),
            ("A.md", "see [this](protocol/GONE.md#part)"),
            ("a/src/b.rs", "//! As `gone/away.rs` says."),
        ],
        &[
            (
                "A.md",
                "see `engine/tests/tidy.rs`, `tidy/source.rs` and [it](protocol/SPEC.md#part)",
            ),
            ("A.md", "see [this](https://example.org/gone.md) and `*.rs`"),
            ("a/src/b.rs", "const NAME: &str = \"`gone.rs`\";"),
        ],
    );
}
