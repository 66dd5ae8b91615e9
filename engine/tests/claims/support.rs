//! What the claims are shown with: a gateway in this process or as a process of its own, clients
//! and backends that speak by a script, and peers that send any bytes.
//!
//! Peers use blocking sockets and no code of the engine, so that they cannot share its mistakes.

pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod gateway;
pub(crate) mod held;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod store;

pub(crate) use backend::{Backend, Told};
pub(crate) use client::{Client, Hello, Said};
pub(crate) use gateway::Gateway;
pub(crate) use peer::Peer;
pub(crate) use store::Store;

use holdfast::metrics::{ShardMetrics, flat};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long something may take to come before the test fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The back end under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Uring,
    Epoll,
}

impl Which {
    /// As the configuration names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        }
    }
}

fn wanted(which: Which) -> bool {
    std::env::var("HOLDFAST_IO").map_or(true, |only| only.is_empty() || only == which.name())
}

/// `io_uring`, if it is to be tested and the kernel allows it.
pub(crate) fn uring() -> Option<Which> {
    if !wanted(Which::Uring) {
        return None;
    }
    match holdfast::io::uring::probe() {
        Ok(()) => Some(Which::Uring),
        Err(refused) => {
            let asked = std::env::var("HOLDFAST_IO").is_ok_and(|only| !only.is_empty());
            assert!(!asked, "HOLDFAST_IO=uring, and it cannot be had: {refused}");
            eprintln!("not shown on uring, which cannot be had: {refused}");
            None
        }
    }
}

/// epoll, if it is to be tested.
pub(crate) fn epoll() -> Option<Which> {
    wanted(Which::Epoll).then_some(Which::Epoll)
}

/// A counter or gauge, over all shards.
#[track_caller]
pub(crate) fn counted(shards: &[ShardMetrics], name: &str) -> u64 {
    let all = flat(shards);
    let found = all.iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no counter \"{name}\"")).1
}

/// Waits until `holds`; fails with `what` if that does not come.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "this never came: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs the test `name` again in a process of its own, for what it does to the whole process.
/// `true` in that process.
pub(crate) fn alone(name: &str) -> bool {
    const MARK: &str = "HOLDFAST_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let this = std::env::current_exe().expect("a path of this program");
    let mut again = Command::new(this);
    again.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(MARK, "1");
    let output = again.output().expect("a second run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{name} alone: {output:?}");
    false
}
