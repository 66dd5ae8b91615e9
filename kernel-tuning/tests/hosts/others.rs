//! What somebody else does to a host that was changed: it is seen, said, and theirs.

use super::*;
use serde_json::Value;
use std::process::Output;

const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";
const OURS: &str = "/etc/sysctl.d/90-holdfast.conf";
const LIMITS: &str = "/etc/security/limits.d/90-holdfast.conf";

fn ran(made: &Made, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = made.command(PROGRAM, arguments).output().unwrap();
    let [out, err] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    (status.code().unwrap(), out, err)
}

#[test]
fn what_somebody_changed_since_is_left_and_said_until_it_is_forced() {
    let made = Made::new();
    let before = made.everything();
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    made.write(SOMAXCONN, "65535\n");
    made.write(OURS, "# mine now\n");
    for _ in 0..2 {
        let (code, _, told) = ran(&made, &["undo"]);
        assert_eq!(code, 1, "{told}");
        assert!(told.contains(&format!("{SOMAXCONN} = 65535: it was 4096 before")), "{told}");
        assert!(told.contains(&format!("{OURS}: it was written since")), "{told}");
        assert_eq!(told.matches("\n  ").count(), 2, "{told}");
    }
    assert_eq!([made.read(SOMAXCONN), made.read(OURS)], ["65535\n", "# mine now\n"]);
    assert_eq!(made.read("/proc/sys/fs/nr_open"), "1048576\n");
    assert!(!made.host.has(LIMITS));
    assert_eq!(ran(&made, &["undo", "--force"]).0, 0);
    assert_eq!(made.everything(), before);
}

#[test]
fn what_was_left_and_is_then_as_it_was_is_undone() {
    let made = Made::new();
    let before = made.everything();
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    made.write(SOMAXCONN, "65535\n");
    fs::remove_file(made.host.place(OURS)).unwrap();
    // A file of ours that is gone is as it was.
    assert_eq!(undo(&made.host, false).unwrap().left.len(), 1);
    made.write(SOMAXCONN, "4096\n");
    assert_eq!(undo(&made.host, false).unwrap().left, Vec::<String>::new());
    assert_eq!(made.everything(), before);
}

#[test]
fn a_later_change_takes_over_what_somebody_set_and_undo_goes_back_to_before_all() {
    let made = Made::new();
    let before = made.everything();
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    made.write(SOMAXCONN, "7\n");
    made.write(OURS, "# theirs\n");
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    assert_eq!(undo(&made.host, false).unwrap().left, Vec::<String>::new());
    assert_eq!(made.everything(), before);
}

#[test]
fn what_an_interrupted_change_wrote_is_nobody_else_s() {
    let made = Made::new();
    let before = made.everything();
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    // Until a change is done it is not known what the kernel has made of it.
    let mut record: Value = serde_json::from_str(&made.read(record::PATH)).unwrap();
    for part in ["settings", "files"] {
        for one in record[part].as_array_mut().unwrap() {
            assert!(one["after"].is_string(), "{one}");
            one["after"] = Value::Null;
        }
    }
    made.write(record::PATH, &record.to_string());
    made.write(SOMAXCONN, "16385\n");
    assert_eq!(undo(&made.host, false).unwrap().left, Vec::<String>::new());
    assert_eq!(made.everything(), before);
}

#[test]
fn the_kernel_s_limit_stays_while_somebody_s_limit_of_logins_does() {
    let made = Made::new();
    let before = made.everything();
    change::apply(&made.host, &plan_for(&made, 1_000_000, true)).unwrap();
    made.write(LIMITS, "* hard nofile 1129472\n");
    let left = undo(&made.host, false).unwrap().left;
    assert!(left.len() == 2 && left[1].contains("nobody could log in"), "{left:?}");
    assert_eq!(made.read("/proc/sys/fs/nr_open"), "1129472\n");
    undo(&made.host, true).unwrap();
    assert_eq!(made.everything(), before);
}

#[test]
fn what_was_left_is_not_counted_as_refused() {
    let made = Made::new();
    let budget = "/proc/sys/net/core/netdev_budget";
    change::apply(&made.host, &plan_for(&made, 1_000_000, false)).unwrap();
    made.write(SOMAXCONN, "65535\n");
    made.replace_by_folder(budget);
    let (code, _, told) = ran(&made, &["undo"]);
    assert!(code == 4 && told.contains("1 of the changes were refused"), "{told}");
    let (refused, left) = told.split_once("left, since somebody has changed it").unwrap();
    assert!(refused.contains(budget) && left.contains(SOMAXCONN), "{told}");
}

#[test]
fn another_start_of_the_host_has_its_own_values_and_nobody_is_bothered() {
    let made = Made::new();
    made.write("/proc/sys/kernel/random/boot_id", "one\n");
    change::apply(&made.host, &plan_for(&made, 1_000_000, false)).unwrap();
    made.write("/proc/sys/kernel/random/boot_id", "two\n");
    made.write("/proc/sys/net/ipv4/tcp_mem", "383000\t511000\t767000\n");
    assert_eq!(ran(&made, &["undo"]).0, 0);
    assert_eq!(made.read("/proc/sys/net/ipv4/tcp_mem"), "383000\t511000\t767000\n");
    assert!(!made.host.has(record::PATH));
}

#[test]
fn a_drop_in_that_wins_over_the_services_limits_is_named() {
    let made = Made::new();
    let told = |arguments: &[&str]| ran(&made, arguments).2;
    let place = |name: &str| format!("/etc/systemd/system/holdfast.service.d/{name}");
    made.write(&place("10-early.conf"), "[Service]\nLimitNOFILE=5\n");
    made.write(&place("95-enough.conf"), "[Service]\nLimitNOFILE=infinity\nLimitMEMLOCK=8G\n");
    assert_eq!(told(&["check"]), "");
    made.write(&place("override.conf"), "[Service]\n LimitNOFILE = 65536:524288\n");
    for arguments in [&["check"][..], &["apply", "--yes"], &["check"]] {
        let line = told(arguments);
        let wins = format!("start of the gateway {} wins", place("override.conf"));
        assert!(line.contains(&wins) && line.contains("nofile = 65536"), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn limits_that_are_higher_than_the_goals_stay() {
    let made = Made::new();
    let path = "/etc/systemd/system/holdfast.service.d/90-tuning.conf";
    made.write(path, "[Service]\nLimitNOFILE=infinity\nLimitMEMLOCK=8G\n");
    let (code, _, told) = ran(&made, &["apply", "--yes"]);
    assert_eq!(code, 0, "{told}");
    let text = made.read(path);
    assert!(text.contains("LimitNOFILE=infinity\nLimitMEMLOCK=8589934592\n"), "{text}");
}

#[test]
fn a_file_that_wins_at_the_next_start_is_named() {
    let made = Made::new();
    let told = |arguments: &[&str]| ran(&made, arguments).2;
    // Before ours, enough, of no knob, and hidden by a file of the same name.
    made.write("/etc/sysctl.d/10-early.conf", "fs.file-max = 5\n");
    made.write("/usr/lib/sysctl.d/95-enough.conf", "net.core.somaxconn=65535\nkernel.x = 1\n");
    made.write("/usr/lib/sysctl.d/96-hidden.conf", "fs.file-max = 5\n");
    made.write("/etc/sysctl.d/96-hidden.conf", "# nothing\n");
    made.write("/etc/sysctl.d/97-no.conf.bak", "fs.file-max = 5\n");
    assert_eq!(told(&["check"]), "");
    let latin = b"# Gr\xfc\xdfe\nnet/core/somaxconn = 128\nfs.file-max = 6\n";
    made.write_bytes("/run/sysctl.d/98-other.conf", latin);
    made.write("/etc/sysctl.conf", "-fs.file-max=7\n");
    let lines = told(&["check"]);
    let expected = [
        ("/etc/sysctl.conf", "fs.file-max = 7"),
        ("/run/sysctl.d/98-other.conf", "net.core.somaxconn = 128"),
    ];
    assert_eq!(lines.lines().count(), 2, "{lines}");
    for (line, (file, sets)) in lines.lines().zip(expected) {
        assert!(line.contains(&format!("host {file} wins")) && line.contains(sets), "{line}");
    }
    for arguments in [["apply", "--dry-run"], ["apply", "--yes"], ["apply", "--yes"]] {
        assert!(told(&arguments).contains(&lines), "{arguments:?}");
    }
    let (code, json, err) = ran(&made, &["check", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let first = &json["overruled"][0];
    assert_eq!((code, err.as_str(), &first["file"]), (0, "", &"/etc/sysctl.conf".into()));
    assert_eq!((&first["knob"], &first["value"]), (&"fs.file-max".into(), &"7".into()));
    let help = ran(&made, &["check", "--help"]).1;
    for name in first.as_object().unwrap().keys() {
        assert!(help.contains(name.as_str()), "{name} is not in the help");
    }
}

#[test]
fn nobody_is_told_that_what_cannot_be_read_is_good() {
    let made = Made::new();
    assert_eq!(ran(&made, &["apply", "--yes"]).0, 0);
    made.replace_by_folder(SOMAXCONN);
    let (code, told, _) = ran(&made, &["check", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["verdict"]), (4, &"unknown".into()));
    let (code, told, complained) = ran(&made, &["apply", "--yes"]);
    assert!(code == 4 && complained.contains("1 settings cannot be read"), "{complained}");
    assert_eq!(told.trim(), "nothing to do: what can be set is set");
    made.replace_by_file(SOMAXCONN, "16384\n");
    assert_eq!(ran(&made, &["check"]).0, 0);
}
