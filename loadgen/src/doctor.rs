//! `doctor`: whether a run can be offered from here, before it is.
//!
//! [`facts`] reads the host, [`checks`] holds the load against it, [`calibrate`] offers it to a
//! null server to see what the generator itself can do. Each finding is a line: it is fine, it may
//! spoil the figures, or the load cannot be offered; with the figure, and with what mends it.
//! Nothing is changed.

mod calibrate;
mod checks;
mod facts;

use crate::host::find;
use crate::interrupt::Interrupt;
use crate::options::{Options, Typed};
use crate::room::{self, Room};
use crate::run::{Publisher, print};
use crate::scenario::{Scenario, overlay};
use calibrate::{Calibrated, Mix};
use checks::{Asked, Finding, Verdict};
use facts::Facts;
use serde::Serialize;
use std::fmt::Display;
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

/// The options are wrong, or what was found could not be written.
const NOT_SET_UP: u8 = 2;
/// It was interrupted.
const INTERRUPTED: u8 = 3;
/// The load cannot be offered from here.
const CANNOT: u8 = 6;
/// Longest wait for an address to answer.
const REACH: Duration = Duration::from_secs(2);

/// Why agents are refused.
const AGENTS: &str = "doctor examines the host that it runs on: run it on each load host, without \
                      --agents and with that host's share of the load";

/// What `doctor --help` says at its end.
pub(crate) const NOTES: &str = "\
It takes the options of `run`, so that a command can be examined before it is run: `doctor` instead
of `run`. Those about output are taken and not used, but --json, which writes the findings; --agents
is refused: run it on each load host, with that host's part of --connections and --rate.
The generator is measured against a null server: it logs clients in, passes messages and broadcasts
on and does nothing else, in a process and, where there are several, on a core of its own. It is
given the busiest of all phases (pushes, broadcasts at their pace, pings, drops; all of them online,
and with as few clients as connect within 3 s), and then more pushes than can be. So what arrives is
what the generator's own path can offer; for some seconds this takes all cores.
Exit codes:
  0  the load can be offered from here; what may spoil its figures is a warning
  2  the options are wrong, or --json could not be written
  3  it was interrupted
  6  the load cannot be offered from here";

/// The command line of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not measure what the generator itself can offer
    #[arg(long)]
    no_calibration: bool,
    #[command(flatten)]
    run: Options,
}

/// All that was found.
#[derive(Debug, Serialize)]
struct Diagnosis {
    verdict: Verdict,
    findings: Vec<Finding>,
    /// Absent where nothing was measured.
    generator: Option<Calibrated>,
}

/// Runs `doctor`; `typed` says which options were typed.
pub(crate) fn main(args: Args, typed: &Typed) -> ExitCode {
    match run(args, typed) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("holdfast-loadgen: {why}");
            ExitCode::from(NOT_SET_UP)
        }
    }
}

fn run(args: Args, typed: &Typed) -> Result<u8, String> {
    let mut options = overlay::complete(args.run, typed)?;
    if !options.agents.agents.is_empty() {
        return Err(AGENTS.to_owned());
    }
    options.output.html = None;
    let scenario = Scenario::elsewhere(&options)?;
    let publisher = Publisher::open(&options.output)?;
    let shown = publisher.shows();
    let interrupt =
        Interrupt::listen().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let local = options
        .clients
        .gateway
        .iter()
        .any(|gateway| gateway.ip().is_loopback() || find::listener(*gateway).is_some());
    let facts = Facts::read();
    let asked = Asked::of(&options, &scenario.plan, local);
    let mut findings = checks::all(&asked, &facts);
    findings.push(reached(&options));
    findings.push(checks::room(room::most(&options, &scenario.plan), Room::ask(&options)));
    let show = |text: &dyn Display| if shown { print(&format!("{text}\n")) } else { Ok(()) };
    findings.iter().try_for_each(|finding| show(finding))?;
    let offers = options.busiest() > 0 || Mix::of(&options).is_anything();
    let measured =
        (offers && !args.no_calibration).then(|| calibrate::measure(&options, &facts, &interrupt));
    if interrupt.came() {
        return Ok(INTERRUPTED);
    }
    let last = match &measured {
        None => checks::unmeasured(offers),
        Some(Ok(calibrated)) => checks::generator(calibrated),
        Some(Err(why)) => checks::unknown(why),
    };
    show(&last)?;
    findings.push(last);
    let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
    let generator = measured.and_then(Result::ok);
    let diagnosis = Diagnosis { verdict, findings, generator };
    publisher.write(&diagnosis, || Ok(String::new()))?;
    show(&format_args!("\n{}", verdict.in_words()))?;
    Ok(if verdict == Verdict::Cannot { CANNOT } else { 0 })
}

/// Whether the gateway answers where the load is to go.
fn reached(options: &Options) -> Finding {
    let addresses = options.clients.gateway.iter().chain([&options.push.api]);
    let silent =
        |address: &&std::net::SocketAddr| TcpStream::connect_timeout(address, REACH).is_err();
    let silent: Vec<String> = addresses.filter(silent).map(ToString::to_string).collect();
    if silent.is_empty() {
        return Finding::ok("gateway", "it answers at its client addresses and its API".to_owned());
    }
    let says = format!("nothing answers at {}", silent.join(" and "));
    Finding::warning("gateway", says, "start it, or name it with --gateway and --api")
}
