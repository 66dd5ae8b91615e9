//! Nothing that was accepted is lost, whenever the gateway is killed: real processes on a real
//! disk, under load, with users who come and go and backends that push again.
//!
//! ```text
//! HOLDFAST_SEED=17 HOLDFAST_KILLS=200 cargo test -p holdfast --test torture kills -- --nocapture
//! ```
//!
//! The seed says when and how each gateway ends (see `torture/plan.rs`) and what everybody does;
//! when what reaches whom is the kernel's to say, so a seed that fails may pass the next time.
//! `torture/ledger.rs` has the promises. `HOLDFAST_IO` leaves one back end, `HOLDFAST_BINARY` names
//! another build of the gateway.

#![allow(missing_docs, reason = "tests are named after what they show")]
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

#[path = "torture/body.rs"]
mod body;
#[path = "torture/client.rs"]
mod client;
#[path = "torture/crowd.rs"]
mod crowd;
#[path = "torture/damage.rs"]
mod damage;
#[path = "torture/full_disk.rs"]
mod full_disk;
#[path = "torture/gateway.rs"]
mod gateway;
#[path = "torture/ledger.rs"]
mod ledger;
#[path = "torture/ledger_tests.rs"]
mod ledger_tests;
#[path = "torture/office.rs"]
mod office;
#[path = "torture/plan.rs"]
mod plan;
#[path = "torture/run.rs"]
mod run;

use crate::gateway::House;
use crate::plan::{End, Life};
use crate::run::Run;
use std::time::Duration;

/// Lives of a run where nothing else is said.
const KILLS: u64 = 4;

#[test]
fn kills_lose_nothing_on_uring() {
    kills_lose_nothing("uring");
}

#[test]
fn kills_lose_nothing_on_epoll() {
    kills_lose_nothing("epoll");
}

fn kills_lose_nothing(io: &str) {
    if !is_to_be_shown(io) {
        return;
    }
    let (seed, kills) = (seed(), number("HOLDFAST_KILLS").unwrap_or(KILLS));
    println!("HOLDFAST_KILLS={kills} HOLDFAST_IO={io}");
    let directory = tempfile::tempdir().unwrap();
    let sums = run::torture(House::new(directory.path(), io), seed, kills);
    println!("{io}: {sums:?}");
    assert!(sums.acked > 0, "nothing was shown: {sums:?}");
}

/// The judge is no yes-man: a store that forgets with its process is found out.
#[test]
fn a_store_that_forgets_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut house = House::new(directory.path(), "epoll");
    house.set("store.kind=memory");
    let mut run = Run::new(house, 1);
    run.office.rate = 600;
    let life = Life {
        length: Duration::from_millis(800),
        unready: false,
        freeze: None,
        end: End::Kill,
        tail: 0,
    };
    run.live(life);
    assert_eq!(run.ledger.faults(), [""; 0], "nothing was broken so far");
    run.live(life);
    let faults = run.ledger.faults();
    assert!(faults.iter().any(|fault| fault.contains("the next sequence is")), "{faults:?}");
}

#[test]
fn a_flipped_bit_is_refused_and_the_rest_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    damage::a_flipped_bit_is_refused_and_the_rest_is_saved(directory.path(), seed());
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    full_disk::a_full_disk_refuses_and_recovers(directory.path(), seed());
}

#[test]
fn a_gateway_starts_on_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    full_disk::a_gateway_starts_on_a_full_disk(directory.path(), seed());
}

/// The seed that was asked for, or another one each time; it is shown.
fn seed() -> u64 {
    let seed = number("HOLDFAST_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("HOLDFAST_SEED={seed}");
    seed
}

/// Whether this back end is to be tested and can be had.
fn is_to_be_shown(io: &str) -> bool {
    let only = std::env::var("HOLDFAST_IO").unwrap_or_default();
    if !only.is_empty() && only != io {
        return false;
    }
    match holdfast::io::uring::probe() {
        Err(refused) if io == "uring" => {
            assert!(only.is_empty(), "HOLDFAST_IO=uring, and it cannot be had: {refused}");
            println!("not shown on uring, which cannot be had: {refused}");
            false
        }
        _ => true,
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is to be a number, not {text}")))
}
