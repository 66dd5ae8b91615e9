//! The stages of a run, one function each.

use super::broadcaster::{self, Broadcaster};
use super::company::{Barrier, Company};
use super::failure::{Failure, Whose};
use super::progress::Progress;
use super::pusher::{Pushed, Pusher};
use super::remedy;
use super::report::findings::{Evidence, Findings};
use super::report::{self, Course, Passed};
use crate::clock::{MILLISECOND, SECOND};
use crate::fleet::Fleet;
use crate::fleet::shared::{Phase, Shared};
use crate::histogram::Tally;
use crate::host::{self, Sample};
use crate::interrupt::Interrupt;
use crate::options::Options;
use crate::report::Report;
use crate::report::timeline::Timeline;
use crate::room;
use crate::scenario::Scenario;
use crate::secret;
use crate::units;
use crate::verify::judge::{self, Sent};
use crate::weak::Weak;
use holdfast_client::{Backend, Error, Outcome};
use std::fmt::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longest wait for the gateway to accept the first connection.
const REACH: Duration = Duration::from_secs(5);
/// Longest wait for the gateway to close what said bye, nanoseconds, and how many more it may have
/// for each client.
const LEAVE: (u64, u64) = (10 * SECOND, SECOND / 4_000);
/// When nothing arrived for so long after everything was answered, nothing will, nanoseconds.
const QUIET: u64 = 3 * SECOND;

/// A run while it goes on.
struct Stage<'a> {
    options: &'a Options,
    shared: Arc<Shared>,
    company: Arc<dyn Company>,
    backend: Option<Backend>,
    server: Option<u32>,
    progress: Progress,
    /// The phases that are over.
    passed: Vec<Passed>,
}

/// What pushes while the clients hold.
struct Pushing {
    start: u64,
    pushed: Arc<Pushed>,
    broadcasts: Arc<broadcaster::Progress>,
    threads: Vec<JoinHandle<()>>,
}

/// A run that is over.
pub(crate) struct Ended {
    /// What was run.
    pub(super) shared: Arc<Shared>,
    /// How it went.
    pub(super) course: Course,
    /// What was found.
    pub(crate) findings: Findings,
}

impl Ended {
    /// Its report.
    pub(super) fn report(self, options: &Options) -> Report {
        report::build(options, &self.shared.scenario, self.findings, self.course)
    }
}

/// Runs everything, with those of the company.
///
/// # Errors
/// Why the run could not be set up, or was called off, for a person.
pub(crate) fn execute(
    options: &Options,
    interrupt: Interrupt,
    company: &Arc<dyn Company>,
) -> Result<Ended, Failure> {
    let scenario = Scenario::new(options).map_err(Failure::generators)?;
    reachable(&scenario).map_err(Failure::nobodys)?;
    if scenario.share.is_whole() {
        room::check(options, &scenario.plan)?;
    }
    let shared = Arc::new(Shared::new(scenario, interrupt));
    // Before the API's connection is opened: a thread's descriptor table begins as a copy of this
    // one.
    let fleet = Fleet::start(&shared).map_err(Failure::generators)?;
    let mut stage = Stage::begin(options, &shared, company);
    let outcome = stage.as_mut().map_err(|why| why.clone()).and_then(Stage::run);
    shared.halt.store(true, Ordering::Relaxed);
    shared.set_phase(Phase::Stop);
    fleet.join();
    let (timeline, phases) = stage.map_or_else(|_| Default::default(), Stage::finish);
    let evidence = outcome.map_err(|why| blamed(why, &shared.scenario))?;
    let interrupted = evidence.interrupted;
    let began = shared.clock.began_utc();
    let course = Course { began, phases, timeline, interrupted, agents: Vec::new() };
    let findings = Findings::gather(options, &shared, evidence);
    Ok(Ended { shared, course, findings })
}

/// Whether something listens at every gateway address.
fn reachable(scenario: &Scenario) -> Result<(), String> {
    for gateway in &scenario.gateways {
        TcpStream::connect_timeout(gateway, REACH).map_err(|error| {
            format!(
                "no gateway answers at {gateway}: {error}. Start one (`holdfast serve`), \
                 or name it \
                 with --gateway"
            )
        })?;
    }
    Ok(())
}

/// Whose matter it is that a run could not be set up: a gateway that is there did not do its part.
fn blamed(why: String, scenario: &Scenario) -> Failure {
    let there = reachable(scenario).is_ok();
    Failure { why, whose: if there { Whose::Gateways } else { Whose::Nobodys } }
}

/// The key of the API.
pub(crate) fn api_key(options: &Options) -> Result<Vec<u8>, String> {
    match &options.secrets {
        Some(secrets) => Ok(secrets.api.clone()),
        None => secret::read(&options.push.api_key, options.push.api_key_file.as_deref()),
    }
}

/// Connects to the API, if anything is to be sent.
fn backend(options: &Options, shared: &Arc<Shared>) -> Result<Option<Backend>, String> {
    let push = &options.push;
    let (schedule, plan) = (&shared.scenario.schedule, &shared.scenario.plan);
    if schedule.count == 0 && plan.broadcasts.is_empty() {
        return Ok(None);
    }
    let shared = Arc::clone(shared);
    let options = holdfast_client::Options {
        name: push.api_name.clone(),
        key: api_key(options)?,
        // An answer later than the drain cannot be waited for.
        timeout: Duration::from_secs(u64::from(push.drain.max(1))),
        ..holdfast_client::Options::new([push.api.to_string()])
    };
    let options = options.on_receipt(move |receipt| {
        let acked = matches!(receipt.outcome, Outcome::Acked(_));
        let gauges = &shared.gauges;
        let count = if acked { &gauges.receipts } else { &gauges.given_up };
        count.fetch_add(1, Ordering::Relaxed);
    });
    let backend = Backend::connect(options).map_err(|error| match error {
        Error::Refused { address, close } => format!(
            "the gateway at {address} refused the backend \"{}\": {close}. Give the name and \
             the key of one of its auth.backend_keys with --api-name and --api-key-file",
            push.api_name
        ),
        error => format!("no backend API answers: {error}. Name it with --api"),
    })?;
    let sizes = plan.broadcasts.iter().map(|broadcast| broadcast.size);
    let longest = sizes.fold(schedule.longest(), usize::max);
    let allowed = backend.welcome().map_or(longest, |welcome| welcome.body_max as usize);
    if longest > allowed {
        return Err(format!("bodies of {longest} bytes; the gateway takes {allowed}"));
    }
    Ok(Some(backend))
}

impl<'a> Stage<'a> {
    /// Connects to the API and waits for the company.
    fn begin(
        options: &'a Options,
        shared: &Arc<Shared>,
        company: &Arc<dyn Company>,
    ) -> Result<Self, String> {
        let backend = backend(options, shared)?;
        company.pass(Barrier::Ramp, Vec::new(), shared)?;
        let gateway = shared.scenario.gateways[0];
        let server = options.output.server_pid.or_else(|| host::find::listener(gateway));
        let server = server.filter(|_| company.watches_gateway());
        let progress = Progress::new(shared, server, &options.output, company);
        let (shared, company) = (Arc::clone(shared), Arc::clone(company));
        Ok(Self { options, shared, company, backend, server, progress, passed: Vec::new() })
    }

    /// What was recorded, and the phases that are over.
    fn finish(mut self) -> (Timeline, Vec<Passed>) {
        (self.progress.finish(), self.passed)
    }

    /// From the first connection to the last.
    fn run(&mut self) -> Result<Evidence, String> {
        let before = self.sample();
        let begun = self.shared.clock.now();
        let logged_in = self.ramp()?;
        self.pass("ramp", "ramp", begun);
        let ramped = self.sample();
        self.settle()?;
        let settled = self.sample();
        let start = self.company.pass(Barrier::Push, Vec::new(), &self.shared)?.at;
        let pushing = self.push(start);
        let pushed = self.sample();
        let interrupted = self.shared.interrupt.came();
        let expected = if interrupted { logged_in } else { self.shared.scenario.clients };
        let mut broadcasts = self.drain(&pushing, expected)?;
        let drained = self.sample();
        for thread in pushing.threads {
            // A thread that panicked has said so; what it did not send counts as never sent.
            let _ = thread.join();
        }
        self.company.pass(Barrier::Leave, Vec::new(), &self.shared)?;
        self.leave();
        let left = self.sample();
        let by = self.shared.scenario.share.number;
        judge::renew(&mut broadcasts, &pushing.broadcasts.sent(), by);
        Ok(Evidence {
            start: pushing.start,
            sent: pushing.pushed.sent.load(Ordering::Acquire),
            broadcasts,
            expected,
            interrupted: self.shared.interrupt.came(),
            samples: [before, ramped, settled, pushed, drained, left],
        })
    }

    /// Notes a phase before the plan's steps, which began at `from` and is over now.
    fn pass(&mut self, name: &str, kind: &'static str, from: u64) {
        let to = self.shared.clock.now();
        self.passed.push(Passed::new(name, kind, (from, to)));
    }

    fn sample(&self) -> Sample {
        host::sample(self.server, self.shared.clock.now())
    }

    /// Connects and logs in the clients of the first ramp; gives how many there are, which is fewer
    /// only when the run is interrupted.
    fn ramp(&mut self) -> Result<u32, String> {
        let scenario = &self.shared.scenario;
        let clients = scenario.plan.joined(scenario.clients, None);
        let rate = scenario.connect_rate;
        let planned = u64::from(clients) * SECOND / u64::from(rate);
        let now = self.shared.clock.now();
        let patience = self.options.clients.login_timeout.saturating_mul(SECOND);
        let deadline = (now + planned).saturating_add(patience);
        self.shared.ramp_start.store(now, Ordering::Relaxed);
        self.shared.set_phase(Phase::Ramp);
        let gauges = &self.shared.gauges;
        self.progress.stage("connect", u64::from(clients));
        self.progress.wait(deadline, || {
            let online = gauges.online.load(Ordering::Relaxed);
            let decided = online + gauges.refused.load(Ordering::Relaxed) >= clients;
            (u64::from(online), decided || self.shared.interrupt.came())
        });
        let online = gauges.online.load(Ordering::Relaxed);
        if online >= clients || self.shared.interrupt.came() {
            return Ok(online.min(clients));
        }
        // The threads add up what they counted before they end.
        self.shared.set_phase(Phase::Stop);
        thread::sleep(Duration::from_millis(300));
        Err(not_online(online, clients, &self.shared.sums().all))
    }

    /// Holds still, so that what the logins left behind is done.
    fn settle(&mut self) -> Result<(), String> {
        self.shared.set_phase(Phase::Hold);
        let from = self.company.pass(Barrier::Settle, Vec::new(), &self.shared)?.at;
        let length = self.shared.scenario.plan.settle;
        self.hold("settle", (from, from + length));
        if length > 0 {
            self.pass("settle", "hold", from);
        }
        Ok(())
    }

    /// Lets the time from `start` to `end` pass, or what of it comes before an interrupt.
    fn hold(&mut self, name: &'static str, (start, end): (u64, u64)) {
        let clock = self.shared.clock;
        self.progress.stage(name, (end - start) / MILLISECOND);
        let interrupt = &self.shared.interrupt;
        let look = || (clock.now().saturating_sub(start) / MILLISECOND, interrupt.came());
        self.progress.wait(end, look);
    }

    /// Goes through the plan's steps, from `start` on, while what they offer is offered.
    fn push(&mut self, start: u64) -> Pushing {
        self.shared.start.store(start, Ordering::Relaxed);
        let mut pushing = Pushing {
            start,
            pushed: Arc::new(Pushed::default()),
            broadcasts: Arc::new(broadcaster::Progress::default()),
            threads: Vec::new(),
        };
        let backend = self.backend.clone().filter(|_| !self.shared.interrupt.came());
        if let Some(backend) = backend {
            self.start_pushing(&mut pushing, &backend);
        } else {
            pushing.pushed.done.store(true, Ordering::Relaxed);
            pushing.broadcasts.done.store(true, Ordering::Relaxed);
        }
        let shared = Arc::clone(&self.shared);
        for (number, step) in (0..).zip(&shared.scenario.plan.steps) {
            if shared.interrupt.came() {
                break;
            }
            shared.begin_step(number);
            self.hold(step.phase.kind.name(), (start + step.from, start + step.until));
            let to = shared.clock.now();
            let times = (start + step.from, to);
            let passed = Passed::new(&step.phase.name, step.phase.kind.name(), times);
            self.passed.push(passed.of_step(number as usize));
        }
        shared.set_phase(Phase::Hold);
        pushing
    }

    fn start_pushing(&self, pushing: &mut Pushing, backend: &Backend) {
        let push = &self.options.push;
        let together = (&self.shared, &self.company);
        let pusher = Pusher::new(together, backend, &pushing.pushed, pushing.start)
            .with(push.batch, push.ttl);
        let broadcaster = Broadcaster {
            shared: Arc::clone(&self.shared),
            company: Arc::clone(&self.company),
            backend: backend.clone(),
            progress: Arc::clone(&pushing.broadcasts),
            start: pushing.start,
        };
        pushing.threads.push(thread::spawn(move || pusher.run()));
        pushing.threads.push(thread::spawn(move || broadcaster.run()));
    }

    /// Waits for what is still in flight, and until as many clients as `expected` are there, at
    /// most as long as the options say; gives the broadcasts that there were.
    fn drain(&mut self, pushing: &Pushing, expected: u32) -> Result<Vec<Sent>, String> {
        let shared = Arc::clone(&self.shared);
        let (clock, gauges) = (shared.clock, &shared.gauges);
        let patience = u64::from(self.options.push.drain) * SECOND;
        let mut deadline = clock.now() + patience;
        self.progress.stage("drain", shared.scenario.schedule.count);
        let company = Arc::clone(&self.company);
        self.progress.wait(deadline, || {
            let over = pushing.answered() || company.is_called_off();
            (gauges.deliveries.load(Ordering::Relaxed), over)
        });
        let here = clock.now();
        let sent = self.company.pass(Barrier::Drain, pushing.broadcasts.sent(), &shared)?.sent;
        deadline += clock.now() - here;
        let copies = self.copies(pushing, &sent);
        let (mut arrived, mut since) = (0, clock.now());
        let returns = shared.scenario.plan.all_back.saturating_add(QUIET);
        let quiet = QUIET + shared.scenario.weak.as_ref().map_or(0, Weak::patience);
        self.progress.wait(deadline, || {
            let deliveries = gauges.deliveries.load(Ordering::Relaxed);
            let broadcasts = gauges.broadcasts.load(Ordering::Relaxed);
            let now = clock.now();
            if deliveries + broadcasts != arrived {
                (arrived, since) = (deliveries + broadcasts, now);
            }
            let receipts =
                gauges.receipts.load(Ordering::Relaxed) + gauges.given_up.load(Ordering::Relaxed);
            let told =
                !shared.scenario.receipts || receipts >= gauges.stored.load(Ordering::Relaxed);
            let complete = told
                && deliveries >= pushing.pushed.accepted.load(Ordering::Relaxed)
                && broadcasts >= copies;
            let back = gauges.online.load(Ordering::Relaxed) >= expected;
            // Nobody is late who is not to be back yet.
            let due = self.shared.interrupt.came() || shared.since_start(now) >= returns;
            let over = pushing.answered() && (complete && back || due && now - since > quiet);
            (deliveries, over)
        });
        shared.halt.store(true, Ordering::Relaxed);
        Ok(sent)
    }

    /// How many copies of broadcasts may still come to the clients here: those that the gateway
    /// says it served, or where it served others too, one for each that a broadcast is for.
    fn copies(&self, pushing: &Pushing, sent: &[Sent]) -> u64 {
        let scenario = &self.shared.scenario;
        if scenario.share.is_whole() {
            return pushing.broadcasts.served.load(Ordering::Relaxed);
        }
        let mut clients = vec![0; scenario.people.products().len()];
        for client in 0..scenario.clients {
            clients[scenario.people.product(client)] += 1;
        }
        let taken = sent.iter().filter(|one| one.refused.is_none() && one.unanswered.is_none());
        taken.map(|broadcast| clients.get(broadcast.product).copied().unwrap_or(0)).sum()
    }

    /// Says bye for everybody and waits until the gateway has closed the connections.
    fn leave(&mut self) {
        let gauges = &self.shared.gauges;
        let connected = u64::from(gauges.connected.load(Ordering::Relaxed));
        self.shared.set_phase(Phase::Leave);
        let deadline = self.shared.clock.now() + LEAVE.0 + connected * LEAVE.1;
        self.progress.stage("leave", connected);
        self.progress.wait(deadline, || {
            let left = u64::from(gauges.connected.load(Ordering::Relaxed));
            (connected.saturating_sub(left), left == 0)
        });
    }
}

impl Pushing {
    /// Whether nothing more can be answered: all is sent, and all that was sent has its answer.
    fn answered(&self) -> bool {
        let done = self.pushed.done.load(Ordering::Acquire)
            && self.broadcasts.done.load(Ordering::Acquire);
        let sent = self.pushed.sent.load(Ordering::Acquire);
        done && self.pushed.answered.load(Ordering::Relaxed) >= sent
    }
}

/// What to say when not every client came online: clients, and apart from them the attempts, of
/// which each client may have made many.
fn not_online(online: u32, clients: u32, counted: &Tally) -> String {
    let others = units::counted(u64::from(clients.saturating_sub(online)), "client");
    let mut text = format!("{online} of {clients} clients logged in and stayed; {others} did not:");
    for (reason, count) in &counted.reasons {
        let attempts = units::counted(*count, "attempt");
        // Writing into a string cannot fail.
        let _ = write!(text, "\n  {attempts} failed: {reason}");
        if let Some(mend) = remedy::of(reason, clients) {
            let _ = write!(text, "\n    mend: {mend}");
        }
    }
    if counted.reasons.is_empty() {
        text.push_str(" no answer in time (--login-timeout)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_never_logged_in_are_told_from_attempts() {
        let mut tally = Tally::new();
        (0..7).for_each(|_| tally.reason("closed by the gateway: overloaded (code 3003)"));
        let text = not_online(8, 10, &tally);
        assert!(
            text.starts_with("8 of 10 clients logged in and stayed; 2 clients did not:"),
            "{text}"
        );
        assert!(
            text.contains("\n  7 attempts failed: closed by the gateway: overloaded"),
            "{text}"
        );
        assert!(text.contains("mend: raise the gateway's descriptor limit"), "{text}");
    }
}
