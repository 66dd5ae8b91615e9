//! A driver that takes its phases from standard input, one a line, and answers each with a line of
//! JSON.
//!
//! ```text
//! open N            connect N more clients, without a word      (bare servers)
//! login N           connect N more clients, each answered
//! storm N           the same, in bursts that meet the server at once
//! echo ROUNDS       every client knocks and is answered
//! beat RATE SECS    clients knock in turn, RATE a second together
//! broadcast COPIES ROUNDS
//! push USERS REQUESTS REPEAT [IN_FLIGHT]
//! keep USERS REQUESTS REPEAT [IN_FLIGHT]    the same, durable, and all is acknowledged
//! late MS                                   how long acknowledgements may wait for more messages
//!                                           to speak of: 100 ms if nothing is said
//! store FROM USERS EACH BODY                durable messages to users who are not there
//! purge FROM USERS                          their mailboxes are emptied
//! load N EACH RATE  N more clients log in at once, each takes EACH messages that wait for it;
//!                   meanwhile RATE single online messages a second go to others
//! probe RATE SECS WITH_BROADCAST(0|1)
//! paced LOAD RATE SECS                      RATE single durable messages a second, beside LOAD
//!                                           durable ones a second to all clients
//! mark              remember the memory of server and kernel
//! grown N           how much it has grown since, per each of N
//! ```

use std::io::{self, BufRead};
use std::ops::Range;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_protocol::client::Class;
use serde_json::{Value, json};

use super::probe::Probed;
use super::{Driver, IN_FLIGHT, Manner, Sample, Subject};
use crate::floor::language::{self, Language};
use crate::floor::machine::{self, Memory};
use crate::token::Signer;

/// How a driver runs.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::floor) struct DriveArgs {
    /// What the subject speaks.
    #[arg(long, value_enum, default_value_t = Language::Holdfast)]
    language: Language,
    /// The subject's process.
    #[arg(long)]
    pid: u32,
    /// Its port for clients.
    #[arg(long, default_value_t = 7500)]
    port: u16,
    /// Its backend API, or the control port of each bare shard.
    #[arg(long, value_delimiter = ',', default_values_t = [7600])]
    api: Vec<u16>,
    /// The API key, where it wants one.
    #[arg(long, default_value = "")]
    api_key: String,
    /// The secret with which login tokens are signed (HMAC-SHA256), where it wants them.
    #[arg(long)]
    secret: Option<String>,
    /// The name of that key.
    #[arg(long)]
    key_id: Option<String>,
    /// The core that the whole driver runs on.
    #[arg(long, default_value_t = 1)]
    core: usize,
}

/// Runs phases until standard input ends.
pub(in crate::floor) fn main(args: DriveArgs) -> ExitCode {
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", json!({ "error": error }));
            ExitCode::FAILURE
        }
    }
}

fn run(args: DriveArgs) -> Result<(), String> {
    machine::pin_to(args.core).map_err(|error| format!("core {}: {error}", args.core))?;
    let subject = Subject {
        language: args.language,
        pid: args.pid,
        client_port: args.port,
        api_ports: args.api,
        api_key: args.api_key,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let signer =
        args.secret.map(|secret| Signer::new(secret.as_bytes(), args.key_id.as_deref(), now));
    let signer = signer.transpose()?;
    let tokens = Arc::new(move |number| match &signer {
        Some(signer) => signer.sign(language::PRODUCT, &language::user(number)).into_bytes(),
        None => Vec::new(),
    });
    let mut driver = Driver::new(subject, tokens)?;
    let mut mark = Memory::default();
    println!("{}", json!({ "ready": true }));
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let words: Vec<&str> = line.split_whitespace().collect();
        println!("{}", phase(&mut driver, &mut mark, &words)?);
    }
    Ok(())
}

fn phase(driver: &mut Driver, mark: &mut Memory, words: &[&str]) -> Result<Value, String> {
    let sample = match words {
        ["open", count] => driver.open(number(count)?, Manner::SILENT)?,
        ["login", count] => driver.open(number(count)?, Manner::POLITE)?,
        ["storm", count] => driver.open(number(count)?, Manner::storm(driver.pid(), true))?,
        ["echo", rounds] => driver.echo(number(rounds)?)?,
        ["beat", rate, seconds] => {
            driver.beat(number(rate)?, Duration::from_secs(number(seconds)?))?
        }
        ["broadcast", copies, rounds] => driver.broadcast(number(copies)?, number(rounds)?)?,
        ["push", each @ ..] => push(driver, Class::Online, each)?,
        ["keep", each @ ..] => push(driver, Class::Durable, each)?,
        ["late", millis] => driver.late(Duration::from_millis(number(millis)?))?,
        ["store", from, users, each, body] => {
            driver.store(range(from, users)?, number(each)?, number(body)?)?
        }
        ["purge", from, users] => driver.purge(range(from, users)?)?,
        ["load", count, each, rate] => {
            return Ok(both(&driver.load(number(count)?, number(each)?, number(rate)?)?));
        }
        ["paced", load, rate, seconds] => {
            let time = Duration::from_secs(number(seconds)?);
            return Ok(both(&driver.paced(number(load)?, number(rate)?, time)?));
        }
        ["probe", rate, seconds, broadcast] => {
            let time = Duration::from_secs(number(seconds)?);
            return probe(driver, number(rate)?, time, *broadcast == "1");
        }
        ["mark"] => {
            *mark = memory(driver)?;
            return Ok(json!({ "anonymous": mark.anonymous, "slab": mark.slab }));
        }
        ["grown", count] => return grown(driver, mark, number(count)?),
        _ => return Err(format!("no such phase: {}", words.join(" "))),
    };
    Ok(to_json(&sample))
}

fn push(driver: &mut Driver, class: Class, words: &[&str]) -> Result<Sample, String> {
    let [users, requests, repeat, in_flight @ ..] = words else {
        return Err("USERS REQUESTS REPEAT [IN_FLIGHT] are wanted".into());
    };
    let in_flight = in_flight.first().map_or(Ok(IN_FLIGHT), |word| number(word))?;
    let each = [number(users)?, number(repeat)?];
    driver.push_many(class, each, number(requests)?, in_flight)
}

fn range(from: &str, count: &str) -> Result<Range<u32>, String> {
    let (from, count): (u32, u32) = (number(from)?, number(count)?);
    let end = from.checked_add(count).ok_or("no such users")?;
    Ok(from..end)
}

fn number<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("not a number that fits here: {word}"))
}

/// A sample as the scripts' readers get it: microseconds of CPU time for one unit, and what it is
/// made of.
pub(in crate::floor) fn to_json(sample: &Sample) -> Value {
    json!({
        "units": sample.units,
        "us": sample.micros(),
        "cpu_ns": sample.cpu.process,
        "softirq_ns": sample.cpu.softirq,
        "wall_s": sample.wall.as_secs_f64(),
    })
}

fn probe(driver: &mut Driver, rate: u32, time: Duration, with: bool) -> Result<Value, String> {
    Ok(probed(&driver.probe(rate, time, with)?))
}

fn probed(probed: &Probed) -> Value {
    let micros = |quantile| machine::per(probed.latency.value_at_quantile(quantile), 1000);
    json!({
        "units": probed.sent,
        "broadcasts": probed.broadcasts,
        "p50_us": micros(0.5),
        "p99_us": micros(0.99),
        "p999_us": micros(0.999),
        "max_us": machine::per(probed.latency.max(), 1000),
    })
}

/// Single messages, and what went on beside them.
fn both((singles, work): &(Probed, Sample)) -> Value {
    json!({ "singles": probed(singles), "work": to_json(work) })
}

pub(in crate::floor) fn memory(driver: &Driver) -> Result<Memory, String> {
    machine::memory(driver.pid()).map_err(|error| format!("memory: {error}"))
}

/// How much server and kernel have grown since `mark`, per each of `count` connections. The
/// kernel's part is of both ends; the difference between two servers under the same driver is the
/// servers'.
pub(in crate::floor) fn grown(driver: &Driver, mark: &Memory, count: u64) -> Result<Value, String> {
    let now = memory(driver)?;
    let caches = machine::grown(mark, &now, count);
    Ok(json!({
        "units": count,
        "user": machine::per(now.anonymous.saturating_sub(mark.anonymous), count),
        "both_ends": caches.values().sum::<f64>(),
        "one_socket": machine::one_socket(&caches),
        "all_slabs": machine::per(now.slab.saturating_sub(mark.slab), count),
        "caches": caches,
    }))
}
