//! Nothing that was accepted is lost, whenever the gateway is killed: real processes on a real
//! disk, or on a real Redis that dies and stands still by itself, under load, with users who come
//! and go, some with several devices, and backends that push again and broadcast.
//!
//! ```text
//! HOLDFAST_SEED=17 HOLDFAST_KILLS=200 cargo test -p holdfast --test torture kills -- --nocapture
//! ```
//!
//! The seed says when and how each gateway ends (see `torture/plan.rs`) and what everybody does;
//! when what reaches whom is the kernel's to say, so a seed that fails may pass the next time.
//! `torture/ledger.rs` and `torture/news.rs` have the promises. `HOLDFAST_IO` leaves one back end,
//! `HOLDFAST_STORE` one store (`embedded` or `redis`), `HOLDFAST_BINARY` names another build of the
//! gateway.

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
#[path = "torture/herald.rs"]
mod herald;
#[path = "torture/kind.rs"]
mod kind;
#[path = "torture/ledger.rs"]
mod ledger;
#[path = "torture/ledger_tests.rs"]
mod ledger_tests;
#[path = "torture/news.rs"]
mod news;
#[path = "torture/news_tests.rs"]
mod news_tests;
#[path = "torture/office.rs"]
mod office;
#[path = "torture/outage.rs"]
mod outage;
#[path = "torture/plan.rs"]
mod plan;
#[path = "torture/redis.rs"]
mod redis;
#[path = "torture/run.rs"]
mod run;
#[path = "torture/seat.rs"]
mod seat;

use crate::gateway::House;
use crate::plan::{End, Life};
use crate::run::Run;
use std::time::Duration;

/// Lives of a run where nothing else is said.
const KILLS: u64 = 3;

#[test]
fn kills_lose_nothing_on_uring() {
    kills_lose_nothing("uring", "embedded");
}

#[test]
fn kills_lose_nothing_on_epoll() {
    kills_lose_nothing("epoll", "embedded");
}

#[test]
fn kills_lose_nothing_on_uring_with_redis() {
    kills_lose_nothing("uring", "redis");
}

#[test]
fn kills_lose_nothing_on_epoll_with_redis() {
    kills_lose_nothing("epoll", "redis");
}

fn kills_lose_nothing(io: &str, store: &str) {
    if !is_to_be_shown(io) || !is_wanted("HOLDFAST_STORE", store) {
        return;
    }
    let (seed, kills) = (seed(), number("HOLDFAST_KILLS").unwrap_or(KILLS));
    println!("HOLDFAST_KILLS={kills} HOLDFAST_IO={io} HOLDFAST_STORE={store}");
    let directory = tempfile::tempdir().unwrap();
    let house = match store {
        "redis" => House::with_redis(directory.path(), io),
        _ => House::new(directory.path(), io),
    };
    let (sums, news) = run::torture(house, seed, kills);
    println!("{io}, {store}: {sums:?}, {news:?}");
    assert!(sums.acked > 0 && news.came > 0, "nothing was shown: {sums:?}, {news:?}");
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
    run.live(life, None);
    assert_eq!(run.ledger.faults(), [""; 0], "nothing was broken so far");
    run.live(life, None);
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
    if !is_wanted("HOLDFAST_IO", io) {
        return false;
    }
    match holdfast::io::uring::probe() {
        Err(refused) if io == "uring" => {
            let asked = word("HOLDFAST_IO");
            assert!(asked.is_none(), "HOLDFAST_IO=uring, and it cannot be had: {refused}");
            println!("not shown on uring, which cannot be had: {refused}");
            false
        }
        _ => true,
    }
}

/// Whether this is what the variable leaves.
fn is_wanted(variable: &str, what: &str) -> bool {
    word(variable).is_none_or(|only| only == what)
}

fn word(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|text| !text.is_empty())
}

fn number(variable: &str) -> Option<u64> {
    let text = word(variable)?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is to be a number, not {text}")))
}
