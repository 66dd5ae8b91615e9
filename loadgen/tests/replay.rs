//! What was recorded of a load is offered again: as many pushes, of sizes like those.
//!
//! Recorded from a page that counts on by what a test says each time it is asked, so that what must
//! be in the profile is known exactly; and from a real gateway under a known load.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/gateway.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod gateway;
#[path = "support/holdfast.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod holdfast;

use gateway::{Gateway, Script};
use holdfast::Holdfast;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

fn loadgen(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen")).args(arguments).output().unwrap()
}

/// Metrics of two shards which, the so manieth time they are asked for, have so many pushes more:
/// a quarter of them of up to 64 bytes, the rest of up to 256; and an eighth as many clients.
fn metrics(more: &'static [u64]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut all = 1_000;
        for (stream, more) in listener.incoming().zip(more) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            all += more;
            let bucket = |bound: &str, shard: u32, count: u64| {
                format!(
                    "holdfast_push_body_bytes_bucket{{le=\"{bound}\",shard=\"{shard}\"}} {count}\n"
                )
            };
            let shard = |shard| {
                let half = all / 2;
                bucket("64.0", shard, half / 4)
                    + &bucket("256.0", shard, half)
                    + &bucket("+Inf", shard, half)
                    + &format!("holdfast_users{{shard=\"{shard}\"}} {}\n", more / 16)
            };
            let page = shard(0) + &shard(1);
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n\r\n{page}").as_bytes());
        }
    });
    address
}

fn record(from: SocketAddr, length: &str, to: &Path) -> Output {
    let url = format!("http://{from}/metrics");
    loadgen(&["record", "--metrics", &url, "--for", length, "-o", to.to_str().unwrap()])
}

/// Replays a profile at a gateway, with these options besides, to as many clients as it tells.
fn replay(gateway: &Gateway, profile: &Path, extra: &[&str]) -> Value {
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let common = ["run", "--replay", profile.to_str().unwrap(), "--settle"];
    let rest = ["0", "--gateway", &clients, "--api", &api, "--quiet", "--json", "-"];
    let output = loadgen(&[&common[..], &rest, extra].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn two_rates_in_turn_are_recorded_and_offered_again() {
    let folder = tempfile::tempdir().unwrap();
    for (name, array) in
        [("profile.toml", "pushes = [200,200,800]"), ("profile.json", "\"pushes\":[200,200,800]")]
    {
        let profile = folder.path().join(name);
        let recorded = record(metrics(&[0, 200, 200, 800]), "3s", &profile);
        assert_eq!(recorded.status.code(), Some(0), "{recorded:?}");
        let text = fs::read_to_string(&profile).unwrap();
        assert!(text.contains(array) && text.contains("50,150"), "{text}");
        let gateway = Gateway::start(Script::default());
        let report = replay(&gateway, &profile, &[]);
        assert_eq!(report["clients"], 100);
        assert_eq!(report["pushes"]["offered"], 1_200);
        assert_eq!(report["pushes"]["delivered"], 1_200);
        assert_eq!(report["phases"].as_array().unwrap().last().unwrap()["kind"], "replay");
    }
    let profile = folder.path().join("profile.json");
    let gateway = Gateway::start(Script::default());
    let scaled = ["--rate-scale", "2", "--time-scale", "0.25"];
    assert_eq!(replay(&gateway, &profile, &scaled)["pushes"]["offered"], 600);
    let scenario = folder.path().join("replay.toml");
    let text = format!(
        "about = \"x\"\n[clients]\ncount = 40\n[[phase]]\nkind = \"ramp\"\n[[phase]]\n\
         kind = \"replay\"\nprofile = \"{}\"\nclass = \"durable\"\n",
        profile.display()
    );
    fs::write(&scenario, &text).unwrap();
    let named = scenario.to_str().unwrap();
    let right = loadgen(&["check", named]);
    assert!(String::from_utf8(right.stdout).unwrap().contains("1200 pushes"));
    fs::write(&scenario, text.replace("profile.json", "none.json")).unwrap();
    let wrong = String::from_utf8(loadgen(&["check", named]).stderr).unwrap();
    assert!(wrong.contains("replay.toml:8:1: cannot read the profile"), "{wrong}");
}

#[test]
fn a_generator_is_tried_with_the_busiest_second_of_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile.json");
    let sizes = "\"sizes\":[[50,150],[200,600],[0]]";
    let text = "{\"version\":1,\"every_ms\":1000,\"bounds\":[64,256],\"pushes\":[200,800,0],";
    fs::write(&profile, format!("{text}{sizes}}}")).unwrap();
    let named = profile.to_str().unwrap();
    let doctor = loadgen(&["doctor", "--replay", named, "--connections", "20"]);
    let told = String::from_utf8(doctor.stdout).unwrap();
    assert!(told.contains(" 800 pushes/s to a null server"), "{told}");
}

#[test]
fn what_cannot_be_recorded_or_replayed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile.json");
    let refused = |output: Output, says: &str| {
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(says), "{said}");
    };
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    refused(record(nobody, "1s", &profile), "no metrics at");
    assert!(!profile.exists(), "nothing is left where nothing was recorded");
    refused(record(nobody, "1 day", &profile), "a time is up to 168h");
    let url = ["record", "--metrics", "https://x/", "--for", "1s", "-o", "x"];
    refused(loadgen(&url), "allowed: http://HOST:PORT/metrics");
    let named = profile.to_str().unwrap();
    refused(
        loadgen(&["run", "--replay", named, "--rate", "5"]),
        "--rate does not go with --replay",
    );
    fs::write(&profile, "{}").unwrap();
    refused(loadgen(&["run", "--replay", named]), "is no profile of");
}

#[test]
fn the_pushes_of_a_real_gateway_are_all_in_its_profile() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile.json");
    let gateway = Holdfast::serve(&[]);
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let recording = {
        let (admin, profile) = (gateway.admin, profile.clone());
        thread::spawn(move || record(admin, "6s", &profile))
    };
    // It looks for the first time once it has its file; the first push comes a second later.
    while !profile.exists() {
        thread::sleep(std::time::Duration::from_millis(10));
    }
    let common = ["run", "--gateway", &clients, "--api", &api, "--connections", "40", "--rate"];
    let rest = ["300", "--duration", "2", "--settle", "1", "--size", "300", "--quiet"];
    assert_eq!(loadgen(&[&common[..], &rest].concat()).status.code(), Some(0));
    let recorded = recording.join().unwrap();
    assert_eq!(recorded.status.code(), Some(0), "{recorded:?}");
    let read: Value = serde_json::from_slice(&fs::read(&profile).unwrap()).unwrap();
    assert_eq!(read["clients"], 40);
    let pushes: u64 =
        read["pushes"].as_array().unwrap().iter().map(|one| one.as_u64().unwrap()).sum();
    assert_eq!(pushes, 600);
    // 300 bytes are in the bucket from 257 to 512.
    let place = read["bounds"].as_array().unwrap().iter().position(|one| one == 512).unwrap();
    let of_sizes = read["sizes"].as_array().unwrap().iter().filter_map(|row| row.get(place));
    assert_eq!(of_sizes.map(|count| count.as_u64().unwrap()).sum::<u64>(), 600);
}
