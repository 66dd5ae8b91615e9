//! What is shown while a run goes on: a bar on a terminal, a line now and then elsewhere. The run's
//! timeline is recorded beside it.

use super::company::Company;
use super::recorder::Recorder;
use crate::clock::{MILLISECOND, SECOND, duration};
use crate::fleet::shared::Shared;
use crate::options::Output;
use crate::report::timeline::Timeline;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

/// Between two looks at what a stage waits for.
const LOOK: u64 = 20 * MILLISECOND;
/// Between two changes of the figures under the bar; the bar itself moves at every look.
const DRAW: u64 = SECOND;

/// Shows how a run goes.
pub(crate) struct Progress {
    shared: Arc<Shared>,
    bar: Option<ProgressBar>,
    lines: bool,
    /// Between two lines, nanoseconds.
    every: u64,
    stage: &'static str,
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
    /// A bar if standard error is a terminal, else lines; nothing if the options say so. `server`
    /// is the gateway's process, if it is known.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        server: Option<u32>,
        options: &Output,
        company: &Arc<dyn Company>,
    ) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !options.quiet).then(|| {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{prefix:>8} {wide_bar} {percent:>3}%\n{msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let shown = Shown { at: shared.clock.now(), ..Shown::default() };
        Self {
            shared: Arc::clone(shared),
            lines: bar.is_none() && !options.quiet,
            bar,
            every: u64::from(options.every) * SECOND,
            stage: "",
            shown,
            recorder: Recorder::start(shared, server, options, company),
        }
    }

    /// A stage begins; it is through when it has come to `length`.
    pub(crate) fn stage(&mut self, name: &'static str, length: u64) {
        self.stage = name;
        self.recorder.stage(name);
        if let Some(bar) = &self.bar {
            bar.set_prefix(name);
            bar.set_length(length.max(1));
            bar.set_position(0);
        }
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

    /// Takes the bar away, and gives what was recorded.
    pub(crate) fn finish(&mut self) -> Timeline {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.recorder.finish()
    }

    fn show(&mut self, position: u64, now: u64) {
        let since = now - self.shown.at;
        let bar = self.bar.is_some();
        let line = match bar {
            true if since >= DRAW => self.line(now),
            false if self.lines && since >= self.every => self.line(now),
            _ => String::new(),
        };
        if let Some(bar) = &self.bar {
            bar.set_position(position);
            if !line.is_empty() {
                bar.set_message(line);
            }
        } else if !line.is_empty() {
            eprintln!("{:>7.1}s {:<8} {line}", seconds(now), self.stage);
        }
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
