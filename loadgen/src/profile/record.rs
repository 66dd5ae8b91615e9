//! `record`: asks a gateway's metrics once an interval, and writes how many pushes of which sizes
//! came in each.

use super::Profile;
use super::scrape::{Seen, scrape};
use crate::interrupt::Interrupt;
use crate::secret;
use crate::units;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// The gateway does not answer, or the file cannot be written.
const NOT_RECORDED: u8 = 2;
/// A signal ended it early; what was recorded until then is written.
const INTERRUPTED: u8 = 3;
/// Between two looks at the signals.
const LOOK: Duration = Duration::from_millis(50);

/// The command line of `record`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gateway's metrics, such as `http://127.0.0.1:7700/metrics`
    #[arg(long, value_name = "URL")]
    metrics: String,
    /// How long: 90s, 10m, 2h
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    length: Duration,
    /// Where the profile goes; JSON if the name ends with .json, else TOML
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Between two looks at the metrics: 1s to 1m
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "1s")]
    every: Duration,
    /// A file with the admin token, where the gateway wants one
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
}

/// A time such as 10m.
fn time(text: &str) -> Result<Duration, String> {
    let millis = units::time(text);
    let fits = millis.filter(|millis| (1..=7 * 24 * 3_600_000).contains(millis));
    fits.map(Duration::from_millis)
        .ok_or_else(|| "a time is up to 168h, such as 90s, 10m or 2h".to_owned())
}

/// A time from a second to a minute.
fn interval(text: &str) -> Result<Duration, String> {
    let fits = |every: &Duration| (1..=60).contains(&every.as_secs()) && every.subsec_nanos() == 0;
    let every = Some(time(text)?).filter(fits);
    every.ok_or_else(|| "whole seconds from 1s to 1m".to_owned())
}

/// Runs `record`.
pub(crate) fn main(args: &Args) -> ExitCode {
    match run(args) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("holdfast-loadgen: {why}");
            ExitCode::from(NOT_RECORDED)
        }
    }
}

fn run(args: &Args) -> Result<u8, String> {
    let source = Source::of(args)?;
    // Before the time is spent: a profile is never lost for want of a place.
    let shown = args.output.display();
    let cannot = |error: std::io::Error| format!("cannot write {shown}: {error}");
    let anew = !args.output.exists();
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&args.output)
        .map_err(cannot)?;
    let interrupt =
        Interrupt::listen().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let recorded = record(&source, (args.length, args.every), &interrupt);
    let profile = recorded.inspect_err(|_| {
        if anew {
            // An empty file is left at worst.
            let _ = fs::remove_file(&args.output);
        }
    })?;
    let json = args.output.extension().is_some_and(|end| end == "json");
    fs::write(&args.output, profile.text(json)).map_err(cannot)?;
    eprintln!(
        "{} pushes in {} s to {} clients at most: {shown}",
        profile.count(),
        profile.length() / crate::clock::SECOND,
        profile.clients
    );
    eprintln!("not in it: broadcasts, classes, and that clients come and go");
    if profile.count() == 0 {
        eprintln!("holdfast-loadgen: there was no push, so there is nothing to replay");
    }
    Ok(if interrupt.came() { INTERRUPTED } else { 0 })
}

/// Where the metrics are.
struct Source {
    address: SocketAddr,
    path: String,
    token: Option<String>,
}

impl Source {
    fn of(args: &Args) -> Result<Self, String> {
        let url = &args.metrics;
        let wrong = || format!("--metrics {url} is not allowed; allowed: http://HOST:PORT/metrics");
        let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
        let (host, path) = rest.find('/').map_or((rest, "/metrics"), |at| rest.split_at(at));
        let found = host.to_socket_addrs().ok().and_then(|mut all| all.next());
        let token = args.admin_token_file.as_deref();
        let token = token.map(|file| secret::read("", Some(file))).transpose()?;
        let token = token.map(String::from_utf8).transpose();
        Ok(Self {
            address: found.ok_or_else(wrong)?,
            path: path.to_owned(),
            token: token.map_err(|_| "the admin token is no text".to_owned())?,
        })
    }

    fn seen(&self) -> Result<Seen, String> {
        let seen = scrape(self.address, &self.path, self.token.as_deref());
        let address = self.address;
        seen.map_err(|error| format!("no metrics at {address}: {error}"))?.ok_or_else(|| {
            format!(
                "the page at {address} does not tell holdfast_push_body_bytes: it is not /metrics, \
                 or the gateway is older"
            )
        })
    }
}

/// Looks once an interval. A look that fails is made up for by the next, whose count is spread over
/// the intervals since the last.
fn record(
    source: &Source,
    (length, every): (Duration, Duration),
    interrupt: &Interrupt,
) -> Result<Profile, String> {
    let mut last = source.seen()?;
    let millis = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
    let mut profile = Profile::new(millis, last.bounds());
    let see = |profile: &mut Profile, seen: &Seen| {
        profile.clients = profile.clients.max(u32::try_from(seen.users).unwrap_or(u32::MAX));
    };
    see(&mut profile, &last);
    let began = Instant::now();
    let intervals = u32::try_from(length.as_nanos().div_ceil(every.as_nanos())).unwrap_or(u32::MAX);
    let mut missed = 0;
    for number in 1..=intervals {
        let due = every * number;
        while began.elapsed() < due && !interrupt.came() {
            thread::sleep(LOOK.min(due.saturating_sub(began.elapsed())));
        }
        match source.seen() {
            Ok(now) => {
                spread(&mut profile, &now.since(&last), std::mem::take(&mut missed) + 1);
                see(&mut profile, &now);
                last = now;
            }
            Err(why) => {
                eprintln!("holdfast-loadgen: {why}; asked again");
                missed += 1;
            }
        }
        if interrupt.came() {
            break;
        }
    }
    Ok(profile)
}

/// Adds what came in so many intervals, as much to each.
fn spread(profile: &mut Profile, sizes: &[u64], intervals: u64) {
    for number in 0..intervals {
        let up_to = |count: u64, part: u64| {
            let part = u128::from(count) * u128::from(part) / u128::from(intervals);
            u64::try_from(part).unwrap_or(count)
        };
        let part = |count: &u64| up_to(*count, number + 1) - up_to(*count, number);
        profile.add(sizes.iter().map(part).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units_or_as_seconds() {
        assert_eq!(time("10"), Ok(Duration::from_secs(10)));
        assert_eq!(time("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(
            (time("90s"), time("2h").map(|two| two.as_secs())),
            (Ok(Duration::from_secs(90)), Ok(7_200))
        );
        for wrong in ["", "m", "-1s", "5d", "200h", "0s"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert!(interval("1s").is_ok() && interval("500ms").is_err() && interval("2m").is_err());
    }

    #[test]
    fn what_was_missed_is_spread_and_nothing_of_it_is_lost() {
        let mut profile = Profile::new(1_000, vec![64, 128]);
        spread(&mut profile, &[10, 5], 3);
        spread(&mut profile, &[1, 0], 1);
        assert_eq!(profile.pushes, [4, 5, 6, 1]);
        assert_eq!(profile.count(), 16);
    }
}
