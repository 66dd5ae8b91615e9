//! A share of a load on its way to an agent: clients, pushes, broadcasts, phases, and secrets that
//! were read where the controller runs. No file, no command and no place for a report is in it.

use super::allow::Allowed;
use crate::host;
use crate::options::{Asked, Broadcasts, Clients, Options, Pushes, Secrets};
use crate::run;
use crate::scenario;
use crate::scenario::phase::{Behaviour, Phase};
use crate::scenario::plan::BROADCASTS_MAX;
use crate::scenario::share::Share;
use crate::schedule::size;
use crate::weak::Weak;
use clap::Parser;
use holdfast_protocol::limits::{PRODUCT_BYTES, TAG_BYTES, USER_BYTES};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most agents of a run.
pub(super) const AGENTS_MAX: usize = 256;
/// Most addresses of gateways, phases and populations.
const MANY: usize = 256;
/// Longest run: thirty days, nanoseconds.
const LONGEST: u64 = 30 * 24 * 3_600 * crate::clock::SECOND;
/// What a client and a message take of the generator, bytes.
const EACH: (u64, u64) = (1_024, 8);

/// A share of a load.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Load {
    clients: Clients,
    push: Pushes,
    broadcast: Broadcasts,
    asked: Asked,
    share: Share,
    secrets: Secrets,
}

/// The options of `run` as they are when nothing is typed.
#[derive(Parser)]
struct Plain {
    #[command(flatten)]
    options: Options,
}

impl Load {
    /// The share of what the options ask for.
    ///
    /// # Errors
    /// A secret cannot be read.
    pub(super) fn new(options: &Options, share: Share) -> Result<Self, String> {
        let login = scenario::login_secret(options)?;
        let api = run::api_key(options)?;
        Ok(Self {
            clients: options.clients.clone(),
            push: options.push.clone(),
            broadcast: options.broadcast.clone(),
            asked: options.asked.clone(),
            share,
            secrets: Secrets { login, api },
        })
    }

    /// The options that run it on this host, if it may be run here.
    ///
    /// # Errors
    /// Why it may not, in words.
    pub(super) fn options(self, allowed: &Allowed, source: &[IpAddr]) -> Result<Options, String> {
        self.check()?;
        for target in self.clients.gateway.iter().chain([&self.push.api]) {
            allowed.check(*target)?;
        }
        let plain = Plain::try_parse_from(["run", "--quiet"]).map_err(|error| error.to_string())?;
        let mut options = plain.options;
        options.clients = Clients { source: source.to_vec(), ..self.clients };
        options.push = self.push;
        options.broadcast = self.broadcast;
        options.asked = self.asked;
        options.share = self.share;
        options.secrets = Some(self.secrets);
        Ok(options)
    }

    /// Whether it is a load at all, and one that this host can hold. The rest is checked where
    /// every run's options are.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        let share = self.share;
        let (of, gateways) = (share.of as usize, self.clients.gateway.len());
        let phases = &self.asked.phases;
        let length = phases.iter().fold(0_u64, |sum, phase| sum.saturating_add(phase.length));
        let rules = [
            (share.number < share.of && of <= AGENTS_MAX, "a share that there is not"),
            ((1..=MANY).contains(&gateways), "too many gateways, or none"),
            (phases.len() <= MANY, "too many phases"),
            (length <= LONGEST, "a run of more than thirty days"),
            (self.push.rate == 0 || self.push.batch > 0, "a batch of nothing"),
            (phases.iter().all(is_phase), "a phase that no file could ask for"),
            (self.are_people(), "people that no file could ask for"),
            (
                self.asked.weak.as_ref().is_none_or(Weak::is_sane),
                "a network that no file could ask for",
            ),
        ];
        if let Some((_, wrong)) = rules.iter().find(|(right, _)| !right) {
            return Err(format!("the load cannot be: {wrong}"));
        }
        self.fits()
    }

    fn are_people(&self) -> bool {
        let named = |text: &str, most: usize| (1..=most).contains(&text.len());
        let all = &self.asked.populations;
        all.len() <= MANY
            && all.iter().all(|one| {
                named(&one.product, PRODUCT_BYTES)
                    && one.prefix.len() <= USER_BYTES
                    && one.tag.as_ref().is_none_or(|tag| named(tag, TAG_BYTES))
                    && one.share.is_finite()
                    && one.share > 0.0
            })
    }

    /// Whether what it takes is half of what is free here, or less.
    fn fits(&self) -> Result<(), String> {
        let clients = self.share.part(self.clients.connections);
        let typed = u64::from(self.push.rate).saturating_mul(u64::from(self.push.duration));
        let pushed = |sum: u64, phase: &Phase| sum.saturating_add(phase.pushed());
        let messages = self.asked.phases.iter().fold(typed, pushed) / u64::from(self.share.of);
        let bytes = (u64::from(clients).saturating_mul(EACH.0))
            .saturating_add(messages.saturating_mul(EACH.1));
        let free = host::available();
        if bytes <= free / 2 {
            return Ok(());
        }
        Err(format!(
            "{clients} clients and {messages} messages take {} MiB, more than half of the {} MiB \
             that are free here",
            bytes >> 20,
            free >> 20
        ))
    }
}

fn is_phase(phase: &Phase) -> bool {
    let part = |share: f64| (0.0..=1.0).contains(&share);
    let pushes = phase.pushes.as_ref();
    let broadcasts = phase.broadcasts.as_ref();
    let clients = match phase.clients {
        Behaviour::Stay => true,
        Behaviour::Join { from, to } => part(from) && part(to) && from < to,
        // More than all may drop in a second where the pause is short.
        Behaviour::Churn { share, .. } => share.is_finite() && share >= 0.0,
        Behaviour::Wave { share, .. } | Behaviour::Slow { share, .. } => part(share),
    };
    clients
        && phase.length <= LONGEST
        && pushes.is_none_or(|pushes| pushes.burst > 0 && part(pushes.durable))
        && broadcasts.is_none_or(|one| {
            one.count as usize <= BROADCASTS_MAX && size::one(&one.size.to_string()).is_ok()
        })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::options::Typed;
    use crate::scenario::phase::Broadcasts as Broadcasting;
    use crate::scenario::{Scenario, overlay};
    use crate::weak::Stall;

    /// The options of a run of these words.
    fn typed(words: &[&str]) -> Options {
        let options = Plain::try_parse_from([&["run"], words].concat()).unwrap().options;
        overlay::complete(options, &Typed::default()).unwrap()
    }

    /// A load for the second of three agents, with a scenario.
    pub(in crate::agents) fn load() -> Load {
        let options = typed(&["--scenario", "mixed", "--secret", "s", "--api-key", "k"]);
        Load::new(&options, Share { number: 1, of: 3, run: 9 }).unwrap()
    }

    fn everywhere() -> Allowed {
        Allowed::resolve(&["0.0.0.0/0:*".parse().unwrap()]).unwrap()
    }

    fn sent(load: &Load) -> Load {
        serde_json::from_slice(&serde_json::to_vec(load).unwrap()).unwrap()
    }

    #[test]
    fn one_agent_plans_what_a_run_without_agents_does() {
        for words in [
            &["--rate", "700", "--burst", "3", "--churn", "0.1", "--durable", "0.5"][..],
            &["--scenario", "mixed", "--rate-scale", "0.01"],
            &["--scenario", "storm", "--seed", "7"],
        ] {
            let local = typed(words);
            let share = Share { number: 0, of: 1, run: 77 };
            let load = sent(&Load::new(&local, share).unwrap());
            let there = load.options(&everywhere(), &[]).unwrap();
            let [here, there] = [&local, &there].map(|one| Scenario::elsewhere(one).unwrap());
            let plan = |run: &Scenario| {
                let schedule = &run.schedule;
                let message = |number| {
                    let target = schedule.target(number);
                    (schedule.due(number), run.people.user(target), schedule.size(number))
                };
                let all: Vec<_> = (0..schedule.count.min(5_000)).map(message).collect();
                let steps: Vec<_> = run.plan.steps.iter().map(|step| step.phase.clone()).collect();
                (schedule.count, all, steps, run.plan.broadcasts.clone(), run.connect_rate)
            };
            assert_eq!(plan(&here), plan(&there), "{words:?}");
        }
    }

    #[test]
    fn shares_add_up_to_the_run() {
        let options = typed(&["--connections", "1000", "--rate", "1000", "--pings", "50"]);
        let one = |number| {
            let share = Share { number, of: 3, run: 5 };
            let load = sent(&Load::new(&options, share).unwrap());
            Scenario::elsewhere(&load.options(&everywhere(), &[]).unwrap()).unwrap()
        };
        let all: Vec<Scenario> = (0..3).map(one).collect();
        let sum = |of: fn(&Scenario) -> u64| all.iter().map(of).sum::<u64>();
        assert_eq!(sum(|run| u64::from(run.clients)), 1_000);
        assert_eq!(sum(|run| u64::from(run.connect_rate)), 5_000);
        assert_eq!(sum(|run| run.schedule.count), 10_000);
        assert_eq!(sum(|run| u64::from(run.pings)), 50);
        let mut users: Vec<String> = all
            .iter()
            .flat_map(|run| (0..run.clients).map(|client| run.people.user(client)))
            .collect();
        users.sort();
        users.dedup();
        assert_eq!(users.len(), 1_000);
    }

    #[test]
    fn files_commands_and_secrets_of_the_command_line_do_not_travel() {
        let options = typed(&["--json", "/tmp/x", "--secret", "s3cret", "--source", "10.0.0.1"]);
        let load = sent(&Load::new(&options, Share::default()).unwrap());
        let there = load.options(&everywhere(), &["127.0.0.9".parse().unwrap()]).unwrap();
        assert_eq!((there.output.json, there.clients.secret), (None, None));
        assert_eq!(there.clients.source, ["127.0.0.9".parse::<IpAddr>().unwrap()]);
        assert_eq!(there.secrets.unwrap().login.as_deref(), Some(&b"s3cret"[..]));
    }

    #[test]
    fn what_is_no_load_is_refused_in_words() {
        type Spoil = fn(&mut Load);
        let wrong: [(Spoil, &str); 9] = [
            (
                |load| {
                    let broadcasts = |phase: &mut Phase| phase.broadcasts.take();
                    let taken = load.asked.phases.iter_mut().find_map(broadcasts);
                    let many = Broadcasting { count: u32::MAX, ..taken.unwrap() };
                    load.asked.phases[1].broadcasts = Some(many);
                },
                "phase",
            ),
            (
                |load| {
                    let weak = typed(&["--scenario", "weak-network"]).asked.weak.unwrap();
                    assert!(weak.is_sane());
                    let stall = Some(Stall { every: 0, length: 0 });
                    load.asked.weak = Some(Weak { stall, ..weak });
                },
                "network",
            ),
            (|load| load.share.number = 3, "share"),
            (|load| load.share.of = 0, "share"),
            (|load| load.clients.gateway.clear(), "gateways"),
            (|load| load.asked.phases[1].length = u64::MAX, "thirty days"),
            (|load| load.clients.connections = u32::MAX, "MiB"),
            (|load| load.asked.populations[0].product.clear(), "people"),
            (
                |load| load.asked.phases[1].clients = Behaviour::Slow { share: 2.0, bytes: 0 },
                "phase",
            ),
        ];
        assert_eq!(load().check(), Ok(()));
        for (spoil, says) in wrong {
            let mut load = load();
            spoil(&mut load);
            let refused = load.options(&everywhere(), &[]).unwrap_err();
            assert!(refused.contains(says), "{says}: {refused}");
        }
        let nowhere = Allowed::resolve(&[]).unwrap();
        let refused = load().options(&nowhere, &[]).unwrap_err();
        assert!(refused.contains("127.0.0.1:7500 is not in this agent's --allow"), "{refused}");
    }
}
