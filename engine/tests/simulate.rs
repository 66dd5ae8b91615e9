//! Whole gateways from a seed: several shards, hundreds of clients, backends, one thread, no
//! kernel.
//!
//! Half of the gateways have a store, on a disk that loses what was not synced; they crash in the
//! middle of their work, or are told to stop, and others begin in their place. Every promise is
//! checked at every step (see `simulate/ledger.rs`, `simulate/durable.rs`, `simulate/phases.rs`). A
//! run that breaks one prints its seed and the command that replays it with a trace:
//!
//! ```text
//! HOLDFAST_SEED=17 cargo test -p holdfast --test simulate -- --nocapture
//! ```
//!
//! `HOLDFAST_SEEDS` says how many seeds are run, `HOLDFAST_FIRST_SEED` where they begin.

#![allow(missing_docs, reason = "tests are named after what they show")]
#![allow(clippy::cast_possible_truncation, reason = "patterns of bytes wrap on purpose")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast::io::sim::Plant;

use crate::plan::{Bug, Plan};
use crate::run::Summary;

#[path = "simulate/asking.rs"]
mod asking;
#[path = "simulate/backend.rs"]
mod backend;
#[path = "simulate/broadcasts.rs"]
mod broadcasts;
#[path = "simulate/client.rs"]
mod client;
#[path = "simulate/durable.rs"]
mod durable;
#[path = "simulate/habit.rs"]
mod habit;
#[path = "simulate/homecoming.rs"]
mod homecoming;
#[path = "simulate/ledger.rs"]
mod ledger;
#[path = "simulate/manner.rs"]
mod manner;
#[path = "simulate/notices.rs"]
mod notices;
#[path = "simulate/parcel.rs"]
mod parcel;
#[path = "simulate/phases.rs"]
mod phases;
#[path = "simulate/plan.rs"]
mod plan;
#[path = "simulate/run.rs"]
mod run;
#[path = "simulate/scene.rs"]
mod scene;
#[path = "simulate/seat.rs"]
mod seat;
#[path = "simulate/storage.rs"]
mod storage;

/// How many seeds are run where nothing else is said.
const SEEDS: u64 = 200;
/// So many seeds that break a promise are enough to look at.
const ENOUGH: usize = 10;
/// A planted bug must be found within so many.
const SEEDS_TO_FIND: u64 = 200;

#[test]
fn every_promise_holds_for_every_seed() {
    if let Some(seed) = number("HOLDFAST_SEED") {
        let summary = phases::live(Plan::draw(seed, Bug::None), true);
        println!("seed {seed}: {summary:#?}");
        assert!(summary.is_ok(), "seed {seed} breaks a promise");
        return;
    }
    let first = number("HOLDFAST_FIRST_SEED").unwrap_or(1);
    let seeds = number("HOLDFAST_SEEDS").unwrap_or(SEEDS);
    let outcomes = run_all(first, seeds);
    let mut totals = BTreeMap::new();
    let mut failures = Vec::new();
    for (seed, outcome) in outcomes {
        match outcome {
            Ok(summary) => add(&mut totals, summary),
            Err(why) => failures.push(failure(seed, &why)),
        }
    }
    println!("{seeds} seeds from {first}: {totals:#?}");
    assert!(failures.is_empty(), "{} of {seeds}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in [3, 4] {
        let once = phases::live(Plan::draw(seed, Bug::None), false);
        let again = phases::live(Plan::draw(seed, Bug::None), false);
        assert_eq!(once, again, "seed {seed}");
    }
}

#[test]
fn a_lost_wake_up_is_found() {
    assert_is_found(Bug::World(Plant::LostWake));
}

#[test]
fn a_forgotten_rest_of_a_short_send_is_found() {
    assert_is_found(Bug::World(Plant::ForgottenRest));
}

#[cfg(feature = "planted-bugs")]
#[test]
fn a_slot_used_again_without_its_generation_is_found() {
    assert_is_found(Bug::ForgottenGeneration);
}

#[cfg(feature = "planted-bugs")]
#[test]
fn an_answer_before_the_store_has_it_is_found() {
    assert_is_found(Bug::EarlyAnswer);
}

#[cfg(feature = "planted-bugs")]
#[test]
fn an_acknowledgement_that_takes_more_than_it_says_is_found() {
    assert_is_found(Bug::LongTrim);
}

#[cfg(feature = "planted-bugs")]
#[test]
fn a_broadcast_that_is_not_made_up_for_is_found() {
    assert_is_found(Bug::ForgottenBroadcast);
}

#[test]
fn a_sequence_that_is_given_out_again_after_a_restart_is_found() {
    assert_is_found(Bug::ForgottenReserve);
}

#[test]
fn what_a_shard_does_not_say_as_it_leaves_is_found() {
    assert_is_found(Bug::ForgottenParting);
}

fn assert_is_found(bug: Bug) {
    let found = (1..=SEEDS_TO_FIND).find_map(|seed| {
        let why = outcome(Plan::draw(seed, bug)).err()?;
        Some((seed, why))
    });
    match found {
        Some((seed, why)) => println!("{bug:?} is found by seed {seed}: {why}"),
        None => panic!("{bug:?} is not found by {SEEDS_TO_FIND} seeds"),
    }
}

/// Runs a plan; a panic of the gateway is a broken promise too.
fn outcome(plan: Plan) -> Result<Summary, String> {
    let run = AssertUnwindSafe(|| phases::live(plan, false));
    catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("without words")))
    })
}

/// Runs seeds on all cores, each run on one thread.
fn run_all(first: u64, seeds: u64) -> Vec<(u64, Result<Summary, String>)> {
    let next = AtomicU64::new(first);
    let outcomes = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let outcome = outcome(Plan::draw(seed, Bug::None));
                    let mut outcomes = outcomes.lock().expect("no thread panics here");
                    outcomes.push((seed, outcome));
                    if outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count() == ENOUGH {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("no thread panics here");
    outcomes.sort_by_key(|(seed, _)| *seed);
    outcomes
}

fn add(totals: &mut BTreeMap<&'static str, u64>, summary: Summary) {
    *totals.entry("turns").or_default() += summary.turns;
    *totals.entry("seconds").or_default() += summary.length / plan::SECOND;
    for (what, count) in summary.counts {
        *totals.entry(what).or_default() += count;
    }
}

fn failure(seed: u64, why: &str) -> String {
    let command = "cargo test -p holdfast --test simulate every_promise -- --nocapture";
    format!("seed {seed}: {why}\n  replay: HOLDFAST_SEED={seed} {command}")
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is to be a number, not {text}")))
}
