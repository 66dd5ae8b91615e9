//! Fixes the commit that the program is built from: what git says when it runs would be that of
//! another day's checkout.

use std::process::{Command, Stdio};

fn main() {
    // The log of HEAD grows with each commit and checkout.
    for path in ["src", "Cargo.toml", "build.rs", "../.git/logs/HEAD"] {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed=HOLDFAST_COMMIT");
    let commit = std::env::var("HOLDFAST_COMMIT").ok().or_else(described);
    println!("cargo::rustc-env=HOLDFAST_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
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
