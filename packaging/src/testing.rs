//! What the tests of each program's pages and completions have in common.
//!
//! It fails by panicking: it runs in tests alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Draws what `program` has, and checks it: a page for each command that its help shows, which
/// `man` and `mandoc` take without a warning, and completions that each shell takes which is there.
/// Gives the names of the pages.
///
/// # Panics
/// Where something of that is not so.
pub fn check(program: &str, folder: &Path) -> BTreeSet<String> {
    let pages = folder.join("man");
    let place = pages.display().to_string();
    succeeds(Command::new(program).args(["man", &place, "--date", "2026-01-01"]));
    let files: BTreeSet<String> = fs::read_dir(&pages)
        .expect("the folder of the pages")
        .map(|file| file.expect("a page").file_name().to_string_lossy().into_owned())
        .collect();
    for words in commands(program, &[]) {
        let name = [vec![own_name(program)], words.clone()].concat().join("-") + ".1";
        assert!(files.contains(&name), "{words:?} has no page {name}: {files:?}");
    }
    for file in &files {
        let path = pages.join(file).display().to_string();
        quiet("man", &["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", &path]);
        quiet("mandoc", &["-Tlint", "-W", "warning", &path]);
    }
    for shell in ["bash", "zsh", "fish"] {
        let drawn = succeeds(Command::new(program).args(["completions", shell]));
        let script = folder.join(shell);
        fs::write(&script, drawn.stdout).expect("a folder to write to");
        quiet(shell, &["-n", &script.display().to_string()]);
    }
    files
}

fn own_name(program: &str) -> String {
    let name = Path::new(program).file_name().expect("a program's path");
    name.to_string_lossy().into_owned()
}

/// The words of every command that the help shows, below these.
fn commands(program: &str, above: &[String]) -> Vec<Vec<String>> {
    let help = succeeds(Command::new(program).args(above).arg("--help"));
    let help = String::from_utf8(help.stdout).expect("help in UTF-8");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| line.starts_with(' '));
    let mut all = Vec::new();
    // What goes on in another line is set in deeper.
    for line in listed.filter(|line| !line.starts_with("   ")) {
        let word = line.split_whitespace().next().unwrap_or_default();
        if word != "help" {
            let words = [above, &[word.to_owned()]].concat();
            all.extend(commands(program, &words));
            all.push(words);
        }
    }
    all
}

fn succeeds(command: &mut Command) -> Output {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// Runs a checker where there is one; it must find nothing.
fn quiet(program: &str, words: &[&str]) {
    let Ok(output) = Command::new(program).args(words).env("MANWIDTH", "100").output() else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    // clap breaks lines around the values of an option, which mandoc has no need of.
    let told = String::from_utf8_lossy(if program == "mandoc" { &output.stdout } else { b"" });
    let mut told = told.lines().filter(|line| !line.contains("skipping paragraph macro: br "));
    let failed = !output.status.success() && program != "mandoc";
    assert!(!failed && said.is_empty(), "{program} {words:?}: {said}");
    assert_eq!(told.next(), None, "{program} {words:?}");
}
