//! `run --agents`: hands the shares out, goes through the stages with the agents, and adds up what
//! they found.

use super::board::{Board, Loss, One};
use super::channel::{self, Receiver};
use super::load::{AGENTS_MAX, Load};
use super::total::{self, Watched};
use super::wire::{self, Host, ToAgent, ToController};
use super::{BEAT, PATIENCE, key};
use crate::clock::MILLISECOND;
use crate::fleet::shared::Shared;
use crate::host::{self, Sample};
use crate::interrupt::Interrupt;
use crate::options::Options;
use crate::report::Report;
use crate::room;
use crate::run::company::{Alone, Barrier, Company};
use crate::run::failure::Failure;
use crate::run::{Passed, Progress};
use crate::scenario::Scenario;
use crate::scenario::share::Share;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two looks before there is progress to be shown.
const LOOK: Duration = Duration::from_millis(20);

/// Runs what the options ask for on their agents.
///
/// # Errors
/// Why it could not be set up, for a person.
pub(crate) fn run(options: &Options, interrupt: Interrupt) -> Result<Report, Failure> {
    let scenario = Scenario::elsewhere(options).map_err(Failure::generators)?;
    check(options).map_err(Failure::nobodys)?;
    room::check(options, &scenario.plan)?;
    let shared = Arc::new(Shared::elsewhere(scenario, interrupt));
    let (agents, ears) = engage(options).map_err(Failure::nobodys)?;
    let board = Arc::new(Board::new(agents, &shared));
    let done = Arc::new(AtomicBool::new(false));
    let heart = {
        let (board, done) = (Arc::clone(&board), Arc::clone(&done));
        thread::spawn(move || beat(&board, &done))
    };
    let ears = ears.into_iter().enumerate().map(|(agent, ear)| {
        let board = Arc::clone(&board);
        thread::spawn(move || listen(&board, agent, ear))
    });
    let ears: Vec<_> = ears.collect();
    let watched = Stage { options, shared: &shared, board: &board, passed: Vec::new() }.run();
    done.store(true, Ordering::Relaxed);
    heart.thread().unpark();
    disengage(&board, ears);
    // A thread that panicked has said so; nothing is missing from the report.
    let _ = heart.join();
    Ok(total::report(options, &shared, board.take(), watched?))
}

/// Ends the connections, when the agents are free for the next run.
fn disengage(board: &Board, ears: Vec<JoinHandle<()>>) {
    board.finish();
    let deadline = Instant::now() + PATIENCE;
    while !ears.iter().all(JoinHandle::is_finished) && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
    board.close();
    for ear in ears {
        // A thread that panicked has said so; its agent is missing from the report.
        let _ = ear.join();
    }
}

/// What goes with agents.
fn check(options: &Options) -> Result<(), String> {
    let agents = &options.agents.agents;
    let rules = [
        (agents.len() <= AGENTS_MAX, format!("--agents: at most {AGENTS_MAX}")),
        (
            agents.len() <= options.clients.connections as usize,
            format!(
                "{} agents for {} clients: each has at least one",
                agents.len(),
                options.clients.connections
            ),
        ),
        (
            options.clients.source.is_empty(),
            "--source is of one host: say it to each agent (`agent --source`)".to_owned(),
        ),
        (
            (1..agents.len()).all(|place| !agents[..place].contains(&agents[place])),
            "--agents names one of them twice".to_owned(),
        ),
    ];
    rules.into_iter().find(|(right, _)| !right).map_or(Ok(()), |(_, wrong)| Err(wrong))
}

/// Connects to every agent and gives it its share. All are there before any has one.
fn engage(options: &Options) -> Result<(Vec<One>, Vec<Receiver>), String> {
    let named = &options.agents;
    let key = named.key_file.as_deref().map(key::read).transpose()?.unwrap_or_default();
    let of = u32::try_from(named.agents.len()).unwrap_or(u32::MAX);
    let mut first = [0; 4];
    getrandom::fill(&mut first).map_err(|error| error.to_string())?;
    let run = u32::from_le_bytes(first);
    let met: Vec<_> = named.agents.iter().map(|name| meet(name, &key)).collect::<Result<_, _>>()?;
    let (mut agents, mut ears) = (Vec::new(), Vec::new());
    for ((number, name), (host, mut sender, ear)) in (0..).zip(&named.agents).zip(met) {
        let share = Share { number, of, run };
        let load = wire::encode(&ToAgent::Load(Box::new(Load::new(options, share)?)))?;
        let cannot = |why| format!("the agent {name}: {why}");
        sender.send(&load).map_err(cannot)?;
        if number == 0 {
            let all = wire::encode(&ToAgent::Broadcast { from_us: 0 })?;
            sender.send(&all).map_err(cannot)?;
        }
        let clients = share.part(options.clients.connections);
        agents.push(One::new(name.clone(), host, sender, (clients, rate(options, share))));
        ears.push(ear);
    }
    Ok((agents, ears))
}

/// The pushes a second that the share offers, at most.
fn rate(options: &Options, share: Share) -> u32 {
    let phases = options.asked.phases.iter();
    let pushes = phases.filter_map(|phase| Some(phase.pushes.as_ref()?.rate));
    let typed = options.asked.phases.is_empty().then_some(options.push.rate);
    share.part(pushes.chain(typed).max().unwrap_or_default())
}

/// Connects to an agent that is free.
fn meet(name: &str, key: &[u8]) -> Result<(Host, channel::Sender, Receiver), String> {
    let wrong = |why: &dyn std::fmt::Display| format!("the agent {name}: {why}");
    let addresses = name.to_socket_addrs().map_err(|error| {
        wrong(&format!("{error}; --agents takes HOST:PORT, with commas between"))
    })?;
    let mut last = "the name has no address".to_owned();
    let found = addresses.into_iter().find_map(|address| {
        let tried = TcpStream::connect_timeout(&address, PATIENCE);
        tried.map_err(|error| last = format!("none answers at {address}: {error}")).ok()
    });
    let stream = found.ok_or_else(|| {
        wrong(&format!("{last}. Start one there (`holdfast-loadgen agent --help`)"))
    })?;
    let (sender, mut receiver) = channel::connect(stream, key).map_err(|why| wrong(&why))?;
    let said = receiver.receive().map_err(|why| wrong(&why))?;
    match wire::decode(&said).map_err(|why| wrong(&why))? {
        ToController::Welcome(host) if host.version.0 == env!("CARGO_PKG_VERSION") => {
            Ok((host, sender, receiver))
        }
        ToController::Welcome(host) => Err(wrong(&format!(
            "it is holdfast-loadgen {} and this is {}: run the same at both ends",
            host.version.0,
            env!("CARGO_PKG_VERSION")
        ))),
        ToController::Refused(why) => Err(wrong(&why.0)),
        _ => Err(wrong(&"it does not begin as an agent does")),
    }
}

fn beat(board: &Board, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        board.ping();
        thread::park_timeout(BEAT);
    }
}

fn listen(board: &Board, agent: usize, mut ear: Receiver) {
    loop {
        let lost = |why: channel::Error| Loss { silent: why.is_silence(), why: why.to_string() };
        let unread = |why| Loss { silent: false, why };
        let said = ear.receive().map_err(lost);
        let said = said.and_then(|bytes| wire::decode(&bytes).map_err(unread));
        let gone = said.is_err();
        board.hear(agent, said);
        if gone {
            return;
        }
    }
}

/// A run while it goes on elsewhere.
struct Stage<'a> {
    options: &'a Options,
    shared: &'a Arc<Shared>,
    board: &'a Board,
    passed: Vec<Passed>,
}

impl Stage<'_> {
    fn run(mut self) -> Result<Watched, Failure> {
        while !self.at(Barrier::Ramp)?.1 {
            self.shared.notices.take().iter().for_each(|notice| eprintln!("{notice}"));
            thread::sleep(LOOK);
        }
        let gateway = self.shared.scenario.gateways[0];
        let output = &self.options.output;
        let server = output.server_pid.or_else(|| host::find::listener(gateway));
        let alone: Arc<dyn Company> = Arc::new(Alone);
        let mut progress = Progress::new(self.shared, server, output, &alone);
        let watched = self.stages(&mut progress, server);
        let timeline = progress.finish();
        let samples = watched?;
        let interrupted = self.shared.interrupt.came();
        Ok(Watched { samples, timeline, interrupted, phases: self.passed })
    }

    fn stages(
        &mut self,
        progress: &mut Progress,
        server: Option<u32>,
    ) -> Result<[Sample; 6], Failure> {
        let shared = self.shared;
        let sample = || host::sample(server, shared.clock.now());
        let before = sample();
        let begun = shared.clock.now();
        let settled = self.until(Barrier::Settle, "connect", progress)?;
        self.passed.push(Passed::new("ramp", "ramp", (begun, settled)));
        let ramped = sample();
        let start = self.until(Barrier::Push, "settle", progress)?;
        if shared.scenario.plan.settle > 0 {
            self.passed.push(Passed::new("settle", "hold", (settled, start)));
        }
        let settled = sample();
        self.steps(start, progress);
        let pushed = sample();
        self.until(Barrier::Leave, "drain", progress)?;
        let drained = sample();
        progress.stage("leave", 1);
        let over = || self.board.look(Barrier::Leave).map_or(true, |look| look.over);
        progress.wait(u64::MAX, || (0, over()));
        Ok([before, ramped, settled, pushed, drained, sample()])
    }

    /// Whether a barrier is passed, and when, or will never be.
    fn at(&self, barrier: Barrier) -> Result<(u64, bool), Failure> {
        if self.shared.interrupt.came() {
            self.board.interrupt();
        }
        let look = self.board.look(barrier)?;
        let now = self.shared.clock.now();
        Ok((look.passed.unwrap_or(now), look.over || look.passed.is_some_and(|at| at <= now)))
    }

    /// Waits for a barrier; gives when it was passed.
    fn until(
        &self,
        barrier: Barrier,
        name: &'static str,
        progress: &mut Progress,
    ) -> Result<u64, Failure> {
        let clients = u64::from(self.shared.scenario.clients);
        progress.stage(name, if name == "connect" { clients } else { 1 });
        let gauges = &self.shared.gauges;
        let mut found = Ok((0, false));
        progress.wait(u64::MAX, || {
            found = self.at(barrier);
            let online = u64::from(gauges.online.load(Ordering::Relaxed));
            (online, found.as_ref().map_or(true, |(_, over)| *over))
        });
        found.map(|(at, _)| at)
    }

    /// Goes through the plan's steps, which the agents go through by their own clocks.
    fn steps(&mut self, start: u64, progress: &mut Progress) {
        let clock = self.shared.clock;
        for (number, step) in self.shared.scenario.plan.steps.iter().enumerate() {
            let over = || self.at(Barrier::Leave).map_or(true, |(_, over)| over);
            if self.shared.interrupt.came() || over() {
                break;
            }
            let (from, until) = (start + step.from, start + step.until);
            progress.stage(step.phase.kind.name(), (until - from) / MILLISECOND);
            progress.wait(until, || {
                let done = clock.now().saturating_sub(from) / MILLISECOND;
                (done, self.shared.interrupt.came() || over())
            });
            let times = (from, clock.now());
            let passed = Passed::new(&step.phase.name, step.phase.kind.name(), times);
            self.passed.push(passed.of_step(number));
        }
    }
}
