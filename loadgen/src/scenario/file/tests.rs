//! What is read from a file, and that each thing that is wrong is said with its place.

use super::*;
use crate::clock::SECOND;
use crate::scenario::phase::Behaviour;
use crate::schedule::rhythm::Rhythm;

const HEAD: &str = "about = \"for a test\"\n[[phase]]\nkind = \"ramp\"\n";

fn read(rest: &str) -> Result<File, String> {
    File::read("a.toml", &format!("{HEAD}{rest}"))
}

/// The file is refused with this line, and with no other.
fn refused(rest: &str, line: &str) {
    let wrong = read(rest).expect_err(rest);
    assert!(wrong.starts_with(line), "{rest}\n{wrong}");
    assert_eq!(wrong.lines().count(), 1, "{wrong}");
}

#[test]
fn a_file_is_read_as_it_is_written() {
    let file = File::read(
        "a.toml",
        "about = \"all of it\"\nseed = 3\ndrain = \"20 s\"\n\
         [clients]\ncount = 500\nconnect_rate = 100\nheartbeat = \"5 min\"\nack_after = \"50 ms\"\n\
         [[clients.population]]\nproduct = \"mail\"\nshare = 3\n\
         [[clients.population]]\nproduct = \"chat\"\nprefix = \"c-\"\ntag = \"beta\"\n\
         [pushes]\nbatch = 8\nreceipts = true\n\
         [[phase]]\nkind = \"ramp\"\n\
         [[phase]]\nkind = \"churn\"\nname = \"day\"\nduration = \"1500 ms\"\nshare = 0.01\n\
         pause = \"2 s\"\nrate = 200\nsize = 64\narrivals = \"poisson\"\ndurable = 0.5\n\
         broadcasts = 2\nbroadcast_product = \"chat\"\n",
    )
    .unwrap_or_else(|wrong| panic!("{wrong}"));
    let clients = &file.clients;
    assert_eq!((file.seed, file.drain, file.batch), (Some(3), Some(20), Some(8)));
    assert_eq!(
        (clients.count, clients.heartbeat, clients.ack_after),
        (Some(500), Some(300), Some(50))
    );
    let people: Vec<_> = clients.populations.iter().map(|one| (&*one.prefix, one.share)).collect();
    assert_eq!(people, [("user-", 3.0), ("c-", 1.0)]);
    let phase = &file.phases[1];
    assert_eq!((phase.kind, &*phase.name, phase.length), (Kind::Churn, "day", SECOND * 3 / 2));
    assert_eq!(phase.clients, Behaviour::Churn { share: 0.01, pause: 2 * SECOND });
    let pushes = phase.pushes.as_ref().unwrap();
    assert_eq!((pushes.rate, pushes.rhythm, phase.pushed()), (200, Rhythm::Poisson, 300));
    assert!((pushes.durable - 0.5).abs() < 1e-9);
    assert_eq!((phase.broadcast(), pushes.sizes.max()), (2, 64));
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_one_that_was_meant() {
    refused(
        "[[phase]]\nkind = \"push\"\nduration = 1\n  rates = 5\nrate = 5\n",
        "a.toml:7:3: rates: no such key in a phase of kind \"push\"; did you mean rate? allowed: \
         kind, name, duration, ",
    );
    refused(
        "[[phase]]\nkind = \"hold\"\nduration = 1\nrate = 5\n",
        "a.toml:7:1: rate: no such key",
    );
    refused("[client]\ncount = 5\n", "a.toml:4:2: client: no such key in a scenario file; did you");
    refused(
        "[clients]\ncuont = 5\n",
        "a.toml:5:1: cuont: no such key in [clients]; did you mean count",
    );
    refused(
        "[pushes]\nzzz = 5\n",
        "a.toml:5:1: zzz: no such key in [pushes]; allowed: batch, ttl, ",
    );
    refused(
        "[pushes]\nheartbeat = 5\n",
        "a.toml:5:1: heartbeat: no such key in [pushes]; it belongs in [clients]; allowed: batch",
    );
    refused(
        "[clients]\nrate = 5\n",
        "a.toml:5:1: rate: no such key in [clients]; it belongs in [[phase]]; allowed: count",
    );
    let elsewhere = |key: &str, home: &str| {
        let says = format!("a.toml:5:1: {key}: no such key in [pushes]; it belongs in {home}; all");
        refused(&format!("[pushes]\n{key} = 1\n"), &says);
    };
    elsewhere("pause", "[[phase]]");
    elsewhere("loss", "[network]");
    let hold = "[[phase]]\nkind = \"hold\"\nduration = 1\n";
    let misplaced = |key: &str, home: &str| {
        let says = format!("{key}: no such key in a phase of kind \"hold\"; it belongs in {home};");
        refused(&format!("{hold}{key} = 1\n"), &format!("a.toml:7:1: {says} allowed: kind"));
    };
    misplaced("pause", "other phases, of kind churn, storm, offline");
    misplaced("seed", "the head of the file");
}

#[test]
fn a_wrong_value_is_refused_with_its_place_and_what_is_allowed() {
    refused(
        "[clients]\ncount = 0\n",
        "a.toml:5:9: count = 0 is not allowed; allowed: a whole number from 1 to 4294967295",
    );
    let push = |line: &str| format!("[[phase]]\nkind = \"push\"\nduration = 1\nrate = 5\n{line}\n");
    refused(&push("size = \"9-\""), "a.toml:8:8: size = \"9-\" is not allowed; allowed: bytes of");
    refused(&push("durable = 1.5"), "a.toml:8:11: durable = 1.5 is not allowed; allowed: a share");
    refused(
        &push("arrivals = \"odd\""),
        "a.toml:8:12: arrivals = \"odd\" is not allowed; allowed: \"even\", \"poisson\"",
    );
    refused(
        "[[phase]]\nkind = \"pish\"\n",
        "a.toml:5:8: kind = \"pish\" is not allowed; allowed: \"ramp\", \"hold\"",
    );
    refused(
        "[[phase]]\nkind = \"hold\"\nduration = \"5 days\"\n",
        "a.toml:6:12: duration = \"5 days\"",
    );
    refused(
        "[[phase]]\nkind = \"push\"\nduration = 1\n",
        "a.toml:4:1: a phase of kind \"push\" needs rate",
    );
}

#[test]
fn a_name_is_of_one_phase() {
    let hold = |name: &str| format!("[[phase]]\nkind = \"hold\"\nduration = 1\n{name}");
    let twice = hold("name = \"rest\"\n").repeat(2);
    refused(&twice, "a.toml:8:1: there is a phase called \"rest\" already");
    let unnamed = format!("about = \"x\"\n[[phase]]\nkind = \"ramp\"\n{}", hold("").repeat(2));
    assert!(File::read("a.toml", &unnamed).is_ok());
    let push = "[[phase]]\nkind = \"push\"\nduration = 1\nrate = 1\n";
    let others = format!("{push}name = \"hold\"\n{}", hold(""));
    refused(&others, "a.toml:9:1: there is a phase called \"hold\" already");
}

#[test]
fn keys_that_do_not_go_together_are_refused() {
    let phase =
        |kind: &str, lines: &str| format!("[[phase]]\nkind = \"{kind}\"\nduration = 5\n{lines}\n");
    refused(&phase("storm", "size = 64"), "a.toml:7:1: size is of use only beside rate");
    refused(
        &phase("storm", "class = \"durable\""),
        "a.toml:7:1: class is of use only beside rate or",
    );
    refused(
        &phase("push", "rate = 1\nbroadcast_size = 64"),
        "a.toml:8:1: broadcast_size is of use",
    );
    refused(
        &phase("push", "rate = 1\nburst = 8"),
        "a.toml:8:1: burst is of use only with arrivals",
    );
    refused(
        &phase("push", "rate = 1\narrivals = \"burst\""),
        "a.toml:4:1: a phase of kind \"push\" needs burst",
    );
    refused(
        &phase("push", "rate = 1\nclass = \"online\"\ndurable = 0.5"),
        "a.toml:9:1: durable is",
    );
    refused(&phase("storm", "over = 6"), "a.toml:7:1: over is longer than the phase's duration");
    refused(
        &phase("offline", "share = 0.1\npause = 1\nspread = 1"),
        "a.toml:9:1: spread is of use only without pause",
    );
    refused(
        &phase("broadcast", "broadcast_product = \"mail\""),
        "a.toml:4:1: broadcast_product \"mail\" is of no [[clients.population]]",
    );
    refused("[pushes]\nreceipts = true\n", "a.toml:5:1: receipts is of use only where a phase");
}

#[test]
fn a_weak_network_is_read_as_it_is_written() {
    let network = "[network.weak]\nshare = 0.2\ndelay = \"80 ms\"\njitter = \"40 ms\"\n\
                   loss = 0.01\nstall = { every = \"20 s\", for = \"2 s\" }\n\
                   cut = 0.001\nsilent = 0.0005\n";
    let file = read(network).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(file.weak, Some(crate::weak::sample()));
    assert_eq!(read("").unwrap().weak, None);
}

#[test]
fn a_wrong_weak_network_is_refused_with_its_place() {
    let weak = |line: &str| format!("[network.weak]\nshare = 0.2\n{line}\n");
    refused("[network]\n", "a.toml:4:1: [network] is empty; it needs [network.weak]");
    refused("[network.weka]\nshare = 1\n", "a.toml:4:10: weka: no such key in [network]; did you");
    refused("[network.weak]\n", "a.toml:4:1: [network.weak] needs share; allowed: a share");
    refused(&weak("dealy = 1"), "a.toml:6:1: dealy: no such key in [network.weak]; did you mean");
    refused(&weak("loss = 0.9"), "a.toml:6:8: loss = 0.9 is not allowed; allowed: a share from 0");
    refused(&weak("jitter = \"1 ms\""), "a.toml:6:1: jitter is more or less than delay");
    refused(&weak("stall = { every = 2 }"), "a.toml:6:9: stall needs for; allowed: a time");
    refused(
        &weak("stall = { every = 2, for = 2 }"),
        "a.toml:6:22: a stall is shorter than the 2 s",
    );
}

#[test]
fn later_ramps_bring_their_share_and_the_first_the_rest() {
    let ramp = |share| format!("[[phase]]\nkind = \"ramp\"\nduration = 10\nshare = {share}\n");
    let file = read(&format!("{}{}", ramp(0.25), ramp(0.5))).unwrap();
    let clients: Vec<Behaviour> = file.phases.iter().map(|phase| phase.clients).collect();
    let join = |from, to| Behaviour::Join { from, to };
    assert_eq!(clients, [Behaviour::Stay, join(0.25, 0.5), join(0.5, 1.0)]);
    refused(
        &ramp(0.4).repeat(3),
        "a.toml:12:1: shares of ramps come to 1 or more here, but the first ramp brings the rest",
    );
    refused("[[phase]]\nkind = \"ramp\"\nduration = 1\n", "a.toml:4:1: a phase of kind");
    let first = "about = \"x\"\n[[phase]]\nkind = \"ramp\"\nshare = 0.5\n";
    let wrong = File::read("b", first).unwrap_err();
    assert!(wrong.contains("b:4:1: share: no such key in the first phase of kind"), "{wrong}");
}

#[test]
fn the_first_phase_is_a_ramp() {
    let wrong = File::read("b", "about = \"x\"\n").unwrap_err();
    assert!(wrong.contains("there is no [[phase]]"), "{wrong}");
    let wrong = File::read("b", "about = \"x\"\n[[phase]]\nkind = \"hold\"\nduration = 1\n");
    assert!(wrong.unwrap_err().starts_with("b:2:1: the first phase"));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_its_order() {
    let wrong = read("[clients]\ncount = 0\nconnect_rate = 0\n[[phase]]\nkind = \"holds\"\n");
    let places: Vec<String> = wrong.unwrap_err().lines().map(|line| line[..9].to_owned()).collect();
    assert_eq!(places, ["a.toml:5:", "a.toml:6:", "a.toml:8:"]);
}

#[test]
fn a_time_that_is_far_too_long_is_refused_whatever_it_is_of() {
    let phase = "[[phase]]\nkind = \"hold\"\nduration = \"99999999999 h\"\n";
    refused(phase, "a.toml:6:12: duration = \"99999999999 h\" is not allowed; allowed: a time ");
    let heartbeat = "[clients]\nheartbeat = \"24 h\"\n";
    refused(
        heartbeat,
        "a.toml:5:13: heartbeat = \"24 h\" is not allowed; allowed: a time from 0 ms to 65535 s",
    );
    assert!(read(&heartbeat.replace("24 h", "65535 s")).is_ok());
}

#[test]
fn a_list_with_a_population_that_is_wrong_is_not_called_empty() {
    let nameless = "[[clients.population]]\nshare = 1\n";
    refused(nameless, "a.toml:4:1: [[population]] needs product; ");
    refused("[clients]\npopulation = []\n", "a.toml:5:1: population is an empty list; ");
}

#[test]
fn what_is_not_toml_is_refused_with_its_place() {
    refused("[clients\n", "a.toml:4:9: this is not TOML: ");
}

#[test]
fn a_phase_may_be_followed_by_no_more_broadcasts_than_a_client_can_tell_apart() {
    let phase = "[[phase]]\nkind = \"broadcast\"\nduration = 9\nbroadcasts = 40\n";
    refused(&phase.repeat(2), "a.toml:8:1: all phases together may have 64 broadcasts");
}

#[test]
fn every_key_of_every_table_is_on_the_page_that_scenarios_prints() {
    const PAGE: &str = include_str!("../../../scenarios/README.md");
    let tables: [&[&str]; 4] = [&KEYS, &CLIENTS, &PUSHES, &POPULATION];
    for key in tables.concat() {
        let shown =
            [format!("`{key}`"), format!("[{key}]"), format!("[{key}."), format!(".{key}]")];
        assert!(shown.iter().any(|text| PAGE.contains(text)), "{key}");
    }
}
