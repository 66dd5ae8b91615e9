//! The load held against the host. Pure: what is asked for and what there is are arguments.

use super::calibrate::{Calibrated, TOO_MANY};
use super::facts::Facts;
use crate::clock::SECOND;
use crate::options::Options;
use crate::report::float;
use crate::room::Room;
use crate::scenario::phase::Behaviour;
use crate::scenario::plan::Plan;
use crate::scenario::{DESCRIPTORS_SPARE, threads};
use crate::sources::Sources;
use crate::units::{bytes, counted, percent};
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Kernel memory of one end of an idle connection, with the slack of its slabs: half of the most
/// that was measured for both ends (`BENCHMARKS.md`, `million`).
const KERNEL_BYTES: u64 = 4_850;
/// Memory of the generator for one client, the most that was measured (`generator_memory`).
const CLIENT_BYTES: u64 = 633;
/// How long the port of a connection that was closed here is not used again, seconds.
const TIME_WAIT: u64 = 60;
/// A gateway that looks elsewhere for a tenth of a second must find all who came meanwhile.
const PAUSES: u32 = 10;
/// Where a gateway's ports should not be: what the kernel gives to clients.
const RESERVE: &str = "sysctl -w net.ipv4.ip_local_reserved_ports=";
/// Where the generator is held up by others.
const BUSY_HOST: &str =
    "see what else runs on this host (top), and keep it off the generator's cores";
/// The same where it had more to do than to push.
const MIXED: &str = "keep others off the generator's cores (top), give it more cores, or spread \
                     the load over several hosts";
/// Where less went through than was asked for, and the generator had room left.
const UNKNOWN: &str =
    "whether the generator can offer that is not known; see what `run` says of it";
/// Room, as a factor: with less the generator works close to its end.
const ROOM: f64 = 1.5;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It is fine.
    Ok,
    /// The load can be offered, and its figures may be spoilt.
    Warning,
    /// The load cannot be offered.
    Cannot,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Cannot => "cannot",
        }
    }

    /// What it means for the whole load.
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Ok => "the load can be offered from here",
            Self::Warning => "the load can be offered from here; its figures may be spoilt",
            Self::Cannot => "the load CANNOT be offered from here",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    pub(super) says: String,
    /// What mends it; absent where nothing must be.
    pub(super) mend: Option<String>,
}

impl Finding {
    /// Nothing is wrong.
    pub(super) const fn ok(check: &'static str, says: String) -> Self {
        Self { check, verdict: Verdict::Ok, says, mend: None }
    }

    /// It may spoil the figures.
    pub(super) fn warning(check: &'static str, says: String, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, says, mend: Some(mend.into()) }
    }

    fn cannot(check: &'static str, says: String, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Cannot, says, mend: Some(mend.into()) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {:<12} {}", self.verdict.word(), self.check, self.says)?;
        match &self.mend {
            Some(mend) => write!(f, "\n{:22}mend: {mend}", ""),
            None => Ok(()),
        }
    }
}

/// The load, as far as the host matters to it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) clients: u32,
    /// As typed.
    pub(super) threads: Option<u32>,
    pub(super) gateways: Vec<SocketAddr>,
    /// Source addresses, as typed.
    pub(super) sources: Vec<IpAddr>,
    /// New connections a second in the steepest ramp.
    pub(super) connect_rate: u32,
    /// Most connections that clients drop within a minute.
    pub(super) drops: u64,
    /// Whether the gateway runs on this machine.
    pub(super) local: bool,
}

impl Asked {
    /// What the options ask for, by `plan`.
    pub(super) fn of(options: &Options, plan: &Plan, local: bool) -> Self {
        let clients = &options.clients;
        let dropped = |length: u64, behaviour| {
            let minute = length.min(TIME_WAIT * SECOND);
            match behaviour {
                Behaviour::Churn { share, .. } => share * float(minute) / float(SECOND),
                Behaviour::Wave { share, .. } => share,
                Behaviour::Stay | Behaviour::Join { .. } | Behaviour::Slow { .. } => 0.0,
            }
        };
        let steps = plan.steps.iter().map(|step| dropped(step.phase.length, step.phase.clients));
        let most = steps.fold(0.0, f64::max) * f64::from(clients.connections);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of connections, rounded"
        )]
        let drops = most.round() as u64;
        Self {
            clients: clients.connections,
            threads: clients.threads,
            gateways: clients.gateway.clone(),
            sources: clients.source.clone(),
            connect_rate: plan.steepest(clients.connections, clients.connect_rate),
            drops,
            local,
        }
    }
}

/// All that can be said without trying.
pub(super) fn all(asked: &Asked, facts: &Facts) -> Vec<Finding> {
    let sources = sources(asked, facts);
    let all = [
        Some(descriptors(asked, facts)),
        Some(files(asked, facts)),
        Some(sources.clone().unwrap_or_else(|wrong| wrong).0),
        collision(asked, facts),
        sources.ok().map(|(_, ports)| time_wait(asked, facts, ports)),
        Some(memory(asked, facts)),
        Some(backlog(asked, facts)),
        Some(cores(asked, facts)),
    ];
    all.into_iter().flatten().collect()
}

fn descriptors(asked: &Asked, facts: &Facts) -> Finding {
    let (clients, table) = (asked.clients, facts.descriptors);
    match threads(clients, asked.threads, table) {
        Ok(threads) => {
            let each = clients.div_ceil(threads.max(1));
            let says = format!(
                "{clients} clients on {}, at most {each} in a table of {table}",
                counted(u64::from(threads), "thread")
            );
            Finding::ok("descriptors", says)
        }
        Err(why) => {
            let needed = u64::from(clients.div_ceil(asked.threads.unwrap_or(1).max(1)));
            let mend = format!("ulimit -n {}", needed + DESCRIPTORS_SPARE);
            Finding::cannot("descriptors", why, mend)
        }
    }
}

/// Whether the gateway can hold the clients, by what it says of itself.
pub(super) fn room(clients: u32, room: Option<Room>) -> Finding {
    let Some(room) = room else {
        let says = "how many clients the gateway holds is not known: its admin page was not read \
                    (--admin), or there are several addresses";
        return Finding::ok("room", says.to_owned());
    };
    let says = format!("{} more; {}", counted(u64::from(clients), "client"), room.in_words());
    match room.lacks(clients) {
        Some(mend) => Finding::cannot("room", says, mend),
        None => Finding::ok("room", says),
    }
}

fn files(asked: &Asked, facts: &Facts) -> Finding {
    let ends = u64::from(asked.clients) * if asked.local { 2 } else { 1 };
    let (most, used) = facts.files;
    let says = format!("{ends} more of {most} open files of the whole host, {used} in use");
    if ends.saturating_add(used) <= most {
        return Finding::ok("open files", says);
    }
    let enough = ends.saturating_add(used).saturating_mul(2);
    Finding::cannot("open files", says, format!("sysctl -w fs.file-max={enough}"))
}

/// Whether there are addresses and ports enough to connect from; with how many connections they
/// make possible.
fn sources(asked: &Asked, facts: &Facts) -> Result<(Finding, u64), (Finding, u64)> {
    let (low, high) = facts.ports;
    let ports = u32::from(high.saturating_sub(low)) + 1;
    match Sources::plan(asked.clients, &asked.gateways, &asked.sources, ports) {
        Ok(sources) => {
            let addresses = sources.len().max(1);
            let gateways = asked.gateways.len().max(1);
            let says = format!(
                "{ports} ports ({low}-{high}) for each pair of {addresses} source and {gateways} \
                 gateway addresses"
            );
            let all = u64::try_from(addresses * gateways).unwrap_or(u64::MAX);
            Ok((Finding::ok("ports", says), all.saturating_mul(u64::from(ports))))
        }
        Err(why) => {
            let mend = "sysctl -w net.ipv4.ip_local_port_range=\"10000 65535\", or more --source";
            Err((Finding::cannot("ports", why, mend), 0))
        }
    }
}

/// A gateway that starts again while clients hold its port cannot listen.
fn collision(asked: &Asked, facts: &Facts) -> Option<Finding> {
    let (low, high) = facts.ports;
    let inside = |gateway: &&SocketAddr| (low..=high).contains(&gateway.port());
    let port = asked.gateways.iter().find(inside).filter(|_| asked.local)?.port();
    let says = format!("the gateway's port {port} is one that the kernel gives to clients");
    Some(Finding::warning("ports", says, format!("{RESERVE}{port}")))
}

fn time_wait(asked: &Asked, facts: &Facts, ports: u64) -> Finding {
    let (waiting, most) = facts.waiting;
    let drops = asked.drops;
    let needed = u64::from(asked.clients) + drops + waiting;
    let says = format!("{waiting} wait now, {drops} more at most, of {most}; {ports} ports in all");
    // Such a port is used again after a second.
    let reused = facts.reuse == 1 || facts.reuse == 2 && asked.local;
    if !reused && needed > ports {
        let mend = "sysctl -w net.ipv4.tcp_tw_reuse=1, or more --source";
        return Finding::warning("time-wait", says, mend);
    }
    if drops + waiting > most {
        let mend = format!("sysctl -w net.ipv4.tcp_max_tw_buckets={}", (drops + waiting) * 2);
        return Finding::warning("time-wait", says, mend);
    }
    Finding::ok("time-wait", says)
}

fn memory(asked: &Asked, facts: &Facts) -> Finding {
    let ends = if asked.local { 2 } else { 1 };
    let each = CLIENT_BYTES + KERNEL_BYTES * ends;
    let needed = u64::from(asked.clients) * each;
    let says = format!(
        "{} for {} clients ({CLIENT_BYTES} B each and {} B of kernel memory{}), {} available",
        bytes(float(needed)),
        asked.clients,
        KERNEL_BYTES * ends,
        if asked.local { " for both ends" } else { "" },
        bytes(float(facts.memory))
    );
    let mend = "fewer --connections, or spread them over several hosts";
    match needed {
        needed if needed > facts.memory => Finding::cannot("memory", says, mend),
        needed if needed > facts.memory / 4 * 3 => Finding::warning("memory", says, mend),
        _ => Finding::ok("memory", says),
    }
}

fn backlog(asked: &Asked, facts: &Facts) -> Finding {
    let (rate, backlog) = (asked.connect_rate, facts.backlog);
    if !asked.local {
        let says =
            format!("{rate} connects a second; the gateway's host decides how many may wait");
        return Finding::ok("somaxconn", says);
    }
    let needed = u64::from(rate.div_ceil(PAUSES));
    let says = format!("{backlog} connects may wait; {rate}/s are {needed} in a tenth of a second");
    if needed <= backlog {
        return Finding::ok("somaxconn", says);
    }
    let mend = format!("sysctl -w net.core.somaxconn={}", needed.next_power_of_two());
    Finding::warning("somaxconn", says, mend)
}

fn cores(asked: &Asked, facts: &Facts) -> Finding {
    let threads = threads(asked.clients, asked.threads, facts.descriptors).unwrap_or(1);
    let own = threads + 1;
    let whose = if asked.local { ", and the gateway has the same" } else { "" };
    let says = format!(
        "{} for {} of clients and one that pushes{whose}",
        counted(u64::from(facts.cores), "core"),
        counted(u64::from(threads), "thread")
    );
    if facts.cores < own + u32::from(asked.local) {
        let mend = if asked.local {
            "run the gateway on other cores (taskset), or on another host"
        } else {
            "fewer --threads, or spread the clients over several hosts"
        };
        return Finding::warning("cores", says, mend);
    }
    Finding::ok("cores", says)
}

/// What the generator itself can offer.
pub(super) fn generator(measured: &Calibrated) -> Finding {
    let (asked, peak) = (measured.rate, measured.peak);
    let busy = measured.busy_percent.map(|share| format!(", busiest thread {}", percent(share)));
    let whose = if measured.room_left { ", with room left in the generator" } else { "" };
    let most =
        peak.map_or_else(String::new, |peak| format!("; at most {peak:.0} pushes/s alone{whose}"));
    let says = format!(
        "{asked} pushes/s{} to a null server with {} clients{}{most}",
        measured.beside.in_words(),
        measured.clients,
        busy.unwrap_or_default()
    );
    let mend = match peak {
        Some(peak) => format!(
            "offer {:.0}/s or less, give it more cores, or spread the load over several hosts",
            peak / ROOM
        ),
        None => "give it more cores, or spread the load over several hosts".to_owned(),
    };
    let kept_up = measured.bottleneck.is_empty();
    let says = if kept_up {
        says
    } else {
        format!("{says}; it was the bottleneck ({})", measured.bottleneck.join("; "))
    };
    // What the null server or others on the host kept from going through is not held against the
    // generator, and not shown to be in it.
    let is_possible = asked <= TOO_MANY;
    let peak = peak.filter(|_| !(measured.room_left && is_possible));
    let enough = measured.peak.is_none_or(|peak| peak >= f64::from(asked));
    match peak {
        None if kept_up && !enough => Finding::warning("generator", says, UNKNOWN),
        Some(peak) if peak < f64::from(asked) => Finding::cannot("generator", says, mend),
        None if !kept_up && measured.peak.is_none() => Finding::cannot("generator", says, mend),
        Some(peak) if peak < f64::from(asked) * ROOM => Finding::warning("generator", says, mend),
        // It can push more than that, if it is let.
        _ if !kept_up && measured.beside.is_anything() => {
            Finding::warning("generator", says, MIXED)
        }
        _ if !kept_up => Finding::warning("generator", says, BUSY_HOST),
        _ => Finding::ok("generator", says),
    }
}

/// Nothing was measured, since nothing is pushed or nobody wanted it.
pub(super) fn unmeasured(offers: bool) -> Finding {
    let says = if offers { "not measured (--no-calibration)" } else { "nothing is offered" };
    Finding::ok("generator", says.to_owned())
}

/// It could not be measured.
pub(super) fn unknown(why: &str) -> Finding {
    let says = format!("what it can offer could not be measured: {why}");
    Finding::warning("generator", says, "mend what the lines above say, and examine again")
}

#[cfg(test)]
mod tests;
