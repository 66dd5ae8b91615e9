//! The generator's driver on core 1: a phase in, what it cost out.

use serde_json::Value;

use super::counts::Counts;
use super::subject::{SECRET, Subject};
use crate::process::Running;
use crate::shell::Result;

const CORE: usize = 1;

/// Clients and a backend in a process of their own.
#[derive(Debug)]
pub(super) struct Driver {
    // Dropped first, so that its subject closes the connections while it lives.
    process: Running,
    subject: Subject,
}

/// What a phase said.
#[derive(Debug, Clone)]
pub(super) struct Answer(pub(super) Value);

impl Answer {
    /// A number by its name.
    pub(super) fn number(&self, name: &str) -> Result<f64> {
        self.0[name].as_f64().ok_or_else(|| format!("the driver gave no {name}: {}", self.0))
    }

    /// A part of it.
    pub(super) fn part(&self, name: &str) -> Self {
        Self(self.0[name].clone())
    }

    /// Microseconds of server CPU time for one unit.
    pub(super) fn micros(&self) -> Result<f64> {
        self.number("us")
    }
}

impl Driver {
    /// Connects a driver to its subject; both end with it.
    pub(super) fn start(subject: Subject) -> Result<Self> {
        let apis: Vec<String> = subject.api_ports.iter().map(u16::to_string).collect();
        let line = format!(
            "floor drive --core {CORE} --language {} --pid {} --port {} --api {}",
            subject.language,
            subject.process.pid(),
            subject.client_port,
            apis.join(",")
        );
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if subject.signed {
            words.extend(["--secret", SECRET, "--key-id", "bench"].map(str::to_owned));
        }
        let process = Running::start(&Subject::driver_binary(), &words, Some(CORE))?;
        let mut driver = Self { process, subject };
        driver.answer()?;
        Ok(driver)
    }

    fn answer(&mut self) -> Result<Answer> {
        let line = self.process.line()?;
        let value: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        match value["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(Answer(value)),
        }
    }

    /// What the subject counts now.
    pub(super) fn counts(&self) -> Result<Counts> {
        Counts::read(self.subject.admin.ok_or("what is driven counts nothing")?)
    }

    /// The subject, without its clients and its backend.
    pub(super) fn into_subject(self) -> Subject {
        self.subject
    }

    /// Runs one phase.
    pub(super) fn phase(&mut self, line: &str) -> Result<Answer> {
        self.process.say(line)?;
        self.answer().map_err(|error| format!("{line}: {error}"))
    }
}
