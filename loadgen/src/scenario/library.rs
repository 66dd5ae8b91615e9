//! The scenarios that come with the program, each a file of `loadgen/scenarios/`.

use super::alike::meant;
use super::file::File;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Longest file, bytes.
const LONGEST: u64 = 1 << 20;

/// Each with its name and its text.
pub(crate) const NAMED: [(&str, &str); 8] = [
    ("idle", include_str!("../../scenarios/idle.toml")),
    ("push", include_str!("../../scenarios/push.toml")),
    ("fanout", include_str!("../../scenarios/fanout.toml")),
    ("chat", include_str!("../../scenarios/chat.toml")),
    ("storm", include_str!("../../scenarios/storm.toml")),
    ("slow-reader", include_str!("../../scenarios/slow-reader.toml")),
    ("weak-network", include_str!("../../scenarios/weak-network.toml")),
    ("mixed", include_str!("../../scenarios/mixed.toml")),
];

/// The text of a named scenario.
///
/// # Errors
/// There is none; the text says which there are.
pub(crate) fn named(name: &str) -> Result<&'static str, String> {
    let found = NAMED.iter().find(|(one, _)| *one == name);
    found.map(|(_, text)| *text).ok_or_else(|| {
        let meant = meant(name, NAMED.iter().map(|(one, _)| *one));
        let meant = meant.map_or(String::new(), |one| format!("did you mean {one}? "));
        let names: Vec<&str> = NAMED.iter().map(|(one, _)| *one).collect();
        format!("there is no scenario called {name}; {meant}named ones: {}", names.join(", "))
    })
}

/// The scenario that `typed` names: a file where it looks like a path or there is one, else a named
/// one.
///
/// # Errors
/// There is none, the file cannot be read, or it is wrong; the text says so.
pub(crate) fn open(typed: &str) -> Result<File, String> {
    let is_named = NAMED.iter().any(|(name, _)| *name == typed);
    let path = Path::new(typed);
    let looks_like_one = typed.contains('/') || path.extension().is_some();
    if is_named || !looks_like_one && !path.exists() {
        return File::read(typed, named(typed)?);
    }
    let text = read(path).map_err(|error| format!("cannot read the scenario {typed}: {error}"))?;
    File::read(typed, &text)
}

/// The text of a file that is no longer than a scenario can be.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is longer than {} KiB", LONGEST >> 10)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_scenario_is_valid_and_says_what_it_is_for() {
        for (name, text) in NAMED {
            let file = File::read(name, text).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert!(!file.about.is_empty() && file.phases.len() > 1, "{name}");
        }
    }

    #[test]
    fn every_file_of_the_folder_is_named() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let scenarios = files.filter(|path| path.extension().is_some_and(|end| end == "toml"));
        let name =
            |path: std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut files: Vec<String> = scenarios.map(name).collect();
        files.sort_unstable();
        let mut names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        assert_eq!(files, names);
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_the_one_that_was_meant() {
        let wrong = open("strom").unwrap_err();
        assert!(wrong.contains("did you mean storm?") && wrong.contains("mixed"), "{wrong}");
        let wrong = open("no/such/file.toml").unwrap_err();
        assert!(wrong.contains("no/such/file.toml"), "{wrong}");
        assert!(open("idle").is_ok());
    }
}
