//! One try: a whole run at one load, and what it says.

use super::Find;
use super::found::{self, Point};
use super::search::Verdict;
use crate::interrupt::Interrupt;
use crate::options::{Options, Typed};
use crate::report::{Agent, Report};
use crate::run;
use crate::run::failure::{Failure, Whose};
use crate::scenario::overlay;
use crate::slo::metric::Metric;

/// What is tried, apart from how much of it.
pub(super) struct Probe<'a> {
    options: &'a Options,
    typed: &'a Typed,
    find: Find,
    /// The load that the options name.
    start: u64,
    /// What the curve is of.
    curve: Metric,
    interrupt: Interrupt,
}

impl<'a> Probe<'a> {
    /// Tries of what the options describe.
    ///
    /// # Errors
    /// The scenario is wrong, or has nothing that could be searched for.
    pub(super) fn new(
        options: &'a Options,
        typed: &'a Typed,
        find: Find,
        interrupt: Interrupt,
    ) -> Result<Self, String> {
        let asked = overlay::complete(options.clone(), typed)?;
        let start = match find {
            Find::Clients => asked.clients.connections,
            Find::Rate => asked.busiest(),
        };
        if start == 0 {
            return Err(match find {
                Find::Clients => "--connections must be at least 1".to_owned(),
                Find::Rate if asked.asked.scenario.is_some() => {
                    "the scenario pushes nothing: search with --find clients, or take another"
                        .to_owned()
                }
                Find::Rate => "--rate is where the search begins: at least 1".to_owned(),
            });
        }
        let (curve, _) = found::drawn(options.output.slo.as_ref());
        Ok(Self { options, typed, find, start: u64::from(start), curve, interrupt })
    }

    /// The load that the options name.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// Tries `load`; `None` if that was interrupted.
    ///
    /// # Errors
    /// The first of all could not be set up, or there is no gateway any more, or an agent died.
    pub(super) fn attempt(&self, load: u64, first: bool) -> Result<Option<Point>, String> {
        let options = self.with(load)?;
        match run::once(&options, self.interrupt.clone()) {
            _ if self.interrupt.came() => Ok(None),
            Ok(report) => point(load, self.curve, &report).map(Some),
            Err(failure) if first => Err(failure.why),
            Err(Failure { why, whose }) => match whose {
                Whose::Nobodys => Err(why),
                // What does not fit on the generator's host is not the gateway's fault.
                Whose::Generators => Ok(Some(Point::none(load, Verdict::Limited, why))),
                Whose::Gateways => Ok(Some(Point::none(load, Verdict::Missed, why))),
            },
        }
    }

    /// The options of one try.
    fn with(&self, load: u64) -> Result<Options, String> {
        let mut options = self.options.clone();
        let count = u32::try_from(load).unwrap_or(u32::MAX);
        if self.find == Find::Rate && options.choice.scenario.is_some() {
            let start = crate::report::float(self.start);
            options.choice.rate_scale *= f64::from(count) / start;
        }
        let mut options = overlay::complete(options, self.typed)?;
        match self.find {
            Find::Rate => options.push.rate = count,
            Find::Clients => options.clients.connections = count,
        }
        // What is shown of a try is one line, when it is over.
        options.output.quiet = true;
        Ok(options)
    }
}

/// What a run says of its load.
///
/// # Errors
/// An agent died in it: that says nothing of the load.
fn point(load: u64, curve: Metric, report: &Report) -> Result<Point, String> {
    if let Some(died) = report.agents.iter().find_map(Agent::lost_in_words) {
        return Err(died);
    }
    let missed = report.slo.iter().filter(|judged| !judged.met);
    let missed = missed.map(|judged| format!("{}: {}", judged.clause, judged.says));
    let mut why: Vec<String> = missed.chain(report.verdict.iter().cloned()).collect();
    let verdict = match (report.generator.kept_up(), why.is_empty()) {
        (true, true) => Verdict::Met,
        (true, false) => Verdict::Missed,
        (false, _) => {
            why.splice(0..0, report.generator.bottleneck.iter().cloned());
            Verdict::Limited
        }
    };
    Ok(Point { why, ..Point::of(load, verdict, curve, report) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bottleneck::Generator;
    use crate::report::{Died, sample};
    use crate::slo::{Judged, Slo};
    use clap::{CommandFactory, FromArgMatches, Parser};

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        options: Options,
    }

    /// What is tried at `load`, of what was typed.
    fn tried(words: &str, find: Find, load: u64) -> Options {
        let matches = Words::command().get_matches_from(format!("run {words}").split(' '));
        let typed = Typed::of(&matches);
        let options = Words::from_arg_matches(&matches).unwrap().options;
        Probe::new(&options, &typed, find, Interrupt::default()).unwrap().with(load).unwrap()
    }

    #[test]
    fn a_try_has_the_load_in_the_place_of_the_one_that_was_named() {
        assert_eq!(tried("--rate 100", Find::Rate, 700).push.rate, 700);
        let clients = tried("--rate 100 --connections 5", Find::Clients, 700);
        assert_eq!((clients.clients.connections, clients.push.rate), (700, 100));
    }

    #[test]
    fn a_scenario_is_scaled_so_that_its_busiest_phase_has_the_load() {
        let rates = |load| -> Vec<u32> {
            let options = tried("--scenario push --time-scale 0.1", Find::Rate, load);
            let phases = options.asked.phases.iter().filter_map(|phase| phase.pushes.as_ref());
            phases.map(|pushes| pushes.rate).collect()
        };
        assert_eq!(rates(20_000), [2_000, 5_000, 10_000, 20_000]);
        assert_eq!(rates(30_000), [3_000, 7_500, 15_000, 30_000]);
        let scaled = tried("--scenario push --rate-scale 0.1", Find::Rate, 1_000);
        assert_eq!(scaled.busiest(), 1_000);
        let clients = tried("--scenario push", Find::Clients, 77);
        assert_eq!((clients.clients.connections, clients.busiest()), (77, 20_000));
    }

    #[test]
    fn a_load_passes_only_if_nothing_is_wrong_and_the_generator_kept_up() {
        let slo: Slo = "p99 < 1s, lost = 0".parse().unwrap();
        let mut report = sample::report();
        report.slo = slo.judge(&report);
        let judged = |report: &Report| point(5, Metric::P99, report).unwrap();
        assert_eq!(judged(&report).verdict, Verdict::Met);
        report.verdict = vec!["3 messages came twice".to_owned()];
        let doubled = judged(&report);
        assert_eq!((doubled.verdict, doubled.why.len()), (Verdict::Missed, 1));
        let missed = Judged { met: false, says: "2".to_owned(), ..report.slo[1].clone() };
        report.slo[1] = missed;
        assert_eq!(judged(&report).why, ["lost = 0: 2", "3 messages came twice"]);
        let bottleneck = vec!["a thread of it was busy".to_owned()];
        report.generator = Generator { bottleneck, ..Generator::default() };
        let limited = judged(&report);
        assert_eq!((limited.verdict, limited.why.len()), (Verdict::Limited, 3));
        report.agents = vec![Agent { died: Some(Died::default()), ..Agent::default() }];
        assert!(point(5, Metric::P99, &report).is_err(), "no gateway's doing");
    }
}
