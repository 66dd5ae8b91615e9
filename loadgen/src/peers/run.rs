//! All rounds over all servers, in turn.

use std::time::Duration;

use super::crowd::Crowd;
use super::report::{Line, Report, Round, Terms};
use super::server::{Server, Stage};
use super::subject::Subject;
use super::work::Work;
use crate::floor;
use crate::floor::machine::{self, Meter};
use crate::interrupt::Interrupt;

/// What is measured, and where.
pub(super) struct Run {
    pub(super) stage: Stage,
    pub(super) subjects: Vec<Subject>,
    pub(super) terms: Terms,
    pub(super) interrupt: Interrupt,
}

impl Run {
    /// Measures until all rounds are done or somebody interrupts.
    pub(super) fn measure(self) -> Result<Report, String> {
        let mut lines = Vec::new();
        for subject in &self.subjects {
            lines.push(Line {
                name: subject.name(),
                what: subject.what(),
                version: self.stage.version(*subject)?,
                settings: subject.settings(),
                rounds: Vec::new(),
                failures: Vec::new(),
            });
        }
        let sockets = floor::bare_sockets(self.stage.core, self.stage.clients)?;
        for number in 1..=self.terms.rounds {
            for (subject, line) in self.subjects.iter().zip(&mut lines) {
                if self.interrupt.came() {
                    break;
                }
                eprintln!("peers: round {number} of {}: {}", self.terms.rounds, line.name);
                match self.round(*subject, sockets, line) {
                    Ok(round) => line.rounds.push(round),
                    // Whoever interrupts from a terminal ends the server too.
                    Err(_) if self.interrupt.came() => {}
                    Err(error) => {
                        eprintln!("peers: {error}");
                        line.failures.push(error);
                    }
                }
            }
        }
        Ok(Report { terms: self.terms, lines })
    }

    /// One server's turn.
    fn round(
        &self,
        subject: Subject,
        sockets: Option<[f64; 2]>,
        line: &mut Line,
    ) -> Result<Round, String> {
        let server = self.stage.start(subject)?;
        if let Some(module) = server.module()?.filter(|module| !line.version.contains(module)) {
            line.version = format!("{}, {module}", line.version);
        }
        self.work(subject, &server, sockets).map_err(|error| server.explained(&error))
    }

    fn work(
        &self,
        subject: Subject,
        server: &Server,
        sockets: Option<[f64; 2]>,
    ) -> Result<Round, String> {
        let failed = |error| format!("memory: {error}");
        let terms = &self.terms;
        let mut crowd = Crowd::new(subject.peer(), server.ports(), self.interrupt.clone())?;
        let pids = server.pids();
        let pid = pids[0];
        let meter = Meter::of(pids);
        let time = Duration::from_secs(terms.seconds.into());
        let mut work = Work { crowd: &mut crowd, meter: &meter, time, phase: 0 };
        let (empty, mark) = (server.memory(), machine::memory(pid).map_err(failed)?);
        let connect = work.connect(terms.clients)?;
        work.idle(Duration::from_secs(terms.settle.into()))?;
        let clients = u64::from(terms.clients);
        let grown = machine::grown(&mark, &machine::memory(pid).map_err(failed)?, clients);
        let both_ends: f64 = grown.values().sum();
        Ok(Round {
            user: machine::per(server.memory().saturating_sub(empty), clients),
            // The clients' end is alike under every server, so what is over is the server's.
            kernel: sockets.map(|[both, one]| one + both_ends - both),
            connect,
            broadcast: work.broadcast()?,
            unicast: work.unicast()?,
            steady: work.steady(terms.rate)?,
        })
    }
}
