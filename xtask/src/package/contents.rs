//! What must be in a Debian package, whatever else is.

use std::path::Path;
use std::process::Command;

use crate::shell::{Result, run};

/// Refuses a package without a page or completions for each of its programs, with a page that is
/// not compressed, or whose scripts no shell understands.
pub(super) fn check(deb: &Path, programs: &[&str]) -> Result {
    let listed = list(deb)?;
    let missing = missing(&listed, programs);
    if !missing.is_empty() {
        return Err(format!("{} lacks {}", deb.display(), missing.join(", ")));
    }
    scripts(deb)
}

fn list(deb: &Path) -> Result<String> {
    let output = Command::new("dpkg-deb").arg("--contents").arg(deb).output();
    let output = output.map_err(|error| format!("dpkg-deb: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a package with this content lacks.
fn missing(listed: &str, programs: &[&str]) -> Vec<String> {
    let wanted = programs.iter().flat_map(|program| {
        [
            format!("./usr/bin/{program}"),
            format!("./usr/share/man/man1/{program}.1.gz"),
            format!("./usr/share/man/man1/{program}-completions.1.gz"),
            format!("./usr/share/bash-completion/completions/{program}"),
            format!("./usr/share/zsh/vendor-completions/_{program}"),
            format!("./usr/share/fish/vendor_completions.d/{program}.fish"),
        ]
    });
    let service = [
        "./etc/holdfast/holdfast.toml",
        "./usr/lib/systemd/system/holdfast.service",
        "./usr/lib/sysusers.d/holdfast.conf",
        "./usr/share/man/man5/holdfast.toml.5.gz",
    ];
    let service = programs.contains(&"holdfast").then_some(service).into_iter().flatten();
    let has = |path: &String| listed.lines().any(|line| line.ends_with(path.as_str()));
    wanted.chain(service.map(str::to_owned)).filter(|path| !has(path)).collect()
}

/// Whether a shell understands what is run when it is installed and removed.
fn scripts(deb: &Path) -> Result {
    let folder = deb.with_extension("control");
    run(Command::new("dpkg-deb").arg("--control").arg(deb).arg(&folder))?;
    let checked = ["preinst", "postinst", "prerm", "postrm"]
        .iter()
        .map(|name| folder.join(name))
        .filter(|script| script.exists())
        .try_for_each(|script| run(Command::new("sh").arg("-n").arg(script)));
    // It was unpacked to look into it.
    let _ = std::fs::remove_dir_all(folder);
    checked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_package_lacks_is_named() {
        let listed = "\
-rwxr-xr-x root/root 9 2026-01-01 00:00 ./usr/bin/holdfast-loadgen
-rw-r--r-- root/root 9 2026-01-01 00:00 ./usr/share/man/man1/holdfast-loadgen.1.gz
-rw-r--r-- root/root 9 2026-01-01 00:00 ./usr/share/man/man1/holdfast-loadgen-completions.1.gz
-rw-r--r-- root/root 9 2026-01-01 00:00 ./usr/share/zsh/vendor-completions/_holdfast-loadgen
-rw-r--r-- root/root 9 2026-01-01 00:00 ./usr/share/fish/vendor_completions.d/holdfast-loadgen.fish
";
        let bash = "./usr/share/bash-completion/completions/holdfast-loadgen";
        assert_eq!(missing(listed, &["holdfast-loadgen"]), [bash]);
        assert_eq!(missing("", &["holdfast"]).len(), 10);
    }
}
