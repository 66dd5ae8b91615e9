//! Commands, shown before they run.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why a chore failed, in words.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// Where cargo builds: as in the environment, else `target`.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |path| root().join(path))
}

/// `cargo` with these words, in the repository's root.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words).current_dir(root());
    for name in env::vars_os().map(|(name, _)| name).filter(|name| is_of_this_package(name)) {
        command.env_remove(name);
    }
    command
}

/// What cargo tells a program that it runs of the program's own package. A build script that asks
/// for such a variable is run again, with all that depends on it, whenever the value is another:
/// so a chore would build again what was built without it.
fn is_of_this_package(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Runs a command to its end; any end but success is an error.
pub(crate) fn run(command: &mut Command) -> Result {
    let shown = shown(command);
    eprintln!("\n$ {shown}");
    let status = command.status().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed: {status}")) }
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = command.get_args().map(quoted);
    let line: Vec<String> = set.chain([quoted(program)]).chain(words).collect();
    line.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy().replace(&format!("{}/", root().display()), "");
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./,:+".contains(letter);
    if word.chars().all(plain) { word } else { format!("'{word}'") }
}

/// What a command prints, where it succeeds.
pub(crate) fn output(program: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).current_dir(root()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "a b"]).env("RUSTFLAGS", "-D warnings");
        assert_eq!(shown(&command), "RUSTFLAGS='-D warnings' cargo test 'a b'");
    }

    #[test]
    fn cargo_is_not_told_which_package_runs_it() {
        assert!(env::vars_os().any(|(name, _)| is_of_this_package(&name)));
        let cargo = cargo(&["build"]);
        let removed = cargo.get_envs().filter(|(_, value)| value.is_none());
        assert!(removed.map(|(name, _)| name).any(|name| name == "CARGO_PKG_NAME"));
        assert!(!is_of_this_package(OsStr::new("CARGO_TARGET_DIR")));
    }

    #[test]
    fn a_command_that_fails_is_an_error() {
        assert!(run(&mut Command::new("false")).is_err());
        assert!(run(&mut Command::new("true")).is_ok());
    }
}
