//! Where the programs of other servers are: in the system, or where Debian's packages were unpacked
//! for them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// A file that a package brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needed {
    /// Its name, or its path below the root where it is no program.
    file: &'static str,
    /// The package of Debian that has it.
    pub(super) package: &'static str,
}

pub(super) const MOSQUITTO: Needed = Needed { file: "mosquitto", package: "mosquitto" };
pub(super) const NATS: Needed = Needed { file: "nats-server", package: "nats-server" };
pub(super) const NGINX: Needed = Needed { file: "nginx", package: "nginx" };
pub(super) const NCHAN: Needed =
    Needed { file: "usr/lib/nginx/modules/ngx_nchan_module.so", package: "libnginx-mod-nchan" };

/// Folders of programs below a root.
const PROGRAMS: [&str; 4] = ["usr/sbin", "usr/bin", "usr/local/sbin", "usr/local/bin"];

/// Where to look.
#[derive(Debug, Clone)]
pub(super) struct Packages {
    /// Where packages were unpacked, to be looked at before the system.
    root: Option<PathBuf>,
}

impl Packages {
    /// Looks below `root` if there is one, then in the system.
    pub(super) const fn new(root: Option<PathBuf>) -> Self {
        Self { root }
    }

    /// Where the file is.
    pub(super) fn find(&self, needed: Needed) -> Option<PathBuf> {
        let roots = self.root.as_deref().into_iter().chain([Path::new("/")]);
        let mut folders: Vec<PathBuf> = if needed.file.contains('/') {
            roots.map(Path::to_owned).collect()
        } else {
            roots.flat_map(|root| PROGRAMS.map(|folder| root.join(folder))).collect()
        };
        let path = env::var_os("PATH").unwrap_or_default();
        folders.extend(env::split_paths(&path));
        folders.iter().map(|folder| folder.join(needed.file)).find(|path| path.is_file())
    }

    /// What `LD_LIBRARY_PATH` must be for programs from there; `None` for the system's own.
    pub(super) fn libraries(&self) -> Option<String> {
        let root = self.root.as_ref()?;
        let mut folders = Vec::new();
        for base in ["usr/lib", "lib"].map(|base| root.join(base)) {
            let below = fs::read_dir(&base).into_iter().flatten().flatten();
            folders.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir()));
            folders.push(base);
        }
        let names: Vec<String> = folders.iter().map(|path| path.display().to_string()).collect();
        Some(names.join(":"))
    }
}

/// What a person types to get these packages.
pub(super) fn advice(packages: &[&str]) -> String {
    format!(
        "install them with `apt-get install --no-install-recommends {0}` (Debian starts what it \
         installs: stop it afterwards with `systemctl disable --now ...`), or unpack them beside \
         the system (`apt-get download {0}`, `dpkg -x` each into one folder) and name the folder \
         with --root, or leave out what is not there with --skip-missing",
        packages.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_unpacked_goes_before_the_system() {
        let root = tempfile::tempdir().unwrap();
        let packages = Packages::new(Some(root.path().to_owned()));
        for (needed, path) in
            [(NGINX, "usr/sbin/nginx"), (NCHAN, "usr/lib/nginx/modules/ngx_nchan_module.so")]
        {
            assert!(packages.find(needed).is_none_or(|path| !path.starts_with(root.path())));
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            assert_eq!(packages.find(needed), Some(path));
        }
        let libraries = packages.libraries().unwrap();
        assert!(libraries.contains("usr/lib/nginx"), "{libraries}");
        assert_eq!(Packages::new(None).libraries(), None);
    }
}
