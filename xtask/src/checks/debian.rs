//! Programs that the checks need, by Debian's packages where they are not there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Result, output, run};

/// Sees to it that there are these programs; installs the packages of those that are not.
pub(super) fn ensure(programs: &[(&str, &str)]) -> Result {
    let lacking = programs.iter().filter(|(program, _)| path(program).is_none());
    let packages: Vec<&str> = lacking.map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    apt(&["update", "-q"])?;
    apt(&[&["install", "-qy", "--no-install-recommends"], &packages[..]].concat())
}

/// Sees to it that a package could be had, for which there must be lists of packages.
pub(super) fn ensure_known(package: &str) -> Result {
    if output("apt-cache", &["show", package]).is_some() { Ok(()) } else { apt(&["update", "-q"]) }
}

/// Where a program is.
pub(super) fn path(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// `apt-get` as somebody who may change the system.
fn apt(words: &[&str]) -> Result {
    let root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.arg("apt-get");
    }
    run(command.args(words))
}

/// Unpacks what the system lacks of these packages, with what they need, into `folder`: nothing is
/// installed, no service is started, and nobody need be root. What is unpacked there stays.
pub(crate) fn unpack(packages: &[&str], folder: &Path) -> Result {
    let done = folder.join("unpacked");
    if fs::read_to_string(&done).is_ok_and(|names| names == packages.join(" ")) {
        return Ok(());
    }
    let lacking = if let Some(lacking) = lacking(packages) {
        lacking
    } else {
        apt(&["update", "-q"])?;
        lacking(packages).ok_or_else(|| format!("apt-get knows no {}", packages.join(", ")))?
    };
    unpack_these(&lacking, folder)?;
    fs::write(&done, packages.join(" ")).map_err(|error| format!("{}: {error}", done.display()))
}

/// Unpacks these packages into `folder`, and nothing of what they need.
pub(super) fn unpack_these(packages: &[String], folder: &Path) -> Result {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    if !packages.is_empty() {
        run(Command::new("apt-get").args(["download", "-q"]).args(packages).current_dir(folder))?;
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg").arg("-x").arg(&path).arg(folder))?;
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}

/// Packages that would be installed for these; `None` where one is not known.
fn lacking(packages: &[&str]) -> Option<Vec<String>> {
    let words = [&["install", "--simulate", "--no-install-recommends"], packages].concat();
    output("apt-get", &words).map(|text| would_be_installed(&text))
}

fn would_be_installed(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("Inst "));
    lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_installed_is_read_from_a_simulation() {
        let text = "NOTE: this is a simulation\nInst nginx (1.22 Debian [amd64])\nConf nginx (1)\n";
        assert_eq!(would_be_installed(text), ["nginx"]);
    }
}
