//! How many queues a card has, and over which it spreads what it receives.

use crate::made::Made;
use crate::{PROGRAM, labels, plan_for};
use holdfast_tuning::change::{self, Plan};
use holdfast_tuning::plan::{self, State};
use holdfast_tuning::record;
use holdfast_tuning::undo::undo;
use holdfast_tuning::{Facts, Goal};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::UNIX_EPOCH;

const QUEUES: &str = "ethtool:eth0:combined";
const TABLE: &str = "ethtool:eth0:rss";
const XPS: &str = "/sys/class/net/eth0/queues/tx-0/xps_cpus";

/// A host of four cores whose card has two queues and may have eight.
fn with_few_queues() -> Made {
    let made = Made::new();
    made.write("ethtool:eth0:combined_max", "8\n");
    made
}

fn ran(made: &Made, arguments: &[&str]) -> (i32, String, String) {
    let mut command = made.command(PROGRAM, arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let [told, complained] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), told, complained)
}

#[test]
fn a_card_has_a_queue_for_each_shard_before_the_rest_is_planned() {
    let made = with_few_queues();
    let before = made.everything();
    let (code, table, _) = ran(&made, &["check"]);
    assert!(code == 1 && table.contains("ethtool:eth0:combined "), "{table}");
    let (code, told, complained) = ran(&made, &["apply"]);
    assert_eq!((code, told.trim()), (1, "ethtool:eth0:combined: 2 -> 4"));
    assert!(complained.ends_with("this was not changed\n"), "{complained}");
    let (code, told, _) = ran(&made, &["apply", "--dry-run"]);
    assert!(code == 0 && told.starts_with("the queues of cards are set first"), "{told}");
    assert_eq!(made.everything(), before);
    let (code, told, _) = ran(&made, &["apply", "--yes", "--persist"]);
    assert!(code == 0 && told.starts_with("ethtool:eth0:combined: 2 -> 4\n"), "{told}");
    assert_eq!(told.matches("combined: ").count(), 1, "{told}");
    assert_eq!(made.read(QUEUES), "4\n");
    assert_eq!(labels(&made, State::Change), Vec::<String>::new());
    assert_eq!(ran(&made, &["undo"]).0, 0);
    assert_eq!(made.everything(), before);
}

#[test]
fn what_a_driver_sets_with_its_queues_is_put_back_as_it_was_before_them() {
    let made = with_few_queues();
    made.write(XPS, "8\n");
    let facts = Facts::of(&made.host);
    let findings = plan::look(&made.host, &Goal::new(1_000_000, 50_000, &facts), &facts);
    change::apply(&made.host, &Plan::of_queues(&facts, &findings)).unwrap();
    // As a driver does: the queues that are new, and all sending as it likes.
    made.write(XPS, "1\n");
    for queue in ["rx-2/rps_cpus", "rx-2/rps_flow_cnt", "rx-3/rps_cpus", "rx-3/rps_flow_cnt"] {
        made.write(&format!("/sys/class/net/eth0/queues/{queue}"), "0\n");
    }
    let planned = plan_for(&made, 1_000_000, false);
    assert!(planned.diff(&made.host).contains("ethtool:eth0:rss: 0 1 0 1 0 1 0 1 -> 0 1 2 3 0"));
    change::apply(&made.host, &planned).unwrap();
    assert_eq!([made.read(TABLE), made.read(XPS)], ["0 1 2 3 0 1 2 3\n", "5\n"]);
    // Four queues for four shards: nothing is handed on.
    assert_eq!(made.read("/sys/class/net/eth0/queues/rx-0/rps_cpus"), "0\n");
    undo(&made.host, false).unwrap();
    let now = [QUEUES, TABLE, XPS].map(|path| made.read(path));
    assert_eq!(now, ["2\n", "0 1 0 1 0 1 0 1\n", "8\n"]);
}

#[test]
fn queues_that_somebody_s_table_names_are_left_with_it() {
    let made = with_few_queues();
    let before = made.everything();
    assert_eq!(ran(&made, &["apply", "--yes"]).0, 0);
    made.write(TABLE, "0 1 2 0 1 2 0 1\n");
    let (code, _, complained) = ran(&made, &["undo"]);
    assert!(code == 1 && complained.contains("the card's table names more"), "{complained}");
    assert_eq!([made.read(QUEUES), made.read(TABLE)], ["4\n", "0 1 2 0 1 2 0 1\n"]);
    // What a driver may set when they go is put back by then.
    let record = made.read("/var/lib/holdfast-tuning/before.json");
    assert!(record.contains(XPS) && !record.contains("somaxconn"), "{record}");
    // Of a table that does without them they are not needed.
    made.write(TABLE, "1 1 1 1 0 0 0 0\n");
    assert_eq!(ran(&made, &["undo"]).0, 1);
    assert_eq!([made.read(QUEUES), made.read(TABLE)], ["2\n", "1 1 1 1 0 0 0 0\n"]);
    assert_eq!(ran(&made, &["undo", "--force"]).0, 0);
    assert_eq!(made.everything(), before);
}

#[test]
fn a_table_of_queues_that_somebody_took_away_is_left_with_them() {
    let made = with_few_queues();
    for queue in [2, 3] {
        made.write(&format!("/sys/class/net/eth0/queues/rx-{queue}/rps_cpus"), "0\n");
    }
    let before = made.everything();
    assert_eq!(ran(&made, &["apply", "--yes"]).0, 0);
    made.write(QUEUES, "1\n");
    let (code, _, complained) = ran(&made, &["undo"]);
    assert!(code == 1 && complained.contains("the card has fewer queues"), "{complained}");
    assert_eq!([made.read(QUEUES), made.read(TABLE)], ["1\n", "0 1 2 3 0 1 2 3\n"]);
    assert_eq!(ran(&made, &["undo", "--force"]).0, 0);
    assert_eq!(made.everything(), before);
}

#[test]
fn a_card_that_refuses_keeps_nothing_else_from_being_set() {
    let made = with_few_queues();
    // It can be read, and to whoever writes there the kernel says no.
    fs::remove_file(made.host.place(QUEUES)).unwrap();
    symlink("/proc/version", made.host.place(QUEUES)).unwrap();
    let (code, _, complained) = ran(&made, &["apply", "--yes"]);
    assert!(code == 4 && complained.contains("  ethtool:eth0:combined = 4: "), "{complained}");
    assert!(complained.contains("1 of the changes were refused"), "{complained}");
    assert_eq!(made.read("/proc/sys/net/core/somaxconn"), "16384\n");
}

#[test]
fn queues_of_one_direction_are_counted_where_there_are_no_others() {
    let made = Made::new();
    for (name, value) in [("rx", "2"), ("rx_max", "3"), ("tx", "4"), ("tx_max", "16")] {
        made.write(&format!("ethtool:eth0:{name}"), &format!("{value}\n"));
    }
    assert_eq!(Facts::of(&made.host).interfaces[0].kinds, [("combined", 2)]);
    fs::remove_file(made.host.place("ethtool:eth0:combined_max")).unwrap();
    assert_eq!(Facts::of(&made.host).interfaces[0].kinds, [("rx", 3), ("tx", 16)]);
    made.write("ethtool:eth0:combined_max", "8\n");
    made.write("ethtool:eth0:combined", "0\n");
    assert_eq!(Facts::of(&made.host).interfaces[0].kinds, [("rx", 3), ("tx", 16)], "either or");
    let channels: Vec<String> = labels(&made, State::Change);
    let channels = channels.iter().filter(|label| label.starts_with("ethtool:"));
    assert_eq!(channels.collect::<Vec<_>>(), ["ethtool:eth0:rx"]);
}

#[test]
fn what_a_driver_cannot_set_is_left_alone_until_the_next_start() {
    let made = with_few_queues();
    let settings = "\"settings\":[],\"files\":[],\"folders\":[],\"boot\":\"\"";
    made.write(record::PATH, &format!("{{{settings},\"managed\":[\"{QUEUES}\"]}}"));
    assert_eq!(labels(&made, State::Managed), [QUEUES]);
    assert_eq!(ran(&made, &["apply", "--yes"]).0, 0);
    assert_eq!((made.read(QUEUES), ran(&made, &["check"]).0), ("2\n".to_owned(), 0));
    made.write("/proc/sys/kernel/random/boot_id", "two\n");
    assert_eq!(labels(&made, State::Change), [QUEUES]);
}

#[test]
fn what_is_of_a_card_s_queues_is_written_down_also_where_it_did_not_matter_before() {
    let made = Made::new();
    for queue in ["rx-1", "tx-1"] {
        fs::remove_dir_all(made.host.place(&format!("/sys/class/net/eth0/queues/{queue}")))
            .unwrap();
    }
    let now = [(QUEUES, "1\n"), (TABLE, "0 0 0 0\n"), (XPS, "f\n")];
    for (path, text) in now.into_iter().chain([("ethtool:eth0:combined_max", "4\n")]) {
        made.write(path, text);
    }
    // Another card has what it may have, and keeps it.
    made.write("/sys/class/net/eth1/device/driver", "");
    for queue in [0, 1] {
        made.write(&format!("/sys/class/net/eth1/queues/tx-{queue}/xps_cpus"), "5\n");
    }
    let facts = Facts::of(&made.host);
    let findings = plan::look(&made.host, &Goal::new(1_000_000, 50_000, &facts), &facts);
    change::apply(&made.host, &Plan::of_queues(&facts, &findings)).unwrap();
    assert!(!made.read(record::PATH).contains("eth1"), "{}", made.read(record::PATH));
    // As a driver does.
    made.write(TABLE, "0 1 0 1\n");
    made.write(XPS, "3\n");
    for queue in 1..4 {
        made.write(&format!("/sys/class/net/eth0/queues/rx-{queue}/rps_cpus"), "0\n");
        made.write(&format!("/sys/class/net/eth0/queues/tx-{queue}/xps_cpus"), "2\n");
    }
    change::apply(&made.host, &plan_for(&made, 1_000_000, false)).unwrap();
    assert_eq!([made.read(TABLE), made.read(XPS)], ["0 1 2 3\n", "1\n"]);
    undo(&made.host, false).unwrap();
    for (path, text) in now {
        assert_eq!(made.read(path), text, "{path}");
    }
}

#[test]
fn what_a_driver_sets_while_an_undo_is_not_done_is_nobody_s() {
    let made = with_few_queues();
    let before = made.everything();
    let budget = "/proc/sys/net/core/netdev_budget";
    assert_eq!(ran(&made, &["apply", "--yes"]).0, 0);
    made.replace_by_folder(budget);
    assert_eq!(ran(&made, &["undo"]).0, 4);
    made.replace_by_file(budget, "300\n");
    // As a driver does when its queues are put back.
    made.write(XPS, "3\n");
    let (code, _, complained) = ran(&made, &["undo"]);
    assert_eq!((code, complained.as_str()), (0, ""));
    assert_eq!(made.everything(), before);
}

#[test]
fn a_table_that_is_as_it_was_is_given_to_the_card_again_behind_its_queues() {
    let made = with_few_queues();
    let facts = Facts::of(&made.host);
    let findings = plan::look(&made.host, &Goal::new(1_000_000, 50_000, &facts), &facts);
    change::apply(&made.host, &Plan::of_queues(&facts, &findings)).unwrap();
    let table = fs::File::options().write(true).open(made.host.place(TABLE)).unwrap();
    table.set_modified(UNIX_EPOCH).unwrap();
    undo(&made.host, false).unwrap();
    assert_ne!(table.metadata().unwrap().modified().unwrap(), UNIX_EPOCH);
    assert_eq!((made.read(QUEUES), made.read(TABLE)), ("2\n".into(), "0 1 0 1 0 1 0 1\n".into()));
}

#[test]
fn a_table_is_of_no_more_queues_than_it_may_name() {
    let made = Made::new();
    for queue in ["rx-2/rps_cpus", "rx-3/rps_cpus"] {
        made.write(&format!("/sys/class/net/eth0/queues/{queue}"), "0\n");
    }
    let changes = |made: &Made| labels(made, State::Change).contains(&TABLE.to_owned());
    assert!(changes(&made));
    made.write("ethtool:eth0:rss_max", "2\n");
    assert!(!changes(&made));
    made.write("ethtool:eth0:rss_max", "16\n");
    assert!(changes(&made));
}

#[test]
fn who_applies_is_told_of_the_queues_also_where_the_rest_is_done_or_fails() {
    let made = Made::new();
    assert_eq!(ran(&made, &["apply", "--yes"]).0, 0);
    made.write("ethtool:eth0:combined_max", "8\n");
    let (code, told, _) = ran(&made, &["apply", "--yes"]);
    assert!(code == 0 && !told.contains("nothing to do"), "{told}");
    assert!(told.contains("\n1 settings and 0 files are changed"), "{told}");
    let made = with_few_queues();
    let drop_in = "/etc/systemd/system/holdfast.service.d/90-tuning.conf";
    fs::create_dir_all(made.host.place(drop_in)).unwrap();
    let (code, _, complained) = ran(&made, &["apply", "--yes"]);
    assert!(code == 4 && complained.contains("nothing was changed"), "{complained}");
    let but = "but the queues of cards were changed before that; `holdfast-tuning undo`";
    assert!(complained.contains(but) && made.read(QUEUES) == "4\n", "{complained}");
}
