//! A store on a disk that runs full: what was accepted stays, what is not stored goes on, and there
//! is room again when clients acknowledge.

use crate::crowd::{Crowd, Mood};
use crate::gateway::{Gateway, House};
use crate::plan::{End, USERS};
use crate::run::Run;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The whole disk.
const DISK: &str = "8m";
/// Messages offered in a second.
const RATE: u32 = 4000;

/// A small disk that only the gateways see. It is gone when this is dropped, or when this process
/// is.
struct Disk(Child);

impl Disk {
    /// `None` where this process may not mount.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let at = at.display();
        // It waits for the end of its input, which is the end of this process at the latest.
        let script = format!("mount -t tmpfs -o size={DISK} none '{at}' && echo mounted && cat");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut disk = Self(spawned.ok()?);
        let mut said = String::new();
        BufReader::new(disk.0.stdout.take()?).read_line(&mut said).ok()?;
        (said == "mounted\n").then_some(disk)
    }

    /// The words with which a program runs where this disk is.
    fn words(&self) -> Vec<String> {
        ["nsenter", "--mount", "--target", &self.0.id().to_string()].map(str::to_owned).to_vec()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Its input ends here; a disk that was never mounted may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A gateway on a full disk, where everybody but a visitor is away.
fn filled(directory: &Path, seed: u64) -> Option<(Disk, Run, Gateway)> {
    let house = House::new(directory, "epoll");
    let Some(disk) = Disk::mount(&house.store) else {
        println!("not shown: a disk cannot be mounted here");
        return None;
    };
    let house = house.through(&disk.words());
    let mut run = Run::new(house, seed).with_roomy_mailboxes(USERS + 1);
    run.crowd = Crowd::new(run.house.clients(), USERS..USERS + 1, seed);
    run.crowd.mood = Mood::Calm;
    let gateway = run.start();
    run.until("the visitor is there", |run| run.crowd.online() == 1);
    run.office.rate = RATE;
    run.until("the disk is full", |run| run.office.store_full > 0);
    run.office.rate = 0;
    run.until("all pushes are answered", |run| run.office.is_idle());
    run.online_traffic_goes_on(USERS);
    let accepted = run.ledger.sums().0.accepted;
    assert!(accepted > 1000, "{accepted}");
    Some((disk, run, gateway))
}

/// Everybody comes and acknowledges; then there is room again.
fn recovers(mut run: Run, gateway: Gateway, seed: u64) {
    run.crowd = Crowd::new(run.house.clients(), 0..USERS, seed);
    let before = run.ledger.sums().0.accepted;
    run.office.rate = RATE / 10;
    run.until("pushes are taken again", |run| run.ledger.sums().0.accepted > before + 100);
    run.settle();
    run.end(gateway, End::Terminate);
    run.judged();
}

/// Fills the disk and has everybody come.
pub(crate) fn a_full_disk_refuses_and_recovers(directory: &Path, seed: u64) {
    if let Some((_disk, run, gateway)) = filled(directory, seed) {
        recovers(run, gateway, seed);
    }
}

/// Fills the disk, kills the gateway on it, and has everybody come to the next one.
pub(crate) fn a_gateway_starts_on_a_full_disk(directory: &Path, seed: u64) {
    if let Some((_disk, mut run, gateway)) = filled(directory, seed) {
        run.end(gateway, End::Kill);
        run.crowd.mood = Mood::Away;
        let gateway = run.serve();
        recovers(run, gateway, seed);
    }
}
