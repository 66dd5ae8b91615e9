//! A scenario file laid under what was typed: the file's values count where the command line says
//! nothing.

use super::file::File;
use super::library;
use super::phase::{self, Phase};
use crate::options::{Options, Typed};
use crate::profile::Profile;
use std::path::Path;

/// Options that say what a phase of the file says itself.
const OF_PHASES: [&str; 9] = [
    "rate",
    "duration",
    "settle",
    "broadcasts",
    "burst",
    "scatter",
    "churn",
    "churn_pause",
    "offline",
];

/// The options with their scenario, if they name one.
///
/// # Errors
/// There is no such scenario, it is wrong, or options do not go with it; the text says which.
pub(crate) fn complete(mut options: Options, typed: &Typed) -> Result<Options, String> {
    if let Some(path) = options.choice.replay.clone() {
        return replayed(options, typed, &path);
    }
    let Some(name) = options.choice.scenario.clone() else { return Ok(options) };
    let file = library::open(&name)?;
    if let Some(option) = OF_PHASES.iter().find(|option| typed.has(option)) {
        return Err(format!(
            "--{} does not go with --scenario, whose phases have their own; scale them with \
             --rate-scale and --time-scale, or write a file (`holdfast-loadgen scenarios --show \
             NAME` prints one to begin with)",
            option.replace('_', "-")
        ));
    }
    of_clients(&mut options, &file, typed);
    of_pushes(&mut options, &file, typed);
    options.asked.scenario = Some(name);
    options.asked.populations = file.clients.populations;
    options.asked.weak = file.weak;
    for population in &mut options.asked.populations {
        let clients = &options.clients;
        typed.over("product", &mut population.product, &clients.product);
        typed.over("user_prefix", &mut population.prefix, &clients.user_prefix);
        if typed.has("tag") {
            population.tag.clone_from(&clients.tag);
        }
    }
    let (rate, time) = (options.choice.rate_scale, options.choice.time_scale);
    let scaled = file.phases.into_iter().map(|phase| phase.scaled(rate, time));
    options.asked.phases = scaled.map(|phase| overridden(phase, &options, typed)).collect();
    Ok(options)
}

/// The options with a rhythm that was recorded, after a time in which clients settle.
fn replayed(mut options: Options, typed: &Typed, path: &Path) -> Result<Options, String> {
    let own = OF_PHASES.iter().filter(|option| **option != "settle").chain(&["size"]);
    if let Some(option) = own.into_iter().find(|option| typed.has(option)) {
        return Err(format!(
            "--{} does not go with --replay, whose profile says how much is offered; scale it with \
             --rate-scale and --time-scale",
            option.replace('_', "-")
        ));
    }
    let profile = Profile::read(path)?;
    let recorded = Some(profile.clients).filter(|clients| *clients > 0);
    typed.under("connections", &mut options.clients.connections, recorded);
    let (order, durable) = (options.push.targets, options.durable());
    let replay = Phase::replay("replay".to_owned(), &profile, order, durable);
    let (rate, time) = (options.choice.rate_scale, options.choice.time_scale);
    options.asked.scenario = Some(format!("replay of {}", path.display()));
    options.asked.phases = vec![Phase::settle(options.push.settle), replay.scaled(rate, time)];
    Ok(options)
}

fn of_clients(options: &mut Options, file: &File, typed: &Typed) {
    let (from, to) = (&file.clients, &mut options.clients);
    typed.under("connections", &mut to.connections, from.count);
    let scale = options.choice.rate_scale;
    let connect_rate = from.connect_rate.map(|rate| phase::multiplied(rate, scale));
    typed.under("connect_rate", &mut to.connect_rate, connect_rate);
    typed.under("login_timeout", &mut to.login_timeout, from.login_timeout);
    typed.under("heartbeat", &mut to.heartbeat, from.heartbeat);
    let pings = from.pings.map(|rate| phase::multiplied(rate, scale));
    typed.under("pings", &mut to.pings, pings);
    typed.under("user_bytes", &mut to.user_bytes, from.user_bytes);
    typed.under("ack", &mut to.ack, from.ack);
    typed.under("ack_every", &mut to.ack_every, from.ack_every);
    typed.under("ack_after", &mut to.ack_after, from.ack_after);
    let allowed = &mut options.output.allow_disconnects;
    typed.under("allow_disconnects", allowed, from.allow_disconnects);
}

fn of_pushes(options: &mut Options, file: &File, typed: &Typed) {
    let push = &mut options.push;
    typed.under("seed", &mut push.seed, file.seed);
    typed.under("drain", &mut push.drain, file.drain);
    typed.under("batch", &mut push.batch, file.batch);
    typed.under("ttl", &mut push.ttl, file.ttl);
    typed.under("receipts", &mut push.receipts, file.receipts);
}

/// A phase with what was typed for all of them.
fn overridden(mut phase: Phase, options: &Options, typed: &Typed) -> Phase {
    let (push, broadcast) = (&options.push, &options.broadcast);
    if let Some(pushes) = &mut phase.pushes {
        typed.over("size", &mut pushes.sizes, &push.size);
        typed.over("targets", &mut pushes.order, &push.targets);
        if typed.has("class") || typed.has("durable") {
            pushes.durable = options.durable();
        }
    }
    if let Some(broadcasts) = &mut phase.broadcasts {
        typed.over("broadcast-size", &mut broadcasts.size, &broadcast.size);
        typed.over("broadcast-users", &mut broadcasts.users, &broadcast.users);
        typed.over("broadcast-bits", &mut broadcasts.bits, &broadcast.bits);
        typed.over("class", &mut broadcasts.class, &push.class.into());
        if typed.has("product") {
            broadcasts.product = None;
        }
    }
    phase
}
