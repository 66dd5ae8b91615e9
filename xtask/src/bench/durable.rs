//! Server CPU time of one durable message: numbered, written, synced, delivered, acknowledged and
//! forgotten, with the store in the same process on the same core.

use serde_json::json;

use super::broadcast::CLIENTS;
use super::counts::Counts;
use super::disk::Folder;
use super::driver::{Answer, Driver};
use super::subject::Subject;
use super::turns::{ROUNDS, median, ratio, raw};
use super::{Figure, Io, Run};
use crate::shell::Result;

pub(super) const RATIO: Figure = Figure {
    name: "durable",
    what: "server CPU per durable message, 64 random users a request, as a ratio to online",
    unit: "",
    at_most: 2.0,
    runs_max: 99,
    run: beside_online,
};

pub(super) const RATE: Figure = Figure {
    name: "durable_rate",
    what: "server CPU per durable message at full load; 25 us are 40,000 a second on one core",
    unit: " us",
    at_most: 25.0,
    runs_max: 99,
    run: alone,
};

/// Requests of 64 that a backend has unanswered: it must not wait for each sync.
pub(super) const IN_FLIGHT: u32 = 32;
/// Phases of full load, of about 100,000 messages each.
const FULL_ROUNDS: usize = 3;

/// Clients of one gateway that keeps messages in this folder; all are there, and have had some.
pub(super) fn warm(io: Io, folder: &Folder) -> Result<Driver> {
    let mut driver = Driver::start(Subject::gateway_with_store(io, CLIENTS, folder.path())?)?;
    driver.phase(&format!("login {CLIENTS}"))?;
    driver.phase(&format!("push 64 300 1 {IN_FLIGHT}"))?;
    driver.phase(&format!("keep 64 300 1 {IN_FLIGHT}"))?;
    Ok(driver)
}

fn beside_online(io: Io) -> Result<Run> {
    let folder = Folder::new()?;
    let mut driver = warm(io, &folder)?;
    let (mut online, mut durable) = (Vec::new(), Vec::new());
    let before = driver.counts()?;
    for _ in 0..ROUNDS {
        online.push(driver.phase(&format!("push 64 600 1 {IN_FLIGHT}"))?);
        durable.push(driver.phase(&format!("keep 64 600 1 {IN_FLIGHT}"))?);
    }
    let store = stored(&before, &driver.counts()?)?;
    let value = ratio(&durable, &online, "us")?;
    let raw = json!({
        "online": { "rate": rate(&online)?, "rounds": raw(&online) },
        "durable": { "rate": rate(&durable)?, "rounds": raw(&durable) },
        "store": store,
    });
    Ok(Run { value, raw })
}

fn alone(io: Io) -> Result<Run> {
    let folder = Folder::new()?;
    let mut driver = warm(io, &folder)?;
    let (value, late) = at_full_load(&mut driver)?;
    // What is acknowledged before its group is written need not be written at all.
    driver.phase("late 0")?;
    let (us, at_once) = at_full_load(&mut driver)?;
    let raw = json!({
        "late": late,
        "at_once": at_once,
        "at_once_to_late": us / value,
    });
    Ok(Run { value, raw })
}

/// The cost of a message at full load, in microseconds, and what it is made of.
fn at_full_load(driver: &mut Driver) -> Result<(f64, serde_json::Value)> {
    let (before, phase) = (driver.counts()?, full_load(64));
    let answers: Result<Vec<Answer>> = (0..FULL_ROUNDS).map(|_| driver.phase(&phase)).collect();
    let answers = answers?;
    let store = stored(&before, &driver.counts()?)?;
    let raw = json!({ "rate": rate(&answers)?, "store": store, "rounds": raw(&answers) });
    Ok((median(&answers, "us")?, raw))
}

/// About 100,000 messages as fast as they are taken, to so many users a request.
pub(super) fn full_load(users: u32) -> String {
    format!("keep {users} {} 1 {IN_FLIGHT}", 102_400 / users)
}

/// Messages a second by the clock.
pub(super) fn by_the_clock(answer: &Answer) -> Result<f64> {
    Ok(answer.number("units")? / answer.number("wall_s")?)
}

/// The middle ones of the messages a second, by the clock and of CPU time.
fn rate(answers: &[Answer]) -> Result<serde_json::Value> {
    let by_clock: Result<Vec<f64>> = answers.iter().map(by_the_clock).collect();
    let wall = super::turns::middle(by_clock?);
    let cpu = 1e6 / median(answers, "us")?;
    Ok(json!({ "messages_per_second": wall, "messages_per_cpu_second": cpu }))
}

/// What the store did between two readings.
fn stored(before: &Counts, after: &Counts) -> Result<serde_json::Value> {
    let grown = |name: &str| Ok::<_, String>(after.of(name)? - before.of(name)?);
    Ok(json!({
        "messages": grown("durable_taken_total")?,
        "acked": grown("durable_acked_total")?,
        "syncs": grown("store_syncs_total")?,
        "sync_seconds": grown("store_sync_seconds_total")?,
        "written_bytes": grown("store_written_bytes_total")?,
        "writes_skipped": grown("store_writes_skipped_total")?,
        "redelivered": grown("durable_redeliveries_total")?,
    }))
}
