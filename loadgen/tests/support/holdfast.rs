//! A real gateway in a process of its own, for what no script can stand for.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;

/// A gateway, which ends with this.
pub(crate) struct Holdfast {
    process: Child,
    pub(crate) clients: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) admin: SocketAddr,
}

const SETTINGS: [&str; 7] = [
    "client.listen=[\"127.0.0.1:0\"]",
    "backend.listen=[\"127.0.0.1:0\"]",
    "admin.listen=127.0.0.1:0",
    "shards=2",
    "pin=off",
    "client.connections_max=1024",
    "store.kind=memory",
];

impl Holdfast {
    /// Starts one with these settings besides.
    #[track_caller]
    pub(crate) fn serve(settings: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.arg("serve");
        for set in SETTINGS.iter().chain(settings) {
            command.args(["--set", set]);
        }
        let mut process = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut found = [None; 3];
        let mut said = String::new();
        while found.iter().any(Option::is_none) {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended: {said}");
            for (place, name) in found.iter_mut().zip(["clients", "backends", "admin"]) {
                *place = place.or_else(|| address(&line, name));
            }
            said.push_str(&line);
        }
        // A full pipe would hold the gateway.
        thread::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        let [clients, api, admin] = found.map(Option::unwrap);
        Self { process, clients, api, admin }
    }
}

impl Drop for Holdfast {
    fn drop(&mut self) {
        // It fails where the process has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first address behind `name` in a line of the log.
fn address(line: &str, name: &str) -> Option<SocketAddr> {
    let rest = line.split_once(&format!("{name}="))?.1.trim_start_matches('[');
    rest.split([',', ']', ' ', '\n']).next()?.parse().ok()
}

/// The gateway's program: the one that `HOLDFAST_PROGRAM` names, or that of this workspace, which
/// is built where it is not there yet or old.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(named) = std::env::var_os("HOLDFAST_PROGRAM") {
            return named.into();
        }
        let generator = Path::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
        let folder = generator.parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "holdfast", "--bin", "holdfast"]);
        build.arg("--target-dir").arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the gateway cannot be built");
        folder.join("holdfast")
    })
}
