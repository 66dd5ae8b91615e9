//! A gateway in a container: under the seccomp profile that comes with it it serves on `io_uring`,
//! under a runtime's own it says in one line that it serves over epoll.
//!
//! A filter holds for the thread that it is applied to and for what that thread starts, so each
//! gateway here is started by a thread that is confined as a container would be.

#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::thread;
use syscalls::Sysno;

const OURS: &str = include_str!("../../packaging/seccomp.json");
const DEFAULT: &str = include_str!("../../packaging/seccomp/default.json");
const CONTAINER: &str = include_str!("../../packaging/Containerfile");
const RINGS: [&str; 3] = ["io_uring_enter", "io_uring_register", "io_uring_setup"];

/// What a container runtime makes of a profile on this machine for a process without capabilities:
/// the allowed calls, each with the arguments for which it is.
fn allowed(profile: &str) -> BTreeMap<i64, Vec<SeccompRule>> {
    let profile: Value = serde_json::from_str(profile).unwrap();
    let mut calls: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut always = Vec::new();
    for entry in profile["syscalls"].as_array().unwrap().iter().filter(|entry| holds(entry)) {
        for name in entry["names"].as_array().unwrap() {
            // Those that are not known are of other architectures.
            let Ok(call) = Sysno::from_str(name.as_str().unwrap()) else { continue };
            let rules = calls.entry(i64::from(call.id())).or_default();
            let conditions = conditions(&entry["args"]);
            if conditions.is_empty() {
                always.push(i64::from(call.id()));
            } else {
                rules.push(SeccompRule::new(conditions).unwrap());
            }
        }
    }
    for call in always {
        calls.insert(call, Vec::new());
    }
    calls
}

/// Whether an entry allows something here.
fn holds(entry: &Value) -> bool {
    let includes = &entry["includes"];
    let arch = includes["arches"].as_array();
    entry["action"] == "SCMP_ACT_ALLOW"
        && includes["caps"].is_null()
        && arch.is_none_or(|all| all.iter().any(|arch| arch == "amd64"))
}

fn conditions(arguments: &Value) -> Vec<SeccompCondition> {
    let one = |argument: &Value| {
        let number = |name: &str| argument[name].as_u64().unwrap();
        let is = match argument["op"].as_str().unwrap() {
            "SCMP_CMP_EQ" => SeccompCmpOp::Eq,
            "SCMP_CMP_NE" => SeccompCmpOp::Ne,
            other => panic!("{other} is not known here"),
        };
        let index = u8::try_from(number("index")).unwrap();
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, is, number("value")).unwrap()
    };
    arguments.as_array().into_iter().flatten().map(one).collect()
}

/// What a gateway says until it serves, under a profile whose refusal is `errno`.
fn starts_under(profile: &str, errno: i32) -> Vec<String> {
    let arch = TargetArch::x86_64;
    let refuses = SeccompAction::Errno(errno.cast_unsigned());
    let filter = SeccompFilter::new(allowed(profile), refuses, SeccompAction::Allow, arch);
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    let confined = thread::spawn(move || {
        apply_filter(&program).unwrap();
        said(gateway().spawn().unwrap())
    });
    confined.join().unwrap()
}

fn gateway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.args(["serve", "--shards", "2", "--set", "store.kind=none"]);
    for key in ["client.listen", "backend.listen", "admin.listen"] {
        command.args(["--set", &format!("{key}=127.0.0.1:0")]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The lines until it serves; it is ended then.
fn said(mut gateway: Child) -> Vec<String> {
    let lines = until_ready(&mut gateway);
    end(gateway);
    assert!(lines.last().is_some_and(|line| line.contains("admin=")), "{lines:#?}");
    lines
}

fn until_ready(gateway: &mut Child) -> Vec<String> {
    let mut lines = Vec::new();
    for line in BufReader::new(gateway.stderr.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().unwrap().contains("admin=") {
            break;
        }
    }
    lines
}

fn end(mut gateway: Child) {
    gateway.kill().unwrap();
    gateway.wait().unwrap();
}

/// The health check of the container's file, for an admin port.
fn health_check(port: &str) -> Command {
    let check = CONTAINER.lines().find(|line| line.contains("/dev/tcp/")).unwrap().trim();
    let words: Vec<String> = serde_json::from_str(&format!("[{check}")).unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", &words[0].replace("/7700", &format!("/{port}"))]).stderr(Stdio::null());
    command
}

#[test]
fn the_container_s_health_check_tells_a_gateway_that_lives() {
    let mut gateway = gateway().spawn().unwrap();
    let lines = until_ready(&mut gateway);
    let admin = lines.last().unwrap().split("admin=127.0.0.1:").nth(1).unwrap();
    let port = admin.split(' ').next().unwrap();
    assert!(health_check(port).status().unwrap().success());
    end(gateway);
    assert!(!health_check(port).status().unwrap().success());
}

#[test]
fn the_profile_allows_exactly_the_rings_beside_the_default() {
    let (mut ours, default): (Value, Value) =
        (serde_json::from_str(OURS).unwrap(), serde_json::from_str(DEFAULT).unwrap());
    let last = ours["syscalls"].as_array_mut().unwrap().pop().unwrap();
    assert_eq!(ours, default);
    assert_eq!((&last["names"], &last["action"]), (&RINGS.into(), &"SCMP_ACT_ALLOW".into()));
    assert!(last["args"].as_array().unwrap().is_empty());
    let (ours, default) = (allowed(OURS), allowed(DEFAULT));
    let more: Vec<i64> = ours.keys().filter(|call| !default.contains_key(call)).copied().collect();
    assert_eq!(more.len(), RINGS.len(), "{more:?}");
}

#[test]
fn under_the_profile_a_gateway_serves_on_io_uring() {
    if !said(gateway().spawn().unwrap()).iter().any(|line| line.contains("io=uring")) {
        eprintln!("skipped: this machine has no io_uring");
        return;
    }
    let lines = starts_under(OURS, libc::ENOSYS);
    assert!(lines.iter().any(|line| line.contains("io=uring")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("epoll")), "{lines:#?}");
}

#[test]
fn under_a_runtime_s_default_it_says_in_one_line_that_it_serves_over_epoll() {
    // Podman's refusal, and Docker's.
    for errno in [libc::ENOSYS, libc::EPERM] {
        let lines = starts_under(DEFAULT, errno);
        let told = lines.iter().filter(|line| line.contains("serving over epoll, because"));
        assert_eq!(told.count(), 1, "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("io=epoll")), "{lines:#?}");
    }
}
