//! The life of one simulated gateway: load, calm, questions, idleness, the end.

use std::collections::BTreeMap;

use holdfast::io::sim::Chance;
use holdfast_protocol::backend::request::JobAction;

use crate::asking::What;
use crate::client::Client;
use crate::homecoming;
use crate::ledger::Identity;
use crate::plan::{Bug, How, PRODUCTS, Plan, SECOND, Trouble};
use crate::run::{Run, Summary, in_seconds};
use crate::seat::Seat;

/// An answer in a quiet world may take so long, in microseconds: no fault delays it.
const PROMPT: u64 = 100_000;
/// Everything that was begun under load has ended after so many seconds of calm: silent peers are
/// given up after one and a half heartbeats, paced broadcasts have run out.
const SETTLED: u64 = 150;

/// Runs a plan from its first connect to its last freed slot.
pub(crate) fn live(plan: Plan, tracing: bool) -> Result<Summary, String> {
    let mut run = Run::new(plan, tracing)?;
    if let Bug::World(plant) = run.scene.plan.bug {
        run.scene.world.plant(plant);
    }
    let drains_early = run.scene.plan.drain_under_load;
    let length = run.scene.plan.length;
    load(&mut run, if drains_early { length / 2 } else { length })?;
    if !drains_early {
        calm_down(&mut run)?;
        homecoming::everybody_takes_what_waits(&mut run)?;
        ask_the_truth(&mut run)?;
        stay_idle(&mut run)?;
        if run.scene.plan.all_leave {
            everybody_leaves(&mut run)?;
        }
    }
    drain(&mut run)?;
    finish(&mut run, drains_early)
}

/// The load, with what goes wrong below the gateway and with the gateway itself.
fn load(run: &mut Run, length: u64) -> Result<(), String> {
    let mut events = Vec::new();
    if let Some(keeping) = &run.scene.plan.keeping {
        events.extend(keeping.troubles.iter().map(|&(at, trouble)| (at, Mishap::Disk(trouble))));
        for exit in &keeping.exits {
            events.push((exit.at, Mishap::Exit(exit.how)));
            events.push((exit.at + exit.down, Mishap::Restart));
        }
    }
    // A trouble while no gateway is there would be none.
    events.sort_by_key(|(at, _)| *at);
    let mut down = false;
    for (at, mishap) in events {
        if at >= length && !down {
            break;
        }
        // To leave in order takes a while.
        run.go_on(at.max(run.scene.now), |_| false)?;
        match mishap {
            Mishap::Exit(How::Stop(seconds)) => run.stop(seconds)?,
            Mishap::Exit(how) => run.crash(matches!(how, How::PowerLoss)),
            Mishap::Restart => run.restart()?,
            Mishap::Disk(trouble) if !down => run.ail(trouble),
            Mishap::Disk(_) => {}
        }
        down = match mishap {
            Mishap::Exit(_) => true,
            Mishap::Restart => false,
            Mishap::Disk(_) => down,
        };
    }
    run.go_on(length.max(run.scene.now), |_| false)?;
    Ok(())
}

/// What goes wrong at a time.
#[derive(Debug, Clone, Copy)]
enum Mishap {
    Disk(Trouble),
    Exit(How),
    Restart,
}

/// Ends the load and waits until nothing is open.
fn calm_down(run: &mut Run) -> Result<(), String> {
    run.scene.calm = true;
    run.scene.world.calm();
    if let Some(storage) = &mut run.storage {
        storage.heal();
    }
    drop_harmed(run);
    run.stir();
    for _ in 0..SETTLED {
        let second = in_seconds(run, 1);
        steer_jobs(run);
        run.go_on(second, |_| false)?;
        drop_harmed(run);
        if is_settled(run) {
            ask_about_jobs(run)?;
            let failures = run.scene.ledger.broadcasts.settle();
            run.scene.ledger.failures.extend(failures);
            missed_broadcasts(run);
            return run.verdict();
        }
    }
    Err(format!("not settled after {SETTLED} s: {}", standing(run)))
}

/// Clients whose connection the world has harmed will not see its end.
fn drop_harmed(run: &mut Run) {
    for client in &mut run.clients {
        if client.link().is_some_and(|link| run.scene.world.harmed(link)) {
            client.hang_up(&mut run.scene);
        }
    }
    for backend in &mut run.backends {
        if backend.link().is_some_and(|link| run.scene.world.harmed(link)) {
            backend.hang_up(&mut run.scene);
            backend.timer = run.scene.now;
        }
    }
    run.stir();
}

/// Lets every open job go on, and asks how it stands.
fn steer_jobs(run: &mut Run) {
    for job in run.scene.ledger.broadcasts.open_jobs() {
        for backend in &mut run.backends {
            let resume = What::Job(JobAction::Resume, job);
            if backend.ask(resume, &mut run.scene) {
                break;
            }
        }
    }
}

/// Asks once more how every job stands.
fn ask_about_jobs(run: &mut Run) -> Result<(), String> {
    for job in run.scene.ledger.broadcasts.jobs() {
        let status = What::Job(JobAction::Status, job);
        let asker = run.backends.iter_mut().find(|one| one.waiting() == 0);
        let can = asker.is_some_and(|backend| backend.ask(status, &mut run.scene));
        if !can {
            return Err(format!("nobody can ask about job {job}: {}", standing(run)));
        }
        let soon = run.scene.now + PROMPT;
        run.go_on(soon, |run| run.backends.iter().all(|one| one.waiting() == 0))?;
    }
    Ok(())
}

pub(crate) fn is_settled(run: &mut Run) -> bool {
    let answered = run.backends.iter().all(|one| one.is_open() && one.waiting() == 0);
    let held: usize = run.seats.iter().map(Seat::connections).sum();
    let jobs = run.scene.ledger.broadcasts.open_jobs().len();
    let lasting = run.clients.iter().all(Client::is_lasting);
    answered && lasting && jobs == 0 && held == run.backends.len() + online(run).len()
}

/// Who is online, one entry a client.
fn online(run: &mut Run) -> Vec<Identity> {
    run.clients.iter_mut().filter_map(|client| client.online().cloned()).collect()
}

pub(crate) fn standing(run: &mut Run) -> String {
    let waiting: Vec<_> = run.backends.iter().map(|one| (one.is_open(), one.waiting())).collect();
    let held: Vec<_> = run.seats.iter().map(Seat::connections).collect();
    let jobs = run.scene.ledger.broadcasts.open_jobs();
    format!("{held:?} held for {} online, {waiting:?} waiting, jobs {jobs:?}", online(run).len())
}

/// Who was there from before a broadcast until now must have got it, or be counted as dropped.
fn missed_broadcasts(run: &mut Run) {
    let scene = &run.scene;
    let present = |product: usize, tag: &str, since: u64| {
        let taps = scene.ledger.taps().filter(|(link, tap)| {
            let meant = tap.identity.as_ref().is_some_and(|who| {
                who.product == product && (tag.is_empty() || who.tags.contains(&tag))
            });
            let stayed = tap.welcomed.is_some_and(|at| at < since) && tap.closed.is_none();
            meant && stayed && !tap.careless && !scene.world.harmed(*link)
        });
        taps.map(|(link, _)| link).collect()
    };
    let failures = scene.ledger.broadcasts.missed(present);
    run.scene.ledger.failures.extend(failures);
}

/// Asks who is online, and pushes to somebody, over and over; every answer must be true and prompt.
fn ask_the_truth(run: &mut Run) -> Result<(), String> {
    let mut chance = Chance::new(run.scene.plan.seed, "questions");
    let mut truth: BTreeMap<(usize, String), u32> = BTreeMap::new();
    for who in online(run) {
        *truth.entry((who.product, who.user)).or_default() += 1;
    }
    for _ in 0..40 {
        let product = chance.index(PRODUCTS.len());
        let mut user = || format!("user-{}", chance.index(run.scene.plan.users));
        let users = [user(), user(), user()];
        let known = |user: String| {
            let count = truth.get(&(product, user.clone())).copied().unwrap_or(0);
            (user, Some(count))
        };
        let push = What::push_one(product, &users[0], &mut run.scene);
        let question = What::Online(product, users.map(known).to_vec());
        let asker = chance.index(run.backends.len());
        for what in [question, push] {
            if !run.backends[asker].ask(what, &mut run.scene) {
                return Err(format!("backend {asker} cannot ask: {}", standing(run)));
            }
        }
        let until = run.scene.now + PROMPT;
        let answered = run.go_on(until, |run| run.backends[asker].waiting() == 0)?;
        if !answered {
            return Err(format!("no answer within {PROMPT} us at {}", run.scene.now));
        }
        let pause = run.scene.now + chance.below(2 * SECOND);
        run.go_on(pause, |_| false)?;
    }
    Ok(())
}

/// Nothing happens but heartbeats: the shards must sleep.
fn stay_idle(run: &mut Run) -> Result<(), String> {
    const SECONDS: u64 = 20;
    let before = run.turns();
    let until = in_seconds(run, SECONDS);
    run.go_on(until, |_| false)?;
    let heartbeat = u64::from(run.scene.plan.heartbeat);
    let clients = run.clients.len() as u64;
    let pings = clients * SECONDS.div_ceil(heartbeat) + 2 * run.backends.len() as u64;
    // A turn a second and a shard, and one or two for each ping.
    let fair = run.seats.len() as u64 * (SECONDS + 1) + 3 * pings + 10;
    let turns = run.turns() - before;
    if turns > fair {
        return Err(format!("{turns} turns in {SECONDS} idle seconds, {fair} would be fair"));
    }
    Ok(())
}

/// All peers go; every slot must be free again.
fn everybody_leaves(run: &mut Run) -> Result<(), String> {
    hang_up(run);
    let until = in_seconds(run, 60);
    run.go_on(until, |run| run.seats.iter().all(Seat::is_empty))?;
    let left: Vec<_> = run.seats.iter().filter_map(Seat::leftovers).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("everybody has left, but {left:?}")) }
}

fn hang_up(run: &mut Run) {
    for client in &mut run.clients {
        client.hang_up(&mut run.scene);
        client.timer = u64::MAX;
    }
    for backend in &mut run.backends {
        backend.hang_up(&mut run.scene);
        backend.timer = u64::MAX;
    }
}

/// The gateway is told to stop, and must be gone within its bound.
fn drain(run: &mut Run) -> Result<(), String> {
    const BOUND: u64 = 5;
    run.scene.closing = true;
    run.leave(BOUND)
}

fn finish(run: &mut Run, drained_early: bool) -> Result<Summary, String> {
    hang_up(run);
    let summary = run.summary();
    run.seats.clear();
    let open = run.scene.world.open_sockets();
    if open > 0 {
        return Err(format!("{open} sockets are open after the end"));
    }
    if !drained_early {
        run.scene.ledger.settle();
    }
    run.verdict()?;
    Ok(summary)
}
