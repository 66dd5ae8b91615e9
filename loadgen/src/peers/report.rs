//! What was measured: every round as JSON, and the middle of the rounds as a table.

use std::fs::File;
use std::io;
use std::path::Path;

use super::work::Cost;

/// A share of its core from which on the generator may be what held a phase up.
const BUSY: f64 = 0.9;
/// What stands behind a figure of such a phase.
const MARK: &str = " †";

/// One server's figures of one round.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Round {
    /// Bytes of its processes for each idle client.
    pub(super) user: f64,
    /// Bytes of the kernel for its end of each idle connection; `None` where the kernel does not
    /// say (`/proc/slabinfo` is root's).
    pub(super) kernel: Option<f64>,
    pub(super) connect: Cost,
    pub(super) broadcast: Cost,
    pub(super) unicast: Cost,
    pub(super) steady: Cost,
}

/// One server, over all rounds.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Line {
    /// As on the command line.
    pub(super) name: String,
    /// What it is, for people.
    pub(super) what: String,
    /// What its program says that it is.
    pub(super) version: String,
    /// Its file of settings.
    pub(super) settings: String,
    pub(super) rounds: Vec<Round>,
    /// Why a round gave no figures.
    pub(super) failures: Vec<String>,
}

/// What all servers were given.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Terms {
    pub(super) clients: u32,
    /// Seconds of each phase.
    pub(super) seconds: u32,
    /// Messages a second of the last phase.
    pub(super) rate: u32,
    /// Seconds between the last login and the reading of memory.
    pub(super) settle: u32,
    pub(super) rounds: u32,
    pub(super) kernel: String,
    pub(super) processor: String,
    pub(super) commit: String,
}

/// A whole run.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Report {
    pub(super) terms: Terms,
    pub(super) lines: Vec<Line>,
}

impl Round {
    const fn phases(&self) -> [&Cost; 4] {
        [&self.connect, &self.broadcast, &self.unicast, &self.steady]
    }

    /// Messages that were lost, came astray, and were refused.
    fn wrong(&self) -> [u64; 3] {
        let sum = |of: fn(&Cost) -> u64| self.phases().into_iter().map(of).sum();
        [sum(|cost| cost.lost), sum(|cost| cost.strays), sum(|cost| cost.refused)]
    }
}

/// The middle one; the mean of the two middle ones where their number is even.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(f64::midpoint(values[last / 2], values[last.div_ceil(2)]))
}

/// A number in full, in groups of three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn milliseconds(us: f64) -> String {
    if us < 1e4 { format!("{:.2} ms", us / 1e3) } else { format!("{} ms", grouped(us / 1e3)) }
}

impl Line {
    fn figure(&self, of: impl Fn(&Round) -> Option<f64>, show: impl Fn(f64) -> String) -> String {
        median(self.rounds.iter().filter_map(of).collect()).map_or_else(|| "-".to_owned(), show)
    }

    /// The same of a phase, marked where the generator may have held it up in any round.
    fn of_phase(
        &self,
        phase: fn(&Round) -> &Cost,
        of: impl Fn(&Cost) -> f64,
        show: impl Fn(f64) -> String,
    ) -> String {
        let mut text = self.figure(|round| Some(of(phase(round))), show);
        if self.rounds.iter().any(|round| phase(round).generator >= BUSY) {
            text.push_str(MARK);
        }
        text
    }

    /// Lost, stray and refused messages of all rounds.
    fn wrong(&self) -> [u64; 3] {
        self.rounds.iter().fold([0; 3], |sums, round| {
            let wrong = round.wrong();
            [0, 1, 2].map(|index| sums[index] + wrong[index])
        })
    }

    /// The name of its file of settings.
    fn file(&self) -> &str {
        self.settings.rsplit('/').next().unwrap_or_default()
    }

    /// How busy the generator's core was in each phase, in percent.
    fn generator(&self) -> [String; 4] {
        [0, 1, 2, 3].map(|phase| {
            let share = |round: &Round| Some(round.phases()[phase].generator * 100.0);
            self.figure(share, |share| format!("{share:.0}"))
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "latencies stay far below 2^52")]
    fn row(&self) -> String {
        let whole = |value: f64| grouped(value);
        let bytes = |value: f64| format!("{} B", grouped(value));
        let [lost, strays, refused] = self.wrong();
        let cells = [
            format!("{} ({}; `{}`)", self.what, self.version, self.file()),
            self.figure(|round| Some(round.user), bytes),
            self.figure(|round| round.kernel, bytes),
            self.of_phase(|round| &round.connect, Cost::per_second, whole),
            self.of_phase(|round| &round.connect, Cost::per_cpu_second, whole),
            self.of_phase(|round| &round.broadcast, Cost::per_cpu_second, whole),
            self.of_phase(|round| &round.unicast, Cost::per_cpu_second, whole),
            self.of_phase(|round| &round.steady, |cost| cost.latency.p50_us as f64, milliseconds),
            self.of_phase(|round| &round.steady, |cost| cost.latency.p99_us as f64, milliseconds),
            format!("{lost} / {strays} / {refused}"),
            format!("{} %", self.generator().join(" / ")),
        ];
        format!("| {} |", cells.join(" | "))
    }
}

impl Report {
    /// The table in Markdown, with what it must not be read without.
    pub(super) fn table(&self) -> String {
        let terms = &self.terms;
        let mut lines = vec![
            format!(
                "| server | memory per idle client: process | kernel | logins/s | logins per CPU-s \
                 | broadcast deliveries per CPU-s | unicast per CPU-s | p50 at {rate}/s | p99 at \
                 {rate}/s | lost / stray / refused | generator's core: logins / broadcast / \
                 unicast / {rate}/s |",
                rate = grouped(f64::from(terms.rate)),
            ),
            "|---|---|---|---|---|---|---|---|---|---|---|".to_owned(),
        ];
        lines.extend(self.lines.iter().map(Line::row));
        lines.push(String::new());
        lines.push(format!(
            "{} clients, {} s a phase, median of {} round(s), kernel {}, {}, commit {}.",
            grouped(f64::from(terms.clients)),
            terms.seconds,
            terms.rounds,
            terms.kernel,
            terms.processor,
            terms.commit
        ));
        let marked = lines.iter().any(|line| line.contains(MARK));
        if marked {
            lines.push(
                "†: the generator used 90 % of its core or more in a round: the server may be \
                 better than that."
                    .to_owned(),
            );
        }
        for line in &self.lines {
            lines.extend(line.failures.iter().map(|why| format!("{} failed: {why}", line.name)));
        }
        lines.join("\n")
    }

    /// Whether every message of every server came once, and none was refused.
    pub(super) fn all_accounted(&self) -> bool {
        self.lines.iter().all(|line| line.wrong() == [0; 3])
    }

    /// Whether every server went through every round.
    pub(super) fn complete(&self) -> bool {
        self.lines.iter().all(|line| line.failures.is_empty())
    }

    /// Writes all of it.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        serde_json::to_writer_pretty(File::create(path)?, self).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Percentiles;

    fn cost(units: u64, generator: f64) -> Cost {
        let latency = Percentiles { p50_us: 90, p99_us: 12_345, ..Percentiles::default() };
        Cost { units, server_ns: 500_000_000, wall_s: 2.0, generator, latency, ..Cost::default() }
    }

    fn report(rounds: Vec<Round>) -> Report {
        let terms = Terms {
            clients: 19_000,
            seconds: 8,
            rate: 5_000,
            settle: 5,
            rounds: 3,
            kernel: "6".to_owned(),
            processor: "two".to_owned(),
            commit: "abc".to_owned(),
        };
        let [name, what, version, settings] =
            ["nats", "nats-server, core", "nats-server 2", "loadgen/peers/nats-server.conf"]
                .map(str::to_owned);
        let failures = Vec::new();
        Report { terms, lines: vec![Line { name, what, version, settings, rounds, failures }] }
    }

    fn round(user: f64) -> Round {
        Round {
            user,
            kernel: Some(4_000.0),
            connect: cost(19_000, 0.95),
            broadcast: cost(100_000, 0.2),
            unicast: cost(50_000, 0.2),
            steady: cost(40_000, 0.2),
        }
    }

    #[test]
    fn a_row_has_the_middle_of_the_rounds_and_marks_a_busy_generator() {
        let table = report(vec![round(100.0), round(9_000.0), round(300.4)]).table();
        let row = table.lines().nth(2).unwrap();
        assert_eq!(
            row,
            "| nats-server, core (nats-server 2; `nats-server.conf`) | 300 B | 4,000 B | 9,500 † \
             | 38,000 † | 200,000 | 100,000 | 0.09 ms | 12 ms | 0 / 0 / 0 | 95 / 20 / 20 / 20 % |"
        );
        assert!(table.contains("†: the generator"), "{table}");
    }

    #[test]
    fn a_lost_message_shows_and_is_not_accounted() {
        let mut bad = round(1.0);
        bad.unicast.lost = 3;
        bad.steady.strays = 2;
        let report = report(vec![round(1.0), bad]);
        assert!(!report.all_accounted());
        assert!(report.table().contains("| 3 / 2 / 0 |"));
    }

    #[test]
    fn a_server_that_failed_is_shown_without_figures() {
        let mut report = report(Vec::new());
        report.lines[0].failures.push("it ended".to_owned());
        assert!(!report.complete());
        let table = report.table();
        assert!(table.contains("| - | - |") && table.contains("nats failed: it ended"), "{table}");
    }
}
