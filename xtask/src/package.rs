//! `cargo xtask package`: the Debian packages, from a release build.
//!
//! Man pages and completions are drawn by the programs themselves into `packaging/drawn/`, where
//! the packages' metadata (in the manifests of `engine` and `loadgen`) looks for them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::shell::{Result, cargo, output, root, run as run_command, target};

mod contents;

/// A package: its name, the cargo package that has its metadata, and its programs.
struct Deb {
    name: &'static str,
    package: &'static str,
    programs: &'static [&'static str],
}

const DEBS: [Deb; 2] = [
    Deb { name: "holdfast", package: "holdfast", programs: &["holdfast", "holdfast-tuning"] },
    Deb { name: "holdfast-loadgen", package: "holdfast-loadgen", programs: &["holdfast-loadgen"] },
];

/// Shells, each with the folder of a package's files for it and what a file is called there.
const SHELLS: [(&str, &str, &str); 3] = [("bash", "", ""), ("zsh", "_", ""), ("fish", "", ".fish")];

/// Where the packages go.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder for the packages; without it `target/debian`. Their maintainer is `$DEBFULLNAME`
    /// with `$DEBEMAIL`
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Makes the packages and says where they are.
pub(crate) fn run(args: &Args) -> Result {
    let out = args.out.clone().unwrap_or_else(|| target().join("debian"));
    for deb in make(&out)? {
        println!("{}", deb.display());
    }
    Ok(())
}

/// Builds the programs and packs them into a folder; looks into what came of it.
pub(crate) fn make(out: &Path) -> Result<Vec<PathBuf>> {
    let packer = packer()?;
    let mut build = cargo(&["build", "--release"]);
    let programs = || DEBS.iter().flat_map(|deb| deb.programs);
    build.args(programs().flat_map(|program| ["--bin", program]));
    run_command(&mut build)?;
    let drawn = root().join("packaging/drawn");
    if drawn.exists() {
        fs::remove_dir_all(&drawn).map_err(|error| format!("{}: {error}", drawn.display()))?;
    }
    let date = output("git", &["log", "-1", "--format=%cs"]).unwrap_or_default();
    for deb in &DEBS {
        for program in deb.programs {
            draw(program, &drawn.join(deb.name), &date)?;
        }
    }
    let maintainer = maintainer();
    let mut made = Vec::new();
    for deb in &DEBS {
        write(&drawn.join("changelog"), changelog(deb.name, &maintainer).as_bytes())?;
        let file = out.join(format!("{}.deb", deb.name));
        let mut pack = Command::new(&packer);
        pack.args(["--package", deb.package, "--no-build", "--strip"]);
        pack.args(["--maintainer", &maintainer, "--output"]).arg(&file);
        run_command(pack.current_dir(root()))?;
        contents::check(&file, deb.programs)?;
        made.push(file);
    }
    Ok(made)
}

/// `cargo-deb`, which is installed where it is not there.
fn packer() -> Result<PathBuf> {
    let there = |program: &Path| {
        let mut version = Command::new(program);
        version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    };
    let own = root().join("target/tools/bin/cargo-deb");
    let found = [PathBuf::from("cargo-deb"), own.clone()].into_iter().find(|path| there(path));
    if let Some(found) = found {
        return Ok(found);
    }
    let mut install = cargo(&["install", "cargo-deb", "--locked", "--root"]);
    // Not among what is built here: its dependencies are of other versions.
    let built = env::temp_dir().join("holdfast-cargo-deb");
    run_command(install.arg(root().join("target/tools")).env("CARGO_TARGET_DIR", &built))?;
    // What is left of building it is in nobody's way.
    let _ = fs::remove_dir_all(built);
    Ok(own)
}

/// Has a program draw its pages and completions.
fn draw(program: &str, folder: &Path, date: &str) -> Result {
    let path = target().join("release").join(program);
    let mut man = Command::new(&path);
    run_command(man.arg("man").arg(folder.join("man")).args(["--date", date]))?;
    for (shell, before, after) in SHELLS {
        let mut completions = Command::new(&path);
        let script = completions.args(["completions", shell]).output();
        let script = script.map_err(|error| format!("{program}: {error}"))?;
        if !script.status.success() {
            return Err(format!("{program} completions {shell}: {}", script.status));
        }
        write(&folder.join(shell).join(format!("{before}{program}{after}")), &script.stdout)?;
    }
    Ok(())
}

/// Who answers for a package: whoever makes it, by the variables that Debian's own tools read
/// (debchange(1)); without them nobody whom mail reaches.
fn maintainer() -> String {
    let said = |name, otherwise: &str| {
        env::var(name).ok().filter(|said| !said.is_empty()).unwrap_or_else(|| otherwise.to_owned())
    };
    let name = said("DEBFULLNAME", "The Holdfast maintainers");
    format!("{name} <{}>", said("DEBEMAIL", "holdfast@localhost"))
}

/// What Debian wants beside a package; what changed stands in the repository's own.
fn changelog(name: &str, maintainer: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let date = output("git", &["log", "-1", "--format=%cD"]).unwrap_or_default();
    format!(
        "{name} ({version}-1) unstable; urgency=medium\n\n  * Holdfast {version}.\n\n \
         -- {maintainer}  {date}\n"
    )
}

fn write(path: &Path, bytes: &[u8]) -> Result {
    let told = |error| format!("{}: {error}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(told)?;
    fs::write(path, bytes).map_err(told)
}
