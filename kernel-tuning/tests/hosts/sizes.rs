//! Hosts of another size than the goal's, hosts that are not here, and folders that are none.

use super::*;
use serde_json::Value;

const LARGE: &[&str] = &["--connections", "3000000", "--memory", "64G", "--cores", "24"];

fn ran(mut command: Command) -> (i32, String, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), out, err)
}

fn on(made: &Made, words: &[&str], goal: &[&str]) -> (i32, String, String) {
    ran(made.command(PROGRAM, &[words, goal].concat()))
}

#[test]
fn a_goal_that_cannot_be_met_is_said_by_every_command_that_has_one() {
    let made = Made::new();
    let beyond = ["--connections", "50000000", "--memory", "64G"];
    let deciding = "this goal cannot be met: 50000000 connections need";
    let before = made.everything();
    let (code, table, _) = on(&made, &["check"], &beyond);
    assert_eq!(code, 3);
    let [first, second] = [deciding, "met: the host has 32.0 GiB"].map(|text| table.find(text));
    assert!(first.unwrap() < second.unwrap(), "{table}");
    assert!(table.starts_with("this host has less than the goal says: 32.0 GiB of 64.0 GiB"));
    let (code, _, told) = on(&made, &["apply", "--dry-run"], &beyond);
    assert!(code == 3 && told.contains(deciding), "{code}: {told}");
    assert_eq!(made.everything(), before);
    let (code, _, told) = on(&made, &["apply"], &beyond);
    assert!(code == 1 && told.contains(deciding), "{code}: {told}");
    assert_eq!(made.everything(), before);
    // What can be set is set all the same, and found so.
    let (code, _, told) = on(&made, &["apply", "--yes"], &beyond);
    assert!(code == 3 && told.contains("does not make this goal possible: 50000000"), "{told}");
    assert_eq!(made.read("/proc/sys/net/core/somaxconn"), "65536\n");
    let (code, out, told) = on(&made, &["apply", "--yes", "--dry-run"], &beyond);
    assert!(code == 3 && out.contains("what can be set is set"), "{out}{told}");
    assert!(!on(&made, &["check"], &[]).1.contains("less than the goal"));
}

#[test]
fn the_service_that_sets_the_kernel_takes_a_host_that_falls_short() {
    let made = Made::new();
    change::apply(&made.host, &plan_for(&made, 50_000_000, true)).unwrap();
    let unit = made.read("/etc/systemd/system/holdfast-tuning.service");
    assert!(unit.contains("\nSuccessExitStatus=3\n"), "{unit}");
}

#[test]
fn an_image_gets_the_path_that_the_program_will_have_and_files_that_are_documented() {
    let made = Made::new();
    let before = made.everything();
    let (code, _, told) = on(&made, &["apply", "--yes", "--persist"], &[]);
    assert_eq!(code, 0, "{told}");
    let unit = made.read("/etc/systemd/system/holdfast-tuning.service");
    assert!(unit.contains("\nExecStart=\"/usr/bin/holdfast-tuning\" apply --yes --conn"), "{unit}");
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let after = made.everything();
    let new = |path: &&String| !before.contains_key(*path) && after[*path].is_some();
    let kept = |path: &&String| ["etc/", "var/"].iter().any(|folder| path.starts_with(folder));
    let written: Vec<_> = after.keys().filter(new).filter(kept).collect();
    assert_eq!(written.len(), 7, "{written:?}");
    for path in written {
        assert!(readme.contains(&format!("| `/{path}` |")), "{path} is not in {readme}");
    }
}

#[test]
fn a_host_that_is_elsewhere_is_planned_without_looking_at_this_one() {
    let nowhere = |words: &[&str], goal: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(words).args(goal).args(["--root", "/nonexistent"]);
        ran(command)
    };
    let (code, text, told) = nowhere(&["plan"], LARGE);
    assert_eq!((code, told.as_str()), (0, ""), "{text}");
    for said in ["fs.nr_open  ≥ 3379200\n  no process", "together, of 64.0 GiB", "\ninterrupts\n"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    let (code, text, _) = nowhere(&["plan", "--json"], LARGE);
    let plan: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &plan["verdict"]), (0, &"good".into()));
    let settings = plan["settings"].as_array().unwrap();
    let rmem = settings.iter().find(|one| one["knob"] == "net.ipv4.tcp_rmem").unwrap();
    assert_eq!(rmem["write"], "4096 131072 1048576");
    let help = ran({
        let mut help = Command::new(PROGRAM);
        help.args(["plan", "--help"]);
        help
    });
    for name in [&plan, rmem].iter().flat_map(|part| part.as_object().unwrap().keys()) {
        assert!(help.1.contains(name.as_str()), "{name} is not in the help: {}", help.1);
    }
    let small = ["--connections", "3000000", "--memory", "8G", "--cores", "2"];
    let (code, text, _) = nowhere(&["plan"], &small);
    assert!(code == 3 && text.contains("cannot be met: 3000000 connections need"), "{text}");
    assert_eq!(nowhere(&["plan"], &["--cores", "2"]).0, 2, "of no memory there is no plan");
}

#[test]
fn what_is_planned_for_a_host_is_what_check_wants_there() {
    let made = Made::new();
    let size = ["--connections", "1000000", "--memory", "32G", "--cores", "4"];
    let settings = |words: &[&str]| {
        let told: Value = serde_json::from_str(&on(&made, words, &size).1).unwrap();
        let of = |one: &Value| (one["knob"].to_string(), one["want"].to_string());
        told["settings"].as_array().unwrap().iter().map(of).collect::<BTreeSet<_>>()
    };
    let (planned, wanted) = (settings(&["plan", "--json"]), settings(&["check", "--json"]));
    let more: Vec<_> = planned.difference(&wanted).map(|(knob, _)| knob.as_str()).collect();
    let firewall = ["\"net.netfilter.nf_conntrack_buckets\"", "\"net.netfilter.nf_conntrack_max\""];
    assert_eq!(more, firewall, "the host has none");
    assert!(planned.len() > 20, "{planned:?}");
}

#[test]
fn a_folder_that_is_no_host_s_root_is_refused_by_every_command_that_looks() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    for missing in ["/proc/sys", "/proc/meminfo"] {
        let all: [&[&str]; 4] = [&["check"], &["apply", "--yes"], &["undo"], &["explain"]];
        for words in all {
            let mut command = Command::new(PROGRAM);
            command.args(words).args(["--root", root]);
            let (code, out, told) = ran(command);
            assert_eq!((code, out.as_str(), told.lines().count()), (2, "", 1), "{words:?}: {told}");
            let said = format!("{root} is no host's root: it has no {missing} (");
            assert!(told.contains(&said), "{words:?}: {told}");
        }
        fs::create_dir_all(folder.path().join("proc/sys")).unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made there");
}
