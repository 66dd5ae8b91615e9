//! What is shown while a run goes on: the view on a terminal, a line now and then elsewhere. The
//! run's timeline is recorded beside it.

use super::company::Company;
use super::recorder::Recorder;
use super::view::Stage;
use super::view::screen::{Screen, Slate};
use crate::clock::{MILLISECOND, SECOND, duration};
use crate::fleet::shared::{Phase, Shared};
use crate::options::Output;
use crate::report::float;
use crate::report::timeline::Timeline;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

/// Between two looks at what a stage waits for.
const LOOK: u64 = 20 * MILLISECOND;

/// Shows how a run goes.
pub(crate) struct Progress {
    shared: Arc<Shared>,
    screen: Option<Screen>,
    slate: Slate,
    lines: bool,
    /// Between two lines, nanoseconds.
    every: u64,
    stage: &'static str,
    /// When the stage is through.
    length: u64,
    shown: Shown,
    recorder: Recorder,
}

/// The counts at the last line, from which the next computes its rates.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    at: u64,
    answered: u64,
    arrived: u64,
}

impl Progress {
    /// The view on a terminal, else lines; nothing if the options say so. `server` is the gateway's
    /// process, if it is known.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        server: Option<u32>,
        options: &Output,
        company: &Arc<dyn Company>,
    ) -> Self {
        let slate = Slate::default();
        slate.plan(shared.scenario.plan.in_words().unwrap_or_default());
        let terminal = stdin().is_terminal() && stdout().is_terminal() && stderr().is_terminal();
        let wanted = terminal && !options.quiet && !options.plain;
        // Where the terminal cannot be taken, there are lines.
        let screen = wanted.then(|| Screen::open(&slate, &shared.interrupt).ok()).flatten();
        Self {
            shared: Arc::clone(shared),
            lines: !options.quiet,
            screen,
            every: u64::from(options.every) * SECOND,
            stage: "",
            length: 1,
            shown: Shown { at: shared.clock.now(), ..Shown::default() },
            recorder: Recorder::start(shared, server, options, (company, &slate)),
            slate,
        }
    }

    /// A stage begins; it is through when it has come to `length`.
    pub(crate) fn stage(&mut self, name: &'static str, length: u64) {
        self.stage = name;
        self.length = length.max(1);
        self.recorder.stage(name);
    }

    /// Waits until `look` says that the stage is over, or until `deadline` (nanoseconds of the
    /// run's clock). `look` gives how far it is, and whether it is over.
    pub(crate) fn wait(&mut self, deadline: u64, mut look: impl FnMut() -> (u64, bool)) {
        loop {
            let (position, over) = look();
            let now = self.shared.clock.now();
            self.show(position, now);
            if over || now >= deadline {
                return;
            }
            thread::sleep(duration(LOOK.min(deadline - now)));
        }
    }

    /// Takes the view away, and gives what was recorded.
    pub(crate) fn finish(&mut self) -> Timeline {
        self.leave_screen();
        self.recorder.finish()
    }

    /// Takes the view away, if there is one: what was said on it would be gone with it.
    fn leave_screen(&mut self) -> bool {
        let was_open = self.screen.take().is_some();
        if was_open {
            self.slate.notices().iter().for_each(|notice| eprintln!("{notice}"));
        }
        was_open
    }

    fn show(&mut self, position: u64, now: u64) {
        let open = self.screen.as_ref().is_some_and(Screen::is_open);
        for notice in self.shared.notices.take() {
            if open {
                self.slate.notice(notice);
            } else {
                // Whoever wants nothing but errors wants this.
                eprintln!("{notice}");
            }
        }
        if open {
            self.slate.stage(self.stands(position, now));
            return;
        }
        if self.leave_screen() && self.shared.interrupt.came() {
            eprintln!("ends early, with its report; Ctrl-C ends it at once, without one");
        }
        if self.lines && now - self.shown.at >= self.every {
            let line = self.line(now);
            eprintln!("{:>7.1}s {:<8} {line}", seconds(now), self.stage);
        }
    }

    /// Where the run stands, for the view.
    fn stands(&self, position: u64, now: u64) -> Stage {
        let shared = &self.shared;
        let step = shared.step().filter(|_| shared.phase() == Phase::Step);
        let name = step.map_or_else(|| self.stage.to_owned(), |(_, step)| step.phase.name.clone());
        let until = shared.scenario.plan.steps.last().map(|last| last.until);
        let left = until.filter(|_| step.is_some()).map(|until| seconds(shared.until(until, now)));
        Stage { name, done: float(position) / float(self.length), passed: seconds(now), left }
    }

    /// How it stands, with rates since the last line.
    fn line(&mut self, now: u64) -> String {
        let gauges = &self.shared.gauges;
        let mut sums = self.shared.sums();
        let recent = sums.recent.summary();
        sums.recent.clear();
        let answered = sums.all.answer.count();
        let errors = sums.all.failures + sums.all.unasked_ends;
        drop(sums);
        let arrived =
            gauges.deliveries.load(Ordering::Relaxed) + gauges.broadcasts.load(Ordering::Relaxed);
        let passed = seconds(now - self.shown.at).max(0.001);
        let line = format!(
            "connected {} online {} | pushes/s {} deliveries/s {} | p50 {} p99 {} \
             | errors {errors}",
            gauges.connected.load(Ordering::Relaxed),
            gauges.online.load(Ordering::Relaxed),
            rate(answered - self.shown.answered, passed),
            rate(arrived - self.shown.arrived, passed),
            latency(recent.p50_us, recent.count),
            latency(recent.p99_us, recent.count),
        );
        self.shown = Shown { at: now, answered, arrived };
        line
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / SECOND as f64
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(count: u64, passed: f64) -> String {
    format!("{:.0}", count as f64 / passed)
}

/// A latency in the unit that suits it; a dash where there is none.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn latency(us: u64, count: u64) -> String {
    match us {
        _ if count == 0 => "-".to_owned(),
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{:.2} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}
