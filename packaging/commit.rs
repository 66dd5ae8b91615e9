//! The build script of the programs that say which commit they were built from: what git says when
//! they run would be that of another day's checkout. Where there is no git, `HOLDFAST_COMMIT`
//! tells; a debug build, which is built too often for that, says so.

use std::env;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=../packaging/commit.rs");
    println!("cargo::rerun-if-env-changed=HOLDFAST_COMMIT");
    let commit = env::var("HOLDFAST_COMMIT").ok().or_else(found);
    println!("cargo::rustc-env=HOLDFAST_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

/// The commit, where it is worth that each one builds the program anew.
fn found() -> Option<String> {
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        return Some("debug".to_owned());
    }
    // The log of HEAD grows with each commit and checkout.
    for path in ["src", "Cargo.toml", "../.git/logs/HEAD"] {
        println!("cargo::rerun-if-changed={path}");
    }
    described()
}

/// What git says, where there is one.
fn described() -> Option<String> {
    let git = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(git.stdout).ok().filter(|_| git.status.success())?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
