//! What is delivered as files is accounted for where those read who install it by hand.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;
use std::path::Path;

const HERE: &str = env!("CARGO_MANIFEST_DIR");
/// Of those the folder is named; what is drawn is made by who makes packages.
const FOLDERS: [&str; 3] = ["src", "tests", "drawn"];

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(HERE).join(path)).unwrap()
}

fn collect(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(HERE).unwrap().display().to_string();
        if path.is_dir() && !FOLDERS.contains(&name.as_str()) {
            collect(&path, files);
        } else if path.is_file() {
            files.push(name);
        }
    }
}

#[test]
fn the_readme_says_of_every_file_what_it_is() {
    let readme = text("README.md");
    let mut files = Vec::new();
    collect(Path::new(HERE), &mut files);
    assert!(files.len() > 10, "{files:?}");
    for file in files.iter().filter(|file| *file != "README.md") {
        assert!(readme.contains(&format!("`{file}`")), "{file} is not in README.md");
    }
}

#[test]
fn the_readme_says_of_every_file_that_the_tuning_writes() {
    let readme = text("README.md");
    let source = text("../kernel-tuning/src/persist.rs");
    let written: Vec<_> = source.split('"').filter(|part| part.starts_with("/etc/")).collect();
    assert!(written.len() > 5, "{written:?}");
    for file in written {
        assert!(readme.contains(&format!("| `{file}` |")), "{file} is not in README.md");
    }
}

#[test]
fn what_is_installed_by_hand_is_there_and_goes_where_the_unit_looks() {
    let readme = text("README.md");
    let installed: Vec<_> =
        readme.lines().filter_map(|line| line.strip_prefix("install ")).collect();
    let words = || installed.iter().flat_map(|line| line.split(' '));
    let sources = words().filter(|word| word.starts_with("packaging/") || word.contains(".toml"));
    let mut looked_at = 0;
    for source in sources.filter(|word| !word.starts_with('/')) {
        assert!(Path::new(HERE).join("..").join(source).is_file(), "{source}");
        looked_at += 1;
    }
    assert_eq!(looked_at, 3, "{installed:?}");
    let unit = text("holdfast.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let paths: Vec<_> = start.split(' ').filter(|word| word.starts_with('/')).collect();
    assert_eq!(paths, ["/usr/bin/holdfast", "/etc/holdfast/holdfast.toml"]);
    assert!(words().any(|word| word == "/usr/bin/") && words().any(|word| word == paths[1]));
}
