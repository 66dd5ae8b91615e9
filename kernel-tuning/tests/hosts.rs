//! Hosts made of files: what the program does to them, and undoes.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(missing_docs, reason = "tests are named after what they show")]

#[path = "hosts/cards.rs"]
mod cards;
#[path = "hosts/made.rs"]
mod made;
#[path = "hosts/others.rs"]
mod others;
#[path = "hosts/sizes.rs"]
mod sizes;

use holdfast_tuning::change::{self, Failed, Plan};
use holdfast_tuning::facts::balances;
use holdfast_tuning::plan::{self, State};
use holdfast_tuning::record::{self, Turn};
use holdfast_tuning::undo::{Undone, undo};
use holdfast_tuning::{Facts, Goal};
use made::Made;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_holdfast-tuning");

fn plan_for(made: &Made, connections: u64, persist: bool) -> Plan {
    let facts = Facts::of(&made.host);
    let goal = Goal::new(connections, 50_000, &facts);
    let findings = plan::look(&made.host, &goal, &facts);
    Plan::new(&made.host, &goal, &findings, persist.then_some("/usr/bin/holdfast-tuning"))
}

/// Where an interrupt's cores are set.
fn affinity(irq: u32) -> String {
    format!("/proc/irq/{irq}/smp_affinity_list")
}

/// Labels of the settings that are in this state for a million connections.
fn labels(made: &Made, state: State) -> Vec<String> {
    let facts = Facts::of(&made.host);
    let findings = plan::look(&made.host, &Goal::new(1_000_000, 50_000, &facts), &facts);
    findings.iter().filter(|one| one.state == state).map(plan::Finding::label).collect()
}

#[test]
fn facts_are_read_from_the_files() {
    let made = Made::new();
    let facts = Facts::of(&made.host);
    assert_eq!((facts.cores, facts.memory), (4, 32 << 30));
    assert_eq!(facts.interfaces.len(), 1, "one has no device: {:?}", facts.interfaces);
    let card = &facts.interfaces[0];
    assert_eq!((card.receiving, card.sending, card.interrupts.len()), (2, 2, 4));
    assert_eq!(facts.deep_sleeps, ["/sys/devices/system/cpu/cpu0/cpuidle/state2/disable"]);
    assert!(!facts.tracks && !balances(&made.host));
    made.write("/proc/77/comm", "irqbalance\n");
    made.write("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n");
    assert!(Facts::of(&made.host).tracks && balances(&made.host));
}

#[test]
fn what_is_applied_is_found_good_and_applying_it_again_changes_nothing() {
    let made = Made::new();
    assert!(labels(&made, State::Change).contains(&"net.core.somaxconn".to_owned()));
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    assert_eq!(labels(&made, State::Change), Vec::<String>::new());
    assert_eq!(labels(&made, State::Later), ["nofile", "memlock"]);
    let after = made.everything();
    assert!(plan_for(&made, 1_000_000, true).is_empty());
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    assert_eq!(made.everything(), after);
}

#[test]
fn what_is_more_than_enough_is_left_alone() {
    let made = Made::new();
    made.write("/proc/sys/fs/file-max", "9223372036854775807\n");
    made.write("/proc/sys/net/ipv4/ip_local_reserved_ports", "22\n");
    change::apply(&made.host, &plan_for(&made, 1_000_000, false)).unwrap();
    assert_eq!(made.read("/proc/sys/fs/file-max"), "9223372036854775807\n");
    assert_eq!(made.read("/proc/sys/net/ipv4/ip_local_reserved_ports"), "22,7500,7600,7700\n");
}

#[test]
fn undo_puts_everything_back_byte_for_byte_after_any_number_of_changes() {
    let made = Made::new();
    made.write("/etc/sysctl.d/90-holdfast.conf", "# somebody's own\n");
    let before = made.everything();
    for (connections, persist) in [(1_000_000, false), (3_000_000, true), (200_000, true)] {
        change::apply(&made.host, &plan_for(&made, connections, persist)).unwrap();
    }
    assert_ne!(made.everything(), before);
    assert!(undo(&made.host, false).unwrap().settings > 20);
    assert_eq!(made.everything(), before);
    assert_eq!(undo(&made.host, false).unwrap(), Undone::default());
}

#[test]
fn a_setting_that_is_refused_keeps_no_other_from_being_set_or_undone() {
    let made = Made::new();
    let plan = plan_for(&made, 1_000_000, false);
    let budget = "/proc/sys/net/core/netdev_budget";
    made.replace_by_folder(budget);
    let Err(Failed::Some(refused)) = change::apply(&made.host, &plan) else { panic!("set") };
    assert!(refused.len() == 1 && refused[0].contains("netdev_budget"), "{refused:?}");
    assert_eq!(made.read("/proc/sys/net/core/somaxconn"), "16384\n");
    assert!(matches!(undo(&made.host, false), Err(Failed::Some(_))));
    assert_eq!(made.read("/proc/sys/net/core/somaxconn"), "4096\n");
    made.replace_by_file(budget, "300\n");
    undo(&made.host, false).unwrap();
    assert!(!made.host.has(record::PATH));
}

#[test]
fn a_change_that_is_killed_anywhere_is_undone_whole_and_can_be_made_again() {
    for delay in 0..12 {
        let made = Made::new();
        let before = made.everything();
        let mut apply = made.command(PROGRAM, &["apply", "--yes", "--persist"]);
        let mut child = apply.stdout(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_micros(delay * 700));
        child.kill().unwrap();
        child.wait().unwrap();
        let does = |arguments: &[&str]| {
            let output = made.command(PROGRAM, arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?} after {delay} steps: {output:?}");
        };
        if delay % 2 == 1 {
            does(&["apply", "--yes"]);
            assert_eq!(labels(&made, State::Change), Vec::<String>::new());
        }
        does(&["undo"]);
        assert_eq!(made.everything(), before, "killed after {delay} steps of time");
    }
}

#[test]
fn in_a_container_its_own_limits_count_and_it_is_sent_to_the_host() {
    let made = Made::new();
    let table = |made: &Made| {
        let output = made.command(PROGRAM, &["check", "--connections", "1000"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!table(&made).contains("a network namespace of its own"));
    made.write("/sys/fs/cgroup/memory.max", "2147483648\n");
    made.write("/sys/fs/cgroup/cpu.max", "150000 100000\n");
    fs::remove_file(made.host.place("/proc/sys/net/core/netdev_max_backlog")).unwrap();
    let facts = Facts::of(&made.host);
    assert_eq!((facts.memory, facts.cores, facts.apart), (2 << 30, 2, true));
    let told = table(&made);
    assert!(told.contains("a network namespace of its own"), "{told}");
    assert!(told.contains("together, of 2.0 GiB"), "{told}");
    made.write("/sys/fs/cgroup/memory.max", "max\n");
    made.write("/sys/fs/cgroup/cpu.max", "max 100000\n");
    let facts = Facts::of(&made.host);
    assert_eq!((facts.memory, facts.cores), (32 << 30, 4));
}

#[test]
fn nothing_is_changed_where_what_is_there_cannot_be_written_down() {
    let made = Made::new();
    made.write(record::PATH, "{");
    let before = made.everything();
    let plan = plan_for(&made, 1_000_000, true);
    let Err(failed @ Failed::Record(_)) = change::apply(&made.host, &plan) else { panic!("done") };
    let told = failed.to_string();
    assert!(told.starts_with("nothing was changed") && told.contains(record::PATH), "{told}");
    assert!(told.contains("move it away"), "{told}");
    assert!(matches!(undo(&made.host, false), Err(Failed::Record(_))));
    assert_eq!(made.everything(), before);
}

#[test]
fn two_changes_at_once_take_turns() {
    let made = Made::new();
    let turn = Turn::take(&made.host).unwrap();
    let plan = plan_for(&made, 1_000_000, false);
    assert!(matches!(change::apply(&made.host, &plan), Err(Failed::Busy)));
    assert!(matches!(undo(&made.host, false), Err(Failed::Busy)));
    drop(turn);
    change::apply(&made.host, &plan).unwrap();
}

#[test]
fn interrupts_and_queues_follow_the_shards_cores() {
    let made = Made::new();
    change::apply(&made.host, &plan_for(&made, 1_000_000, false)).unwrap();
    // Both interrupts of a queue go to one core; the card's own is left alone.
    let now = [23, 24, 25, 26, 27].map(|irq| made.read(&affinity(irq)));
    assert_eq!(now, ["0-3\n", "0\n", "0\n", "1\n", "1\n"]);
    let queue = |name: &str| made.read(&format!("/sys/class/net/eth0/queues/{name}"));
    // Two queues for four shards: the kernel spreads what comes, and each sends through one.
    assert_eq!([queue("rx-0/rps_cpus"), queue("rx-1/rps_cpus")], ["f\n", "f\n"]);
    assert_eq!([queue("tx-0/xps_cpus"), queue("tx-1/xps_cpus")], ["5\n", "a\n"]);
    assert_eq!(made.read("/proc/sys/net/core/rps_sock_flow_entries"), "32768\n");
}

#[test]
fn what_survives_a_start_says_the_same_as_what_was_set() {
    let made = Made::new();
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    let sysctl = made.read("/etc/sysctl.d/90-holdfast.conf");
    let lines = sysctl.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut counted = 0;
    for line in lines {
        let (name, value) = line.split_once(" = ").unwrap();
        let path = format!("/proc/sys/{}", name.trim_start_matches('-').replace('.', "/"));
        let set = made.read(&path);
        assert_eq!(set.split_whitespace().collect::<Vec<_>>().join(" "), value, "{name}");
        counted += 1;
    }
    assert!(counted > 15, "{sysctl}");
    let unit = made.read("/etc/systemd/system/holdfast-tuning.service");
    assert!(
        unit.contains("ExecStart=\"/usr/bin/holdfast-tuning\" apply --yes --connections 1000000")
    );
    let limits = made.read("/etc/systemd/system/holdfast.service.d/90-tuning.conf");
    assert!(limits.contains("LimitNOFILE=1129472\n"), "{limits}");
    assert!(made.read("/etc/tuned/holdfast/tuned.conf").contains("net.core.somaxconn=16384\n"));
}

#[test]
fn logins_are_never_allowed_more_than_the_kernel_allows() {
    let made = Made::new();
    let plan = plan_for(&made, 1_000_000, true);
    made.replace_by_folder("/proc/sys/fs/nr_open");
    let Err(Failed::Some(refused)) = change::apply(&made.host, &plan) else { panic!("set") };
    assert!(refused.iter().any(|line| line.contains("nobody could log in")), "{refused:?}");
    assert!(!made.host.has("/etc/security/limits.d/90-holdfast.conf"));
    made.replace_by_file("/proc/sys/fs/nr_open", "1048576\n");
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    let limits = made.read("/etc/security/limits.d/90-holdfast.conf");
    // A later file of sysctl.d may set the kernel's own again, and all must still get in.
    assert!(limits.ends_with("\n* hard nofile 1048576\n"), "{limits}");
    assert!(!limits.contains("root hard"), "{limits}");
    // A small goal takes nothing from anybody.
    let small = Made::new();
    change::apply(&small.host, &plan_for(&small, 1_000, true)).unwrap();
    let limits = small.read("/etc/security/limits.d/90-holdfast.conf");
    assert!(limits.contains("\n* hard nofile 524288\n"), "{limits}");
    let service = small.read("/etc/systemd/system/holdfast.service.d/90-tuning.conf");
    assert!(service.contains("LimitNOFILE=1048576\nLimitMEMLOCK=67108864\n"), "{service}");
}

#[test]
fn a_smaller_goal_takes_no_limit_back_and_finds_enough() {
    let made = Made::new();
    let file = "/etc/systemd/system/holdfast.service.d/90-tuning.conf";
    change::apply(&made.host, &plan_for(&made, 3_000_000, true)).unwrap();
    let large = made.read(file);
    assert!(plan_for(&made, 2_000_000, false).is_empty());
    change::apply(&made.host, &plan_for(&made, 2_000_000, true)).unwrap();
    assert_eq!(made.read(file), large);
    assert_eq!(labels(&made, State::Later), ["nofile", "memlock"]);
}

#[test]
fn what_somebody_else_changed_since_it_was_shown_is_not_changed() {
    let made = Made::new();
    let plan = plan_for(&made, 1_000_000, true);
    made.write("/proc/sys/net/core/somaxconn", "65535\n");
    let before = made.everything();
    let Err(failed) = change::apply(&made.host, &plan) else { panic!("made less") };
    assert_eq!(
        failed.to_string(),
        "nothing was changed: net.core.somaxconn is 65535 by now, not 4096: try again"
    );
    assert_eq!(made.everything(), before);
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    assert_eq!(made.read("/proc/sys/net/core/somaxconn"), "65535\n");
}

#[test]
fn while_logins_may_have_more_the_kernel_s_limit_stays() {
    let made = Made::new();
    let limits = "/etc/security/limits.d/90-holdfast.conf";
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    fs::remove_file(made.host.place(limits)).unwrap();
    made.write(&format!("{limits}/of-somebody"), "");
    let Err(Failed::Some(refused)) = undo(&made.host, false) else { panic!("removed") };
    assert!(refused.len() == 2 && refused[1].contains("nobody could log in"), "{refused:?}");
    assert_eq!(made.read("/proc/sys/fs/nr_open"), "1129472\n");
    assert_eq!(made.read("/proc/sys/net/core/somaxconn"), "4096\n");
    fs::remove_file(made.host.place(&format!("{limits}/of-somebody"))).unwrap();
    fs::remove_dir(made.host.place(limits)).unwrap();
    undo(&made.host, false).unwrap();
    assert_eq!(made.read("/proc/sys/fs/nr_open"), "1048576\n");
}

#[test]
fn interrupts_that_another_start_numbered_anew_are_left_alone() {
    let made = Made::new();
    made.write("/proc/sys/kernel/random/boot_id", "one\n");
    change::apply(&made.host, &plan_for(&made, 1_000_000, false)).unwrap();
    made.write("/proc/sys/kernel/random/boot_id", "two\n");
    made.write("/proc/irq/24/smp_affinity_list", "3\n");
    undo(&made.host, false).unwrap();
    assert_eq!(made.read("/proc/irq/24/smp_affinity_list"), "3\n");
    assert_eq!(made.read("/proc/sys/net/core/somaxconn"), "4096\n");
}

#[test]
fn interrupts_that_the_kernel_manages_are_told_and_left_alone() {
    let made = Made::new();
    let plan = plan_for(&made, 1_000_000, false);
    // What the kernel says to who writes there, it says of this file too: an input/output error.
    let own = "/proc/irq/25/smp_affinity_list";
    fs::remove_file(made.host.place(own)).unwrap();
    symlink("/proc/self/mem", made.host.place(own)).unwrap();
    let done = change::apply(&made.host, &plan).unwrap();
    assert_eq!(done.managed, [own]);
    assert_eq!(done.settings + 1, plan.settings.len());
    fs::remove_file(made.host.place(own)).unwrap();
    made.write(own, "0-3\n");
    assert_eq!(labels(&made, State::Managed), [own]);
    assert_eq!(labels(&made, State::Change), Vec::<String>::new());
    let check = made.command(PROGRAM, &["check", "--all"]).output().unwrap();
    assert_eq!(check.status.code(), Some(0));
    let table = String::from_utf8(check.stdout).unwrap();
    assert_eq!(table.matches("managed by the kernel, left alone").count(), 1, "{table}");
    undo(&made.host, false).unwrap();
    assert_eq!(made.read(own), "0-3\n");
}

#[test]
fn interrupts_that_nobody_may_write_are_the_kernel_s() {
    let made = Made::new();
    let own = "/proc/irq/24/smp_affinity_list";
    fs::set_permissions(made.host.place(own), fs::Permissions::from_mode(0o444)).unwrap();
    assert_eq!(labels(&made, State::Managed), [own]);
    let done = change::apply(&made.host, &plan_for(&made, 1_000_000, false)).unwrap();
    assert_eq!((done.managed, made.read(own)), (Vec::new(), "0-3\n".to_owned()));
}

#[test]
fn a_file_that_was_there_keeps_its_mode_and_a_link_is_left_alone() {
    let made = Made::new();
    let [ours, linked] = ["/etc/sysctl.d/90-holdfast.conf", "/etc/tuned/holdfast/tuned.conf"];
    made.write(ours, "# somebody's own\n");
    fs::set_permissions(made.host.place(ours), fs::Permissions::from_mode(0o640)).unwrap();
    made.write("/srv/tuned.conf", "# managed elsewhere\n");
    fs::create_dir_all(made.host.place("/etc/tuned/holdfast")).unwrap();
    symlink("../../../srv/tuned.conf", made.host.place(linked)).unwrap();
    let before = made.everything();
    let rights = |path| fs::metadata(made.host.place(path)).unwrap().mode() & 0o7777;
    let apply = change::apply(&made.host, &plan_for(&made, 1_000_000, true));
    let Err(Failed::Some(refused)) = apply else { panic!("written through") };
    assert!(refused.len() == 1 && refused[0].contains("symbolic link"), "{refused:?}");
    assert!(made.host.is_link(linked) && made.read(linked) == "# managed elsewhere\n");
    assert!(made.read(ours).contains("somaxconn") && rights(ours) == 0o640);
    assert_eq!(rights("/etc/systemd/system/holdfast.service.d/90-tuning.conf"), 0o644);
    assert_eq!(rights(record::PATH), 0o600);
    undo(&made.host, false).unwrap();
    assert_eq!((made.everything(), rights(ours)), (before, 0o640));
}

#[test]
fn who_undoes_is_told_that_systemd_has_read_the_files() {
    let made = Made::new();
    let undone = || String::from_utf8(made.command(PROGRAM, &["undo"]).output().unwrap().stdout);
    assert!(made.command(PROGRAM, &["apply", "--yes"]).output().unwrap().status.success());
    assert!(undone().unwrap().contains("`systemctl daemon-reload`"));
    assert!(!undone().unwrap().contains("daemon-reload"));
}

#[test]
fn cores_that_are_not_there_get_no_interrupts() {
    let made = Made::new();
    made.write("/sys/devices/system/cpu/online", "0,2,4,6\n");
    change::apply(&made.host, &plan_for(&made, 1_000_000, false)).unwrap();
    assert_eq!([24, 26].map(|irq| made.read(&affinity(irq))), ["0\n", "2\n"]);
    assert_eq!(made.read("/sys/class/net/eth0/queues/rx-0/rps_cpus"), "55\n");
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let made = Made::new();
    let code = |arguments: &[&str]| {
        let mut command = made.command(PROGRAM, arguments);
        command.stdin(Stdio::null()).output().unwrap().status.code().unwrap()
    };
    assert_eq!(code(&["check"]), 1);
    assert_eq!(code(&["apply"]), 1, "nobody is there to say yes");
    assert_eq!(code(&["apply", "--dry-run"]), 0);
    assert_eq!(code(&["check"]), 1);
    assert_eq!(code(&["apply", "--yes"]), 0);
    assert_eq!(code(&["check"]), 0);
    assert_eq!(code(&["check", "--connections", "50000000"]), 3);
    assert_eq!(code(&["apply", "--dry-run", "--connections", "50000000"]), 3);
    assert_eq!(code(&["explain", "fs.nropen"]), 2);
    assert_eq!(code(&["explain", "fs.nr_open"]), 0);
    let all = made.command(PROGRAM, &["explain"]).output().unwrap();
    let all = String::from_utf8(all.stdout).unwrap();
    assert!(all.matches("\n  why ").count() > 20 && all.matches("\n  source ").count() > 20);
    let shown = made.command(PROGRAM, &["check", "--all"]).output().unwrap();
    for line in String::from_utf8(shown.stdout).unwrap().lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if name.starts_with("/sys/") || name.starts_with("/proc/") {
            assert_eq!(code(&["explain", name]), 0, "{name}");
        }
    }
    assert_eq!(code(&["undo"]), 0);
    assert_eq!(code(&["check"]), 1);
    made.write(record::PATH, "{");
    assert_eq!(code(&["undo"]), 4);
    for command in ["check", "plan", "apply", "undo", "explain"] {
        let help = Command::new(PROGRAM).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(help.contains("Exit codes:\n  0  "), "{command}: {help}");
    }
}

#[test]
fn programs_are_told_in_one_json_object_what_people_are_told_in_a_table() {
    let made = Made::new();
    let mut command = made.command(PROGRAM, &["check", "--json", "--connections", "2000000"]);
    let output = command.output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["goal"]["connections"], 2_000_000);
    let settings = told["settings"].as_array().unwrap();
    let nr_open = settings.iter().find(|one| one["knob"] == "fs.nr_open").unwrap();
    assert_eq!((&nr_open["state"], &nr_open["have"]), (&"change".into(), &"1048576".into()));
    assert_eq!(nr_open["limits_connections"], true);
    assert_eq!((&told["verdict"], &nr_open["write"]), (&"change".into(), &"2254848".into()));
    let states = settings.iter().map(|one| one["state"].as_str().unwrap());
    assert_eq!(states.collect::<BTreeSet<_>>(), ["absent", "change", "good"].into());
    // Its help says of every field what it is.
    let help = Command::new(PROGRAM).args(["check", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let parts = [&told, &told["goal"], &told["room"], nr_open];
    for name in parts.iter().flat_map(|part| part.as_object().unwrap().keys()) {
        assert!(help.contains(name.as_str()), "{name} is not in the help: {help}");
    }
    let table = made.command(PROGRAM, &["check", "--connections", "2000000"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("fs.nr_open") && table.contains("memory for 2000000"), "{table}");
    let ran = Command::new(PROGRAM).arg("--version").output().unwrap();
    assert!(ran.status.success());
}
